//! The origins and host names that may call the local stack from a browser.

/// An allowed origin, as API Gateway's CORS configuration has it: one origin, all origins of a
/// scheme (`https://*`), or all origins (`*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOrigin(String);

impl CorsOrigin {
    /// Parses an origin in API Gateway's notation.
    ///
    /// # Errors
    /// The text is neither an origin nor a wildcard.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_wildcard = matches!(text, "*" | "http://*" | "https://*");
        let is_origin =
            || url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text);
        if is_wildcard || is_origin() {
            Ok(Self(text.to_owned()))
        } else {
            Err("not an origin: use the form http://localhost:5173, without a path or a default port, or one of *, \
                 http://* and https://*"
                .to_owned())
        }
    }

    /// Tells whether all origins are allowed.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Tells whether the value of an `Origin` header is allowed.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => origin.starts_with(prefix),
            None => origin == self.0,
        }
    }
}

/// A DNS name as browsers send it in `Host`: lower case, ASCII, without a trailing dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// Parses a host name, with or without a trailing dot.
    ///
    /// # Errors
    /// The text is not a DNS name, or it is an IP address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_name = |name: &&str| !name.is_empty() && !name.contains('*');
        match url::Host::parse(text) {
            Ok(url::Host::Domain(name)) => Some(name.strip_suffix('.').unwrap_or(&name))
                .filter(is_name)
                .map(|name| Self(name.to_owned()))
                .ok_or_else(Self::rule),
            Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => Err(
                "IP addresses need no --allow-host: pass --listen to serve on another address"
                    .to_owned(),
            ),
            Err(_) => Err(Self::rule()),
        }
    }

    fn rule() -> String {
        "not a host name: use the form host.docker.internal, without scheme, port, path or *"
            .to_owned()
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_name_is_normalized_as_browsers_do() {
        for (text, name) in [
            ("host.docker.internal", "host.docker.internal"),
            ("Desk.Local.", "desk.local"),
            ("muster_dev", "muster_dev"),
            ("münchen.example", "xn--mnchen-3ya.example"),
        ] {
            assert_eq!(
                HostName::parse(text).map(|name| name.0),
                Ok(name.to_owned())
            );
        }
    }

    #[test]
    fn host_name_with_other_parts_is_rejected() {
        for text in [
            "",
            ".",
            "*",
            "*.example",
            "a b",
            "http://desk.local",
            "desk.local:3000",
            "desk.local/",
            "a@b",
        ] {
            assert_eq!(HostName::parse(text), Err(HostName::rule()), "{text}");
        }
        for address in ["127.0.0.1", "192.0.2.7", "[::1]", "127.1"] {
            assert!(
                HostName::parse(address).is_err_and(|error| error.contains("--listen")),
                "{address}"
            );
        }
    }
}
