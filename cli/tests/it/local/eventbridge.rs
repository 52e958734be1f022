//! The local EventBridge.

use muster_cli::emulator;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::local_stack::{get, handler, start};

#[tokio::test]
async fn announcements_are_shown_in_order() {
    let stack = start([("ChangesFunction", handler(|_| Value::Null))]).await;
    let bus = aws_sdk_eventbridge::Client::new(&emulator::sdk_config(&stack.aws_url));
    let entry = |detail: Value| {
        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder();
        entry
            .source("muster")
            .detail_type("team.created")
            .event_bus_name("muster")
            .detail(detail.to_string())
            .build()
    };
    assert_eq!(
        get(&stack, "/_dev/events").await,
        json!({ "events": [], "next": 0 })
    );
    let put = bus
        .put_events()
        .entries(entry(json!({"id": "a"})))
        .entries(entry(json!(7)))
        .send()
        .await
        .unwrap();
    assert_eq!(put.failed_entry_count(), 1);
    assert_eq!(put.entries()[1].error_code(), Some("MalformedDetail"));
    bus.put_events()
        .entries(entry(json!({"id": "b"})))
        .send()
        .await
        .unwrap();
    assert_eq!(
        get(&stack, "/_dev/events?after=0").await,
        json!({ "events": [{"id": "a"}, {"id": "b"}], "next": 2 })
    );
    assert_eq!(
        get(&stack, "/_dev/events?after=1").await,
        json!({ "events": [{"id": "b"}], "next": 2 })
    );
    assert_eq!(
        get(&stack, "/_dev/events?after=2").await,
        json!({ "events": [], "next": 2 })
    );
    let bad = reqwest::get(format!("{}/_dev/events?after=x", stack.url))
        .await
        .unwrap();
    assert_eq!(bad.status(), StatusCode::BAD_REQUEST);
    stack.stop().await.unwrap();
}
