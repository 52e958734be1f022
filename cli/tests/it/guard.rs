//! A web page in the developer's browser cannot reach any port of `muster dev`.

use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde_json::json;

use crate::support::{Dev, muster, stderr};

const EVIL: &str = "https://evil.example";

/// Returns the three endpoints of a stack.
fn endpoints(dev: &Dev) -> [String; 3] {
    ["/url", "/dynamodb_url", "/aws_url"].map(|name| dev.text(name).to_owned())
}

/// Returns a request that the endpoint accepts from a client.
fn call(dev: &Dev, url: &str) -> RequestBuilder {
    let post = Client::new().post(url);
    if url == dev.text("/url") {
        let post = Client::new()
            .post(format!("{url}/v1/teams"))
            .bearer_auth(dev.text("/keys/itsm/admin"));
        return post.json(&json!({ "name": format!("Team {}", uuid::Uuid::new_v4()) }));
    }
    let (target, body) = if url == dev.text("/dynamodb_url") {
        (
            "DynamoDB_20120810.Scan",
            json!({ "TableName": dev.text("/table") }),
        )
    } else {
        (
            "AmazonSQS.SendMessage",
            json!({ "QueueUrl": dev.text("/users_queue_url"), "MessageBody": "{}" }),
        )
    };
    post.header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", target)
        .header("x-amz-date", "20260101T000000Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/b/aws4_request, SignedHeaders=host, Signature=0",
        )
        .body(body.to_string())
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("the stack answers")
}

/// Asserts that a request is rejected with an error that names this option, and without CORS
/// headers.
async fn assert_refused(request: RequestBuilder, option: &str, what: &str) {
    let response = send(request).await;
    assert_eq!(response.status(), 403, "{what}");
    let cors = response
        .headers()
        .keys()
        .find(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(cors, None, "{what}");
    let body: serde_json::Value = response.json().await.expect("JSON");
    assert!(
        body["message"]
            .as_str()
            .is_some_and(|message| message.contains(option)),
        "{what}: {body}"
    );
}

#[tokio::test]
async fn page_of_another_origin_is_rejected_on_each_port() {
    let dev = Dev::in_memory();
    for url in endpoints(&dev) {
        assert!(
            send(call(&dev, &url)).await.status().is_success(),
            "{url} serves clients"
        );
        let preflight = Client::new()
            .request(Method::OPTIONS, &url)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "x-amz-target");
        assert_refused(preflight.header("origin", EVIL), "--cors-origin", &url).await;
        for origin in [
            EVIL,
            "null",
            "http://127.0.0.1:1",
            "http://localhost.evil.example",
        ] {
            assert_refused(
                call(&dev, &url).header("origin", origin),
                "--cors-origin",
                &url,
            )
            .await;
        }
        for path in [
            "",
            "/docs",
            "/_dev/queues",
            "/_dev/events",
            "/v1/teams",
            "/nothing",
        ] {
            let get = || Client::new().get(format!("{url}{path}"));
            assert_refused(get().header("origin", EVIL), "--cors-origin", path).await;
            let image = get()
                .header("sec-fetch-site", "cross-site")
                .header("sec-fetch-dest", "image");
            assert_refused(image, "other origins", path).await;
        }
        let form = Client::new()
            .post(format!("{url}/_dev/queues/tickets"))
            .header("origin", EVIL);
        assert_refused(
            form.header("content-type", "application/json").body("{}"),
            "--cors-origin",
            &url,
        )
        .await;
    }
}

#[tokio::test]
async fn name_of_another_host_is_rejected_on_each_port() {
    let dev = Dev::in_memory();
    for url in endpoints(&dev) {
        for host in [
            "evil.example",
            "evil.example:3000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
        ] {
            let own = format!("http://{host}");
            assert_refused(call(&dev, &url).header("host", host), "--allow-host", &url).await;
            assert_refused(
                call(&dev, &url).header("host", host).header("origin", own),
                "--allow-host",
                &url,
            )
            .await;
            assert_refused(
                Client::new()
                    .request(Method::OPTIONS, &url)
                    .header("host", host),
                "--allow-host",
                &url,
            )
            .await;
        }
        assert_refused(
            call(&dev, &url).header("host", "192.0.2.7"),
            "--listen",
            &url,
        )
        .await;
        for host in ["localhost:3000", "LOCALHOST", "127.0.0.1", "[::1]:3000"] {
            let response = send(call(&dev, &url).header("host", host)).await;
            assert!(
                response.status().is_success(),
                "{url} as {host}: {response:?}"
            );
        }
    }
}

/// Returns the ports that a process listens on, from Linux's /proc.
#[cfg(target_os = "linux")]
fn listening_ports(pid: u32) -> std::collections::BTreeSet<u16> {
    use std::fs;

    let sockets: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("the process runs")
        .filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.to_str()?.to_owned()))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut ports = std::collections::BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let columns: Vec<_> = line.split_whitespace().collect();
            let (local, state, inode) = (columns[1], columns[3], columns[9]);
            if state == "0A" && sockets.iter().any(|socket| socket == inode) {
                let port = local
                    .rsplit(':')
                    .next()
                    .and_then(|port| u16::from_str_radix(port, 16).ok());
                ports.insert(port.expect("the kernel writes a port in hexadecimal"));
            }
        }
    }
    ports
}

#[cfg(target_os = "linux")]
#[test]
fn stack_listens_on_its_three_ports_only() {
    let dev = Dev::in_memory();
    let announced = endpoints(&dev).map(|url| Url::parse(&url).unwrap().port().unwrap());
    assert_eq!(
        listening_ports(dev.child.id()),
        announced.into_iter().collect()
    );
}

#[tokio::test]
async fn own_page_by_either_name_is_accepted() {
    let dev = Dev::in_memory();
    let url = dev.text("/url");
    let port = Url::parse(url).unwrap().port().unwrap();
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        let page = Client::new()
            .get(format!("{url}/docs"))
            .header("host", &host)
            .header("sec-fetch-site", "none");
        assert_eq!(send(page).await.status(), 200, "{host}");
        let own = format!("http://{host}");
        let post = call(&dev, url)
            .header("host", &host)
            .header("origin", own)
            .header("sec-fetch-site", "same-origin");
        let response = send(post).await;
        assert_eq!(response.status(), 201, "{host}");
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin"),
            "{host}"
        );
    }
    let link = Client::new()
        .get(format!("{url}/docs"))
        .header("sec-fetch-site", "cross-site");
    assert_eq!(
        send(link.header("sec-fetch-dest", "document"))
            .await
            .status(),
        200,
        "a link in a wiki"
    );
}

#[tokio::test]
async fn listed_host_is_accepted_on_each_port() {
    let dev = Dev::start([
        "--in-memory",
        "--allow-host",
        "Desk.Local",
        "--allow-host",
        "host.docker.internal",
    ]);
    for url in endpoints(&dev) {
        for host in ["desk.local:3000", "DESK.local.", "host.docker.internal"] {
            let response = send(call(&dev, &url).header("host", host)).await;
            assert!(
                response.status().is_success(),
                "{url} as {host}: {response:?}"
            );
        }
        assert_refused(
            call(&dev, &url).header("host", "other.local"),
            "--allow-host",
            &url,
        )
        .await;
    }
    for name in ["http://desk.local", "desk.local:3000", "*", "192.0.2.7"] {
        let output = muster(["dev", "--in-memory", "--allow-host", name])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(stderr(&output).contains("--allow-host"), "{output:?}");
    }
}

#[tokio::test]
async fn page_of_a_listed_origin_reaches_only_the_api() {
    for listed in [EVIL, "https://*", "*"] {
        let dev = Dev::start(["--in-memory", "--cors-origin", listed]);
        let [api, dynamodb, aws] = endpoints(&dev);
        let page = |request: RequestBuilder| {
            request
                .header("origin", EVIL)
                .header("sec-fetch-site", "cross-site")
        };
        assert_eq!(send(page(call(&dev, &api))).await.status(), 201, "{listed}");
        for url in [&dynamodb, &aws] {
            assert_refused(page(call(&dev, url)), "--cors-origin", listed).await;
        }
        for path in ["/_dev/queues", "/_dev/queues/tickets", "/_dev/events"] {
            for method in [Method::GET, Method::OPTIONS, Method::POST] {
                let request = Client::new()
                    .request(method, format!("{api}{path}"))
                    .json(&json!({}));
                assert_refused(page(request), "--cors-origin", listed).await;
            }
        }
    }
}

#[tokio::test]
async fn post_to_a_queue_requires_a_json_type() {
    let dev = Dev::in_memory();
    let post = || {
        Client::new()
            .post(format!("{}/_dev/queues/users", dev.text("/url")))
            .body("[]")
    };
    assert_eq!(send(post()).await.status(), 415, "without a type");
    for (content_type, status) in [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json", 202),
        ("application/json; charset=utf-8", 202),
        ("application/cloudevents-batch+json", 202),
    ] {
        let response = send(post().header("content-type", content_type)).await;
        assert_eq!(response.status(), status, "{content_type}");
    }
}
