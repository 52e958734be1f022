//! Keys that are restricted to networks.

use aws_sdk_dynamodb::types::AttributeValue;
use muster_domain::{ApiKey, KeyKind, Scope, Timestamp};
use muster_service::http::{Deps, TrustedProxy};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Client, Organization, Response, Stack,
    invoke::{self, TestInvocation},
    response_shape::{ErrorFormat, assert_response},
};

const KINDS: [(KeyKind, ErrorFormat); 2] = [
    (KeyKind::TtAdmin, ErrorFormat::Toptickets),
    (KeyKind::Itsm, ErrorFormat::Itsm),
];

/// Restricts a key to these networks.
fn allow_networks(networks: &[&str]) -> impl Fn(&mut ApiKey) {
    let networks: Vec<_> = networks
        .iter()
        .map(|network| network.parse().expect("a network"))
        .collect();
    move |key| key.allowed_networks.clone_from(&networks)
}

#[track_caller]
fn assert_not_allowed(response: &Response, error_format: ErrorFormat, context: &str) {
    assert_response(response, error_format, context);
    assert_eq!(response.status, 403, "{context}: {response}");
    assert_eq!(
        response.header("www-authenticate"),
        "",
        "{context}: the credential is valid"
    );
    if error_format == ErrorFormat::Toptickets {
        assert_eq!(
            response.json,
            json!({ "detail": "IP address not allowed" }),
            "{context}"
        );
    } else {
        let error = &response.json["error"];
        assert_eq!(
            (&error["code"], &error["details"]),
            (&json!("FORBIDDEN"), &Value::Null),
            "{context}"
        );
        assert_eq!(
            error["message"], "The credential may not be used from this address",
            "{context}"
        );
    }
}

#[tokio::test]
async fn key_outside_its_networks_is_forbidden() {
    let org = Stack::shared().organization().await;
    let team = org.team("Support").await;
    let paths = [
        "/v1/teams".to_owned(),
        format!("/v1/teams/{team}/members"),
        format!("/v1/teams/{team}/assignments"),
    ];
    for (kind, error_format) in KINDS {
        for networks in [
            &[][..],
            &["127.0.0.1/32"],
            &["127.0.0.0/8"],
            &["192.0.2.0/24", "0.0.0.0/0"],
        ] {
            let client = org
                .key_with(kind, &Scope::ALL, allow_networks(networks))
                .await
                .0;
            for path in &paths {
                assert_eq!(
                    client.get(path).await.status,
                    200,
                    "{path} from {networks:?}"
                );
            }
        }
        for networks in [
            &["127.0.0.2/32"][..],
            &["192.0.2.0/24", "128.0.0.0/1"],
            &["::1/128"],
            &["::/0"],
        ] {
            let client = org
                .key_with(kind, &Scope::ALL, allow_networks(networks))
                .await
                .0;
            for path in &paths {
                assert_not_allowed(
                    &client.get(path).await,
                    error_format,
                    &format!("{path} from {networks:?}"),
                );
            }
            let response = client.post("/v1/teams", json!({ "name": "Never" })).await;
            assert_not_allowed(&response, error_format, "a write");
        }
    }
    assert_eq!(
        org.itsm.get("/v1/teams").await.json["meta"]["pagination"]["total"],
        1,
        "no team was written"
    );
}

#[tokio::test]
async fn address_is_the_source_ip_of_the_gateway() {
    let org = Stack::shared().organization().await;
    let deps = invoke::deps(&org.stack, org.stack.dynamodb());
    for (kind, error_format) in KINDS {
        let ask = async |networks: &[&str], source_ip: Value| {
            let client = org
                .key_with(kind, &Scope::ALL, allow_networks(networks))
                .await
                .0;
            let request = TestInvocation::new(client.token(), Method::GET, "/v1/teams", None);
            TestInvocation {
                source_ip,
                ..request
            }
            .call(&deps)
            .await
        };
        for (networks, source_ip) in [
            (&["192.0.2.0/24"][..], "192.0.2.7"),
            (&["192.0.2.0/24"], "::ffff:192.0.2.7"),
            (&["192.0.2.0/24"], "::FFFF:C000:0207"),
            (&["2001:db8::/32"], "2001:db8::7"),
            (
                &["2001:db8::/32"],
                "2001:0DB8:0000:0000:0000:0000:0000:0007",
            ),
            (&["192.0.2.0/24", "2001:db8::7/128"], "2001:db8::7"),
        ] {
            assert_eq!(
                ask(networks, json!(source_ip)).await.status,
                200,
                "{source_ip} from {networks:?}"
            );
        }
        for (networks, source_ip) in [
            (&["192.0.2.0/24"][..], json!("192.0.3.7")),
            (&["192.0.2.0/24"], json!("2001:db8::7")),
            (&["2001:db8::/32"], json!("2001:db9::7")),
            (&["2001:db8::/32"], json!("192.0.2.7")),
            (&["::/0"], json!("::ffff:192.0.2.7")),
            // The source address is unknown or malformed.
            (&["0.0.0.0/0", "::/0"], Value::Null),
            (&["0.0.0.0/0", "::/0"], json!("")),
            (&["0.0.0.0/0", "::/0"], json!("localhost")),
            (&["0.0.0.0/0", "::/0"], json!("192.0.2.7:443")),
            (&["0.0.0.0/0", "::/0"], json!("192.0.2.7, 192.0.2.8")),
            // The gateway's source address counts, not the `x-forwarded-for` header.
            (&["127.0.0.1/32"], json!("192.0.2.7")),
            (&["127.0.0.1/32"], Value::Null),
        ] {
            let context = format!("{source_ip} from {networks:?}");
            assert_not_allowed(
                &ask(networks, source_ip.clone()).await,
                error_format,
                &context,
            );
            assert_eq!(
                ask(&[], source_ip).await.status,
                200,
                "without networks no address matters"
            );
        }
    }
}

/// The secret that the proxy sends.
const PROXY_SECRET: &str = "a secret of the proxy's";

/// SHA-256 of another secret, and of [`PROXY_SECRET`].
const PROXY_HASHES: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08,\
    be5c20c4f218c90721cbe1397b366995510b857dabede01139549e58d949c3e0";

/// Requests the list of teams with a key for these networks, from the address of the proxy.
async fn get_through_proxy(
    org: &Organization,
    kind: KeyKind,
    deps: &Deps,
    networks: &[&str],
    headers: &[(&'static str, &str)],
) -> Response {
    let client = org
        .key_with(kind, &Scope::ALL, allow_networks(networks))
        .await
        .0;
    let mut request = TestInvocation::new(client.token(), Method::GET, "/v1/teams", None);
    // The proxy's address, which no key allows.
    request.source_ip = json!("198.51.100.1");
    for (name, value) in headers {
        request = request.with(name, *value);
    }
    request.call(deps).await
}

/// Returns dependencies that trust no proxy, and dependencies that trust the proxy.
fn deps_without_and_with_proxy(org: &Organization) -> (Deps, Deps) {
    let open = invoke::deps(&org.stack, org.stack.dynamodb());
    let behind = Deps {
        proxy: TrustedProxy::parse(PROXY_HASHES).expect("hashes"),
        ..open.clone()
    };
    (open, behind)
}

#[tokio::test]
async fn viewer_address_of_a_trusted_proxy_is_used() {
    let org = Stack::shared().organization().await;
    let (_, behind) = deps_without_and_with_proxy(&org);
    for (kind, error_format) in KINDS {
        let ask = async |deps: &Deps, networks: &[&str], headers: &[(&'static str, &str)]| {
            get_through_proxy(&org, kind, deps, networks, headers).await
        };
        let by_proxy = ("x-muster-proxy", PROXY_SECRET);
        for secret in [PROXY_SECRET, "test"] {
            for (viewer, network) in [
                ("192.0.2.7:443", "192.0.2.0/24"),
                ("2001:db8::7:443", "2001:db8::/32"),
            ] {
                let headers = [
                    ("x-muster-proxy", secret),
                    ("cloudfront-viewer-address", viewer),
                ];
                assert_eq!(
                    ask(&behind, &[network], &headers).await.status,
                    200,
                    "{viewer} in {network}"
                );
                let elsewhere = ask(&behind, &["203.0.113.0/24"], &headers).await;
                assert_not_allowed(
                    &elsewhere,
                    error_format,
                    &format!("{viewer} is not in the network"),
                );
                let proxys_own = ask(&behind, &["198.51.100.0/24"], &headers).await;
                assert_not_allowed(
                    &proxys_own,
                    error_format,
                    "the proxy's address is not the client's",
                );
            }
        }
        assert_eq!(
            ask(&behind, &[], &[by_proxy]).await.status,
            200,
            "without networks no address matters"
        );
        let unknown = ask(&behind, &["0.0.0.0/0", "::/0"], &[by_proxy]).await;
        assert_not_allowed(
            &unknown,
            error_format,
            "the proxy did not write the address",
        );
    }
}

#[tokio::test]
async fn request_that_bypasses_the_proxy_is_forbidden() {
    let org = Stack::shared().organization().await;
    let (open, behind) = deps_without_and_with_proxy(&org);
    for (kind, error_format) in KINDS {
        let ask = async |deps: &Deps, networks: &[&str], headers: &[(&'static str, &str)]| {
            get_through_proxy(&org, kind, deps, networks, headers).await
        };
        let by_proxy = ("x-muster-proxy", PROXY_SECRET);
        // A request that bypasses the proxy is forbidden, with any headers.
        let viewer = ("cloudfront-viewer-address", "192.0.2.7:443");
        for headers in [
            &[][..],
            &[viewer],
            &[viewer, ("x-muster-proxy", "wrong")],
            &[viewer, ("x-muster-proxy", "")],
        ] {
            for networks in [&[][..], &["192.0.2.0/24"], &["198.51.100.0/24"]] {
                let response = ask(&behind, networks, headers).await;
                assert_not_allowed(
                    &response,
                    error_format,
                    &format!("{headers:?} from {networks:?}"),
                );
            }
        }
        // Without a proxy its headers are ignored.
        let headers = [by_proxy, viewer];
        assert_not_allowed(
            &ask(&open, &["192.0.2.0/24"], &headers).await,
            error_format,
            "no proxy is trusted",
        );
        assert_eq!(ask(&open, &["198.51.100.0/24"], &headers).await.status, 200);
    }
}

#[tokio::test]
async fn address_header_of_a_client_is_ignored() {
    let org = Stack::shared().organization().await;
    for (kind, error_format) in KINDS {
        let elsewhere = org
            .key_with(kind, &Scope::ALL, allow_networks(&["192.0.2.7/32"]))
            .await
            .0;
        let here = org
            .key_with(kind, &Scope::ALL, allow_networks(&["127.0.0.1/32"]))
            .await
            .0;
        for (name, value) in [
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-for", "192.0.2.7, 127.0.0.1"),
            ("forwarded", "for=192.0.2.7"),
            ("x-real-ip", "192.0.2.7"),
            ("true-client-ip", "192.0.2.7"),
            ("cf-connecting-ip", "192.0.2.7"),
            ("client-ip", "192.0.2.7"),
            ("cloudfront-viewer-address", "192.0.2.7:443"),
        ] {
            let ask = async |client: &Client| {
                Client::send(client.request(Method::GET, "/v1/teams").header(name, value)).await
            };
            assert_not_allowed(
                &ask(&elsewhere).await,
                error_format,
                &format!("{name}: {value}"),
            );
            assert_eq!(ask(&here).await.status, 200, "{name}: {value}");
        }
    }
}

#[tokio::test]
async fn address_is_checked_between_credential_and_scope() {
    let org = Stack::shared().organization().await;
    let large = json!({ "name": "x".repeat(256 * 1024) });
    for (kind, error_format) in KINDS {
        let elsewhere = allow_networks(&["192.0.2.0/24"]);
        let client = org.key_with(kind, &[], &elsewhere).await.0;
        for (method, path, body, status) in [
            (Method::GET, "/v1/nothing", None, 404),
            (Method::PUT, "/v1/teams", None, 405),
            (Method::POST, "/v1/teams", Some(&large), 413),
        ] {
            assert_eq!(
                client.call(&method, path, body).await.status,
                status,
                "{method} {path}"
            );
        }
        for (method, path, body) in [
            (Method::GET, "/v1/teams", None),
            (Method::GET, "/v1/teams/nonsense", None),
            (Method::GET, "/v1/teams?limit=x", None),
            (Method::POST, "/v1/teams", Some(&json!({ "name": 7 }))),
            (Method::DELETE, "/v1/teams/nonsense", None),
        ] {
            let response = client.call(&method, path, body).await;
            assert_not_allowed(&response, error_format, &format!("{method} {path}"));
        }
        for spoil in [
            |key: &mut ApiKey| key.revoked_at = Some(Timestamp::from_secs(1)),
            |key: &mut ApiKey| key.expires_at = Some(Timestamp::from_secs(1)),
        ] {
            let bad = org.key_with(kind, &Scope::ALL, |key| {
                elsewhere(key);
                spoil(key);
            });
            assert_eq!(
                bad.await.0.get("/v1/teams").await.status,
                401,
                "an invalid credential reveals no more"
            );
        }
    }
}

/// An unreadable network must not open the key to all addresses.
#[tokio::test]
async fn unreadable_network_fails_closed() {
    let org = Stack::shared().organization().await;
    let (client, key) = org
        .key_with(
            KeyKind::Itsm,
            &Scope::ALL,
            allow_networks(&["127.0.0.1/32"]),
        )
        .await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    org.stack
        .dynamodb()
        .update_item()
        .table_name(&org.stack.table)
        .key("pk", text(&format!("KEY#{}", key.hash)))
        .key("sk", text("KEY"))
        .update_expression("SET allowed_networks = :networks")
        .expression_attribute_values(
            ":networks",
            AttributeValue::L(vec![text("127.0.0.1/32"), text("office")]),
        )
        .send()
        .await
        .expect("the key is there");
    let response = client.get("/v1/teams").await;
    assert_eq!(
        (response.status.as_u16(), &response.json["error"]["code"]),
        (500, &json!("INTERNAL_ERROR")),
        "{response}"
    );
}
