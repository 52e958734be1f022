//! Tokens of the ITSM platform (JWT).

mod claims;
mod keys;
mod signature;

use muster_domain::Timestamp;
use serde_json::Value;

use crate::{
    security::auth::assert_unauthorized,
    support::{
        Organization,
        jwt::{SIGNERS, Signer, claims},
        response_shape::{ErrorFormat, assert_response},
    },
};

/// Returns the signer that an organization trusts, and one that it does not trust.
fn signers() -> (&'static Signer, &'static Signer) {
    (&SIGNERS[0], &SIGNERS[1])
}

/// Returns claims that are valid now.
fn valid_claims(org: &Organization) -> Value {
    claims(&org.id, Timestamp::now())
}

async fn assert_rejected(org: &Organization, token: &str, context: &str) {
    assert_unauthorized(
        &org.stack.client(token).get("/v1/teams").await,
        ErrorFormat::Itsm,
        context,
    );
}

async fn assert_accepted(org: &Organization, token: &str, context: &str) {
    let response = org.stack.client(token).get("/v1/teams").await;
    assert_response(&response, ErrorFormat::Itsm, context);
    assert_eq!(response.status, 200, "{context}: {response}");
}
