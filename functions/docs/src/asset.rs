//! Files that the build compresses, as responses that clients can cache and revalidate.

use std::{io::Read, sync::OnceLock};

use flate2::read::GzDecoder;
use lambda_http::{
    Body,
    http::{
        HeaderMap, HeaderValue,
        header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, IF_NONE_MATCH, VARY},
    },
};
use muster_service::http::{ApiResponse, if_none_match};

/// Five minutes: the maximum time for which a client shows a file of the previous version.
const CACHING: &str = "public, max-age=300";
/// The header that selects the encoding. `Origin` is listed because the gateway adds CORS headers
/// by it, and a cache must not serve the response for one origin to another.
const SELECTED_BY: &str = "Accept-Encoding, Origin";

/// A text in the two encodings in which it is served. Each has its own entity tag, because a strong
/// tag identifies bytes (RFC 9110, section 8.8.3).
pub(crate) struct Asset {
    pub(crate) gzip: &'static [u8],
    pub(crate) gzip_etag: &'static str,
    pub(crate) plain_etag: &'static str,
    /// The text, after the first request that does not accept gzip.
    pub(crate) plain: OnceLock<String>,
}

/// Embeds a file that the build script wrote.
macro_rules! asset {
    ($name:literal) => {
        $crate::asset::Asset {
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")),
            gzip_etag: include_str!(concat!(env!("OUT_DIR"), "/", $name, ".gz.etag")),
            plain_etag: include_str!(concat!(env!("OUT_DIR"), "/", $name, ".etag")),
            plain: std::sync::OnceLock::new(),
        }
    };
}
pub(crate) use asset;

/// The parts of a request that select a response.
pub(crate) struct Conditions {
    gzip: bool,
    if_none_match: Option<String>,
}

impl From<&HeaderMap> for Conditions {
    fn from(headers: &HeaderMap) -> Self {
        Self {
            gzip: headers.get(ACCEPT_ENCODING).is_some_and(accepts_gzip),
            // The gateway joins repeated headers into one.
            if_none_match: headers
                .get(IF_NONE_MATCH)
                .and_then(|header| header.to_str().ok())
                .map(str::to_owned),
        }
    }
}

impl Asset {
    /// Returns 200 with the text in an encoding that the client accepts, or 304 if the client has
    /// the text. `described` are the headers that describe the text.
    ///
    /// A 304 repeats `Cache-Control`, `ETag` and `Vary` of the 200 and no other header of it (RFC
    /// 9110, section 15.4.5).
    pub(crate) fn reply(
        &'static self,
        conditions: &Conditions,
        described: HeaderMap,
    ) -> ApiResponse {
        let etag = if conditions.gzip {
            self.gzip_etag
        } else {
            self.plain_etag
        };
        let mut headers = HeaderMap::from_iter([
            (CACHE_CONTROL, HeaderValue::from_static(CACHING)),
            (ETAG, HeaderValue::from_static(etag)),
            (VARY, HeaderValue::from_static(SELECTED_BY)),
        ]);
        if conditions
            .if_none_match
            .as_deref()
            .is_some_and(|header| if_none_match(header, etag))
        {
            return ApiResponse::not_modified(headers);
        }
        headers.extend(described);
        if conditions.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            return ApiResponse::with_headers(Body::from(self.gzip), headers);
        }
        ApiResponse::with_headers(Body::from(self.plain()), headers)
    }

    /// Returns the text. The first call decompresses it.
    fn plain(&self) -> &str {
        self.plain.get_or_init(|| {
            let mut text = String::new();
            GzDecoder::new(self.gzip)
                .read_to_string(&mut text)
                .expect("the build compressed a text");
            text
        })
    }
}

/// Returns true if an `Accept-Encoding` accepts gzip: by name, else by `*`, and not with a weight
/// of 0. A malformed header gets the plain text, which every client accepts.
fn accepts_gzip(header: &HeaderValue) -> bool {
    let accepts = |coding: &str| {
        header.to_str().ok()?.split(',').find_map(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
            let weight = weight
                .trim_start()
                .strip_prefix(['q', 'Q'])
                .and_then(|weight| weight.strip_prefix('='));
            let positive = weight
                .and_then(|weight| weight.trim_end().parse().ok())
                .is_some_and(|q: f32| q > 0.0);
            name.trim().eq_ignore_ascii_case(coding).then_some(positive)
        })
    };
    accepts("gzip").or_else(|| accepts("*")).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_the_client_says_so() {
        let accepts = |header: &str| accepts_gzip(&HeaderValue::from_str(header).unwrap());
        for yes in [
            "gzip",
            "gzip, deflate, br, zstd",
            "br;q=1.0, GZIP; q=0.001",
            "*",
            "br;q=0, *;Q=0.5",
            "gzip,*;q=0",
        ] {
            assert!(accepts(yes), "{yes}");
        }
        for no in [
            "",
            "identity",
            "br",
            "gzip;q=0",
            "gzip; q=0.000",
            "*;q=0",
            "gzip;q=0, *",
            "gzip;q=x",
            "xgzip",
            "\u{ff}",
        ] {
            assert!(!accepts(no), "{no}");
        }
    }

    #[test]
    fn text_is_inflated_once() {
        static DOCUMENT: Asset = asset!("itsm.json");
        let first = DOCUMENT.plain();
        assert!(first.starts_with('{'));
        assert!(std::ptr::eq(first, DOCUMENT.plain()));
    }
}
