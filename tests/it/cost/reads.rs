//! The cost of reads.

use insta::assert_snapshot;
use muster_domain::Contract::{self, Itsm, Toptickets};

use super::{CostRecorder, get};
use crate::support::{
    n,
    ticket_items::{assigned, waiting},
};

/// Adds the cases of lists of teams.
async fn list_teams(recorder: &mut CostRecorder) {
    for (round_trips, case, query) in [
        (1, "first page of 10", "limit=10"),
        (1, "third page of 10", "limit=10&skip=20"),
        (3, "beyond the first 100", "limit=100&skip=30"),
        (1, "past the end", "skip=1000"),
    ] {
        recorder
            .case(
                round_trips,
                &format!("list, {case}"),
                Toptickets,
                get(&format!("/v1/teams?{query}")),
            )
            .await;
    }
    for (round_trips, case, query) in [
        (2, "first page of 10", "limit=10"),
        (2, "third page of 10", "limit=10&page=3"),
        (2, "oldest first", "limit=10&sortOrder=asc"),
        (1, "past the end", "page=1000"),
        (2, "search", "limit=10&search=7"),
        (1, "search, past the end", "page=9&search=7"),
        (2, "by name", "limit=10&sortBy=name"),
        (3, "by name, page 2", "limit=10&sortBy=name&page=2"),
        (2, "by update", "limit=10&sortBy=updatedAt"),
    ] {
        recorder
            .case(
                round_trips,
                &format!("list, {case}"),
                Itsm,
                get(&format!("/v1/teams?{query}")),
            )
            .await;
    }
}

#[tokio::test]
async fn reads_of_teams_match_the_cost_golden() {
    let mut recorder = CostRecorder::start().await;
    // Forty teams of about 300 bytes, the first with three members. A list costs half a unit for
    // each load that it shows, and one unit for each team that it reads by its key. A late page of
    // a large organization therefore costs as much as the first.
    let mut teams = Vec::new();
    for n in 0..40 {
        teams.push(recorder.org.team(&format!("Team {n:02}")).await);
    }
    for n in 0..3 {
        recorder.org.member(&teams[0], &recorder.org.users[n]).await;
    }
    let team = format!("/v1/teams/{}", teams[0]);
    for contract in Contract::ALL {
        recorder
            .case(1, "get a team of 3", contract, get(&team))
            .await;
        recorder
            .case(
                1,
                "members of a team of 3",
                contract,
                get(&format!("{team}/members?limit=2")),
            )
            .await;
    }
    recorder
        .case(
            1,
            "workload of a team of 3",
            Itsm,
            get(&format!("{team}/workload")),
        )
        .await;
    list_teams(&mut recorder).await;
    assert_snapshot!(recorder.lines, @"
    toptickets | get a team of 3                 | 1 |    2 |    0 | GetItem + Query
    toptickets | members of a team of 3          | 1 |    2 |    0 | GetItem + Query
    itsm       | get a team of 3                 | 1 |    2 |    0 | GetItem + Query
    itsm       | members of a team of 3          | 1 |    2 |    0 | GetItem + Query
    itsm       | workload of a team of 3         | 1 |    2 |    0 | GetItem + Query
    toptickets | list, first page of 10          | 1 |    1 |    0 | Query
    toptickets | list, third page of 10          | 1 |    2 |    0 | Query
    toptickets | list, beyond the first 100      | 3 |   13 |    0 | GetItem, then Query, then BatchGetItem(10)
    toptickets | list, past the end              | 1 |    1 |    0 | GetItem
    itsm       | list, first page of 10          | 2 |    7 |    0 | GetItem + Query, then BatchGetItem(10)
    itsm       | list, third page of 10          | 2 |    8 |    0 | GetItem + Query, then BatchGetItem(10)
    itsm       | list, oldest first              | 2 |    7 |    0 | GetItem + Query, then BatchGetItem(10)
    itsm       | list, past the end              | 1 |    1 |    0 | GetItem
    itsm       | list, search                    | 2 |    8 |    0 | Query, then BatchGetItem(4) + BatchGetItem(4)
    itsm       | list, search, past the end      | 1 |    2 |    0 | Query
    itsm       | list, by name                   | 2 |   17 |    0 | Query, then BatchGetItem(10) + BatchGetItem(10)
    itsm       | list, by name, page 2           | 3 |   18 |    0 | GetItem, then Query, then BatchGetItem(10) + BatchGetItem(10)
    itsm       | list, by update                 | 2 |   17 |    0 | Query, then BatchGetItem(10) + BatchGetItem(10)
    ");
}

/// Adds the cases of the organization's lists by state. A page costs one query and one batch.
async fn found_tickets(recorder: &mut CostRecorder, team: &str) {
    let first = "/v1/assignments?state=waiting&limit=10";
    let response = recorder.org.itsm.get(first).await;
    let cursor = response.json["meta"]["pagination"]["nextCursor"]
        .as_str()
        .expect("a cursor");
    let assigned = format!("/v1/assignments?state=assigned&team_id={team}");
    for (round_trips, case, target) in [
        (1, "found, none unrouted", "/v1/assignments?state=unrouted"),
        (2, "found, 10 waiting", first),
        (
            2,
            "found, 10 waiting, page 2",
            &format!("{first}&cursor={cursor}"),
        ),
        (2, "found, 100 assigned", &format!("{assigned}&limit=100")),
    ] {
        recorder.case(round_trips, case, Itsm, get(target)).await;
    }
}

/// Puts 300 tickets of about 600 bytes into a team. 20 of them wait.
async fn put_tickets(recorder: &CostRecorder, team: &str) {
    for number in 0..300_i64 {
        let ticket = if number < 20 {
            waiting(team, number)
        } else {
            assigned(team, &recorder.org.users[0], number)
        };
        recorder
            .org
            .put_ticket(&format!("TKT-{number:03}"), &ticket)
            .await;
    }
    recorder
        .org
        .set_load(
            team,
            &[("open_tickets", n(300)), ("waiting_tickets", n(20))],
        )
        .await;
}

#[tokio::test]
async fn reads_of_assignments_match_the_cost_golden() {
    let mut recorder = CostRecorder::start().await;
    let id = recorder.org.team("Team").await;
    let list = format!("/v1/teams/{id}/assignments");
    recorder
        .case(1, "decisions of a team, none", Itsm, get(&list))
        .await;
    put_tickets(&recorder, &id).await;
    for contract in Contract::ALL {
        recorder
            .case(1, "one decision", contract, get("/v1/assignments/TKT-007"))
            .await;
        recorder
            .case(
                2,
                "decisions, first page of 10",
                contract,
                get(&format!("{list}?limit=10")),
            )
            .await;
    }
    found_tickets(&mut recorder, &id).await;
    for (round_trips, case, query) in [
        (2, "waiting, page 1", "limit=10&state=waiting"),
        (3, "waiting, page 2", "limit=10&page=2&state=waiting"),
        (2, "assigned, page 1", "limit=10&state=assigned"),
        (3, "third page of 10", "limit=10&page=3"),
        (3, "last page", "limit=100&page=3"),
        (2, "all at once", "limit=1000"),
        (1, "past the end", "page=1000"),
    ] {
        recorder
            .case(
                round_trips,
                &format!("decisions, {case}"),
                Itsm,
                get(&format!("{list}?{query}")),
            )
            .await;
    }
    assert_snapshot!(recorder.lines, @"
    itsm       | decisions of a team, none       | 1 |    2 |    0 | GetItem + Query + Query
    toptickets | one decision                    | 1 |    1 |    0 | GetItem
    toptickets | decisions, first page of 10     | 2 |   12 |    0 | GetItem + Query + Query, then BatchGetItem(10)
    itsm       | one decision                    | 1 |    1 |    0 | GetItem
    itsm       | decisions, first page of 10     | 2 |   12 |    0 | GetItem + Query + Query, then BatchGetItem(10)
    itsm       | found, none unrouted            | 1 |  0.5 |    0 | Query
    itsm       | found, 10 waiting               | 2 | 10.5 |    0 | Query, then BatchGetItem(10)
    itsm       | found, 10 waiting, page 2       | 2 | 10.5 |    0 | Query, then BatchGetItem(10)
    itsm       | found, 100 assigned             | 2 | 102.5 |    0 | Query, then BatchGetItem(100)
    itsm       | decisions, waiting, page 1      | 2 | 11.5 |    0 | GetItem + Query, then BatchGetItem(10)
    itsm       | decisions, waiting, page 2      | 3 | 11.5 |    0 | GetItem, then Query, then BatchGetItem(10)
    itsm       | decisions, assigned, page 1     | 2 | 11.5 |    0 | GetItem + Query, then BatchGetItem(10)
    itsm       | decisions, third page of 10     | 3 |   12 |    0 | GetItem, then Query, then BatchGetItem(10)
    itsm       | decisions, last page            | 3 |  108 |    0 | GetItem, then Query + Query, then BatchGetItem(100)
    itsm       | decisions, all at once          | 2 |  308 |    0 | GetItem + Query + Query, then BatchGetItem(100) + BatchGetItem(100) + BatchGetItem(100)
    itsm       | decisions, past the end         | 1 |    1 |    0 | GetItem
    ");
}
