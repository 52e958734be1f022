//! The headers of answers.

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use super::{
    document::{Header, Map, RefOr},
    parameters,
};

/// The headers of an answer of this status, as references to [`components`].
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

/// Every header that answers have.
pub(super) fn components() -> Map<Header> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let only = |value: &str| Schema::from(text().enum_values(Some([value])));
    let etag = text().pattern(Some("^\"[0-9]+\"$"));
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1));
    [
        ("X-Request-Id", "Identifies the request in our logs.", Schema::from(text()), parameters::REQUEST_ID),
        ("Cache-Control", "Answers are not to be kept.", only("no-store"), "no-store"),
        (
            "ETag",
            "The version of the team that the answer shows. `If-Match` takes it, quotes included.",
            etag.into(),
            parameters::ETAG,
        ),
        ("Retry-After", "How many seconds to wait before asking again.", seconds.into(), "17"),
        (
            "WWW-Authenticate",
            "How to show a credential: `Authorization: Bearer …`. Where Muster is deployed, API Gateway renames the header to \
             `x-amzn-remapped-www-authenticate`.",
            only("Bearer"),
            "Bearer",
        ),
        ("Allow", "The methods that the path has.", text().into(), "GET, POST"),
    ]
    .into_iter()
    .map(|(name, description, schema, example)| (name, Header { description, required: true, schema, example }))
    .collect()
}
