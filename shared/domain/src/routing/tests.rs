//! Properties of plans, over a simulated table that applies them and asserts their conditions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use proptest::{collection::vec, option, prelude::*, sample::select};
use uuid::Uuid;

mod assignees;
mod batches;
mod checks;
mod closing;
mod counters;
mod order;
mod partial_events;
mod reference;
mod rotation;
mod simulation;
mod strategies;
mod team_match;
mod teams;
mod versions;

use self::simulation::{SimulatedTable, team_input_mut};
use super::{
    CounterItem, LoadWrite, MAX_WRITES, MemberWrite, MissingInput, PlanningInput, TeamInput,
    TeamLookup, TeamMatcher, TicketTask, TopicEntry, TopicPage, TransactionPlan, Trigger,
    UnmatchedTicket, candidates, plan,
};
use crate::{
    Candidate, EventVersion, FieldUpdate, Folded, Load, Member, NewTeam, OrganizationId,
    PastCounters, Priority, QueueStrategy, Reason, Resolved, RingPlace, Tags, Team, TeamId,
    TeamName, Ticket, TicketEvent, TicketEventKind, TicketId, TicketSnapshot, TicketState,
    TicketStatus, Timestamp, Topics, User, UserId, UserStatus,
};

const NOW: Timestamp = Timestamp::from_secs(1_736_064_000);

fn team_id(n: u128) -> TeamId {
    TeamId::new(Uuid::from_u128(n))
}

fn user_id(n: u128) -> UserId {
    UserId::new(Uuid::from_u128(n))
}

fn ticket_id(n: usize) -> TicketId {
    TicketId::parse(&format!("T-{n}")).unwrap()
}

fn user(n: u128) -> User {
    User {
        id: user_id(n),
        name: format!("User {n}"),
        email: String::new(),
        role: "agent".to_owned(),
        avatar_url: None,
        status: UserStatus::Active,
        version: 1,
    }
}

fn member(n: u128, skills: &[&str], turn: u64) -> Member {
    let joined_at = Timestamp::from_millis(i64::try_from(n).unwrap());
    Member::joining(user(n), Tags::parse(skills).unwrap(), None, turn, joined_at).unwrap()
}

fn team(n: u128, strategy: QueueStrategy, specializations: &[&str]) -> Team {
    let new = NewTeam {
        name: TeamName::parse(&format!("Team {n}")).unwrap(),
        description: None,
        lead_id: None,
        queue_strategy: strategy,
        specializations: Tags::parse(specializations).unwrap(),
    };
    Team::create(team_id(n), OrganizationId::parse("o").unwrap(), new, NOW)
}

fn event(ticket: usize, at: i64, team: Option<TeamId>) -> TicketEvent {
    TicketEvent {
        organization_id: OrganizationId::parse("o").unwrap(),
        kind: TicketEventKind::Snapshot,
        version: Arc::new(EventVersion {
            at: Timestamp::from_secs(1_736_000_000 + at),
            time: None,
            event_id: format!("e{at}"),
        }),
        ticket: TicketSnapshot {
            status: Some(TicketStatus::New),
            team_id: team,
            ..TicketSnapshot::empty(ticket_id(ticket))
        },
    }
}

/// Returns an update to a time, in seconds after the first event, or one that clears the field.
fn update(seconds: Option<i64>) -> FieldUpdate<Timestamp> {
    seconds.map_or(FieldUpdate::Cleared, |at| {
        FieldUpdate::Set(Timestamp::from_secs(1_736_000_000 + at))
    })
}

fn new_tickets(
    range: std::ops::Range<usize>,
    team: TeamId,
    topics: impl Fn(usize) -> Topics,
) -> Vec<TicketTask> {
    range
        .map(|n| {
            let mut event = event(n, i64::try_from(n).unwrap(), Some(team));
            event.ticket.tags = FieldUpdate::Set(topics(n));
            TicketTask {
                ticket_id: ticket_id(n),
                trigger: Trigger::Events(vec![event]),
            }
        })
        .collect()
}

const TOPICS: [&str; 4] = ["vpn", "dns", "mail", "printer"];

fn strategy() -> impl Strategy<Value = QueueStrategy> {
    select(QueueStrategy::ALL.to_vec())
}

prop_compose! {
    /// A team with random members, some of them not eligible.
    fn a_team_input(n: u128)(
        strategy in strategy(),
        people in vec((0..6_u64, 0..20_u64, select(vec![0_u8, 0, 0, 1, 2]), vec(select(TOPICS.to_vec()), 0..3)), 0..9),
        specializations in vec(select(TOPICS.to_vec()), 0..3),
    ) -> TeamInput {
        let left: Vec<_> = (100..).zip(&people).filter(|(_, (.., pass_over_reason, _))| *pass_over_reason == 2).map(|(n, _)| n).collect();
        let members = people.into_iter().enumerate().map(|(at, (open, last_turn, pass_over_reason, skills))| {
            let mut member = member(100 + at as u128, &skills, last_turn);
            member.open_tickets = open;
            if pass_over_reason == 1 {
                member.user.status = UserStatus::Inactive;
            }
            member
        });
        let load = Load { turn: 20, ..Load::default() };
        let mut team_input = TeamInput::new(team(n, strategy, &specializations), load, members.collect());
        for n in left {
            team_input.toggle_membership(user_id(n));
        }
        team_input
    }
}

fn team_input_of(strategy: QueueStrategy, people: u128) -> TeamInput {
    TeamInput::new(
        team(1, strategy, &["vpn"]),
        Load::default(),
        (0..people).map(|n| member(100 + n, &[], 0)).collect(),
    )
}
