//! Saved responses that take several items.

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures_util::future::join_all;
use muster_domain::{
    Contract, Fingerprint, Idempotency, IdempotencyKey, NewTeam, QueueStrategy, Subject, Tags,
    Team, TeamId, TeamName, Timestamp, User, UserStatus,
};
use muster_service::store::RenderedResponse;
use uuid::Uuid;

use super::{
    KEY_REUSED, assert_same_response, member_body, members_path, new_key, post_with_key,
    saved_items, team_count,
};
use crate::api::errors::error_text;
use crate::support::{
    Organization, Stack, bare,
    table::{OrgTable, number, text},
    user,
};

/// Returns 255 random characters of four bytes each, which hardly compress.
fn random_name() -> String {
    let bytes = std::iter::repeat_with(|| Uuid::new_v4().into_bytes()).flatten();
    let bytes: Vec<u8> = bytes.take(2 * 255).collect();
    bytes
        .chunks(2)
        .map(|pair| {
            char::from_u32(0x2_0000 + u32::from(pair[0]) * 256 + u32::from(pair[1]))
                .expect("a character")
        })
        .collect()
}

/// Fills a team of one member up to `members` directly in the table, with copies of the first
/// membership.
async fn fill_team(org: &Organization, team: &str, members: usize) {
    let first = OrgTable::of(org)
        .contents()
        .await
        .memberships
        .into_iter()
        .find(|membership| membership.team == team);
    let first = first.expect("the team has a member");
    let value = |text: String| AttributeValue::S(text);
    for chunk in (1..members).collect::<Vec<_>>().chunks(25) {
        let requests = chunk.iter().map(|_| {
            let mut item = first.item.clone();
            let id = Uuid::new_v4().to_string();
            for attribute in ["sk", "gsi1pk"] {
                let other = text(&item, attribute).replace(&first.user, &id);
                item.insert(attribute.to_owned(), value(other));
            }
            item.insert("name".to_owned(), value(random_name()));
            item.insert("email".to_owned(), value(random_name()));
            let put = PutRequest::builder()
                .set_item(Some(item))
                .build()
                .expect("an item is set");
            WriteRequest::builder().put_request(put).build()
        });
        let write = org
            .stack
            .dynamodb()
            .batch_write_item()
            .request_items(&org.stack.table, requests.collect());
        let output = write.send().await.expect("memberships can be written");
        assert!(output.unprocessed_items.is_none_or(|rest| rest.is_empty()));
    }
    OrgTable::of(org)
        .set_number(team, "member_count", i64::try_from(members).expect("few"))
        .await;
}

/// The TopTickets response shows all 500 members: over a megabyte, which takes several items even
/// when compressed.
#[tokio::test]
async fn response_larger_than_an_item_is_saved() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.member(&team, &org.users[0]).await;
    fill_team(&org, &team, 499).await;
    let last = User {
        email: random_name(),
        ..user(&random_name(), UserStatus::Active)
    };
    org.stack
        .store()
        .put_users(&org.id, std::slice::from_ref(&last))
        .await
        .expect("users can be written");

    let (key, path) = (new_key(), members_path(&team));
    let first = post_with_key(&org.toptickets, &path, &key, &member_body(&last)).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.json["members"].as_array().map(Vec::len), Some(500));
    assert!(first.text.len() > 1_000_000, "{}", first.text.len());
    let saved = saved_items(&org, &key).await;
    assert!(saved.len() > 1, "the response is spread over several items");
    for item in &saved {
        assert_eq!(
            (text(item, "sk"), number(item, "expires_at")),
            ("IDEM", number(&saved[0], "expires_at"))
        );
    }

    for _ in 0..2 {
        assert_same_response(
            &first,
            &post_with_key(&org.toptickets, &path, &key, &member_body(&last)).await,
        );
    }
    let other = post_with_key(&org.toptickets, &path, &key, &member_body(&org.users[1])).await;
    assert_eq!(error_text(&org.toptickets, &path, &other), KEY_REUSED[0]);
    // An ITSM response shows one membership.
    let member = format!("{path}/{}", bare(&last));
    assert_eq!(org.itsm.delete(&member).await.status, 204);
    assert_same_response(
        &first,
        &post_with_key(&org.toptickets, &path, &key, &member_body(&last)).await,
    );
    let key = new_key();
    let response = post_with_key(&org.itsm, &path, &key, &member_body(&last)).await;
    assert_eq!(response.status, 201, "{response}");
    assert_same_response(
        &response,
        &post_with_key(&org.itsm, &path, &key, &member_body(&last)).await,
    );
}

/// The requests that lose the race read all items of the saved response.
#[tokio::test]
async fn concurrent_duplicates_share_a_multi_item_response() {
    let org = Stack::shared().organization().await;
    let team = org.team("Team").await;
    org.member(&team, &org.users[0]).await;
    fill_team(&org, &team, 499).await;
    let (key, path) = (new_key(), members_path(&team));
    let responses = join_all((0..4).map(async |_| {
        post_with_key(&org.toptickets, &path, &key, &member_body(&org.users[1])).await
    }))
    .await;
    assert_eq!(responses[0].status, 201);
    responses[1..]
        .iter()
        .for_each(|response| assert_same_response(&responses[0], response));
    assert_eq!(
        OrgTable::of(&org).contents().await.members(&team).len(),
        500
    );
}

/// No response within the limits of the API is too large to save, so the test makes one up.
#[tokio::test]
async fn response_over_transaction_limit_is_not_saved() {
    let org = Stack::shared().organization().await;
    let name = |name: &str| TeamName::parse(name).expect("a name");
    let new = |name| NewTeam {
        name,
        description: None,
        lead_id: None,
        queue_strategy: QueueStrategy::RoundRobin,
        specializations: Tags::default(),
    };
    let request = Idempotency {
        subject: Subject::of_token(&org.id, "sub"),
        key: IdempotencyKey::parse(&new_key()).expect("a key"),
        fingerprint: Fingerprint::of(Contract::Itsm, "POST", "/v1/teams", b"{}"),
    };
    let large = RenderedResponse::created(
        std::iter::repeat_with(random_name).take(6_500).collect(),
        None,
    );
    let store = org.stack.store();
    for team in ["First", "Second"] {
        let team = Team::create(
            TeamId::new(Uuid::now_v7()),
            org.id.clone(),
            new(name(team)),
            Timestamp::now(),
        );
        store
            .create_team(&team, &large, Some(&request))
            .await
            .expect("the team is created");
    }
    assert_eq!(
        team_count(&org).await,
        2,
        "no response is saved, so the key is free"
    );
    assert!(saved_items(&org, request.key.as_str()).await.is_empty());
}
