//! Black-box tests of the whole: real HTTP to the local stack, the functions' own `handle` behind it.
//!
//! The stack is shared by the tests of a process, and each test has organizations of its own, so they run in parallel. What
//! a test needs to hold still (the clock, ids, calls to the table) it has a stack of its own for.

mod contracts;
mod support;

/// One request of each kind, until the modules beside this one say more.
#[tokio::test]
async fn a_team_lives_and_dies() {
    let org = support::Stack::shared().organization().await;
    let team = org.team("Network Operations").await;
    org.member(&team, &org.users[0]).await;
    let answer = org.toptickets.get(&format!("/v1/teams/{team}")).await;
    assert_eq!(answer.json["members"][0]["full_name"], "User 0", "{answer}");
    let answer = org.toptickets.delete(&format!("/v1/teams/{team}")).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""), "{answer}");
}
