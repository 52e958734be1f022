//! The commands `muster users import` and `muster users erase`.

use aws_sdk_dynamodb::types::AttributeValue;
use muster_cli::commands::{
    Confirmation, TableTarget,
    users::{Erase, Import},
};
use muster_domain::{Folded, OrganizationId, Timestamp, User, UserId, UserStatus};
use serde_json::json;
use uuid::Uuid;

use super::{DirectoryFixture, new_id, user_fields};
use crate::support::{Stack, bare};

#[tokio::test]
async fn organization_exists_after_its_first_key_or_import() {
    let stack = Stack::shared();
    let id =
        OrganizationId::parse(&format!("org_{}", Uuid::new_v4().simple())).expect("a valid id");
    assert!(
        !stack
            .store()
            .organization_exists(&id)
            .await
            .expect("the table can be read")
    );
    let org = stack.organization_of(id, Vec::new()).await;
    assert!(
        stack
            .store()
            .organization_exists(&org.id)
            .await
            .expect("the table can be read")
    );
    org.team("Team").await;
    stack
        .store()
        .ensure_organization(&org.id)
        .await
        .expect("the organization exists");
    assert_eq!(
        org.itsm.get("/v1/teams").await.json["meta"]["pagination"]["total"],
        1
    );
}

/// Returns the table and the endpoint of the fixture for the commands.
fn target(fixture: &DirectoryFixture) -> TableTarget {
    TableTarget {
        table: Some(fixture.org.stack.table.clone()),
        endpoint_url: Some(fixture.org.stack.dynamodb_url.parse().expect("a URL")),
        aws: false,
    }
}

/// Runs `muster users import` on a file of these users, each with the name `Imported`.
async fn run_import(fixture: &DirectoryFixture, users: &[&User]) -> Result<(), String> {
    let line = |user: &&User| {
        json!({"id": bare(user), "name": "Imported", "email": "i@acme.example"}).to_string()
    };
    let file = std::env::temp_dir().join(format!("muster-users-{}.jsonl", Uuid::new_v4()));
    std::fs::write(&file, users.iter().map(line).collect::<Vec<_>>().join("\n"))
        .expect("the file is written");
    let arguments = Import {
        organization: fixture.org.id.clone(),
        file: file.clone(),
        ignore_unknown: false,
        json: false,
        target: target(fixture),
    };
    let outcome = arguments.run().await;
    std::fs::remove_file(file).expect("it is there");
    outcome.map_err(|error| error.to_string())
}

/// Runs `muster users erase` on one user.
async fn run_erase(fixture: &DirectoryFixture, user: UserId) {
    let arguments = Erase {
        organization: fixture.org.id.clone(),
        users: vec![user],
        json: false,
        confirmation: Confirmation { yes: true },
        target: target(fixture),
    };
    arguments.run().await.expect("the user is erased");
}

#[tokio::test]
async fn import_of_deleted_user_succeeds_without_change() {
    let fixture = DirectoryFixture::new().await;
    let (late, deleted) = (fixture.org.users[0].clone(), fixture.org.users[1].clone());
    fixture
        .handle_all(&[fixture.event("user.deleted", 1, &json!({"id": bare(&deleted)}))])
        .await;
    let tombstone = fixture.user(deleted.id).await;
    assert_eq!(run_import(&fixture, &[&late, &deleted]).await, Ok(()));
    assert_eq!(fixture.user(deleted.id).await, tombstone);
    let imported = fixture.user(late.id).await.expect("the user exists");
    assert_eq!(
        (imported.name.as_str(), imported.status),
        ("Imported", UserStatus::Active)
    );

    // An event before the import is too late. An event with a later time than the next import wins.
    fixture
        .handle_all(&[fixture.event("user.updated", 9, &user_fields(late.id, "Late"))])
        .await;
    assert_eq!(fixture.user(late.id).await, Some(imported));
    let ahead = Timestamp::now().secs() + 200 - 1_736_064_000;
    fixture
        .handle_all(&[fixture.event("user.updated", ahead, &user_fields(late.id, "Ahead"))])
        .await;
    let rejected = run_import(&fixture, &[&late, &deleted])
        .await
        .expect_err("one line is rejected");
    assert!(rejected.starts_with("1 lines were left out"), "{rejected}");
    assert_eq!(
        fixture.user(late.id).await.expect("the user exists").name,
        "Ahead"
    );
}

#[tokio::test]
async fn erase_creates_tombstone_of_known_and_unknown_users() {
    let fixture = DirectoryFixture::new().await;
    let (known, unknown) = (fixture.org.users[0].clone(), new_id());
    let team = fixture.org.team("Team").await;
    fixture.org.member(&team, &known).await;
    for id in [known.id, unknown] {
        run_erase(&fixture, id).await;
        let first = fixture.user(id).await.expect("the tombstone exists");
        assert_eq!(first, User::tombstone(id, first.version));
        fixture
            .handle_all(&[fixture.event("user.created", 1, &user_fields(id, "Back"))])
            .await;
        assert_eq!(
            fixture.user(id).await.as_ref(),
            Some(&first),
            "events do not change a tombstone"
        );
        run_erase(&fixture, id).await;
        let second = fixture.user(id).await.expect("the tombstone exists");
        assert!(
            second.version > first.version,
            "a new version starts another copy"
        );
        assert_eq!(second, User::tombstone(id, second.version));
    }
    assert_no_names(&fixture, known.id, &known.name).await;
    fixture.copies(known.id).await;
    assert_eq!(
        fixture.itsm_team(&team).await["members"][0]["name"],
        "Deleted user"
    );

    let organization = OrganizationId::parse("misspelt").expect("a valid id");
    let misspelt = Erase {
        organization,
        users: vec![unknown],
        json: false,
        confirmation: Confirmation { yes: true },
        target: target(&fixture),
    };
    let error = misspelt
        .run()
        .await
        .expect_err("there is no such organization")
        .to_string();
    assert!(
        error.contains("misspelt") && error.contains("--organization"),
        "{error}"
    );
}

/// Asserts that the list of users and the item of a deleted user do not have the user's name.
async fn assert_no_names(fixture: &DirectoryFixture, id: UserId, name: &str) {
    let store = fixture.org.stack.store();
    let listed = store
        .users_by_name(&fixture.org.id, None, 100)
        .await
        .expect("the users can be read");
    assert!(
        listed.entries.iter().all(|user| user.id != id),
        "{listed:?}"
    );
    assert!(!listed.entries.is_empty(), "the other users are listed");
    let pk = format!("ORG#{}#USER#{}", fixture.org.id, id.uuid());
    let item = fixture
        .org
        .stack
        .dynamodb()
        .get_item()
        .table_name(&fixture.org.stack.table)
        .key("pk", AttributeValue::S(pk))
        .key("sk", AttributeValue::S("USER".to_owned()))
        .send()
        .await
        .expect("the table can be read")
        .item
        .expect("the tombstone exists");
    let folded = Folded::of(name);
    let text = format!("{item:?}");
    assert!(!text.contains("gsi2") && !text.contains(name), "{text}");
    assert!(!text.contains(folded.as_str()), "{text}");
}
