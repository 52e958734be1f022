//! Log lines: one JSON object each, with the names of Lambda's own JSON logs.

use std::{collections::BTreeMap, fmt};

use lambda_http::tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    subscriber::{
        fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
        registry::LookupSpan,
    },
};
use serde::Serialize;
use serde_json::Value;

use super::current;
use muster_domain::Timestamp;

/// Formats an event as a JSON object with `timestamp`, `level`, `message`, the event's own fields,
/// and of the current invocation `requestId`, `traceId` and, once it is known, `organization`.
#[derive(Debug, Clone, Copy)]
pub struct JsonLines;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogLine<'l> {
    timestamp: String,
    level: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'l str>,
    target: &'l str,
    #[serde(flatten)]
    fields: BTreeMap<&'static str, Value>,
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = LogFields(BTreeMap::new());
        event.record(&mut fields);
        let LogFields(mut fields) = fields;
        let message = fields.remove("message");
        let invocation = current();
        if let Some(organization) = invocation
            .as_ref()
            .and_then(|invocation| invocation.organization.get())
        {
            fields
                .entry("organization")
                .or_insert_with(|| organization.as_str().into());
        }
        let metadata = event.metadata();
        let line = LogLine {
            timestamp: Timestamp::now().iso8601_millis(),
            level: metadata.level().as_str(),
            message,
            request_id: invocation
                .as_ref()
                .map(|invocation| &*invocation.request_id),
            trace_id: invocation
                .as_ref()
                .and_then(|invocation| Some(&*invocation.trace.as_ref()?.root)),
            target: metadata.target(),
            fields,
        };
        writeln!(
            writer,
            "{}",
            serde_json::to_string(&line).map_err(|_| fmt::Error)?
        )
    }
}

/// The fields of an event.
struct LogFields(BTreeMap<&'static str, Value>);

impl Visit for LogFields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name(), value.into());
    }
}
