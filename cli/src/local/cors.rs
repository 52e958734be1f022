//! What an HTTP API's CORS configuration makes the gateway do: it answers preflights by itself, and
//! adds headers to what the functions response.

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
            ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
        },
        request::Parts,
    },
    response::Response,
};

use super::CorsOrigin;
use crate::sam::CorsDefinition;

/// The template's CORS configuration, for some origins.
pub(super) struct Cors {
    origins: Vec<CorsOrigin>,
    methods: HeaderValue,
    headers: HeaderValue,
    exposed: HeaderValue,
    max_age: HeaderValue,
}

impl Cors {
    /// None without origins, as in the template.
    ///
    /// # Errors
    /// The template has names that cannot stand in a header.
    pub(super) fn new(
        definition: &CorsDefinition,
        origins: Vec<CorsOrigin>,
    ) -> anyhow::Result<Option<Self>> {
        let CorsDefinition {
            methods,
            headers,
            exposed,
            max_age,
            ..
        } = definition;
        let list = |names: &[String]| HeaderValue::try_from(names.join(","));
        Ok((!origins.is_empty()).then_some(Self {
            origins,
            methods: list(methods)?,
            headers: list(headers)?,
            exposed: list(exposed)?,
            max_age: HeaderValue::from(*max_age),
        }))
    }

    /// The gateway's own response to a preflight: an OPTIONS request that names an origin and a
    /// method. Whether the method and the headers that it names will do, the browser sees.
    pub(super) fn preflight(&self, request: &Parts) -> Option<Response> {
        let is_preflight = request.method == Method::OPTIONS
            && request.headers.contains_key(ORIGIN)
            && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        is_preflight.then(|| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            let headers = response.headers_mut();
            if self.allow(&request.headers, headers) {
                headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
                headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
            }
            response
        })
    }

    /// What a page of the request's origin may see of an response.
    pub(super) fn expose(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if self.allow(request, response) {
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.clone());
        }
    }

    /// Names the request's origin in the response, or all where all may, if it is one of the
    /// configured ones.
    fn allow(&self, request: &HeaderMap, response: &mut HeaderMap) -> bool {
        response.append(VARY, HeaderValue::from_static("origin"));
        let origin = request.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        let Some(origin) =
            origin.filter(|origin| self.origins.iter().any(|allowed| allowed.allows(origin)))
        else {
            return false;
        };
        let named = if self.origins.iter().any(CorsOrigin::is_any) {
            "*"
        } else {
            origin
        };
        HeaderValue::from_str(named).is_ok_and(|named| {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, named);
            true
        })
    }
}
