//! The address of a client behind a trusted proxy, such as a CloudFront distribution.

use std::{net::IpAddr, sync::Arc};

use lambda_http::http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use muster_contracts::ApiError;

/// The proxy's secret. CloudFront sets it for the origin, and replaces a header of this name that a
/// viewer sends.
///
/// AWS, "Add custom headers to origin requests":
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/add-origin-custom-headers.html>
const SECRET: HeaderName = HeaderName::from_static("x-muster-proxy");
/// The viewer's address and port.
///
/// AWS, "Add CloudFront request headers":
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html>
const VIEWER_ADDRESS: HeaderName = HeaderName::from_static("cloudfront-viewer-address");

/// The proxy that every request has to come through, identified by the SHA-256 of a secret. The
/// default is no proxy.
///
/// Behind a proxy the gateway sees the proxy's address, and a header has the client's. The secret
/// proves that the proxy wrote the header, because any client can send one.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxy {
    secrets: Arc<[[u8; 32]]>,
}

/// The headers of a request that a proxy writes.
pub(super) struct ProxyHeaders {
    secret: Option<[u8; 32]>,
    viewer: Option<IpAddr>,
}

impl TrustedProxy {
    /// Parses SHA-256 hashes in hexadecimal, separated by commas: two during a rotation of the
    /// secret. An empty text is no proxy.
    ///
    /// # Errors
    /// Names the rule if a hash is not 64 hexadecimal digits.
    pub fn parse(hashes: &str) -> Result<Self, String> {
        let hashes = hashes
            .split(',')
            .map(str::trim)
            .filter(|hash| !hash.is_empty());
        let secrets =
            hashes.map(|hash| sha256(hash).ok_or("a hash of SHA-256 has 64 hexadecimal digits"));
        Ok(Self {
            secrets: secrets.collect::<Result<_, _>>()?,
        })
    }

    /// Returns the client's address, if it is known: the viewer's behind a proxy, else the
    /// gateway's `source`.
    ///
    /// # Errors
    /// [`ApiError::AddressNotAllowed`] if the request did not come through the proxy.
    pub(super) fn client_address(
        &self,
        source: Option<IpAddr>,
        headers: &ProxyHeaders,
    ) -> Result<Option<IpAddr>, ApiError> {
        if self.secrets.is_empty() {
            return Ok(source);
        }
        // The comparison is of hashes, so its duration does not reveal the secret.
        let is_from_proxy = headers
            .secret
            .as_ref()
            .is_some_and(|secret| self.secrets.contains(secret));
        if is_from_proxy {
            Ok(headers.viewer)
        } else {
            Err(ApiError::AddressNotAllowed)
        }
    }
}

impl From<&HeaderMap> for ProxyHeaders {
    fn from(headers: &HeaderMap) -> Self {
        let viewer = headers
            .get(VIEWER_ADDRESS)
            .and_then(|value| value.to_str().ok());
        Self {
            secret: headers
                .get(SECRET)
                .map(|secret| Sha256::digest(secret.as_bytes()).into()),
            viewer: viewer.and_then(address),
        }
    }
}

/// Parses the address in `192.0.2.7:443`, `2001:db8::7:443` or `[2001:db8::7]:443`.
fn address(text: &str) -> Option<IpAddr> {
    let (address, port) = text.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address)
        .parse()
        .ok()
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewer_address_ends_before_the_port() {
        for (text, expected) in [
            ("192.0.2.7:443", Some("192.0.2.7")),
            ("2001:db8::7:443", Some("2001:db8::7")),
            ("2001:db8:0:0:0:0:0:7:443", Some("2001:db8::7")),
            ("[2001:db8::7]:443", Some("2001:db8::7")),
            ("192.0.2.7", None),
            ("192.0.2.7:", None),
            ("192.0.2.7:443, 192.0.2.8:443", None),
            (":443", None),
            ("", None),
        ] {
            assert_eq!(
                address(text),
                expected.map(|address| address.parse().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn proxy_hashes_are_64_hexadecimal_digits() {
        let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        for (text, count) in [
            ("", 0),
            (hash, 1),
            (&*format!("{hash},{}", hash.to_uppercase()), 2),
        ] {
            assert_eq!(
                TrustedProxy::parse(text).unwrap().secrets.len(),
                count,
                "{text}"
            );
        }
        assert_eq!(
            TrustedProxy::parse(hash).unwrap().secrets[0],
            <[u8; 32]>::from(Sha256::digest("test"))
        );
        for bad in [
            "test",
            &hash[1..],
            &format!("{hash}0"),
            &hash.replace('9', "g"),
        ] {
            assert!(TrustedProxy::parse(bad).is_err(), "{bad}");
        }
    }
}
