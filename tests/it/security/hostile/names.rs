//! Names with unusual Unicode characters.

use reqwest::Method;
use serde_json::json;

use super::{clients_with_contract, send_checked, team_id_of, team_name};
use crate::support::{Client, Stack};

#[tokio::test]
async fn unicode_names_are_returned_as_sent() {
    let org = Stack::shared().organization().await;
    let names = [
        "🦀".repeat(255),
        "e\u{301}".repeat(127),
        "a\u{300}\u{301}\u{302}\u{327}".repeat(51),
        "\u{202e}right to left\u{202c} שלום".to_owned(),
        "zero\u{200b}width\u{200d}\u{2060}".to_owned(),
        "\u{feff}byte order".to_owned(),
        "ΟΔΟΣ".to_owned(),
        "İstanbul ve ılık".to_owned(),
        "ﬁ straße ǅ K Å".to_owned(),
        "नमस्ते 𝔘𝔫𝔦 👩\u{200d}👧 \u{10ffff}\u{e000}".to_owned(),
        "NAME#x ORG#y %00 %2f \\ \" ' <b> ${x} {{x}}".to_owned(),
        ".".to_owned(),
    ];
    for name in &names {
        for (client, error_format) in clients_with_contract(&org) {
            let body = json!({ "name": format!(" \u{3000}{name}\t"), "description": name });
            let response = send_checked(
                client,
                error_format,
                Method::POST,
                "/v1/teams",
                body.to_string(),
            )
            .await;
            assert_eq!(
                (response.status.as_u16(), team_name(&response)),
                (201, &**name),
                "{response}"
            );
            let path = format!("/v1/teams/{}", team_id_of(&response));
            for reader in org.clients() {
                let read = reader.get(&path).await;
                assert_eq!(team_name(&read), name);
                let description = read.json["description"]
                    .as_str()
                    .or(read.json["data"]["description"].as_str());
                assert_eq!(description, Some(&**name));
            }
            let found = org
                .itsm
                .request(Method::GET, "/v1/teams")
                .query(&[("search", name)]);
            let found = Client::send(found).await;
            assert_eq!(found.json["meta"]["pagination"]["total"], 1, "{found}");
            let again = send_checked(
                client,
                error_format,
                Method::POST,
                "/v1/teams",
                body.to_string(),
            )
            .await;
            assert!(matches!(again.status.as_u16(), 409 | 422), "{again}");
            assert_eq!(client.delete(&path).await.status, 204);
        }
    }
    assert_eq!(
        org.itsm.get("/v1/teams").await.json["meta"]["pagination"]["total"],
        0
    );
}

#[tokio::test]
async fn unicode_names_are_compared_folded() {
    let org = Stack::shared().organization().await;
    let post = async |name: &str| {
        org.itsm
            .post("/v1/teams", json!({ "name": name }))
            .await
            .status
            .as_u16()
    };
    for (one, other) in [
        ("İ", "i\u{307}"),
        ("\u{212b}", "å"),
        ("\u{212a}elvin", "KELVIN"),
        ("ΟΔΟΣ", "οδος"),
        ("CAFÉ", "cafe\u{301}"),
        ("ǅ", "Ǆ"),
        ("  x\u{2003}", "X"),
        ("straße", "STRASSE"),
        ("ﬁn", "fin"),
        ("a\u{200b}b", "ab"),
        ("x y", "x  y"),
    ] {
        assert_eq!(post(one).await, 201, "{one}");
        assert_eq!(post(other).await, 409, "{one} = {other}");
    }
    for (one, other) in [("ı", "i"), ("ä", "a"), ("u v", "uv")] {
        assert_eq!(
            (post(one).await, post(other).await),
            (201, 201),
            "{one} ≠ {other}"
        );
    }
}
