//! The guard in front of every listener of the local stack. It refuses requests that a web page
//! sends through the developer's browser, because the table and the queues ask for no credentials.
//!
//! - `Host`: a page can resolve its own DNS name to this machine (DNS rebinding). It sends that
//!   name, and the browser treats the response as the page's own. Only listed names are accepted.
//!   An IP address as `Host` needs no DNS name.
//! - `Origin`: browsers send it with every request to another origin, except for a GET or HEAD in
//!   the mode `no-cors`.
//! - `Sec-Fetch-Site` and `Sec-Fetch-Dest` (W3C, Fetch Metadata Request Headers) tell those
//!   requests from a followed link.
//!
//! Command-line clients and SDKs send neither `Origin` nor Fetch Metadata.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{CONTENT_TYPE, HOST, ORIGIN},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{CorsOrigin, HostName};

/// The default port of the scheme `http`.
const HTTP_PORT: u16 = 80;

/// The rules of accepted requests. Cheap to clone.
#[derive(Clone)]
pub(super) struct Guard {
    hosts: Arc<Hosts>,
    /// The origins of accepted pages, in addition to the listener's own.
    origins: Arc<[CorsOrigin]>,
}

/// The accepted values of `Host`.
struct Hosts {
    /// Whether every IP address is accepted, not only those of the loopback interface.
    all_addresses: bool,
    /// Names in addition to `localhost`.
    names: Vec<HostName>,
}

/// The reason of a rejection, for the client.
#[derive(Debug)]
struct Forbidden(String);

impl Guard {
    /// Returns a guard that accepts pages of the listener's own origin only. On the loopback
    /// interface it accepts that interface's addresses. On another interface it accepts every
    /// address, because containers and port forwarding translate addresses.
    pub(super) fn new(listen: IpAddr, names: Vec<HostName>) -> Self {
        let hosts = Hosts {
            all_addresses: !listen.is_loopback(),
            names,
        };
        Self {
            hosts: Arc::new(hosts),
            origins: Arc::default(),
        }
    }

    /// Returns a guard that also accepts pages of these origins.
    pub(super) fn with_origins(&self, origins: &[CorsOrigin]) -> Self {
        Self {
            hosts: Arc::clone(&self.hosts),
            origins: origins.into(),
        }
    }

    /// Adds the guard to the routes and their fallback.
    pub(super) fn protect(self, routes: Router) -> Router {
        routes.layer(middleware::from_fn_with_state(self, serve))
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Forbidden> {
        // The request line of a proxy request names the host.
        let target = uri
            .authority()
            .map(|authority| authority.as_str().as_bytes());
        let named = headers
            .get_all(HOST)
            .iter()
            .map(HeaderValue::as_bytes)
            .chain(target);
        let mut own = None;
        for host in named {
            own = Some(self.hosts.check(host)?);
        }
        for origin in headers.get_all(ORIGIN) {
            self.check_origin(origin, own.as_ref())?;
        }
        let fetch = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        let from_another_site =
            matches!(fetch("sec-fetch-site"), Some(b"cross-site" | b"same-site"));
        let is_followed_link = fetch("sec-fetch-dest") == Some(b"document");
        if from_another_site && !is_followed_link && !headers.contains_key(ORIGIN) {
            return Err(Forbidden(
                "the local stack does not accept requests from pages of other origins".to_owned(),
            ));
        }
        Ok(())
    }

    /// Accepts the listener's own origin (the one of the request's `Host`) and the listed origins.
    fn check_origin(&self, origin: &HeaderValue, own: Option<&Authority>) -> Result<(), Forbidden> {
        let text = origin.to_str().unwrap_or_default();
        let is_own = text
            .strip_prefix("http://")
            .and_then(Authority::parse)
            .is_some_and(|named| Some(&named) == own);
        if is_own || self.origins.iter().any(|listed| listed.allows(text)) {
            return Ok(());
        }
        Err(Forbidden(format!(
            "pages of the origin {} may not call this endpoint: start `muster dev` with --cors-origin to allow them to \
             call the API",
            shown(origin.as_bytes())
        )))
    }
}

impl Hosts {
    fn check(&self, host: &[u8]) -> Result<Authority, Forbidden> {
        let forbid = |remedy: &str| {
            Forbidden(format!(
                "the local stack does not accept the host {}: {remedy}",
                shown(host)
            ))
        };
        let by_name = "use localhost or an IP address, or start `muster dev` with --allow-host and the host's name";
        let authority = std::str::from_utf8(host)
            .ok()
            .and_then(Authority::parse)
            .ok_or_else(|| forbid(by_name))?;
        match &authority.host {
            Host::Address(address)
                if self.all_addresses || address.to_canonical().is_loopback() =>
            {
                Ok(authority)
            }
            Host::Address(_) => Err(forbid("use 127.0.0.1, or start `muster dev` with --listen")),
            Host::Name(name)
                if name == "localhost"
                    || self.names.iter().any(|listed| listed.as_str() == name) =>
            {
                Ok(authority)
            }
            Host::Name(_) => Err(forbid(by_name)),
        }
    }
}

/// A host and a port, as in `Host` and `Origin`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Authority {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// Lower case, without a trailing dot.
    Name(String),
    Address(IpAddr),
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            (
                Host::Address(address.parse::<Ipv6Addr>().ok()?.into()),
                port,
            )
        } else {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let name = host.strip_suffix('.').unwrap_or(host);
            let address = name.parse().map(Host::Address);
            (
                address.unwrap_or_else(|_| Host::Name(name.to_ascii_lowercase())),
                port,
            )
        };
        let port = match port {
            "" | ":" => HTTP_PORT,
            port => port.strip_prefix(':')?.parse().ok()?,
        };
        Some(Self { host, port })
    }
}

/// Returns the start of a header's value, for a message.
fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    format!("`{text:.100}`")
}

async fn serve(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(Forbidden(message)) => {
            // AWS SDKs read the error's name from this member.
            let body = json!({ "__type": "AccessDeniedException", "message": message });
            (
                StatusCode::FORBIDDEN,
                [(CONTENT_TYPE, "application/json")],
                body.to_string(),
            )
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const BRIDGE: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 17, 0, 1));

    fn guard(listen: IpAddr, names: &[&str]) -> Guard {
        Guard::new(
            listen,
            names
                .iter()
                .map(|name| HostName::parse(name).unwrap())
                .collect(),
        )
    }

    fn is_served(guard: &Guard, target: &str, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        guard.check(&target.parse().unwrap(), &headers).is_ok()
    }

    #[test]
    fn host_is_localhost_a_loopback_address_or_listed() {
        let guard = guard(LOOPBACK, &["desk.local"]);
        for host in [
            "localhost",
            "LocalHost:3000",
            "localhost.",
            "localhost.:3000",
            "localhost:",
            "127.0.0.1:3000",
            "127.8.9.10",
            "[::1]",
            "[::1]:3000",
            "[::ffff:127.0.0.1]:3000",
            "desk.local",
            "DESK.LOCAL.:80",
        ] {
            assert!(is_served(&guard, "/", &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:3000",
            "localhost.evil.example",
            "evil.localhost",
            "localhost..",
            "127.0.0.1.evil.example",
            "127.1",
            "0x7f000001",
            "0.0.0.0:3000",
            "192.0.2.7",
            "[2001:db8::7]:3000",
            "[::1",
            "::1",
            "[::1]3000",
            "localhost:x",
            "localhost:99999",
            "user@localhost",
            "sub.desk.local",
            " localhost",
            "",
        ] {
            assert!(!is_served(&guard, "/", &[("host", host)]), "{host}");
        }
    }

    #[test]
    fn host_may_be_any_address_on_another_interface() {
        for host in [
            "172.17.0.1:3000",
            "192.0.2.7",
            "[2001:db8::7]:3000",
            "127.0.0.1",
            "localhost",
        ] {
            assert!(
                is_served(&guard(BRIDGE, &[]), "/", &[("host", host)]),
                "{host}"
            );
        }
        assert!(
            !is_served(&guard(BRIDGE, &[]), "/", &[("host", "evil.example")]),
            "a name"
        );
    }

    #[test]
    fn every_host_of_a_request_is_checked() {
        let guard = guard(LOOPBACK, &[]);
        assert!(is_served(&guard, "/", &[]), "HTTP/1.0 has none");
        for headers in [
            [("host", "evil.example"), ("host", "localhost")],
            [("host", "localhost"), ("host", "evil.example")],
        ] {
            assert!(!is_served(&guard, "/", &headers), "{headers:?}");
        }
        assert!(!is_served(
            &guard,
            "http://evil.example/v1/teams",
            &[("host", "localhost")]
        ));
        assert!(is_served(
            &guard,
            "http://localhost:3000/v1/teams",
            &[("host", "localhost:3000")]
        ));
    }

    #[test]
    fn origin_is_the_one_that_the_host_names() {
        let guard = guard(LOOPBACK, &["desk.local"]);
        for (host, origin) in [
            ("127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("LOCALHOST:3000", "http://localhost:3000"),
            ("[::1]:3000", "http://[::1]:3000"),
            ("desk.local", "http://desk.local"),
            ("desk.local:80", "http://desk.local"),
        ] {
            assert!(
                is_served(&guard, "/", &[("host", host), ("origin", origin)]),
                "{origin}"
            );
        }
        for origin in [
            "https://evil.example",
            "http://127.0.0.1:3001",
            "http://127.0.0.1",
            "http://localhost:3000",
            "https://127.0.0.1:3000",
            "http://127.0.0.1:3000.evil.example",
            "http://evil.example#127.0.0.1:3000",
            "null",
            "",
        ] {
            let host = ("host", "127.0.0.1:3000");
            assert!(
                !is_served(&guard, "/", &[host, ("origin", origin)]),
                "{origin}"
            );
            assert!(
                !is_served(
                    &guard,
                    "/",
                    &[
                        host,
                        ("origin", "http://127.0.0.1:3000"),
                        ("origin", origin)
                    ]
                ),
                "{origin}"
            );
        }
        assert!(
            !is_served(&guard, "/", &[("origin", "http://localhost")]),
            "without a host no origin is its own"
        );
    }

    #[test]
    fn listed_origin_is_served_with_any_host() {
        let listed = CorsOrigin::parse("https://desk.example.com").unwrap();
        let guard = guard(LOOPBACK, &[]).with_origins(&[listed]);
        let sent = |host, origin| is_served(&guard, "/", &[("host", host), ("origin", origin)]);
        assert!(sent("127.0.0.1:3000", "https://desk.example.com"));
        assert!(
            sent("127.0.0.1:3000", "http://127.0.0.1:3000"),
            "the stack's own page"
        );
        assert!(!sent("127.0.0.1:3000", "https://evil.example"));
        assert!(
            !sent("evil.example", "https://desk.example.com"),
            "the host is checked first"
        );
    }

    #[test]
    fn request_of_another_site_is_served_for_a_followed_link() {
        let guard = guard(LOOPBACK, &[]);
        let sent = |site, dest| {
            is_served(
                &guard,
                "/docs",
                &[
                    ("host", "localhost"),
                    ("sec-fetch-site", site),
                    ("sec-fetch-dest", dest),
                ],
            )
        };
        for site in ["cross-site", "same-site"] {
            assert!(sent(site, "document"));
            for dest in ["empty", "image", "script", "iframe", "object"] {
                assert!(!sent(site, dest), "{site} {dest}");
            }
        }
        for site in ["none", "same-origin"] {
            assert!(sent(site, "empty") && sent(site, "document"), "{site}");
        }
        let listed = guard.with_origins(&[CorsOrigin::parse("https://desk.example.com").unwrap()]);
        let headers = [
            ("host", "localhost"),
            ("origin", "https://desk.example.com"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert!(
            is_served(&listed, "/v1/teams", &headers),
            "a page of a listed origin"
        );
    }
}
