//! The stack as `muster dev --json` and `muster dev --env-vars` describe it.

use serde::Serialize;
use serde_json::{Value, json};

use super::{BUS, Demo, DemoKeys, DemoOrganization, DemoUser, LocalStack, s3::BUCKET};

/// The addresses, keys and users of a stack, for programs.
#[derive(Debug, Serialize)]
pub struct StackDescription<'s> {
    url: &'s str,
    dynamodb_url: &'s str,
    aws_url: &'s str,
    tickets_queue_url: String,
    users_queue_url: String,
    jobs_queue_url: String,
    long_jobs_queue_url: String,
    table: &'s str,
    organization_id: &'s str,
    keys: &'s DemoKeys,
    users: &'s [DemoUser],
    other_organization: &'s DemoOrganization,
    #[serde(skip_serializing_if = "Option::is_none")]
    demo: Option<&'s Demo>,
}

impl LocalStack {
    /// Returns the functions' environment, as `sam local --env-vars` reads it: the shared
    /// variables, and those of single functions.
    #[must_use]
    pub fn env_vars(&self) -> Value {
        let dead_letters = |queue| {
            let dead_letters = self
                .queues
                .dead_letters_of(queue)
                .map(|name| self.queue_url(name));
            json!({ "DEAD_LETTER_QUEUE_URL": dead_letters })
        };
        json!({
            "Parameters": {
                "AWS_ENDPOINT_URL": self.aws_url,
                "AWS_ENDPOINT_URL_DYNAMODB": self.dynamodb_url,
                "EVENT_BUS_NAME": BUS,
                "FAILED_RECORDS_BUCKET": BUCKET,
                "JOBS_QUEUE_URL": self.queue_url("jobs"),
                "LONG_JOBS_QUEUE_URL": self.queue_url("long-jobs"),
                "PROXY_SECRET_SHA256": "",
                "STACK_NAME": "local",
                "TABLE_NAME": self.table,
            },
            "AssignmentFunction": dead_letters("tickets"),
            "DirectoryFunction": dead_letters("users"),
        })
    }

    /// Returns the output of `muster dev --json`.
    #[must_use]
    pub fn describe(&self) -> StackDescription<'_> {
        let [organization, other_organization] = &self.organizations;
        StackDescription {
            url: &self.url,
            dynamodb_url: &self.dynamodb_url,
            aws_url: &self.aws_url,
            tickets_queue_url: self.queue_url("tickets"),
            users_queue_url: self.queue_url("users"),
            jobs_queue_url: self.queue_url("jobs"),
            long_jobs_queue_url: self.queue_url("long-jobs"),
            table: &self.table,
            organization_id: &organization.organization_id,
            keys: &organization.keys,
            users: &organization.users,
            other_organization,
            demo: self.demo.as_ref(),
        }
    }
}
