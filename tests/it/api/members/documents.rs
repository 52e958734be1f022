//! The member requests and responses of the ITSM document, replayed.

use reqwest::Method;

use crate::{
    api::{
        ClockedStack,
        document_fixtures::{NETWORK, create_network_operations, document_organization, send_text},
        example, golden,
    },
    support::bare,
};

#[tokio::test]
async fn itsm_add_matches_the_document() {
    let clocked = ClockedStack::at(1_708_783_200).await;
    let org = document_organization(&clocked).await;
    create_network_operations(&clocked, &org).await;
    clocked.set(1_708_790_400);
    let body = example!("itsm/add_member.request.json");
    let response = send_text(
        &org.itsm,
        Method::POST,
        &format!("/v1/teams/team_{NETWORK}/members"),
        body,
    )
    .await;
    assert_eq!(
        (response.status.as_u16(), &response.text),
        (201, &golden!("itsm/add_member.json"))
    );
}

#[tokio::test]
async fn itsm_remove_matches_the_document() {
    let clocked = ClockedStack::at(1_708_783_200).await;
    let org = document_organization(&clocked).await;
    create_network_operations(&clocked, &org).await;
    org.member(NETWORK, &org.users[2]).await;
    let path = format!(
        "/v1/teams/team_{NETWORK}/members/usr_{}",
        bare(&org.users[2])
    );
    let response = org.itsm.delete(&path).await;
    assert_eq!(
        (response.status.as_u16(), response.text.as_str()),
        (204, "")
    );
    assert_eq!(org.itsm.delete(&path).await.status, 404);
}
