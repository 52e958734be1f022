//! Keys never appear in responses or in the table.

use muster_domain::{Scope, Timestamp};

use super::{KINDS, all_responses, table_dump};
use crate::support::{Stack, unknown_key};

#[tokio::test]
async fn response_never_contains_a_key() {
    let stack = Stack::shared();
    for (kind, prefix, ..) in KINDS {
        let org = stack.organization().await;
        let user = org.users[0].id.uuid().to_string();
        let revoked = |key: &mut muster_domain::ApiKey| key.revoked_at = Some(Timestamp::now());
        for client in [
            org.key(kind, &Scope::ALL).await,
            org.key(kind, &[]).await,
            org.key_with(kind, &Scope::ALL, revoked).await.0,
            stack.client(&unknown_key(kind)),
            stack.client(&format!("{prefix}not-a-key-at-all-but-somebodys-secret")),
        ] {
            let team = org.team(client.token()[..20].trim()).await;
            let reported = all_responses(&client, &team, &user).await;
            let random = &client.token()[prefix.len()..];
            assert!(!reported.contains(random), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn table_stores_only_the_hash_of_a_key() {
    let stack = Stack::with(|_| {}).await;
    let org = stack.organization().await;
    let team = org.team("Support").await;
    let user = org.users[0].id.uuid().to_string();
    let mut keys = Vec::new();
    for (kind, prefix, ..) in KINDS {
        let (client, key) = org
            .key_with(kind, &Scope::ALL, |key| {
                key.name = Some("a name".to_owned());
            })
            .await;
        all_responses(&client, &team, &user).await;
        keys.push((
            client.token()[prefix.len()..].to_owned(),
            client.token().to_owned(),
            key.hash.to_string(),
        ));
        let unknown = stack.client(&unknown_key(kind));
        all_responses(&unknown, &team, &user).await;
        keys.push((
            unknown.token()[prefix.len()..].to_owned(),
            unknown.token().to_owned(),
            String::new(),
        ));
    }
    let table = table_dump(&stack).await;
    for (random, token, hash) in keys {
        assert!(
            !table.contains(&token) && !table.contains(&random),
            "the table holds a key in plain text"
        );
        assert!(
            table.contains(&hash),
            "the table holds the hash of an issued key"
        );
    }
}
