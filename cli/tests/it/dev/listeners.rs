//! The addresses, ports and origins of `muster dev`.

use std::{net::TcpListener, path::Path};

use reqwest::StatusCode;

use super::{folder, refused};
use crate::support::{Dev, assert_fails, lines, muster, stderr, stdout};

// Other systems have only 127.0.0.1 by default.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn listen_address_applies_to_every_port() {
    let dev = Dev::start(["--in-memory", "--listen", "127.0.0.2"]);
    for url in
        ["/url", "/dynamodb_url", "/aws_url", "/tickets_queue_url"].map(|name| dev.text(name))
    {
        let url = reqwest::Url::parse(url).unwrap();
        let port = url.port().unwrap();
        assert_eq!(url.host_str(), Some("127.0.0.2"));
        assert!(std::net::TcpStream::connect(("127.0.0.2", port)).is_ok());
        assert!(
            std::net::TcpStream::connect(("127.0.0.1", port)).is_err(),
            "{url} is nowhere else"
        );
    }
    assert_eq!(
        dev.list(dev.text("/keys/itsm/admin")).await.0,
        StatusCode::OK
    );
}

#[test]
fn listen_beyond_loopback_prints_a_warning() {
    // A network for documentation, so that no machine has the address.
    let output = refused(&["--port", "0", "--in-memory", "--listen", "192.0.2.1"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = stderr(&output);
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(
        lines[0].starts_with("warning: ") && lines[0].contains("192.0.2.1"),
        "{stderr}"
    );
    assert!(
        lines[1].starts_with("error: ") && lines[1].contains("--listen"),
        "{stderr}"
    );
}

#[test]
fn listen_on_all_interfaces_is_rejected() {
    for (address, words) in [
        ("0.0.0.0", "one address"),
        ("::", "one address"),
        ("localhost", "127.0.0.1"),
    ] {
        let output = refused(&["--in-memory", "--listen", address]);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains("--listen") && stderr(&output).contains(words),
            "{output:?}"
        );
    }
}

#[tokio::test]
async fn cors_origin_of_the_flag_is_allowed() {
    let origins = ["http://localhost:5173", "https://desk.example.com"];
    let dev = Dev::start([
        "--in-memory",
        "--cors-origin",
        origins[0],
        "--cors-origin",
        origins[1],
    ]);
    for origin in origins {
        let url = format!("{}/v1/teams", dev.text("/url"));
        let request = reqwest::Client::new()
            .request(reqwest::Method::OPTIONS, url)
            .header("origin", origin);
        let response = request
            .header("access-control-request-method", "GET")
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["access-control-allow-origin"], origin);
    }
}

#[test]
fn cors_origin_with_a_path_is_rejected() {
    let output = muster([
        "dev",
        "--in-memory",
        "--cors-origin",
        "http://localhost:5173/app",
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("--cors-origin") && stderr(&output).contains("not an origin"),
        "{output:?}"
    );
}

#[test]
fn port_in_use_is_rejected() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = refused(&["--port", &port, "--in-memory"]);
    assert_fails(&output, &[&port, "in use", "--port"]);
    assert_eq!(stdout(&output), "");
}

/// Other processes can take a port between the search and the start, so the search is repeated.
#[test]
fn ports_of_dynamodb_and_aws_follow_the_port() {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let started = (20_000..30_000).step_by(3).find_map(|port| {
        let ports = [port, port + 1, port + 2];
        if !ports.iter().all(free) {
            return None;
        }
        let arguments = [
            "dev",
            "--json",
            "--in-memory",
            "--empty",
            "--port",
            &port.to_string(),
        ];
        let (child, mut lines) = lines(&mut muster(arguments));
        let description = serde_json::from_str(&lines.next()?).expect("the first line is JSON");
        Some((ports, Dev { child, description }))
    });
    let (ports, dev) = started.expect("three free ports");
    let urls = ["/url", "/dynamodb_url", "/aws_url"].map(|name| dev.text(name));
    assert_eq!(urls, ports.map(|port| format!("http://127.0.0.1:{port}")));
    for (flag, port) in [
        ("--port", ports[0]),
        ("--dynamodb-port", ports[1]),
        ("--aws-port", ports[2]),
    ] {
        let (_folder, path) = folder();
        let (data, port) = (format!("{path}/data"), port.to_string());
        let mut arguments = vec!["--data-dir", &data, flag, &port];
        if flag != "--port" {
            arguments.extend(["--port", "0"]);
        }
        assert_fails(&refused(&arguments), &[&port, "in use", flag]);
        assert!(!Path::new(&data).exists(), "{flag}: no data was opened");
    }
}

#[test]
fn port_without_two_higher_ones_is_rejected() {
    let output = refused(&["--in-memory", "--port", "65534"]);
    assert_fails(&output, &["65534", "--dynamodb-port", "--aws-port"]);
}
