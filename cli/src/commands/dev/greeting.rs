//! The greeting of `muster dev`.

use std::time::Duration;

use crate::local::{ContractKeys, Data, DemoKeys, LocalStack};

/// Returns the lines that `muster dev` prints when the stack is ready.
pub(super) fn text(stack: &LocalStack, data: &Data, batch_window: Duration) -> String {
    let LocalStack {
        url,
        dynamodb_url,
        aws_url,
        table,
        ..
    } = stack;
    let demo = stack.greeted();
    let DemoKeys { toptickets, itsm } = &demo.keys;
    let data_location = match data {
        Data::Memory => "in memory, lost at the end".to_owned(),
        Data::Samples => "in memory, lost at the end; with the samples of events/".to_owned(),
        Data::Directory(folder) => format!(
            "{} (the queues' messages too, after Ctrl-C)",
            folder.display()
        ),
        Data::External { dynamodb_url, .. } => format!("in the table of {dynamodb_url}"),
    };
    let contract = |name: &str, ContractKeys { admin, read_only }: &ContractKeys| {
        format!(
            "{name}\n  admin key      {admin}\n  read-only key  {read_only}\n  \
             curl {url}/v1/teams -H 'Authorization: Bearer {admin}'\n"
        )
    };
    format!(
        "Muster serves at {url} (Ctrl-C ends it)\n\n{}\n{}\n\
         Documentation    {url}/docs\n\
         Tickets          curl {url}/_dev/queues/tickets -H 'Content-Type: application/json' -d @EVENT.json\n\
         \x20                or SQS at {}\n\
         Events           GET {url}/_dev/events\n\
         DynamoDB         {dynamodb_url}, table {table}\n\
         SQS, S3 and bus  {aws_url}\n\
         Batch window     {batch_window:?} (in AWS 1s; --batch-window changes it)\n\
         Organization     {}, {} users\n\
         Data             {data_location}",
        contract("TopTickets", toptickets),
        contract("ITSM", itsm),
        stack.queue_url("tickets"),
        demo.organization_id,
        demo.users.len(),
    )
}
