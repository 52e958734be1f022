//! The greeting of `muster dev`: the keys, the next steps and the addresses, in 80 columns.

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
    let greeted = stack.greeted();
    let DemoKeys { toptickets, itsm } = &greeted.keys;
    let organization = &greeted.organization_id;
    let user = greeted.users.first().map_or_else(String::new, |user| {
        format!(", such as {} {}", user.name, user.id)
    });
    format!(
        "Muster serves at {url} (Ctrl-C ends it)\n\n\
         {}{}\n\
         List the teams in each contract; the key selects it:\n\n\
         {}{}\n\
         Send a first ticket, and read why it went to its team and assignee:\n\n\
         {}{}\n\
         Documentation  {url}/docs\n\
         Organization   {organization}\n\
         Users          {}{user}\n\
         Announcements  {url}/_dev/events\n\
         DynamoDB       {dynamodb_url}, table {table}\n\
         SQS, S3, bus   {aws_url}\n\
         Ticket queue   {}\n\
         Batch window   {} (1s in AWS; --batch-window sets it)\n\
         Data           {}",
        keys("TopTickets", toptickets),
        keys("ITSM", itsm),
        get(url, "/v1/teams", &toptickets.admin),
        get(url, "/v1/teams", &itsm.admin),
        send_ticket(url, organization),
        get(url, "/v1/assignments/INC-1", &itsm.admin),
        greeted.users.len(),
        stack.queue_url("tickets"),
        shown_window(batch_window),
        data_location(data),
    )
}

fn keys(contract: &str, ContractKeys { admin, read_only }: &ContractKeys) -> String {
    format!("{contract:<11} {admin}  admin\n            {read_only}  read-only\n")
}

/// Returns a command that fits 80 columns with the longest key.
fn get(url: &str, path: &str, key: &str) -> String {
    format!("curl {url}{path} -H \\\n  'Authorization: Bearer {key}'\n")
}

fn send_ticket(url: &str, organization: &str) -> String {
    format!(
        "curl {url}/_dev/queues/tickets -H \\\n  \
         'Content-Type: application/json' -d '{{\"specversion\": \"1.0\", \"id\": \"1\",\n  \
         \"source\": \"/desk\", \"type\": \"ticket.created\", \"data\": {{\"organization_id\":\n  \
         \"{organization}\", \"ticket\": {{\"id\": \"INC-1\", \"status\": \"new\", \"category\":\n  \
         \"Email\", \"tags\": [\"VPN\"], \"updated_at\": \"2025-03-03T09:00:00Z\"}}}}}}'\n"
    )
}

fn shown_window(window: Duration) -> String {
    let milliseconds = window.as_millis();
    if milliseconds.is_multiple_of(1000) {
        format!("{}s", window.as_secs())
    } else {
        format!("{milliseconds}ms")
    }
}

fn data_location(data: &Data) -> String {
    match data {
        Data::Memory => "in memory, lost at the end".to_owned(),
        Data::Samples => "in memory, lost at the end; with the samples of events/".to_owned(),
        Data::Directory(folder) => format!(
            "{} (the queues' messages too, after Ctrl-C)",
            folder.display()
        ),
        Data::External { dynamodb_url, .. } => format!("in the table of {dynamodb_url}"),
    }
}
