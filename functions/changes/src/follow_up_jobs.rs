//! The follow-up jobs of a change. Jobs are idempotent, so a superfluous job costs one read of the
//! table. The schedule starts a lost job again, because its item is in the pending work.

use muster_contracts::jobs::Job;
use muster_domain::{
    Change, ChangeKind, Load, Member, OrganizationId, Team, TeamId, Ticket, TicketState, User,
    UserId,
};

/// Returns the follow-up jobs of a change.
pub(crate) fn follow_up_jobs(change: &Change) -> Vec<Job> {
    let org = &change.organization_id;
    match &change.kind {
        ChangeKind::Team { before, after } => after_team(org, before.as_ref(), after.as_ref()),
        ChangeKind::Load {
            team_id,
            before,
            after,
        } => after_load(org, *team_id, before.as_ref(), after.as_ref()),
        ChangeKind::TeamDeleted { team_id } => {
            vec![Job::sweep(org, *team_id, 0)]
        }
        ChangeKind::Membership {
            team_id,
            before,
            after,
        } => after_membership(org, *team_id, before.as_ref(), after.as_ref()),
        ChangeKind::User {
            user_id,
            before,
            after,
        } => after_user(org, *user_id, before.as_ref(), after.as_ref()),
        ChangeKind::Ticket { before, after } => after_ticket(org, before.as_ref(), after.as_ref()),
    }
}

/// Indexes the specializations of a team when they change. Sweeps a deleted team.
fn after_team(org: &OrganizationId, before: Option<&Team>, after: Option<&Team>) -> Vec<Job> {
    let Some(after) = after else {
        return Vec::new();
    };
    let known = before.map_or(&[][..], |before| before.specializations.as_slice());
    if known == after.specializations.as_slice() {
        return Vec::new();
    }
    vec![Job::index_specializations(org, after.id)]
}

/// Drains a team when its count of waiting tickets rises: a member may have become eligible
/// concurrently with the decision.
fn after_load(
    org: &OrganizationId,
    team: TeamId,
    before: Option<&Load>,
    after: Option<&Load>,
) -> Vec<Job> {
    let waiting = |load: Option<&Load>| load.map_or(0, |load| load.waiting_tickets);
    if waiting(after) > waiting(before) {
        vec![Job::drain(org, team, 0)]
    } else {
        Vec::new()
    }
}

/// Drains the team of a ticket that begins to wait. The count of the team may be unchanged, if
/// another ticket stopped waiting in the same transaction.
fn after_ticket(org: &OrganizationId, before: Option<&Ticket>, after: Option<&Ticket>) -> Vec<Job> {
    let waits_with = |ticket: &Ticket| {
        ticket
            .team_id
            .filter(|_| ticket.state == TicketState::Waiting)
    };
    match (before.and_then(waits_with), after.and_then(waits_with)) {
        (before, Some(team)) if before != Some(team) => vec![Job::drain(org, team, 0)],
        _ => Vec::new(),
    }
}

/// Drains a team when a member becomes eligible. The profile needs no copy: joining and returning
/// have the latest profile as a condition.
fn after_membership(
    org: &OrganizationId,
    team: TeamId,
    before: Option<&Member>,
    after: Option<&Member>,
) -> Vec<Job> {
    let is_eligible = |member: Option<&Member>| member.is_some_and(Member::is_eligible);
    if is_eligible(after) && !is_eligible(before) {
        vec![Job::drain(org, team, 0)]
    } else {
        Vec::new()
    }
}

/// Copies a changed profile. A new profile needs one pass: only a user with a profile can be a
/// member.
fn after_user(
    org: &OrganizationId,
    user: UserId,
    before: Option<&User>,
    after: Option<&User>,
) -> Vec<Job> {
    if before == after {
        return Vec::new();
    }
    vec![Job::copy_profile(org, user, before.is_none())]
}

#[cfg(test)]
mod tests {
    use muster_domain::{NewTeam, QueueStrategy, Tags, TeamName, Timestamp, UserStatus};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_736_064_000);

    fn org() -> OrganizationId {
        OrganizationId::parse("org").unwrap()
    }

    fn team_id() -> TeamId {
        TeamId::parse("a1b2c3d4-e5f6-7890-abcd-ef1234567890").unwrap()
    }

    fn following(kind: ChangeKind) -> Vec<Job> {
        follow_up_jobs(&Change {
            record: "a record".to_owned(),
            organization_id: org(),
            at: NOW,
            kind,
        })
    }

    fn alex() -> User {
        User {
            id: UserId::parse("f6e5d4c3-b2a1-0987-fedc-ba9876543210").unwrap(),
            name: "Alex Rivera".to_owned(),
            email: "arivera@acme.com".to_owned(),
            role: "agent".to_owned(),
            avatar_url: None,
            status: UserStatus::Active,
            version: 3,
        }
    }

    fn team_with(tags: &[&str]) -> Team {
        let new = NewTeam {
            name: TeamName::parse("Network Operations").unwrap(),
            description: None,
            lead_id: None,
            queue_strategy: QueueStrategy::RoundRobin,
            specializations: Tags::parse(tags).unwrap(),
        };
        Team::create(team_id(), org(), new, NOW)
    }

    #[test]
    fn team_is_indexed_when_its_specializations_change() {
        let index = vec![Job::index_specializations(&org(), team_id())];
        for (before, after, expected) in [
            (None, Some(team_with(&[])), vec![]),
            (None, Some(team_with(&["VPN"])), index.clone()),
            (
                Some(team_with(&["VPN"])),
                Some(team_with(&["DNS"])),
                index.clone(),
            ),
            (
                Some(team_with(&["VPN"])),
                Some(team_with(&[])),
                index.clone(),
            ),
            // The write has set a mark, which the job removes.
            (
                Some(team_with(&["VPN", "DNS"])),
                Some(team_with(&["dns", "vpn"])),
                index,
            ),
            (
                Some(team_with(&["VPN"])),
                Some(Team {
                    version: 2,
                    ..team_with(&["VPN"])
                }),
                vec![],
            ),
            (Some(team_with(&["VPN"])), None, vec![]),
        ] {
            assert_eq!(following(ChangeKind::Team { before, after }), expected);
        }
    }

    #[test]
    fn deleted_team_is_swept() {
        let team = team_id().uuid().to_string();
        let sweep = Job::SweepTeam {
            organization_id: "org".to_owned(),
            team_id: team,
            empty_reads: 0,
        };
        assert_eq!(
            following(ChangeKind::TeamDeleted { team_id: team_id() }),
            [sweep]
        );
    }

    #[test]
    fn team_is_drained_when_more_tickets_wait() {
        let load = |waiting_tickets| {
            Some(Load {
                waiting_tickets,
                ..Load::default()
            })
        };
        for (before, after, drains) in [
            (None, load(0), false),
            (None, load(1), true),
            (load(0), load(1), true),
            (load(2), load(2), false),
            (load(2), load(1), false),
            (load(2), None, false),
        ] {
            let jobs = following(ChangeKind::Load {
                team_id: team_id(),
                before,
                after,
            });
            assert_eq!(
                jobs,
                if drains {
                    vec![Job::drain(&org(), team_id(), 0)]
                } else {
                    vec![]
                },
                "{before:?} {after:?}"
            );
        }
    }

    #[test]
    fn team_is_drained_when_a_member_becomes_eligible() {
        let with = |status| {
            let mut member = Member::joining(alex(), Tags::default(), None, 0, NOW).unwrap();
            member.user.status = status;
            Some(member)
        };
        let (present, idle) = (with(UserStatus::Active), with(UserStatus::Inactive));
        for (before, after, drains) in [
            (&None, &present, true),
            (&None, &idle, false),
            (&idle, &present, true),
            (&present, &idle, false),
            (&present, &present, false),
            (&present, &None, false),
        ] {
            let kind = ChangeKind::Membership {
                team_id: team_id(),
                before: before.clone(),
                after: after.clone(),
            };
            let expected = if drains {
                vec![Job::drain(&org(), team_id(), 0)]
            } else {
                vec![]
            };
            assert_eq!(following(kind), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn profile_is_copied_when_it_changes() {
        let newer = User {
            version: 4,
            ..alex()
        };
        let copy = |second_pass| Job::copy_profile(&org(), alex().id, second_pass);
        for (before, after, expected) in [
            (None, Some(alex()), vec![copy(true)]),
            (Some(alex()), Some(newer), vec![copy(false)]),
            (Some(alex()), None, vec![copy(false)]),
            (Some(alex()), Some(alex()), vec![]),
        ] {
            assert_eq!(
                following(ChangeKind::User {
                    user_id: alex().id,
                    before,
                    after
                }),
                expected
            );
        }
    }
}
