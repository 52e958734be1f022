//! What the API is, for programs and for people: `/openapi.json` and `/docs`. Both are open to everybody, so this function
//! can reach nothing.

use std::io::Read;

use flate2::read::GzDecoder;
use lambda_http::{
    Body, Request, Response,
    http::{
        HeaderMap, HeaderValue,
        header::{
            ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
};
use muster::{
    domain::Contract,
    http::{self, OpenEndpoint, Reply},
    wire,
};

/// The page and what it may do, which the build makes.
const PAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page.html.gz"));
const POLICY: &str = include_str!(concat!(env!("OUT_DIR"), "/policy.txt"));

/// Answers one request: every failure is an answer.
#[must_use]
pub fn handle(request: Request) -> Response<Body> {
    let accept_encoding = request.headers().get(ACCEPT_ENCODING).cloned();
    http::serve_open(request, |endpoint, query| match endpoint {
        OpenEndpoint::GetOpenapi => Ok(Reply::ok(document(wire::documented_contract(query)?).to_owned())),
        OpenEndpoint::GetDocs => Ok(page(accept_encoding.is_some_and(|header| accepts_gzip(&header)))),
    })
}

/// The OpenAPI document of a contract.
fn document(contract: Contract) -> &'static str {
    match contract {
        Contract::Toptickets => include_str!("../../../openapi/toptickets.json"),
        Contract::Itsm => include_str!("../../../openapi/itsm.json"),
    }
}

/// The page, compressed for whoever takes that: 0.4 MB in place of 1.7.
fn page(gzip: bool) -> Reply {
    let mut headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (VARY, HeaderValue::from_static("Accept-Encoding")),
    ]);
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return Reply::page(Body::from(PAGE), headers);
    }
    let mut text = String::new();
    GzDecoder::new(PAGE).read_to_string(&mut text).expect("the build compressed a text");
    Reply::page(Body::Text(text), headers)
}

/// Whether an `Accept-Encoding` takes gzip: by its own name, else by `*`, and not with a weight of 0. Where it is no list of
/// codings, plain text is what everybody takes.
fn accepts_gzip(header: &HeaderValue) -> bool {
    let accepts = |coding: &str| {
        header.to_str().ok()?.split(',').find_map(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
            let weight = weight.trim_start().strip_prefix(['q', 'Q']).and_then(|weight| weight.strip_prefix('='));
            let positive = weight.and_then(|weight| weight.trim_end().parse().ok()).is_some_and(|q: f32| q > 0.0);
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
        for yes in ["gzip", "gzip, deflate, br, zstd", "br;q=1.0, GZIP; q=0.001", "*", "br;q=0, *;Q=0.5", "gzip,*;q=0"]
        {
            assert!(accepts(yes), "{yes}");
        }
        for no in
            ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *", "gzip;q=x", "xgzip", "\u{ff}"]
        {
            assert!(!accepts(no), "{no}");
        }
    }
}
