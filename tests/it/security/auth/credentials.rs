//! Missing and bad credentials.

use muster_contracts::UnauthorizedReason;
use muster_domain::{KeyKind, Scope};
use reqwest::Method;

use super::{KINDS, assert_unauthorized, assert_unauthorized_for, endpoints, has_path};
use crate::support::{
    Client, Stack,
    response_shape::{ErrorFormat, assert_response},
    unknown_key,
};

#[tokio::test]
async fn bad_credential_gets_the_error_of_its_contract() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let mut tokens: Vec<(String, ErrorFormat)> = Vec::new();
    for (kind, prefix, error_format, _) in KINDS {
        let good = org.key(kind, &Scope::ALL).await.token().to_owned();
        let random = &good[prefix.len()..];
        tokens.extend(
            [
                unknown_key(kind),
                prefix.to_owned(),
                format!("{prefix}short"),
                format!("{prefix}{}", "x".repeat(500)),
                format!("{good}x"),
                good[..good.len() - 1].to_owned(),
                format!("{prefix}{}", random.chars().rev().collect::<String>()),
                format!("{good}!"),
                format!("{good},{good}"),
            ]
            .map(|token| (token, error_format)),
        );
        // The prefix is part of the key.
        for (_, other, error_format, _) in KINDS.into_iter().filter(|other| other.1 != prefix) {
            tokens.push((format!("{other}{random}"), error_format));
        }
        tokens.push((random.to_owned(), ErrorFormat::Either));
        tokens.push((good.to_uppercase(), ErrorFormat::Either));
    }
    tokens.extend(
        [
            ("tt_", ErrorFormat::Toptickets),
            ("tt_nonsense", ErrorFormat::Toptickets),
            ("tt_a.b.c", ErrorFormat::Toptickets),
            ("itsm_", ErrorFormat::Itsm),
            (
                "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln",
                ErrorFormat::Itsm,
            ),
            ("a.b", ErrorFormat::Either),
            ("x", ErrorFormat::Either),
            ("null", ErrorFormat::Either),
        ]
        .map(|(token, error_format)| (token.to_owned(), error_format)),
    );
    for (token, error_format) in tokens {
        let response = stack.client(&token).get("/v1/teams").await;
        assert_unauthorized(&response, error_format, &token);
    }
}

#[tokio::test]
async fn credential_must_be_a_bearer_token() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let send = async |header: &str| {
        let request = stack
            .anonymous()
            .request(Method::GET, "/v1/teams")
            .header("authorization", header);
        Client::send(request).await
    };
    for (client, error_format) in org.clients().into_iter().zip(ErrorFormat::BOTH) {
        let token = client.token();
        for good in [
            format!("bearer {token}"),
            format!("BEARER {token}"),
            format!("bEaReR {token}"),
        ] {
            assert_eq!(send(&good).await.status, 200, "{good}");
        }
        for (bad, has_known_form) in [
            (token.to_owned(), true),
            (format!("Basic {token}"), true),
            (format!("Token {token}"), true),
            (format!("Bearer{token}"), false),
            (format!("Bearer:{token}"), false),
            (format!("Bearer, Bearer {token}"), true),
            (format!("\"Bearer {token}\""), true),
        ] {
            let error_format = if has_known_form {
                error_format
            } else {
                ErrorFormat::Either
            };
            let reason = UnauthorizedReason::OtherScheme;
            assert_unauthorized_for(&send(&bad).await, error_format, reason, &bad);
        }
        let elsewhere = stack
            .anonymous()
            .request(Method::GET, &format!("/v1/teams?access_token={token}"));
        assert_unauthorized_for(
            &Client::send(elsewhere.header("x-api-key", token)).await,
            ErrorFormat::Either,
            UnauthorizedReason::NoCredential,
            "elsewhere",
        );
    }
    for nothing in ["", " ", "Bearer", "Bearer ", "Bearer    "] {
        let reason = UnauthorizedReason::NoCredential;
        assert_unauthorized_for(&send(nothing).await, ErrorFormat::Either, reason, nothing);
    }
    let basic = "Basic dXNlcjpwYXNz";
    let reason = UnauthorizedReason::OtherScheme;
    assert_unauthorized_for(&send(basic).await, ErrorFormat::Either, reason, basic);
}

#[tokio::test]
async fn endpoint_without_credential_is_unauthorized() {
    let stack = Stack::shared();
    let org = stack.organization().await;
    let team = org.team("Support").await;
    let user = org.users[0].id.uuid().to_string();
    let before = org.itsm.get(&format!("/v1/teams/{team}")).await.text;
    let (none, invalid) = (
        UnauthorizedReason::NoCredential,
        UnauthorizedReason::InvalidCredential,
    );
    let unknown = [KeyKind::TtAdmin, KeyKind::Itsm].map(|kind| stack.client(&unknown_key(kind)));
    let [toptickets, itsm] = unknown;
    let clients = [
        (stack.anonymous(), ErrorFormat::Either, none),
        (toptickets, ErrorFormat::Toptickets, invalid),
        (itsm, ErrorFormat::Itsm, invalid),
    ];
    for (client, error_format, reason) in &clients {
        for id in [&team, "nonsense"] {
            for (method, path, body, _) in endpoints(id, &user, "x")
                .into_iter()
                .filter(|e| has_path(&e.1, *error_format))
            {
                let response = client.call(&method, &path, body.as_ref()).await;
                let context = format!("{method} {path}");
                assert_unauthorized_for(&response, *error_format, *reason, &context);
            }
        }
        // The route is checked before the credential.
        assert_eq!(client.get("/v1/nothing").await.status, 404);
        let response = client.call(&Method::PUT, "/v1/teams", None).await;
        assert_response(&response, *error_format, "PUT");
        assert_eq!(response.status, 405);
    }
    assert_eq!(
        org.itsm.get(&format!("/v1/teams/{team}")).await.text,
        before
    );
}
