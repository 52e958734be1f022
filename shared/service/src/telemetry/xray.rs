//! Traces: subsegments for the X-Ray daemon, which Lambda runs beside each function.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

/// The trace of an invocation, from the header that Lambda passes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trace {
    /// The id of the trace.
    pub(super) root: String,
    /// The parent segment: the function's.
    parent: String,
    /// Whether the trace is sampled.
    pub(super) is_sampled: bool,
}

impl Trace {
    /// Parses `Root=1-…;Parent=…;Sampled=1`. `None` if it names no trace.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let part = |name: &str| {
            let mut parts = header
                .split(';')
                .filter_map(|part| part.trim().split_once('='));
            parts.find_map(|(part, value)| (part == name).then_some(value))
        };
        let id = |id: &&str| {
            !id.is_empty()
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        };
        let root = part("Root").filter(id)?;
        let parent = part("Parent").filter(id);
        Some(Self {
            root: root.to_owned(),
            parent: parent.unwrap_or_default().to_owned(),
            is_sampled: parent.is_some() && part("Sampled") == Some("1"),
        })
    }
}

/// The X-Ray daemon. It receives datagrams and sends no response.
#[derive(Debug)]
pub struct Daemon(UdpSocket);

impl Daemon {
    /// Returns the daemon at an address, such as `169.254.79.129:2000`.
    ///
    /// # Errors
    /// The address is invalid, or no socket can be opened.
    pub fn at(address: &str) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(address)?;
        // Sending must not delay the invocation: a full buffer drops the datagram.
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Sends a call of a trace. A lost datagram is not reported.
    pub(super) fn send(&self, trace: &Trace, call: &AwsCall<'_>) {
        let subsegment = Subsegment {
            id: format!("{:016x}", rand::random::<u64>()),
            trace_id: &trace.root,
            parent_id: &trace.parent,
            kind: "subsegment",
            namespace: "aws",
            name: call.service,
            start_time: seconds(call.began),
            end_time: seconds(call.began) + call.took.as_secs_f64(),
            aws: call,
            http: call.status.map(|status| Http {
                response: ResponseStatus { status },
            }),
            error: call
                .status
                .is_some_and(|status| (400..500).contains(&status)),
            throttle: call.is_throttled,
            fault: call.status.is_none_or(|status| status >= 500),
        };
        if let Ok(subsegment) = serde_json::to_string(&subsegment) {
            let _ = self.0.send(format!("{HEADER}\n{subsegment}").as_bytes());
        }
    }
}

/// The header of every datagram.
const HEADER: &str = r#"{"format": "json", "version": 1}"#;

/// A call of an AWS service, with the fields that X-Ray defines.
#[derive(Debug, Serialize)]
pub(super) struct AwsCall<'c> {
    #[serde(skip)]
    pub(super) service: &'c str,
    pub(super) operation: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) table_name: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) queue_url: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<&'c str>,
    #[serde(skip)]
    pub(super) began: SystemTime,
    #[serde(skip)]
    pub(super) took: Duration,
    /// The status of the response, if there was one.
    #[serde(skip)]
    pub(super) status: Option<u16>,
    #[serde(skip)]
    pub(super) is_throttled: bool,
}

#[derive(Serialize)]
struct Subsegment<'s> {
    id: String,
    trace_id: &'s str,
    parent_id: &'s str,
    #[serde(rename = "type")]
    kind: &'static str,
    namespace: &'static str,
    name: &'s str,
    start_time: f64,
    end_time: f64,
    aws: &'s AwsCall<'s>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Http>,
    error: bool,
    throttle: bool,
    fault: bool,
}

#[derive(Serialize)]
struct Http {
    response: ResponseStatus,
}

#[derive(Serialize)]
struct ResponseStatus {
    status: u16,
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_header_has_root_parent_and_sampling() {
        let trace = |root: &str, parent: &str, is_sampled| {
            Some(Trace {
                root: root.to_owned(),
                parent: parent.to_owned(),
                is_sampled,
            })
        };
        let root = "1-5759e988-bd862e3fe1be46a994272793";
        for (header, parsed) in [
            (
                format!("Root={root};Parent=53995c3f42cd8ad8;Sampled=1"),
                trace(root, "53995c3f42cd8ad8", true),
            ),
            (
                format!("Root={root};Parent=53995c3f42cd8ad8;Sampled=0"),
                trace(root, "53995c3f42cd8ad8", false),
            ),
            (
                format!("Sampled=1; Parent=1f;Lineage=a:1|b:0;Root={root}"),
                trace(root, "1f", true),
            ),
            // Without a parent segment.
            (format!("Root={root};Sampled=1"), trace(root, "", false)),
            (format!("Root={root}"), trace(root, "", false)),
            ("Parent=53995c3f42cd8ad8;Sampled=1".to_owned(), None),
            ("Root=no \"id\";Parent=1f;Sampled=1".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(Trace::parse(&header), parsed, "{header}");
        }
    }
}
