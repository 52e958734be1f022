//! Decisions and concurrent changes of the roster. In either order, every counter and the number of
//! eligible members are exact.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all, stream};
use muster_domain::{
    IfVersion, MemberRole, NewMember, OrganizationId,
    QueueStrategy::{LeastBusy, RoundRobin},
    Tags, Timestamp, UserStatus,
};
use muster_service::store::{Error, OnLead, OnOpenTickets, RenderedResponse, Store, Table};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    Stack,
    crash::Instance,
    fault_injection::{FaultScript, Hook, InjectedFault},
    org::{NOW, OrgFixture, TeamFixture, profile, team, team_id, user, user_id},
    sqs::invoke_assignment,
    table::{number, text},
    table_audit::TableAudit,
};

const TRANSACTION: &[&str] = &["TransactWriteItems"];

/// Users 0 to 2 are members. User 3 is a former member and holds a ticket. User 4 was never a
/// member and holds a ticket. User 5 is unknown to the team.
const LEAVING: usize = 1;
const LEFT: usize = 3;
const OUTSIDE: usize = 4;
const NEWCOMER: usize = 5;

/// A change of team 0 or of its roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RacingChange {
    /// A user without counters joins. The batch assigns a ticket to this user.
    Join,
    /// A user joins after the team has counted their ticket.
    JoinOfAssignee,
    Leave,
    Return,
    Suspend,
    Delete,
}

impl RacingChange {
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
                // Old enough for the schedule to start the sweep.
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

    /// Returns the members of team 0 after the change.
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
    let response = |_: &_, _: &_| RenderedResponse::created(String::new(), None);
    store
        .add_member(
            org,
            team_id(0),
            &new,
            response,
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
    let user = muster_domain::User {
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

fn given_to(to: usize) -> Value {
    in_team(&json!({ "assignee_id": user(to) }))
}

async fn org_fixture() -> Arc<OrgFixture> {
    let org = OrgFixture::open(
        &Stack::with(|_| {}).await,
        8,
        &[TeamFixture::of(RoundRobin, 0..4)],
    )
    .await;
    let holders = [0, LEAVING, LEFT, OUTSIDE];
    let held: Vec<_> = holders
        .iter()
        .map(|&user| org.ticket_event("created", &format!("of-{user}"), 900, given_to(user)))
        .collect();
    assert_eq!(
        invoke_assignment(&org.assignment(&Instance::new(&org.transaction_log)), &held).await,
        [0; 0]
    );
    org.leave(0, LEFT).await;
    org.assert_consistent().await;
    Arc::new(org)
}

/// Returns a batch with decisions, tickets assigned to members and other users, and closed tickets.
fn batch(org: &OrgFixture) -> Vec<String> {
    let closed = in_team(&json!({ "status": "resolved" }));
    vec![
        org.ticket_event("created", "new-1", 500, in_team(&json!({}))),
        org.ticket_event(
            "created",
            "new-2",
            499,
            in_team(&json!({ "status": "in_progress" })),
        ),
        org.ticket_event("created", "new-3", 498, in_team(&json!({}))),
        org.ticket_event("created", "given-newcomer", 497, given_to(NEWCOMER)),
        org.ticket_event("created", "given-left", 496, given_to(LEFT)),
        org.ticket_event("created", "given-outside", 495, given_to(OUTSIDE)),
        org.ticket_event("updated", "of-1", 494, closed.clone()),
        org.ticket_event("updated", "of-3", 493, closed),
        org.ticket_event("unassigned", "of-0", 492, in_team(&json!({}))),
    ]
}

/// Returns the store of a client with this script.
fn store(org: &OrgFixture, script: &FaultScript) -> Store {
    let table = Table::new(script.client(&org.stack), org.stack.table.as_str());
    table.until(Instant::now() + Duration::from_secs(20))
}

/// Asserts every counter before and after the jobs are complete.
async fn assert_recounted(org: &OrgFixture, change: RacingChange) -> TableAudit {
    let audit = org.read_table().await;
    audit.assert_exact();
    org.finish().await;
    let audit = org.read_table().await;
    audit.assert_exact();
    audit.assert_at_rest();
    let members: Vec<&str> = audit
        .members
        .keys()
        .map(|(_, user)| user.as_str())
        .collect();
    let expected: Vec<_> = change.members().iter().map(|&n| user(n)).collect();
    assert_eq!(members, expected, "{change:?}");
    audit
}

/// Asserts the outcome that does not depend on the order of a batch and a change.
fn assert_outcome(audit: &TableAudit, change: RacingChange) {
    let state = |id: &str| text(&audit.tickets[id], "state");
    for (id, ticket) in &audit.tickets {
        let expected = match (id.as_str(), change) {
            ("of-1" | "of-3", _) => "closed",
            // A ticket that a person assigned stays with the user, with or without its team.
            ("given-newcomer" | "given-left" | "given-outside", RacingChange::Delete) => state(id),
            (_, RacingChange::Delete) => "unrouted",
            _ => "assigned",
        };
        assert_eq!(state(id), expected, "{change:?} {id}: {ticket:?}");
    }
    let counts = |n: usize| {
        let key = (team(0), user(n));
        let (member, past) = (audit.members.get(&key), audit.pasts.get(&key));
        member.or(past).map(|item| {
            (
                number(item, "open_tickets"),
                number(item, "resolved_tickets"),
            )
        })
    };
    if change != RacingChange::Delete {
        let (open, resolved) = counts(OUTSIDE).expect("the user holds tickets");
        // A user who joined may have more tickets.
        assert!(
            open == 2 || open > 2 && change == RacingChange::JoinOfAssignee,
            "{change:?}: {open} open tickets"
        );
        assert_eq!(resolved, 0);
    }
}

#[tokio::test]
async fn change_during_a_decision_leaves_exact_counters() {
    for change in RacingChange::ALL {
        let (org, script) = (org_fixture().await, FaultScript::default());
        let in_between = Arc::clone(&org);
        let hook: Hook = Arc::new(move || {
            let org = Arc::clone(&in_between);
            Box::pin(async move {
                change
                    .make(&org.stack.store(), &org.id)
                    .await
                    .expect("the change succeeds");
            })
        });
        script.once(TRANSACTION, InjectedFault::RunFirst(hook));
        let table = Table::new(script.client(&org.stack), org.stack.table.as_str());
        assert_eq!(
            invoke_assignment(&org.assignment_over(table), &batch(&org)).await,
            [0; 0],
            "{change:?}"
        );
        assert!(script.is_consumed());
        let audit = assert_recounted(&org, change).await;
        assert_outcome(&audit, change);
    }
}

#[tokio::test]
async fn decision_during_a_change_leaves_exact_counters() {
    for change in RacingChange::ALL {
        let (org, script) = (org_fixture().await, FaultScript::default());
        let in_between = Arc::clone(&org);
        let hook: Hook = Arc::new(move || {
            let org = Arc::clone(&in_between);
            Box::pin(async move {
                let deps = org.assignment_over(org.stack.table());
                assert_eq!(invoke_assignment(&deps, &batch(&org)).await, [0; 0]);
            })
        });
        script.once(TRANSACTION, InjectedFault::RunFirst(hook));
        change
            .make(&store(&org, &script), &org.id)
            .await
            .expect("the change succeeds after a retry");
        assert!(script.is_consumed(), "{change:?}");
        let audit = assert_recounted(&org, change).await;
        if change == RacingChange::Leave {
            let key = (team(0), user(LEAVING));
            let past = &audit.pasts[&key];
            assert!(
                number(past, "open_tickets") + number(past, "resolved_tickets") >= 1,
                "{past:?}"
            );
            assert_eq!(number(past, "rev"), 2);
        }
    }
}

/// Makes change number `n` of the roster for a user, or processes a batch, by a random percentage.
async fn change_or_decide(org: &OrgFixture, n: usize, user: usize, percentage: u32) {
    let (store, id) = (org.stack.store(), &org.id);
    let outcome = match percentage {
        0..25 => join(&store, id, user).await,
        25..45 => leave(&store, id, user).await,
        45..60 => {
            let status = [UserStatus::Active, UserStatus::Suspended][n % 2];
            set_status(
                &store,
                id,
                user,
                status,
                i64::try_from(n).expect("a few") + 2,
            )
            .await
        }
        _ => {
            let ago = 1000 - i64::try_from(n).expect("a few");
            let messages = [
                org.ticket_event("created", &format!("new-{n}"), ago, in_team(&json!({}))),
                org.ticket_event("updated", &format!("given-{}", n % 20), ago, given_to(user)),
            ];
            assert_eq!(
                invoke_assignment(
                    &org.assignment(&Instance::new(&org.transaction_log)),
                    &messages
                )
                .await,
                [0; 0]
            );
            Ok(())
        }
    };
    assert!(
        matches!(outcome, Ok(()) | Err(Error::Rejected(_))),
        "{outcome:?}"
    );
}

/// Joins, removals, status changes and batches run concurrently, followed by the deletion of the
/// team.
#[tokio::test]
async fn concurrent_changes_and_decisions_stay_exact() {
    const USERS: usize = 8;
    let org = Arc::new(
        OrgFixture::open(
            &Stack::with(|_| {}).await,
            USERS,
            &[TeamFixture::of(LeastBusy, 0..4)],
        )
        .await,
    );
    let mut rng = StdRng::seed_from_u64(8);
    let steps: Vec<(usize, usize, u32)> = (0..240)
        .map(|n| (n, rng.random_range(0..USERS), rng.random_range(0..100)))
        .collect();
    stream::iter(steps)
        .map(|(n, user, kind)| {
            let org = Arc::clone(&org);
            async move { change_or_decide(&org, n, user, kind).await }
        })
        .buffer_unordered(8)
        .collect::<()>()
        .await;
    // The stream repeats a copy that lost against another one.
    join_all((0..USERS).map(async |n| {
        let copied = org
            .stack
            .store()
            .copy_profile(&org.id, user_id(n), None, Timestamp::from_secs(NOW))
            .await;
        copied.expect("the profile is copied");
    }))
    .await;
    let audit = org.assert_consistent().await;
    assert!(
        !audit.members.is_empty() && !audit.pasts.is_empty(),
        "{} and {}",
        audit.members.len(),
        audit.pasts.len()
    );
    org.delete(0).await;
    org.finish().await;
    org.assert_consistent().await.assert_at_rest();
}
