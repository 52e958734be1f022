//! The headers of responses.

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use super::{
    document::{Header, Map, RefOr},
    parameters,
};

/// Returns the headers of a response with a status, as references to [`components`].
pub(super) fn of(status: u16, has_etag: bool) -> Map<RefOr<Header>> {
    let own = match status {
        401 => Some("WWW-Authenticate"),
        405 => Some("Allow"),
        429 | 503 => Some("Retry-After"),
        _ => None,
    };
    ["X-Request-Id", "Cache-Control"]
        .into_iter()
        .chain(has_etag.then_some("ETag"))
        .chain(own)
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

/// Returns the definitions of all response headers.
pub(super) fn components() -> Map<Header> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let only = |value: &str| Schema::from(text().enum_values(Some([value])));
    let etag = text().pattern(Some("^\"[0-9]+\"$"));
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
            "The scheme of the credential: `Authorization: Bearer …`. When Muster is deployed, API Gateway renames the header to \
             `x-amzn-remapped-www-authenticate`.",
            only("Bearer"),
            "Bearer",
        ),
        ("Allow", "The methods of the path.", text().into(), "GET, POST"),
    ]
    .into_iter()
    .map(|(name, description, schema, example)| (name, Header { description, required: true, schema, example }))
    .collect()
}
