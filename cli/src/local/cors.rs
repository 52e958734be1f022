//! The CORS behavior of an HTTP API: the gateway responds to preflights itself, and adds headers to
//! the functions' responses.

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
    /// Returns `None` without origins, as in the template.
    ///
    /// # Errors
    /// A name of the template is not valid in a header.
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

    /// Returns the gateway's response to a preflight: an OPTIONS request with an origin and a
    /// method. The browser compares the requested method and headers with the response.
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

    /// Adds the headers that let a page of the request's origin read the response.
    pub(super) fn expose(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if self.allow(request, response) {
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.clone());
        }
    }

    /// Adds the allowed origin to the response, if the request's origin is allowed. It is `*` if
    /// all origins are.
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
