//! Every row of the error tables of both contracts.
//!
//! The expected error is one text. TopTickets: the status and the detail, or one line `loc: type`
//! for each item. ITSM: the status, the code and the details (the field and the constraint of a
//! validation error, otherwise the object).

mod auth;
mod domain;
mod gateway;
mod help;
mod member_validation;
mod parameters;
mod precedence;
mod unknown_fields;
mod validation;

use reqwest::Method;
use uuid::Uuid;

use crate::{
    api::{itsm_error, toptickets_error},
    support::{Client, Organization, Response},
};

/// Returns the error as one text, in the format that the module comment describes.
#[track_caller]
pub(super) fn error_text(client: &Client, path: &str, response: &Response) -> String {
    assert!(
        !response.text.contains(client.token()),
        "the key is in {response}"
    );
    if client.token().starts_with("tt_") {
        let (status, detail) = toptickets_error(response);
        return format!("{status} {detail}");
    }
    let (status, code, details) = itsm_error(response, path.split('?').next().unwrap_or_default());
    match details.as_object() {
        None => format!("{status} {code}"),
        Some(fields) if code == "VALIDATION_ERROR" => {
            assert_eq!(fields.len(), 2, "{response}");
            let text = |key: &str| {
                fields
                    .get(key)
                    .and_then(|value| value.as_str())
                    .unwrap_or_default()
                    .to_owned()
            };
            format!("{status} {code} {} {}", text("field"), text("constraint"))
        }
        Some(_) => format!("{status} {code} {details}"),
    }
}

async fn send_body(
    client: &Client,
    method: &Method,
    path: &str,
    body: impl Into<reqwest::Body>,
) -> Response {
    Client::send(client.request(method.clone(), path).body(body)).await
}

/// Sends the same request under both contracts and asserts these errors.
async fn assert_rejected(
    org: &Organization,
    method: &Method,
    path: &str,
    body: impl AsRef<[u8]>,
    expected: [&str; 2],
) {
    for (client, expected) in org.clients().into_iter().zip(expected) {
        let response = send_body(client, method, path, body.as_ref().to_vec()).await;
        let shown = String::from_utf8_lossy(body.as_ref())
            .chars()
            .take(80)
            .collect::<String>();
        assert_eq!(
            error_text(client, path, &response),
            expected,
            "{method} {path} {shown}"
        );
    }
}

/// Returns an id that no resource has.
fn unknown_id() -> String {
    Uuid::new_v4().to_string()
}
