//! The envelopes that AWS services put around an event, and the encoding of its data.
//!
//! An EventBridge rule and an SNS topic without raw message delivery each wrap the event. A rule
//! can have a topic as its target, so a message can have both envelopes. AWS: "Amazon SNS raw
//! message delivery",
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html>.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::fault::{Fault, Poison};
use muster_domain::OrganizationId;

/// The maximum number of envelopes around an event: EventBridge and SNS, in either order.
const MAX_ENVELOPES: usize = 2;

/// Returns the event in a message without its envelopes, with `data_base64` decoded into `data` if
/// possible. Checks no other field.
///
/// # Errors
/// The message is no JSON object, or an envelope without an event.
pub fn event_in(body: &str) -> Result<Map<String, Value>, Poison> {
    let mut event = unwrapped(body)?;
    // Data that cannot be decoded stays as it is. The parsers of events report it.
    let _ = decode_data(&mut event);
    Ok(event)
}

/// Returns the organization that the event in a message names, if it names one. It is the message's
/// group on a queue.
#[must_use]
pub fn organization_in(message: &str) -> Option<OrganizationId> {
    let event = event_in(message).ok()?;
    OrganizationId::parse(event.get("data")?.get("organization_id")?.as_str()?).ok()
}

/// Returns the event in a message without its envelopes.
pub(super) fn unwrapped(body: &str) -> Result<Map<String, Value>, Poison> {
    let value: Value = serde_json::from_str(body)
        .map_err(|error| Fault::general(format_args!("not JSON: {error}")))?;
    let Value::Object(mut object) = value else {
        return Err(Fault::general("not a CloudEvent: not a JSON object").into());
    };
    for _ in 0..MAX_ENVELOPES {
        object = match Envelope::of(&object) {
            Envelope::None => return Ok(object),
            Envelope::EventBridge => detail(object)?,
            Envelope::Sns => message(&object)?,
            Envelope::SnsConfirmation(rule) => return Err(Fault::new("Type", rule).into()),
        };
    }
    match Envelope::of(&object) {
        Envelope::None => Ok(object),
        _ => Err(Fault::general("not a CloudEvent: it is in more than 2 envelopes").into()),
    }
}

/// The kind of envelope of a JSON object.
enum Envelope {
    None,
    EventBridge,
    Sns,
    /// A message of SNS about a subscription, with the rule that it breaks.
    SnsConfirmation(&'static str),
}

impl Envelope {
    fn of(object: &Map<String, Value>) -> Self {
        // An event can have extension attributes of any name, so `specversion` has precedence.
        if object.contains_key("specversion") {
            return Self::None;
        }
        match object.get("Type").and_then(Value::as_str) {
            Some("Notification") => Self::Sns,
            Some("SubscriptionConfirmation") => Self::SnsConfirmation(
                "SubscriptionConfirmation of SNS is no event: confirm the subscription at its SubscribeURL",
            ),
            Some("UnsubscribeConfirmation") => Self::SnsConfirmation(
                "UnsubscribeConfirmation of SNS is no event: the subscription has ended",
            ),
            _ if object.contains_key("detail-type") => Self::EventBridge,
            _ => Self::None,
        }
    }
}

fn detail(mut envelope: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    match envelope.remove("detail") {
        Some(Value::Object(detail)) => Ok(detail),
        _ => Err(Fault::new("detail", "must be a CloudEvent")),
    }
}

fn message(notification: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    let text = notification.get("Message").and_then(Value::as_str);
    let event = text.and_then(|text| serde_json::from_str(text).ok());
    event.ok_or_else(|| Fault::new("Message", "must be the JSON text of a CloudEvent"))
}

/// Decodes `data_base64` of a `CloudEvent` into `data`. It is the encoding of binary data. Section
/// 3.1 of the JSON event format:
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.
pub(super) fn decode_data(event: &mut Map<String, Value>) -> Result<(), Fault> {
    const FIELD: &str = "data_base64";
    let encoded = match event.get(FIELD) {
        None | Some(Value::Null) => return Ok(()),
        Some(encoded) => encoded,
    };
    if event.get("data").is_some_and(|data| !data.is_null()) {
        return Err(Fault::new(FIELD, "must not stand beside data"));
    }
    let bytes = encoded.as_str().and_then(|text| STANDARD.decode(text).ok());
    let bytes = bytes.ok_or_else(|| Fault::new(FIELD, "must be base64"))?;
    let data: Map<String, Value> = serde_json::from_slice(&bytes)
        .map_err(|_| Fault::new(FIELD, "must be the base64 of a JSON object"))?;
    event.remove(FIELD);
    event.insert("data".to_owned(), Value::Object(data));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({ "specversion": "1.0", "id": "e-1", "data": { "ticket": { "id": "T-1" } } })
    }

    fn in_event_bridge(event: &Value) -> Value {
        json!({
            "version": "0", "id": "b1", "detail-type": "ticket.created", "source": "desk", "account": "123456789012",
            "time": "2026-03-02T09:00:00Z", "region": "eu-west-1", "resources": [], "detail": event,
        })
    }

    fn in_sns(event: &Value) -> Value {
        json!({
            "Type": "Notification", "MessageId": "m1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:tickets",
            "Subject": "detail-type", "Message": event.to_string(), "Timestamp": "2026-03-02T09:00:00.000Z",
            "SignatureVersion": "1", "Signature": "c2ln", "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?x",
        })
    }

    fn opened(body: &Value) -> Result<Value, String> {
        event_in(&body.to_string())
            .map(Value::Object)
            .map_err(|poison| poison.to_string())
    }

    #[test]
    fn envelopes_nest_once_in_either_order() {
        let event = event();
        let once = [in_sns(&event), in_event_bridge(&event)];
        let twice = [
            in_sns(&in_event_bridge(&event)),
            in_event_bridge(&in_sns(&event)),
        ];
        for body in once.iter().chain(&twice).chain([&event]) {
            assert_eq!(opened(body), Ok(event.clone()), "{body}");
        }
        let reason = Err("not a CloudEvent: it is in more than 2 envelopes".to_owned());
        for body in twice
            .iter()
            .flat_map(|body| [in_sns(body), in_event_bridge(body)])
        {
            assert_eq!(opened(&body), reason, "{body}");
        }
    }

    #[test]
    fn envelope_without_an_event_is_a_fault() {
        let subscription = "Type: SubscriptionConfirmation of SNS is no event: confirm the subscription at its SubscribeURL";
        let text = "Message: must be the JSON text of a CloudEvent";
        for (body, reason) in [
            (
                json!({ "Type": "SubscriptionConfirmation", "Token": "t", "Message": "You have chosen" }),
                subscription,
            ),
            (
                json!({ "Type": "UnsubscribeConfirmation", "Token": "t" }),
                "Type: UnsubscribeConfirmation of SNS is no event: the subscription has ended",
            ),
            (
                in_event_bridge(&json!({ "Type": "SubscriptionConfirmation" })),
                subscription,
            ),
            (
                json!({ "Type": "Notification", "Message": "Disk full" }),
                text,
            ),
            (json!({ "Type": "Notification", "Message": "[]" }), text),
            (json!({ "Type": "Notification", "Message": {} }), text),
            (json!({ "Type": "Notification" }), text),
            (
                json!({ "detail-type": "x" }),
                "detail: must be a CloudEvent",
            ),
            (
                json!({ "detail-type": "x", "detail": "{}" }),
                "detail: must be a CloudEvent",
            ),
            (json!([]), "not a CloudEvent: not a JSON object"),
        ] {
            assert_eq!(opened(&body), Err(reason.to_owned()), "{body}");
        }
        assert!(
            event_in("{")
                .unwrap_err()
                .to_string()
                .starts_with("not JSON: ")
        );
    }

    #[test]
    fn event_with_specversion_is_no_envelope() {
        let mut event = event();
        for (field, value) in [
            ("Type", json!("Notification")),
            ("detail-type", json!("x")),
            ("detail", json!({})),
        ] {
            event[field] = value;
        }
        assert_eq!(opened(&event), Ok(event.clone()));
    }

    #[test]
    fn data_base64_replaces_absent_data_only() {
        let decoded = |fields: Value| {
            let Value::Object(mut event) = fields else {
                unreachable!("an object")
            };
            let outcome = decode_data(&mut event).map_err(|fault| fault.to_string());
            outcome.map(|()| Value::Object(event))
        };
        let encoded = STANDARD.encode(r#"{"a":"é"}"#);
        let data = Ok(json!({ "data": { "a": "é" } }));
        assert_eq!(decoded(json!({ "data_base64": encoded })), data);
        assert_eq!(
            decoded(json!({ "data_base64": encoded, "data": null })),
            data
        );
        assert_eq!(
            decoded(json!({ "data_base64": null, "data": 1 })),
            Ok(json!({ "data_base64": null, "data": 1 }))
        );
        for (event, reason) in [
            (
                json!({ "data_base64": encoded, "data": {} }),
                "data_base64: must not stand beside data",
            ),
            (json!({ "data_base64": "%" }), "data_base64: must be base64"),
            (json!({ "data_base64": {} }), "data_base64: must be base64"),
            (
                json!({ "data_base64": STANDARD.encode("[]") }),
                "data_base64: must be the base64 of a JSON object",
            ),
            (
                json!({ "data_base64": STANDARD.encode(b"\"\xff\"") }),
                "data_base64: must be the base64 of a JSON object",
            ),
        ] {
            assert_eq!(decoded(event), Err(reason.to_owned()));
        }
    }

    proptest! {
        /// Any event, in any envelopes and with its data in either encoding, is the same event.
        #[test]
        fn any_envelope_holds_the_same_event(
            id in "\\PC{0,20}",
            text in "\\PC{0,40}",
            envelopes in proptest::sample::subsequence(vec![true, false], 0..=2).prop_shuffle(),
            encode in any::<bool>(),
        ) {
            let data = json!({ "organization_id": "acme", "ticket": { "id": "T-1", "category": text } });
            let bare = json!({ "specversion": "1.0", "id": id, "data": data });
            let mut body = bare.clone();
            if encode {
                body = json!({ "specversion": "1.0", "id": id, "data_base64": STANDARD.encode(data.to_string()) });
            }
            for is_sns in envelopes {
                body = if is_sns { in_sns(&body) } else { in_event_bridge(&body) };
            }
            prop_assert_eq!(opened(&body), Ok(bare));
        }

        #[test]
        fn any_message_is_opened_or_rejected(body in "\\PC{0,60}|(\\{\"(Type|Message|detail|detail-type)\":\"?(Notification|\\{\\}|1)\"?\\})") {
            let _ = event_in(&body);
        }
    }
}
