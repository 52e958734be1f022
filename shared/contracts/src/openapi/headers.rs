//! The headers of responses.

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use super::{
    document::{Header, Map, RefOr},
    parameters,
};
use crate::route::Endpoint;

/// Returns the headers of a successful response, as references to [`components`].
pub(super) fn of_success(endpoint: Endpoint, has_etag: bool) -> Map<RefOr<Header>> {
    references([
        has_etag.then_some("ETag"),
        endpoint.reads_body().then_some("X-Ignored-Fields"),
    ])
}

/// Returns the headers of an error response, as references to [`components`].
pub(super) fn of_error(status: u16, has_help: bool) -> Map<RefOr<Header>> {
    let own = match status {
        401 => Some("WWW-Authenticate"),
        405 => Some("Allow"),
        429 | 503 => Some("Retry-After"),
        _ => None,
    };
    references([own, has_help.then_some("Link")])
}

fn references(own: [Option<&'static str>; 2]) -> Map<RefOr<Header>> {
    ["X-Request-Id", "Cache-Control"]
        .into_iter()
        .chain(own.into_iter().flatten())
        .map(|name| {
            (
                name,
                RefOr::Ref {
                    to: format!("#/components/headers/{name}"),
                },
            )
        })
        .collect()
}

/// Returns the header with the next page of a list that is read with a cursor.
pub(super) fn next_page() -> Header {
    Header {
        description: "The next page, if there is one (RFC 8288). The target is relative to the address of the request.",
        required: false,
        schema: ObjectBuilder::new().schema_type(Type::String).into(),
        example: "<?state=unrouted&limit=50&cursor=MSM…>; rel=\"next\"",
    }
}

/// Headers that only some responses of their status have.
const OPTIONAL: [&str; 2] = ["Link", "X-Ignored-Fields"];

/// Returns the definitions of all response headers.
pub(super) fn components() -> Map<Header> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let only = |value: &str| Schema::from(text().enum_values(Some([value])));
    let etag = text().pattern(Some("^\"[0-9]+\"$"));
    let challenge = text().pattern(Some(
        r#"^Bearer( error="invalid_token", error_description="[^"\\\\]+")?$"#,
    ));
    let link = text().pattern(Some(r#"^<[^>]+>; rel="help"$"#));
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1));
    [
        ("X-Request-Id", "The id of the request. Quote it in support requests.", Schema::from(text()), parameters::REQUEST_ID),
        ("Cache-Control", "Responses must not be stored.", only("no-store"), "no-store"),
        (
            "ETag",
            "The version of the team in the response. `If-Match` takes it, quotes included.",
            etag.into(),
            parameters::ETAG,
        ),
        ("Retry-After", "The number of seconds to wait before a retry.", seconds.into(), "17"),
        (
            "WWW-Authenticate",
            "The scheme of the credential: `Authorization: Bearer …`. For a bearer token that is not valid, \
             `error_description` has the reason. When Muster is deployed, API Gateway renames the header to \
             `x-amzn-remapped-www-authenticate`.",
            challenge.into(),
            r#"Bearer error="invalid_token", error_description="The API key has expired""#,
        ),
        ("Allow", "The methods of the path.", text().into(), "GET, POST"),
        (
            "Link",
            "A link to the documentation page, if the page explains the error (RFC 8288).",
            link.into(),
            "<../docs>; rel=\"help\"",
        ),
        (
            "X-Ignored-Fields",
            "The fields of the body that had no effect, if any: up to ten names in the order of the body, then `+` and the \
             number of the others. `strict=true` rejects them.",
            text().min_length(Some(1)).into(),
            "queue, +2",
        ),
    ]
    .into_iter()
    .map(|(name, description, schema, example)| {
        let required = !OPTIONAL.contains(&name);
        (name, Header { description, required, schema, example })
    })
    .collect()
}
