//! Names that `muster dev` allows where a browser might send a request for a page of another site.

/// Origins that an HTTP API's CORS configuration allows: one, all of a scheme (`https://*`), or all
/// (`*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOrigin(String);

impl CorsOrigin {
    /// Parses an origin in the form that API Gateway takes.
    ///
    /// # Errors
    /// It is neither an origin nor one of the wildcards.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_wildcard = matches!(text, "*" | "http://*" | "https://*");
        let is_origin =
            || url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text);
        if is_wildcard || is_origin() {
            Ok(Self(text.to_owned()))
        } else {
            Err("it must be a scheme, a host and a port if it is not the usual one, and nothing more, as in \
                 http://localhost:5173; or *, http://* or https://*"
                .to_owned())
        }
    }

    /// Whether it stands for all origins.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether an `Origin` header names one of these.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => origin.starts_with(prefix),
            None => origin == self.0,
        }
    }
}

/// A DNS name in the form that browsers send in `Host`: lower case, ASCII, without a dot at its
/// end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// Parses a host name, with or without a dot at its end.
    ///
    /// # Errors
    /// It is no DNS name, or an IP address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_name = |name: &&str| !name.is_empty() && !name.contains('*');
        match url::Host::parse(text) {
            Ok(url::Host::Domain(name)) => Some(name.strip_suffix('.').unwrap_or(&name))
                .filter(is_name)
                .map(|name| Self(name.to_owned()))
                .ok_or_else(Self::rule),
            Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => Err(
                "IP addresses are served without it; --listen names the one to serve on".to_owned(),
            ),
            Err(_) => Err(Self::rule()),
        }
    }

    fn rule() -> String {
        "it must be a host name, such as host.docker.internal, without scheme, port, path or *"
            .to_owned()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_name_is_parsed_in_the_form_of_browsers() {
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
    fn host_name_refuses_all_but_names() {
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
