use std::sync::Arc;

use muster_domain::{
    EventVersion, Load, NewTeam, OrganizationId, PassOverReason, Priority, Resolved, Tags, TeamId,
    TeamName, TicketId, TicketStatus, TicketVersions, Topics,
};
use uuid::Uuid;

use super::*;
use crate::commands::tickets::explain::similar::similar_teams;

const DECIDED: Timestamp = Timestamp::from_secs(1_772_442_000);

fn user(number: u128, name: &str, status: UserStatus) -> User {
    User {
        id: UserId::new(Uuid::from_u128(number)),
        name: name.to_owned(),
        email: String::new(),
        role: "agent".to_owned(),
        avatar_url: None,
        status,
        version: 1,
    }
}

fn people() -> Vec<User> {
    vec![
        user(1, "Sam Patel", UserStatus::Active),
        user(2, "Alex Rivera", UserStatus::Active),
        user(3, "Dana Whitfield", UserStatus::Inactive),
    ]
}

fn candidate(number: u128, open_tickets: u64, matched_skills: u64) -> Candidate {
    Candidate {
        user_id: UserId::new(Uuid::from_u128(number)),
        open_tickets,
        last_turn: 2,
        matched_skills,
        pass_over_reason: None,
    }
}

fn team(number: u128, name: &str, specializations: &[&str], members: Vec<User>) -> TeamInput {
    let new = NewTeam {
        name: TeamName::parse(name).unwrap(),
        description: None,
        lead_id: None,
        queue_strategy: QueueStrategy::SkillBased,
        specializations: Tags::parse(specializations).unwrap(),
    };
    let id = TeamId::parse(&Uuid::from_u128(number).to_string()).unwrap();
    let organization = OrganizationId::parse("acme").unwrap();
    let team = Team::create(id, organization, new, DECIDED);
    let member = |user| Member {
        user,
        skills: Tags::parse(["vpn"]).unwrap(),
        joined_at: DECIDED,
        rev: 1,
        last_turn: 0,
        open_tickets: 1,
        in_progress_tickets: 0,
        resolved: Resolved::default(),
    };
    let load = Load {
        waiting_tickets: 2,
        ..Load::default()
    };
    TeamInput::new(team, load, members.into_iter().map(member).collect())
}

fn explained(state: TicketState, reason: Reason, outlook: Outlook) -> Explained {
    let version = EventVersion {
        at: Timestamp::from_secs(1_772_441_998),
        time: None,
        event_id: "e-7".to_owned(),
    };
    let assigned = state == TicketState::Assigned;
    let input = team(9, "Network", &["vpn"], Vec::new());
    Explained {
        organization: OrganizationId::parse("acme").unwrap(),
        ticket: Ticket {
            id: TicketId::parse("INC-1").unwrap(),
            rev: 3,
            versions: TicketVersions {
                status: Some(Arc::new(version)),
                ..TicketVersions::default()
            },
            status: TicketStatus::Open,
            priority: Priority::High,
            category: Some(Folded::of("VPN")),
            subcategory: None,
            tags: Topics::of(["printers"]),
            created_at: Timestamp::from_secs(1_772_438_400),
            resolved_at: None,
            closed_at: None,
            due_at: Some(Timestamp::from_secs(1_772_470_800)),
            team_id: (state != TicketState::Unrouted).then_some(input.team.id),
            assignee_id: assigned.then(|| UserId::new(Uuid::from_u128(1))),
            state,
            decision: Decision::without_strategy(reason, DECIDED),
        },
        team: (state != TicketState::Unrouted).then_some(input.team),
        people: people().into_iter().map(|user| (user.id, user)).collect(),
        outlook,
    }
}

fn shown(explained: &Explained) -> String {
    text(explained, DECIDED.plus(Duration::from_mins(125)))
}

#[test]
fn assigned_ticket_has_its_reason_and_candidates() {
    let mut explained = explained(TicketState::Assigned, Reason::Strategy, Outlook::Decided);
    let inactive = PassOverReason::Status(UserStatus::Inactive);
    explained.ticket.decision = Decision {
        strategy: Some(QueueStrategy::SkillBased),
        turn: Some(4),
        fallback: Some(QueueStrategy::LeastBusy),
        considered: 3,
        eligible: 2,
        candidates: vec![
            candidate(1, 0, 0),
            candidate(2, 10, 0),
            Candidate {
                pass_over_reason: Some(inactive),
                ..candidate(8, 0, 0)
            },
        ],
        ..explained.ticket.decision.clone()
    };
    assert_eq!(
        shown(&explained),
        "\
INC-1 is assigned to Sam Patel of Network, since 2026-03-02T09:00:00Z (2 h 5 min).

Why         No skill matches; fewest open tickets (0) of 2 eligible members, then the longest wait.
Team        Network (00000000-0000-0000-0000-000000000009), strategy skill_based
Assignee    00000000-0000-0000-0000-000000000001
Decided     2026-03-02T09:00:00Z, turn 4; 2 of 3 members were eligible
Fallback    least_busy in place of skill_based, because no skill matches
Ticket      status open, priority high, created 2026-03-02T08:00:00Z, due 2026-03-02T17:00:00Z
Topics      vpn, printers
Version     2026-03-02T08:59:58.000Z of event e-7; revision 3

The best candidates at the time of the decision:

CANDIDATE                                              USER ID                               OPEN  LAST TURN  SKILLS  WHY NOT
Sam Patel                                              00000000-0000-0000-0000-000000000001  0     2          0       selected
Alex Rivera                                            00000000-0000-0000-0000-000000000002  10    2          0       ranked lower
the unknown user 00000000-0000-0000-0000-000000000008  00000000-0000-0000-0000-000000000008  0     2          0       inactive
"
    );
}

#[test]
fn waiting_ticket_has_its_members_and_reasons() {
    let of = |members| Outlook::Waiting(Some(Box::new(team(9, "Network", &["vpn"], members))));
    let text = |members| {
        let explained = explained(TicketState::Waiting, Reason::NoEligibleMember, of(members));
        shown(&explained)
    };
    let suspended = user(4, "Victor Moreau", UserStatus::Suspended);
    let waiting = text(vec![people().remove(2), suspended]);
    assert!(
        waiting.starts_with(
            "INC-1 waits for an eligible member of Network, since 2026-03-02T09:00:00Z (2 h 5 min).\n"
        ),
        "{waiting}"
    );
    assert!(
        waiting.ends_with(
            "
Who could take it: the first of these members of Network whose status becomes active, or a new member. \
2 tickets wait with this team; the most urgent is assigned first, then the oldest.

MEMBER          USER ID                               OPEN  SKILLS  WHY NOT
Dana Whitfield  00000000-0000-0000-0000-000000000003  1     1       inactive
Victor Moreau   00000000-0000-0000-0000-000000000004  1     1       suspended
"
        ),
        "{waiting}"
    );
    assert!(
        text(people())
            .contains("Who could take it: Sam Patel, Alex Rivera, eligible since the decision.")
    );
    assert!(
        text(Vec::new())
            .contains("Network has no members. The ticket is assigned when an active user joins")
    );
    let swept = explained(
        TicketState::Waiting,
        Reason::NoEligibleMember,
        Outlook::Waiting(None),
    );
    assert!(shown(&swept).contains("Its team was deleted."));
}

#[test]
fn unrouted_ticket_has_the_teams_that_could_take_it() {
    let text = |teams| {
        let outlook = Outlook::Unrouted(teams);
        shown(&explained(
            TicketState::Unrouted,
            Reason::NoTeamMatches,
            outlook,
        ))
    };
    let none = Teams {
        matching: Vec::new(),
        similar: Vec::new(),
        total: 0,
    };
    assert!(text(none).contains("the organization has no teams."));
    let near = team(5, "Workplace", &["Printer"], people());
    let similar = similar_teams(&[&Folded::of("printers")], [&near.team], 5);
    let unrouted = text(Teams {
        matching: Vec::new(),
        similar: similar
            .into_iter()
            .map(|similar| (similar, near.clone()))
            .collect(),
        total: 3,
    });
    assert!(
        unrouted.starts_with(
            "INC-1 has no team and no assignee, since 2026-03-02T09:00:00Z (2 h 5 min).\n"
        ),
        "{unrouted}"
    );
    assert!(
        unrouted.ends_with(
            "
Who could take it: no team has one of these topics. These have similar ones (compared: 3 teams). \
To route it, add one of its topics to the specializations of a team, or send an event that names a team.

TEAM       TEAM ID                               SPECIALIZATION  TOPIC     ELIGIBLE MEMBERS
Workplace  00000000-0000-0000-0000-000000000005  Printer         printers  Sam Patel, Alex Rivera
"
        ),
        "{unrouted}"
    );
    let routed = text(Teams {
        matching: vec![team(6, "Remote", &["VPN"], Vec::new())],
        similar: Vec::new(),
        total: 3,
    });
    assert!(
        routed.ends_with(
            "
TEAM    TEAM ID                               TOPICS  ELIGIBLE MEMBERS
Remote  00000000-0000-0000-0000-000000000006  1       none of 0
"
        ),
        "{routed}"
    );
}

#[test]
fn ticket_without_topics_matches_no_team() {
    let teams = Teams {
        matching: Vec::new(),
        similar: Vec::new(),
        total: 3,
    };
    let outlook = Outlook::Unrouted(teams);
    let mut explained = explained(TicketState::Unrouted, Reason::NoTeamMatches, outlook);
    (explained.ticket.category, explained.ticket.tags) = (None, Topics::default());
    let text = shown(&explained);
    assert!(
        text.contains("Topics      none: the ticket has no category"),
        "{text}"
    );
    assert!(
        text.contains("any team that an event names in team_id"),
        "{text}"
    );
}

#[test]
fn closed_and_deleted_tickets_have_a_sentence() {
    let mut explained = explained(TicketState::Closed, Reason::SeenClosed, Outlook::Decided);
    explained.ticket.status = TicketStatus::Resolved;
    let text = shown(&explained);
    assert!(
        text.starts_with("INC-1 is closed, with status resolved. Its team is Network.\n"),
        "{text}"
    );
    explained.ticket.state = TicketState::Deleted;
    assert_eq!(
        shown(&explained).trim_end(),
        "INC-1 is deleted. The deletion is final, and later events have no effect."
    );
}

#[test]
fn span_has_its_two_largest_units() {
    for (seconds, text) in [
        (0, "0 s"),
        (59, "59 s"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (180_000, "2 d 2 h"),
    ] {
        assert_eq!(span(Duration::from_secs(seconds)), text);
    }
}
