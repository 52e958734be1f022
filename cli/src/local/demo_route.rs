//! `GET /_dev/demo`: the keys, users, teams and tickets of the demo organization, for the pages
//! that the stack serves to a browser on the same machine.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, State},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_TYPE, HOST},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use super::{Demo, DemoOrganization, guard::Guard};

/// The demo organization as JSON, and the address that the stack listens on.
#[derive(Clone)]
struct Shown {
    listen: IpAddr,
    organization: Arc<str>,
}

/// Returns the route: of the demo data, or else of an organization without teams and tickets. Its
/// guard accepts no names and no origins, regardless of the stack's options.
pub(super) fn router(
    listen: IpAddr,
    organization: &DemoOrganization,
    demo: Option<&Demo>,
) -> Router {
    let shown = demo.cloned().unwrap_or_else(|| Demo {
        organization: organization.clone(),
        teams: Vec::new(),
        tickets: Vec::new(),
    });
    let organization = json!(shown);
    let routes = Router::new()
        .route("/_dev/demo", get(show))
        .with_state(Shown {
            listen,
            organization: organization.to_string().into(),
        });
    Guard::new(Ipv4Addr::LOCALHOST.into(), Vec::new()).protect(routes)
}

async fn show(
    State(Shown {
        listen,
        organization,
    }): State<Shown>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let (status, body) = if is_local(listen, peer.ip(), &uri, &headers) {
        (StatusCode::OK, organization.to_string())
    } else {
        let rule = "this route serves only pages of this stack, at a loopback address";
        (
            StatusCode::FORBIDDEN,
            json!({ "message": rule }).to_string(),
        )
    };
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body).into_response()
}

/// Tells whether a request comes from this machine and from no page of another site. The guard has
/// accepted its `Host`, if it has one.
///
/// The peer alone is no proof: a page of another site is in a browser on this machine too. The
/// listener is checked because a proxy on this machine can forward requests of other machines.
fn is_local(listen: IpAddr, peer: IpAddr, uri: &Uri, headers: &HeaderMap) -> bool {
    let names_host = headers.contains_key(HOST) || uri.authority().is_some();
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_own_page = matches!(site, None | Some(b"same-origin" | b"none"));
    names_host
        && is_own_page
        && [listen, peer]
            .iter()
            .all(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: [&str; 3] = ["127.0.0.1", "::1", "::ffff:127.0.0.1"];
    const OTHERS: [&str; 4] = ["0.0.0.0", "::", "192.0.2.7", "::ffff:192.0.2.7"];

    fn serves(listen: &str, peer: &str, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let uri = Uri::from_static("/_dev/demo");
        is_local(
            listen.parse().unwrap(),
            peer.parse().unwrap(),
            &uri,
            &headers,
        )
    }

    #[test]
    fn listener_and_peer_are_loopback() {
        let host = [("host", "localhost:3000")];
        for listen in LOOPBACK {
            for peer in LOOPBACK {
                assert!(serves(listen, peer, &host), "{listen}, {peer}");
            }
            for other in OTHERS {
                assert!(!serves(other, listen, &host), "listens on {other}");
                assert!(!serves(listen, other, &host), "called from {other}");
            }
        }
    }

    #[test]
    fn request_without_host_or_of_another_site_is_refused() {
        assert!(!serves("127.0.0.1", "127.0.0.1", &[]));
        for (site, served) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("", false),
        ] {
            let headers = [
                ("host", "localhost"),
                ("sec-fetch-site", site),
                ("sec-fetch-dest", "document"),
            ];
            assert_eq!(serves("::1", "::1", &headers), served, "{site}");
        }
    }
}
