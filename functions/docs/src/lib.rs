//! Serves the start page, `/`, the documentation page, `/docs`, the OpenAPI documents,
//! `/openapi.json`, the JSON Schemas of the events, `/schemas/{name}`, and `/health`. None takes a
//! credential, so this function has no access to other resources.

mod asset;

use lambda_http::{
    Body, Request, Response,
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
};
use muster_contracts::{
    ApiError,
    route::{PublicEndpoint, PublicMatch},
};
use muster_domain::Contract;
use muster_service::http::{self, ApiResponse};

use asset::{Asset, Conditions, asset};

/// A page, and the content security policy that the build makes for it.
struct Page {
    document: Asset,
    policy: &'static str,
}

/// Embeds a page that the build script wrote.
macro_rules! page {
    ($name:literal) => {
        Page {
            document: asset!($name),
            policy: include_str!(concat!(env!("OUT_DIR"), "/", $name, ".policy")),
        }
    };
}

static HOME: Page = page!("home.html");
static DOCS: Page = page!("docs.html");

/// The version of the program.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit of the program, if the build sets the variable.
const COMMIT: &str = match option_env!("MUSTER_COMMIT") {
    Some(commit) => commit,
    None => "dev",
};

static TOPTICKETS: Asset = asset!("toptickets.json");
static ITSM: Asset = asset!("itsm.json");

// The JSON Schemas of the events, by the names of their files: `SCHEMAS`.
include!(concat!(env!("OUT_DIR"), "/schemas.rs"));

/// Handles one request. Infallible: every failure is a response.
#[must_use]
pub fn handle(request: Request) -> Response<Body> {
    let conditions = Conditions::from(request.headers());
    http::serve_open(request, |found, query| match found.endpoint {
        PublicEndpoint::GetHome => Ok(HOME.reply(&conditions)),
        PublicEndpoint::GetHealth => Ok(ApiResponse::ok(muster_contracts::health(VERSION, COMMIT))),
        PublicEndpoint::GetOpenapi => {
            let document = match muster_contracts::documented_contract(query)? {
                Contract::Toptickets => &TOPTICKETS,
                Contract::Itsm => &ITSM,
            };
            Ok(json(document, &conditions))
        }
        PublicEndpoint::GetSchema => schema(&found)
            .map(|schema| json(schema, &conditions))
            .ok_or(ApiError::RouteNotFound),
        PublicEndpoint::GetDocs => Ok(DOCS.reply(&conditions)),
    })
}

/// Returns the schema that the path names.
fn schema(found: &PublicMatch<'_>) -> Option<&'static Asset> {
    let name = found.parameter?;
    SCHEMAS
        .iter()
        .find(|(file, _)| *file == name)
        .map(|(_, schema)| schema)
}

fn json(document: &'static Asset, conditions: &Conditions) -> ApiResponse {
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    document.reply(conditions, HeaderMap::from_iter([json]))
}

impl Page {
    fn reply(&'static self, conditions: &Conditions) -> ApiResponse {
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, self.policy),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        self.document
            .reply(conditions, HeaderMap::from_iter(headers))
    }
}
