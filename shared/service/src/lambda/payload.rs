//! Events of API Gateway in payload format 2.0.

use lambda_http::{Request, request::LambdaRequest};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Parses an event in payload format 2.0 into a request.
///
/// # Errors
/// The text is no such event.
pub fn request(event: &str) -> Result<Request, serde_json::Error> {
    serde_json::from_str(event).map(|payload| escape(payload).into())
}

/// Removes the parts of an event from which `lambda_http` cannot build a URI: it panics on them.
///
/// The gateway passes the query on as the client wrote it. Characters that are invalid in a query
/// are escaped, and existing escapes stay, so that the meaning is the same. A client can send any
/// `x-forwarded-proto`; the header is dropped because no code reads it.
pub(super) fn escape(mut payload: LambdaRequest) -> LambdaRequest {
    const INVALID_IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
    if let LambdaRequest::ApiGatewayV2(request) = &mut payload {
        request.headers.remove("x-forwarded-proto");
        if let Some(query) = &mut request.raw_query_string {
            *query = utf8_percent_encode(query, INVALID_IN_QUERY).to_string();
        }
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_query_is_parsed_as_a_request() {
        let event = |query: &str| {
            serde_json::json!({
                "version": "2.0",
                "rawPath": "/v1/teams",
                "rawQueryString": query,
                "headers": {"host": "api.example", "x-forwarded-proto": "no scheme"},
                "requestContext": {"http": {"method": "GET", "path": "/v1/teams"}, "stage": "$default"},
            })
        };
        for (sent, escaped) in [
            ("search=a+b%20c&limit=5", "search=a+b%20c&limit=5"),
            (
                "search=\"a b\"<c>#d\u{7f}\n",
                "search=%22a%20b%22%3Cc%3E%23d%7F%0A",
            ),
            ("search=caf\u{e9}", "search=caf%C3%A9"),
            ("%zz&%", "%zz&%"),
        ] {
            assert_eq!(
                request(&event(sent).to_string()).unwrap().uri().query(),
                Some(escaped)
            );
        }
    }
}
