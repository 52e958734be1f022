//! Decisions beside changes of the roster. Whichever is first, every counter and the number of
//! eligible members are exact.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all, stream};
use muster::{
    domain::{
        IfVersion, MemberRole, NewMember, OrganizationId,
        QueueStrategy::{LeastBusy, RoundRobin},
        Tags, Timestamp, UserStatus,
    },
    store::{Answer, Error, OnLead, OnOpenTickets, Store, Table},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    Stack,
    audit::Books,
    desks::{Crew, Desk, NOW, profile, team, team_id, user, user_id},
    faulty::{Fault, Hook, Script},
    mortal::Instance,
    queue::assign,
    table::{number, text},
};

const TRANSACTION: &[&str] = &["TransactWriteItems"];

/// Users 0 to 2 are members. User 3 left and holds a ticket. User 4 never was a member and holds a
/// ticket. User 5 is unknown to the team.
const LEAVING: usize = 1;
const LEFT: usize = 3;
const OUTSIDE: usize = 4;
const NEWCOMER: usize = 5;

/// A change of team 0 or of its roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// A user without counters joins, to whom the batch gives a ticket.
    Join,
    /// A user joins whose ticket the team already counts.
    JoinOfAssignee,
    Leave,
    Return,
    Suspend,
    Delete,
}

impl Change {
    const ALL: [Self; 6] = [
        Self::Join,
        Self::JoinOfAssignee,
        Self::Leave,
        Self::Return,
        Self::Suspend,
        Self::Delete,
    ];

    async fn make(self, store: &Store, org: &OrganizationId) -> Result<(), Error> {
        match self {
            Self::Join => join(store, org, NEWCOMER).await,
            Self::JoinOfAssignee => join(store, org, OUTSIDE).await,
            Self::Return => join(store, org, LEFT).await,
            Self::Leave => leave(store, org, LEAVING).await,
            Self::Suspend => set_status(store, org, LEAVING, UserStatus::Suspended, 2).await,
            Self::Delete => {
                // Old enough that the schedule starts the sweep.
                let now = Timestamp::from_secs(NOW - 600);
                store
                    .delete_team(
                        org,
                        team_id(0),
                        &IfVersion::Any,
                        OnOpenTickets::Unassign,
                        now,
                    )
                    .await
            }
        }
    }

    /// The members of team 0 after the change.
    fn members(self) -> &'static [usize] {
        match self {
            Self::Join => &[0, 1, 2, NEWCOMER],
            Self::JoinOfAssignee => &[0, 1, 2, OUTSIDE],
            Self::Return => &[0, 1, 2, LEFT],
            Self::Leave => &[0, 2],
            Self::Suspend => &[0, 1, 2],
            Self::Delete => &[],
        }
    }
}

async fn join(store: &Store, org: &OrganizationId, user: usize) -> Result<(), Error> {
    let new = NewMember {
        user_id: user_id(user),
        role: MemberRole::Member,
        skills: Tags::default(),
    };
    let answer = |_: &_, _: &_| Answer::created(String::new(), None);
    store
        .add_member(
            org,
            team_id(0),
            &new,
            answer,
            None,
            Timestamp::from_secs(NOW),
        )
        .await
        .map(drop)
}

async fn leave(store: &Store, org: &OrganizationId, user: usize) -> Result<(), Error> {
    store
        .remove_member(
            org,
            team_id(0),
            user_id(user),
            OnLead::Clear,
            Timestamp::from_secs(NOW),
        )
        .await
}

async fn set_status(
    store: &Store,
    org: &OrganizationId,
    user: usize,
    status: UserStatus,
    version: i64,
) -> Result<(), Error> {
    let user = muster::domain::User {
        version,
        ..profile(user, status)
    };
    store.put_users(org, std::slice::from_ref(&user)).await?;
    store
        .copy_profile(org, user.id, None, Timestamp::from_secs(NOW))
        .await
        .map(drop)
}

fn in_team(with: &Value) -> Value {
    let mut ticket = json!({ "status": "open", "team_id": team(0), "created_at": 1_768_400_000, "due_at": 1_768_500_000 });
    for (field, value) in with.as_object().into_iter().flatten() {
        ticket[field] = value.clone();
    }
    ticket
}

fn given(to: usize) -> Value {
    in_team(&json!({ "assignee_id": user(to) }))
}

async fn desk() -> Arc<Desk> {
    let desk = Desk::open(&Stack::with(|_| {}).await, 8, &[Crew::of(RoundRobin, 0..4)]).await;
    let holders = [0, LEAVING, LEFT, OUTSIDE];
    let held: Vec<_> = holders
        .iter()
        .map(|&user| desk.says("created", &format!("of-{user}"), 900, given(user)))
        .collect();
    assert_eq!(
        assign(&desk.assignment(&Instance::new(&desk.ledger)), &held).await,
        [0; 0]
    );
    desk.leave(0, LEFT).await;
    desk.audit().await;
    Arc::new(desk)
}

/// A batch with decisions, tickets given to members and other users, and tickets that are closed.
fn batch(desk: &Desk) -> Vec<String> {
    let closed = in_team(&json!({ "status": "resolved" }));
    vec![
        desk.says("created", "new-1", 500, in_team(&json!({}))),
        desk.says(
            "created",
            "new-2",
            499,
            in_team(&json!({ "status": "in_progress" })),
        ),
        desk.says("created", "new-3", 498, in_team(&json!({}))),
        desk.says("created", "given-newcomer", 497, given(NEWCOMER)),
        desk.says("created", "given-left", 496, given(LEFT)),
        desk.says("created", "given-outside", 495, given(OUTSIDE)),
        desk.says("updated", "of-1", 494, closed.clone()),
        desk.says("updated", "of-3", 493, closed),
        desk.says("unassigned", "of-0", 492, in_team(&json!({}))),
    ]
}

/// Returns a client's store over the desk's table.
fn store(desk: &Desk, script: &Script) -> Store {
    let table = Table::new(script.client(&desk.stack), desk.stack.table.as_str());
    table.until(Instant::now() + Duration::from_secs(20))
}

/// Holds a desk to its tickets, finishes the jobs, and holds it to them again.
async fn assert_recounted(desk: &Desk, change: Change) -> Books {
    let books = desk.books().await;
    books.assert_exact();
    desk.finish().await;
    let books = desk.books().await;
    books.assert_exact();
    books.assert_at_rest();
    let members: Vec<&str> = books
        .members
        .keys()
        .map(|(_, user)| user.as_str())
        .collect();
    let expected: Vec<_> = change.members().iter().map(|&n| user(n)).collect();
    assert_eq!(members, expected, "{change:?}");
    books
}

/// Asserts the outcome that does not depend on the order of a batch and a change.
fn assert_outcome(books: &Books, change: Change) {
    let state = |id: &str| text(&books.tickets[id], "state");
    for (id, ticket) in &books.tickets {
        let expected = match (id.as_str(), change) {
            ("of-1" | "of-3", _) => "closed",
            // A ticket that a person gave stays with the user, whether or not the team was there.
            ("given-newcomer" | "given-left" | "given-outside", Change::Delete) => state(id),
            (_, Change::Delete) => "unrouted",
            _ => "assigned",
        };
        assert_eq!(state(id), expected, "{change:?} {id}: {ticket:?}");
    }
    let counts = |n: usize| {
        let key = (team(0), user(n));
        let (member, past) = (books.members.get(&key), books.pasts.get(&key));
        member.or(past).map(|item| {
            (
                number(item, "open_tickets"),
                number(item, "resolved_tickets"),
            )
        })
    };
    if change != Change::Delete {
        let (open, resolved) = counts(OUTSIDE).expect("the user holds tickets");
        // A user who joined may have been given more.
        assert!(
            open == 2 || open > 2 && change == Change::JoinOfAssignee,
            "{change:?}: {open} open tickets"
        );
        assert_eq!(resolved, 0);
    }
}

#[tokio::test]
async fn change_between_read_and_write_of_a_decision() {
    for change in Change::ALL {
        let (desk, script) = (desk().await, Script::default());
        let in_between = Arc::clone(&desk);
        let hook: Hook = Arc::new(move || {
            let desk = Arc::clone(&in_between);
            Box::pin(async move {
                change
                    .make(&desk.stack.store(), &desk.org)
                    .await
                    .expect("nothing is in its way")
            })
        });
        script.once(TRANSACTION, Fault::After(hook));
        let table = Table::new(script.client(&desk.stack), desk.stack.table.as_str());
        assert_eq!(
            assign(&desk.assignment_over(table), &batch(&desk)).await,
            [0; 0],
            "{change:?}"
        );
        assert!(script.is_played());
        let books = assert_recounted(&desk, change).await;
        assert_outcome(&books, change);
    }
}

#[tokio::test]
async fn decision_between_read_and_write_of_a_change() {
    for change in Change::ALL {
        let (desk, script) = (desk().await, Script::default());
        let in_between = Arc::clone(&desk);
        let hook: Hook = Arc::new(move || {
            let desk = Arc::clone(&in_between);
            Box::pin(async move {
                let deps = desk.assignment_over(desk.stack.table());
                assert_eq!(assign(&deps, &batch(&desk)).await, [0; 0]);
            })
        });
        script.once(TRANSACTION, Fault::After(hook));
        change
            .make(&store(&desk, &script), &desk.org)
            .await
            .expect("it is made from fresh reads");
        assert!(script.is_played(), "{change:?}");
        let books = assert_recounted(&desk, change).await;
        if change == Change::Leave {
            let key = (team(0), user(LEAVING));
            let past = &books.pasts[&key];
            assert!(
                number(past, "open_tickets") + number(past, "resolved_tickets") >= 1,
                "{past:?}"
            );
            assert_eq!(number(past, "rev"), 2);
        }
    }
}

/// Joins, leaves, returns, changes of status and batches at once, and at last a deletion.
#[tokio::test]
async fn storm_of_changes_and_decisions_ends_exact() {
    const USERS: usize = 8;
    let desk = Arc::new(
        Desk::open(
            &Stack::with(|_| {}).await,
            USERS,
            &[Crew::of(LeastBusy, 0..4)],
        )
        .await,
    );
    let mut rng = StdRng::seed_from_u64(8);
    let steps: Vec<(usize, usize, u32)> = (0..240)
        .map(|n| (n, rng.random_range(0..USERS), rng.random_range(0..100)))
        .collect();
    stream::iter(steps)
        .map(|(n, who, kind)| {
            let desk = Arc::clone(&desk);
            async move {
                let (store, org) = (desk.stack.store(), &desk.org);
                let outcome = match kind {
                    0..25 => join(&store, org, who).await,
                    25..45 => leave(&store, org, who).await,
                    45..60 => {
                        let status = [UserStatus::Active, UserStatus::Suspended][n % 2];
                        set_status(
                            &store,
                            org,
                            who,
                            status,
                            i64::try_from(n).expect("a few") + 2,
                        )
                        .await
                    }
                    _ => {
                        let ago = 1000 - i64::try_from(n).expect("a few");
                        let messages = [
                            desk.says("created", &format!("new-{n}"), ago, in_team(&json!({}))),
                            desk.says("updated", &format!("given-{}", n % 20), ago, given(who)),
                        ];
                        assert_eq!(
                            assign(&desk.assignment(&Instance::new(&desk.ledger)), &messages).await,
                            [0; 0]
                        );
                        Ok(())
                    }
                };
                assert!(
                    matches!(outcome, Ok(()) | Err(Error::Refused(_))),
                    "{outcome:?}"
                );
            }
        })
        .buffer_unordered(8)
        .collect::<()>()
        .await;
    // Copies that another copy overtook are made again by the stream.
    join_all((0..USERS).map(async |n| {
        let copied = desk
            .stack
            .store()
            .copy_profile(&desk.org, user_id(n), None, Timestamp::from_secs(NOW))
            .await;
        copied.expect("a profile can be copied");
    }))
    .await;
    let books = desk.audit().await;
    assert!(
        !books.members.is_empty() && !books.pasts.is_empty(),
        "{} and {}",
        books.members.len(),
        books.pasts.len()
    );
    desk.delete(0).await;
    desk.finish().await;
    desk.audit().await.assert_at_rest();
}
