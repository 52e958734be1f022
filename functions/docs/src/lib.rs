//! Serves the OpenAPI documents, `/openapi.json`, and the documentation page, `/docs`. Both take no
//! credential, so this function has no access to other resources.

mod asset;

use lambda_http::{
    Body, Request, Response,
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
};
use muster_contracts::route::PublicEndpoint;
use muster_domain::Contract;
use muster_service::http;

use asset::{Asset, Conditions, asset};

/// The page, and the content security policy that the build makes for it.
static PAGE: Asset = asset!("page.html");
const POLICY: &str = include_str!(concat!(env!("OUT_DIR"), "/policy.txt"));

static TOPTICKETS: Asset = asset!("toptickets.json");
static ITSM: Asset = asset!("itsm.json");

/// Handles one request. Infallible: every failure is a response.
#[must_use]
pub fn handle(request: Request) -> Response<Body> {
    let conditions = Conditions::from(request.headers());
    http::serve_open(request, |endpoint, query| match endpoint {
        PublicEndpoint::GetOpenapi => {
            let document = match muster_contracts::documented_contract(query)? {
                Contract::Toptickets => &TOPTICKETS,
                Contract::Itsm => &ITSM,
            };
            let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(document.reply(&conditions, HeaderMap::from_iter([json])))
        }
        PublicEndpoint::GetDocs => Ok(PAGE.reply(&conditions, page_headers())),
    })
}

fn page_headers() -> HeaderMap {
    HeaderMap::from_iter([
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ])
}
