//! `GET /_dev/demo` has the demo keys, so it responds only to a client or an own page of the stack,
//! on the same machine.

use std::net::{IpAddr, UdpSocket};

use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::support::Dev;

const LISTED: &str = "https://app.example";

fn get(dev: &Dev) -> RequestBuilder {
    Client::new().get(format!("{}/_dev/demo", dev.text("/url")))
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("the stack responds")
}

/// Asserts that a request gets an error without keys and without CORS headers.
async fn assert_refused(request: RequestBuilder, context: &str) {
    let response = send(request).await;
    assert_eq!(response.status(), 403, "{context}");
    assert_no_cors(&response, context);
    let text = response.text().await.expect("a text");
    assert!(!text.contains("keys"), "{context}: {text}");
}

fn assert_no_cors(response: &Response, context: &str) {
    let cors = response
        .headers()
        .keys()
        .find(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(cors, None, "{context}");
}

#[tokio::test]
async fn demo_is_shown_to_this_machine_only() {
    let dev = Dev::start([
        "--in-memory",
        "--allow-host",
        "desk.local",
        "--cors-origin",
        LISTED,
    ]);
    let greeted = dev.description.get("demo").unwrap_or(&dev.description);
    let port = Url::parse(dev.text("/url")).unwrap().port().unwrap();
    let own = [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
    ];
    for host in &own {
        let client = get(&dev).header("host", host);
        let page = get(&dev)
            .header("host", host)
            .header("origin", format!("http://{host}"))
            .header("sec-fetch-site", "same-origin");
        for request in [client, page] {
            let response = send(request).await;
            assert_eq!(response.status(), 200, "{host}");
            assert_no_cors(&response, host);
            assert_eq!(response.headers()["cache-control"], "no-store", "{host}");
            let demo: Value = response.json().await.expect("JSON");
            for list in ["teams", "tickets"] {
                assert!(demo[list].is_array(), "{list}");
            }
            for field in ["organization_id", "keys", "users"] {
                assert_eq!(demo[field], greeted[field], "{field}");
            }
        }
    }

    for host in ["desk.local", "evil.example", "192.0.2.7", "evil.localhost"] {
        assert_refused(get(&dev).header("host", host), host).await;
        let page = get(&dev)
            .header("host", host)
            .header("origin", format!("http://{host}"));
        assert_refused(page.header("sec-fetch-site", "same-origin"), host).await;
    }
    for origin in [LISTED, "https://evil.example", "null", "http://127.0.0.1:1"] {
        assert_refused(get(&dev).header("origin", origin), origin).await;
        let preflight = Client::new()
            .request(Method::OPTIONS, format!("{}/_dev/demo", dev.text("/url")))
            .header("access-control-request-method", "GET")
            .header("origin", origin);
        assert_refused(preflight, origin).await;
    }
    for site in ["cross-site", "same-site"] {
        for destination in ["empty", "document", "iframe", "script"] {
            let request = get(&dev)
                .header("sec-fetch-site", site)
                .header("sec-fetch-dest", destination);
            assert_refused(request, destination).await;
        }
    }
}

/// Returns an address of this machine that is not of the loopback interface, if it has one: the
/// source of a datagram to a documentation address (RFC 5737). No datagram is sent.
fn other_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[tokio::test]
async fn demo_is_refused_on_another_interface() {
    let Some(address) = other_address() else {
        return;
    };
    let dev = Dev::start(["--in-memory", "--listen", &address.to_string()]);
    assert_refused(get(&dev), "by the address").await;
    assert_refused(get(&dev).header("host", "localhost"), "as localhost").await;
    let queues = Client::new().get(format!("{}/_dev/queues", dev.text("/url")));
    assert_eq!(send(queues).await.status(), 200, "the other routes");
}
