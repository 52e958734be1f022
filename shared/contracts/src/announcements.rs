//! What the rest of the company hears: CloudEvents 1.0 about teams, members and tickets.
//!
//! Everything in one follows from the record of the change, so a record that comes again says the
//! same, `id` included. Times have milliseconds: a ticket can be assigned twice within one second.

use serde::Serialize;

use super::json;
use muster_domain::{
    Change, ChangeKind, Decision, Description, Member, QueueStrategy, Team, TeamId, Ticket,
    TicketState, Timestamp,
};

/// Who announces.
pub const SOURCE: &str = "muster";

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The record it is about: those about one have to arrive in order.
    pub record: String,
    /// What kind of thing: the event's `type`, such as `ticket.assigned`.
    pub kind: &'static str,
    /// When it happened.
    pub at: Timestamp,
    /// The event, as JSON.
    pub event: String,
}

/// An event in the JSON format of CloudEvents 1.0.
#[derive(Serialize)]
struct CloudEvent<T> {
    specversion: &'static str,
    id: String,
    source: &'static str,
    r#type: &'static str,
    time: String,
    subject: String,
    sequence: String,
    datacontenttype: &'static str,
    data: T,
}

/// Which state of a record an announcement is about.
struct Moment {
    /// Grows with every change of the record.
    revision: u64,
    /// Tells apart, and orders, what one change has announced.
    part: usize,
    at: Timestamp,
}

impl Announcement {
    fn new(
        change: &Change,
        kind: &'static str,
        moment: &Moment,
        subject: String,
        data: impl Serialize,
    ) -> Self {
        let Moment { revision, part, at } = *moment;
        // Orders as text, within a record. A part comes after the whole: "7" < "7.1" < "8".
        let mut sequence = format!("{revision:020}");
        if part > 0 {
            sequence = format!("{sequence}.{part}");
        }
        let event = json(&CloudEvent {
            specversion: "1.0",
            id: format!("{}/{revision}/{kind}", change.record),
            source: SOURCE,
            r#type: kind,
            time: at.iso8601_millis(),
            subject,
            sequence,
            datacontenttype: "application/json",
            data,
        });
        Self {
            record: change.record.clone(),
            kind,
            at,
            event,
        }
    }
}

/// What a change has to be announced as. Nothing, for counters, copies of profiles, and changes
/// that change nothing.
#[must_use]
pub fn announcements(change: &Change) -> Vec<Announcement> {
    match &change.kind {
        ChangeKind::Team { before, after } => about_team(change, before.as_ref(), after.as_ref())
            .into_iter()
            .collect(),
        ChangeKind::Membership {
            team_id,
            before,
            after,
        } => about_member(change, *team_id, before.as_ref(), after.as_ref())
            .into_iter()
            .collect(),
        ChangeKind::Ticket {
            before,
            after: Some(after),
        } => about_ticket(change, before.as_ref(), after),
        ChangeKind::Ticket { after: None, .. }
        | ChangeKind::Load { .. }
        | ChangeKind::TeamDeleted { .. }
        | ChangeKind::User { .. } => Vec::new(),
    }
}

#[derive(Serialize)]
struct TeamData<'a> {
    organization_id: &'a str,
    id: String,
    name: &'a str,
    description: Option<&'a str>,
    lead_id: Option<String>,
    queue_strategy: &'static str,
    specializations: &'a [String],
    member_count: u32,
    created_at: String,
    updated_at: String,
}

impl<'a> TeamData<'a> {
    fn new(team: &'a Team) -> Self {
        let Team {
            id,
            organization_id,
            name,
            description,
            lead_id,
            queue_strategy,
            specializations,
            member_count,
            version: _,
            created_at,
            updated_at,
        } = team;
        Self {
            organization_id: organization_id.as_str(),
            id: id.uuid().to_string(),
            name: name.as_str(),
            description: description.as_ref().map(Description::as_str),
            lead_id: lead_id.map(|id| id.uuid().to_string()),
            queue_strategy: queue_strategy.as_str(),
            specializations: specializations.as_slice(),
            member_count: *member_count,
            created_at: created_at.iso8601_millis(),
            updated_at: updated_at.iso8601_millis(),
        }
    }
}

fn about_team(
    change: &Change,
    before: Option<&Team>,
    after: Option<&Team>,
) -> Option<Announcement> {
    let (kind, team, revision, at) = match (before, after) {
        (None, Some(team)) => ("team.created", team, team.version, team.created_at),
        (Some(before), Some(team)) if is_edited(before, team) => {
            ("team.updated", team, team.version, team.updated_at)
        }
        // The deletion is a revision of its own, after the last that was written.
        (Some(team), None) => (
            "team.deleted",
            team,
            team.version + 1,
            change.at.max(team.updated_at),
        ),
        _ => return None,
    };
    let moment = Moment {
        revision,
        part: 0,
        at,
    };
    Some(Announcement::new(
        change,
        kind,
        &moment,
        format!("teams/{}", team.id.uuid()),
        TeamData::new(team),
    ))
}

/// Whether a field moved that people edit, not only the number of members.
fn is_edited(before: &Team, after: &Team) -> bool {
    let Team {
        id: _,
        organization_id: _,
        name,
        description,
        lead_id,
        queue_strategy,
        specializations,
        member_count: _,
        version: _,
        created_at: _,
        updated_at: _,
    } = before;
    *name != after.name
        || *description != after.description
        || *lead_id != after.lead_id
        || *queue_strategy != after.queue_strategy
        || *specializations != after.specializations
}

#[derive(Serialize)]
struct MemberData<'a> {
    organization_id: &'a str,
    team_id: String,
    user_id: String,
    name: &'a str,
    joined_at: String,
    removed_at: Option<String>,
}

fn about_member(
    change: &Change,
    team_id: TeamId,
    before: Option<&Member>,
    after: Option<&Member>,
) -> Option<Announcement> {
    let (kind, member, revision, at) = match (before, after) {
        (None, Some(member)) => ("member.added", member, member.rev, member.joined_at),
        // The removal is a revision of its own. The clocks of the request that added the member and
        // of the table may disagree.
        (Some(member), None) => {
            let joined_at = Timestamp::from_millis(member.joined_at.millis() + 1);
            (
                "member.removed",
                member,
                member.rev + 1,
                change.at.max(joined_at),
            )
        }
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let user_id = member.user.id.uuid().to_string();
    let subject = format!("teams/{}/members/{user_id}", team_id.uuid());
    let data = MemberData {
        organization_id: change.organization_id.as_str(),
        team_id: team_id.uuid().to_string(),
        user_id,
        name: &member.user.name,
        joined_at: member.joined_at.iso8601_millis(),
        removed_at: (kind == "member.removed").then(|| at.iso8601_millis()),
    };
    Some(Announcement::new(
        change,
        kind,
        &Moment {
            revision,
            part: 0,
            at,
        },
        subject,
        data,
    ))
}

#[derive(Serialize)]
struct TicketData<'a> {
    organization_id: &'a str,
    ticket_id: &'a str,
    team_id: Option<String>,
    assignee_id: Option<String>,
    previous_team_id: Option<String>,
    previous_assignee_id: Option<String>,
    state: &'static str,
    status: &'static str,
    priority: &'static str,
    decision: DecisionData,
}

/// Why the ticket is where it is. Who else was considered, and how busy they are, is for those who
/// may ask the API.
#[derive(Serialize)]
struct DecisionData {
    strategy: Option<&'static str>,
    turn: Option<u64>,
    reason: String,
    fallback: Option<&'static str>,
    considered: u64,
    eligible: u64,
    decided_at: String,
}

impl DecisionData {
    fn new(decision: &Decision) -> Self {
        let Decision {
            reason: _,
            strategy,
            turn,
            fallback,
            considered,
            eligible,
            candidates: _,
            replaces_missing_team: _,
            decided_at,
        } = decision;
        Self {
            strategy: strategy.map(QueueStrategy::as_str),
            turn: *turn,
            reason: decision.explanation(),
            fallback: fallback.map(QueueStrategy::as_str),
            considered: *considered,
            eligible: *eligible,
            decided_at: decided_at.iso8601_millis(),
        }
    }
}

fn about_ticket(change: &Change, before: Option<&Ticket>, after: &Ticket) -> Vec<Announcement> {
    let held = |ticket: &Ticket| {
        (ticket.state == TicketState::Assigned).then_some((ticket.team_id, ticket.assignee_id))
    };
    let waits = |ticket: &Ticket| (ticket.state == TicketState::Waiting).then_some(ticket.team_id);
    let is_unrouted = |ticket: &Ticket| ticket.state == TicketState::Unrouted;
    let (was, is) = (before.and_then(held), held(after));

    // Whoever took it from somebody has to hear that there was nobody else to give it to.
    let turn = after.decision.turn;
    let is_given_again =
        turn.is_some() && before.is_some_and(|before| before.decision.turn != turn);

    let mut kinds = Vec::new();
    if is.is_some() && (is != was || is_given_again) {
        kinds.push("ticket.assigned");
    }
    if was.is_some() && is.is_none() && after.is_open() {
        kinds.push("ticket.unassigned");
    }
    if waits(after).is_some() && waits(after) != before.and_then(waits) {
        kinds.push("ticket.waiting");
    }
    if is_unrouted(after) && !before.is_some_and(is_unrouted) {
        kinds.push("ticket.unrouted");
    }
    let announce = |(part, kind)| {
        let moment = Moment {
            revision: after.rev,
            part,
            at: after.decision.decided_at,
        };
        let data = TicketData {
            organization_id: change.organization_id.as_str(),
            ticket_id: after.id.as_str(),
            team_id: after.team_id.map(|id| id.uuid().to_string()),
            assignee_id: after.assignee_id.map(|id| id.uuid().to_string()),
            previous_team_id: before
                .and_then(|before| before.team_id)
                .map(|id| id.uuid().to_string()),
            previous_assignee_id: before
                .and_then(|before| before.assignee_id)
                .map(|id| id.uuid().to_string()),
            state: after.state.as_str(),
            status: after.status.as_str(),
            priority: after.priority.as_str(),
            decision: DecisionData::new(&after.decision),
        };
        Announcement::new(change, kind, &moment, format!("tickets/{}", after.id), data)
    };
    kinds.into_iter().enumerate().map(announce).collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_json_snapshot;
    use serde_json::Value;

    use super::*;
    use muster_domain::{
        Candidate, Load, NewTeam, OrganizationId, Priority, Reason, Tags, TeamName, TicketId,
        TicketStatus, TicketVersions, Topics, User, UserId, UserStatus,
    };

    const MORNING: Timestamp = Timestamp::from_millis(1_736_064_000_123);

    fn org() -> OrganizationId {
        OrganizationId::parse("org").unwrap()
    }

    fn team_id() -> TeamId {
        TeamId::parse("a1b2c3d4-e5f6-7890-abcd-ef1234567890").unwrap()
    }

    fn alex() -> UserId {
        UserId::parse("f6e5d4c3-b2a1-0987-fedc-ba9876543210").unwrap()
    }

    fn robin() -> UserId {
        UserId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap()
    }

    fn later(ms: i64) -> Timestamp {
        Timestamp::from_millis(MORNING.millis() + ms)
    }

    fn said(record: &str, kind: ChangeKind) -> Vec<Announcement> {
        announcements(&Change {
            record: record.to_owned(),
            organization_id: org(),
            at: later(5_000),
            kind,
        })
    }

    fn kinds(announcements: &[Announcement]) -> Vec<&'static str> {
        announcements
            .iter()
            .map(|announcement| announcement.kind)
            .collect()
    }

    /// The one event that was announced.
    fn event(announcements: &[Announcement]) -> Value {
        let [
            Announcement {
                record,
                kind,
                at: _,
                event,
            },
        ] = announcements
        else {
            panic!("{announcements:?}")
        };
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(event["type"], *kind);
        assert!(event["id"].as_str().unwrap().starts_with(record));
        event
    }

    fn operations() -> Team {
        let new = NewTeam {
            name: TeamName::parse("Network Operations").unwrap(),
            description: None,
            lead_id: Some(alex()),
            queue_strategy: QueueStrategy::LeastBusy,
            specializations: Tags::parse(["VPN", "DNS"]).unwrap(),
        };
        Team::create(team_id(), org(), new, MORNING)
    }

    fn team_changed(before: Option<Team>, after: Option<Team>) -> Vec<Announcement> {
        said(
            "ORG#org/TEAM#a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            ChangeKind::Team { before, after },
        )
    }

    #[test]
    fn teams_come_change_and_go() {
        assert_json_snapshot!(
            "team.created",
            event(&team_changed(None, Some(operations())))
        );
        let mut renamed = Team {
            version: 2,
            updated_at: later(1_000),
            ..operations()
        };
        renamed.name = TeamName::parse("NetOps").unwrap();
        assert_json_snapshot!(
            "team.updated",
            event(&team_changed(Some(operations()), Some(renamed.clone())))
        );
        assert_json_snapshot!("team.deleted", event(&team_changed(Some(renamed), None)));
    }

    #[test]
    fn a_change_of_roster_is_no_edit() {
        let joined = Team {
            member_count: 1,
            version: 2,
            updated_at: later(1_000),
            ..operations()
        };
        assert_eq!(team_changed(Some(operations()), Some(joined.clone())), []);
        assert_eq!(team_changed(Some(operations()), Some(operations())), []);
        let led = Team {
            lead_id: Some(robin()),
            ..joined
        };
        assert_eq!(
            kinds(&team_changed(Some(operations()), Some(led))),
            ["team.updated"]
        );
    }

    fn membership() -> Member {
        let user = User {
            id: alex(),
            name: "Alex Rivera".to_owned(),
            email: "arivera@acme.com".to_owned(),
            role: "agent".to_owned(),
            avatar_url: None,
            status: UserStatus::Active,
            version: 3,
        };
        Member::joining(user, Tags::default(), None, 7, MORNING).unwrap()
    }

    fn member_changed(before: Option<Member>, after: Option<Member>) -> Vec<Announcement> {
        let record = "ORG#org#TEAM#a1b2c3d4-e5f6-7890-abcd-ef1234567890/MEMBER#f6e5d4c3-b2a1-0987-fedc-ba9876543210";
        said(
            record,
            ChangeKind::Membership {
                team_id: team_id(),
                before,
                after,
            },
        )
    }

    #[test]
    fn members_come_and_go() {
        assert_json_snapshot!(
            "member.added",
            event(&member_changed(None, Some(membership())))
        );
        assert_json_snapshot!(
            "member.removed",
            event(&member_changed(Some(membership()), None))
        );
    }

    #[test]
    fn member_removed_is_never_before_joining() {
        let gone = event(&member_changed(Some(membership()), None));
        assert_eq!(
            (&gone["type"], &gone["time"]),
            (&"member.removed".into(), &"2025-01-05T08:00:05.123Z".into())
        );
        let late = Member {
            joined_at: later(9_000),
            ..membership()
        };
        assert_eq!(
            event(&member_changed(Some(late), None))["time"],
            "2025-01-05T08:00:09.124Z"
        );
    }

    #[test]
    fn returning_is_announced_after_leaving() {
        let (user, past) = (membership().user, membership().leaving());
        let returned =
            Member::joining(user, Tags::default(), Some(&past), 9, later(2_000)).unwrap();
        let events = [
            (None, Some(membership())),
            (Some(membership()), None),
            (None, Some(returned)),
        ]
        .map(|(before, after)| event(&member_changed(before, after)));
        assert_eq!(
            events
                .each_ref()
                .map(|event| event["type"].as_str().unwrap()),
            ["member.added", "member.removed", "member.added"]
        );
        let sequences = events
            .each_ref()
            .map(|event| event["sequence"].as_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(
            sequences,
            [1, 2, 3],
            "the sequence is the revision of the membership"
        );
    }

    #[test]
    fn counters_and_copies_of_profiles_are_not_announced() {
        let counted = Member {
            open_tickets: 4,
            last_turn: 9,
            ..membership()
        };
        let mut copied = membership();
        copied.user.status = UserStatus::Inactive;
        for (before, after) in [
            (Some(membership()), Some(counted)),
            (Some(membership()), Some(copied)),
        ] {
            assert_eq!(member_changed(before, after), []);
        }
        let load = ChangeKind::Load {
            team_id: team_id(),
            before: None,
            after: Some(Load::default()),
        };
        assert_eq!(said("load", load), []);
        assert_eq!(
            said("gone", ChangeKind::TeamDeleted { team_id: team_id() }),
            []
        );
        let user = ChangeKind::User {
            user_id: alex(),
            before: None,
            after: Some(membership().user),
        };
        assert_eq!(said("user", user), []);
    }

    /// A ticket in a state, at a revision.
    fn ticket(state: TicketState, rev: u64) -> Ticket {
        let assigned = state == TicketState::Assigned;
        let decision = match state {
            TicketState::Assigned => Decision {
                strategy: Some(QueueStrategy::LeastBusy),
                turn: Some(8),
                considered: 3,
                eligible: 2,
                candidates: vec![Candidate {
                    user_id: alex(),
                    open_tickets: 1,
                    last_turn: 4,
                    matched_skills: 0,
                    pass_over_reason: None,
                }],
                ..Decision::without_strategy(Reason::Strategy, later(10))
            },
            TicketState::Unrouted => Decision::without_strategy(Reason::NoTeamMatches, later(20)),
            _ => Decision {
                considered: 3,
                ..Decision::without_strategy(Reason::NoEligibleMember, later(30))
            },
        };
        Ticket {
            id: TicketId::parse("TKT-1").unwrap(),
            rev,
            versions: TicketVersions::default(),
            status: if state == TicketState::Closed {
                TicketStatus::Closed
            } else {
                TicketStatus::Open
            },
            priority: Priority::High,
            category: None,
            subcategory: None,
            tags: Topics::of(["vpn"]),
            created_at: MORNING,
            resolved_at: None,
            closed_at: None,
            due_at: None,
            team_id: (state != TicketState::Unrouted).then(team_id),
            assignee_id: assigned.then(alex),
            state,
            decision,
        }
    }

    fn ticket_changed(before: Option<Ticket>, after: Ticket) -> Vec<Announcement> {
        said(
            "ORG#org#TICKET#TKT-1/TICKET",
            ChangeKind::Ticket {
                before,
                after: Some(after),
            },
        )
    }

    use TicketState::{Assigned, Closed, Deleted, Unrouted, Waiting};

    #[test]
    fn tickets_find_somebody_or_wait() {
        let reassigned = Ticket {
            assignee_id: Some(robin()),
            ..ticket(Assigned, 2)
        };
        assert_json_snapshot!(
            "ticket.assigned",
            event(&ticket_changed(Some(reassigned), ticket(Assigned, 3)))
        );
        assert_json_snapshot!(
            "ticket.waiting",
            event(&ticket_changed(None, ticket(Waiting, 1)))
        );
        assert_json_snapshot!(
            "ticket.unrouted",
            event(&ticket_changed(None, ticket(Unrouted, 1)))
        );
    }

    #[test]
    fn a_ticket_that_loses_its_assignee_says_so_before_where_it_is_now() {
        let announced = ticket_changed(Some(ticket(Assigned, 1)), ticket(Unrouted, 2));
        assert_eq!(kinds(&announced), ["ticket.unassigned", "ticket.unrouted"]);
        let events: Vec<Value> = announced
            .iter()
            .map(|one| serde_json::from_str(&one.event).unwrap())
            .collect();
        assert!(events[0]["sequence"].as_str() < events[1]["sequence"].as_str());
        assert_json_snapshot!("ticket.unassigned", events[0]);
    }

    #[test]
    fn the_next_revision_comes_after_every_part_of_this_one() {
        let sequence = |announced: Vec<Announcement>| {
            let last: Value = serde_json::from_str(&announced.last().unwrap().event).unwrap();
            last["sequence"].as_str().unwrap().to_owned()
        };
        let two_parts = sequence(ticket_changed(
            Some(ticket(Assigned, 8)),
            ticket(Waiting, 9),
        ));
        let next = sequence(ticket_changed(
            Some(ticket(Waiting, 9)),
            ticket(Assigned, 10),
        ));
        assert!(two_parts < next, "{two_parts} {next}");
    }

    #[test]
    fn what_each_change_of_a_ticket_is_announced_as() {
        let moved = |state, rev| Ticket {
            team_id: Some(TeamId::new(robin().uuid())),
            ..ticket(state, rev)
        };
        let busy = Ticket {
            status: TicketStatus::InProgress,
            ..ticket(Assigned, 2)
        };
        let mut again = ticket(Assigned, 2);
        again.decision.turn = Some(9);
        let was_hers = Ticket {
            assignee_id: Some(alex()),
            ..ticket(Closed, 2)
        };
        let cases = vec![
            (None, ticket(Assigned, 1), &["ticket.assigned"][..]),
            (None, ticket(Closed, 1), &[]),
            (None, ticket(Deleted, 1), &[]),
            (Some(ticket(Assigned, 1)), busy, &[]),
            (Some(ticket(Assigned, 1)), again, &["ticket.assigned"]),
            (
                Some(ticket(Assigned, 1)),
                moved(Assigned, 2),
                &["ticket.assigned"],
            ),
            (Some(ticket(Assigned, 1)), was_hers.clone(), &[]),
            (Some(ticket(Assigned, 1)), ticket(Deleted, 2), &[]),
            (Some(was_hers), ticket(Assigned, 3), &["ticket.assigned"]),
            (
                Some(ticket(Closed, 1)),
                ticket(Waiting, 2),
                &["ticket.waiting"],
            ),
            (Some(ticket(Waiting, 1)), ticket(Waiting, 2), &[]),
            (
                Some(ticket(Waiting, 1)),
                moved(Waiting, 2),
                &["ticket.waiting"],
            ),
            (
                Some(ticket(Waiting, 1)),
                ticket(Assigned, 2),
                &["ticket.assigned"],
            ),
            (
                Some(ticket(Waiting, 1)),
                ticket(Unrouted, 2),
                &["ticket.unrouted"],
            ),
            (Some(ticket(Unrouted, 1)), ticket(Unrouted, 2), &[]),
            (
                Some(ticket(Assigned, 1)),
                ticket(Waiting, 2),
                &["ticket.unassigned", "ticket.waiting"],
            ),
        ];
        for (before, after, expected) in cases {
            let context = format!(
                "{:?} to {:?}",
                before.as_ref().map(|ticket| ticket.state),
                after.state
            );
            assert_eq!(kinds(&ticket_changed(before, after)), expected, "{context}");
        }
    }

    #[test]
    fn a_record_that_comes_again_says_the_same() {
        let once = ticket_changed(None, ticket(Assigned, 1));
        assert_eq!(once, ticket_changed(None, ticket(Assigned, 1)));
    }
}
