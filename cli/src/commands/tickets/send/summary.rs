//! The sums of a file that was sent and processed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    time::Duration,
};

use futures_util::future::try_join_all;
use muster_domain::{OrganizationId, TeamId, Ticket, TicketState, UserId};
use muster_service::store::{Error, Store};
use serde_json::{Value, json};

use super::wait::{Target, Waited};

/// The maximum number of tickets that are listed for each state in the text for people.
const MAX_LISTED: usize = 20;

/// The names of the teams and users of the tickets.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub teams: HashMap<(OrganizationId, TeamId), String>,
    pub users: HashMap<(OrganizationId, UserId), String>,
}

impl Names {
    /// Reads the names of the teams and assignees of these tickets. One round trip: one call for
    /// each 100 teams and each 100 users of an organization, in parallel.
    pub(super) async fn read(
        store: &Store,
        tickets: &[(OrganizationId, Ticket)],
    ) -> Result<Self, Error> {
        let mut teams: BTreeMap<&OrganizationId, BTreeSet<TeamId>> = BTreeMap::new();
        let mut users: BTreeMap<&OrganizationId, BTreeSet<UserId>> = BTreeMap::new();
        for (organization, ticket) in tickets {
            teams
                .entry(organization)
                .or_default()
                .extend(ticket.team_id);
            users
                .entry(organization)
                .or_default()
                .extend(ticket.assignee_id);
        }
        let teams = teams.into_iter().map(|(organization, ids)| async move {
            let ids: Vec<_> = ids.into_iter().collect();
            Ok::<_, Error>((organization, store.teams(organization, &ids).await?))
        });
        let users = users.into_iter().map(|(organization, ids)| async move {
            Ok::<_, Error>((organization, store.users(organization, ids).await?))
        });
        let (teams, users) = tokio::try_join!(try_join_all(teams), try_join_all(users))?;
        let mut names = Self::default();
        for (organization, teams) in teams {
            let named = teams
                .into_iter()
                .map(|(id, team)| ((organization.clone(), id), team.name.as_str().to_owned()));
            names.teams.extend(named);
        }
        for (organization, users) in users {
            let named = users
                .into_iter()
                .map(|(id, user)| ((organization.clone(), id), user.name));
            names.users.extend(named);
        }
        Ok(names)
    }

    fn team(&self, organization: &OrganizationId, id: TeamId) -> String {
        let name = self.teams.get(&(organization.clone(), id)).cloned();
        name.unwrap_or_else(|| id.uuid().to_string())
    }

    fn user(&self, organization: &OrganizationId, id: UserId) -> String {
        let name = self.users.get(&(organization.clone(), id)).cloned();
        name.unwrap_or_else(|| id.uuid().to_string())
    }
}

/// The tickets of a team.
#[derive(Debug, Default)]
struct TeamSums {
    assigned: BTreeMap<UserId, u64>,
    waiting: u64,
}

/// The number of tickets in each state, and those without an assignee.
#[derive(Debug, Default)]
pub(super) struct Sums<'w> {
    teams: BTreeMap<(&'w OrganizationId, Option<TeamId>), TeamSums>,
    unrouted: Vec<(&'w OrganizationId, &'w Ticket)>,
    closed: u64,
    deleted: u64,
    rejected: &'w [(Target, String)],
    pending: &'w [Target],
}

impl<'w> Sums<'w> {
    /// Adds up the tickets.
    pub(super) fn of(waited: &'w Waited) -> Self {
        let Waited {
            tickets,
            rejected,
            pending,
            took: _,
        } = waited;
        let mut sums = Self {
            rejected,
            pending,
            ..Self::default()
        };
        for (organization, ticket) in tickets {
            let team = (organization, ticket.team_id);
            match (ticket.state, ticket.assignee_id) {
                (TicketState::Assigned, Some(user)) => {
                    let team = sums.teams.entry(team).or_default();
                    *team.assigned.entry(user).or_default() += 1;
                }
                (TicketState::Waiting | TicketState::Assigned, _) => {
                    sums.teams.entry(team).or_default().waiting += 1;
                }
                (TicketState::Unrouted, _) => sums.unrouted.push((organization, ticket)),
                (TicketState::Closed, _) => sums.closed += 1,
                (TicketState::Deleted, _) => sums.deleted += 1,
            }
        }
        sums
    }

    fn assigned(&self) -> u64 {
        let teams = self.teams.values();
        teams.flat_map(|team| team.assigned.values()).sum()
    }

    fn waiting(&self) -> u64 {
        self.teams.values().map(|team| team.waiting).sum()
    }

    /// Returns the text for people: a line for each state that a ticket has, with the teams and
    /// persons, the reasons, or the tickets below it.
    pub(super) fn text(&self, names: &Names, took: Duration) -> String {
        let mut lines: Vec<(String, u64)> = Vec::new();
        let mut state = |name: &str, count: u64, details: Vec<(String, u64)>| {
            if count > 0 {
                lines.push((name.to_owned(), count));
                lines.extend(details);
            }
        };
        state("Assigned", self.assigned(), self.assigned_lines(names));
        state("Waiting", self.waiting(), self.waiting_lines(names));
        state(
            "Unrouted",
            self.unrouted.len() as u64,
            self.unrouted_lines(),
        );
        state("Closed", self.closed, Vec::new());
        state("Deleted", self.deleted, Vec::new());
        let width = lines.iter().map(|(name, _)| name.chars().count()).max();
        let width = width.unwrap_or(0);
        let mut text = String::new();
        for (name, count) in &lines {
            let _ = writeln!(text, "{name:width$}  {count:>6}");
        }
        let seconds = took.as_secs_f64();
        list(
            &mut text,
            "Dead letters",
            self.rejected
                .iter()
                .map(|(target, reason)| (target, Some(reason.as_str()))),
        );
        let title = format!("Not processed after {seconds:.1} s");
        list(
            &mut text,
            &title,
            self.pending.iter().map(|target| (target, None)),
        );
        if self.waiting() > 0 || !self.unrouted.is_empty() {
            text.push_str("`muster tickets explain ID` says who could take a ticket that waits or has no team.\n");
        }
        text
    }

    fn assigned_lines(&self, names: &Names) -> Vec<(String, u64)> {
        let mut lines = Vec::new();
        for ((organization, team), sums) in &self.teams {
            let of_team: u64 = sums.assigned.values().sum();
            if of_team == 0 {
                continue;
            }
            lines.push((
                format!("  {}", team_name(names, organization, *team)),
                of_team,
            ));
            let users = sums.assigned.iter();
            lines.extend(
                users.map(|(user, count)| {
                    (format!("    {}", names.user(organization, *user)), *count)
                }),
            );
        }
        lines
    }

    fn waiting_lines(&self, names: &Names) -> Vec<(String, u64)> {
        let teams = self.teams.iter().filter(|(_, sums)| sums.waiting > 0);
        teams
            .map(|((organization, team), sums)| {
                (
                    format!("  {}", team_name(names, organization, *team)),
                    sums.waiting,
                )
            })
            .collect()
    }

    fn unrouted_lines(&self) -> Vec<(String, u64)> {
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        for (_, ticket) in &self.unrouted {
            let reason = ticket.decision.explanation();
            *reasons.entry(format!("  {reason}")).or_default() += 1;
        }
        reasons.into_iter().collect()
    }

    /// Returns the document of `--json`.
    pub(super) fn document(&self, names: &Names, took: Duration) -> Value {
        let teams: Vec<_> = self
            .teams
            .iter()
            .map(|((organization, team), sums)| {
                let members: Vec<_> = sums
                    .assigned
                    .iter()
                    .map(|(user, count)| {
                        let (id, name) = (user.uuid().to_string(), names.user(organization, *user));
                        json!({ "id": id, "name": name, "assigned": count })
                    })
                    .collect();
                json!({
                    "organization_id": organization.as_str(),
                    "id": team.map(|id| id.uuid().to_string()),
                    "name": team.map(|id| names.team(organization, id)),
                    "assigned": sums.assigned.values().sum::<u64>(),
                    "waiting": sums.waiting,
                    "members": members,
                })
            })
            .collect();
        let unrouted: Vec<_> = self
            .unrouted
            .iter()
            .map(|(organization, ticket)| {
                let mut document = ticket_document(organization, ticket.id.as_str());
                document["reason"] = json!(ticket.decision.explanation());
                document
            })
            .collect();
        let rejected: Vec<_> = self
            .rejected
            .iter()
            .map(|(target, reason)| {
                let mut document = ticket_document(&target.organization, target.ticket.as_str());
                document["reason"] = json!(reason);
                document
            })
            .collect();
        let pending = self.pending.iter();
        let pending: Vec<_> = pending
            .map(|target| ticket_document(&target.organization, target.ticket.as_str()))
            .collect();
        json!({
            "waited_seconds": took.as_secs_f64(),
            "assigned": self.assigned(),
            "waiting": self.waiting(),
            "unrouted": unrouted.len(),
            "closed": self.closed,
            "deleted": self.deleted,
            "dead_lettered": rejected.len(),
            "pending": pending.len(),
            "teams": teams,
            "unrouted_tickets": unrouted,
            "dead_letters": rejected,
            "pending_tickets": pending,
        })
    }
}

/// Lists tickets, the first [`MAX_LISTED`] by name.
fn list<'t>(
    text: &mut String,
    title: &str,
    tickets: impl ExactSizeIterator<Item = (&'t Target, Option<&'t str>)>,
) {
    let count = tickets.len();
    if count == 0 {
        return;
    }
    let _ = writeln!(text, "{title}: {count}");
    for (target, reason) in tickets.take(MAX_LISTED) {
        let reason = reason
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "  {} of {}{reason}",
            target.ticket, target.organization
        );
    }
    if count > MAX_LISTED {
        let _ = writeln!(text, "  and {} more", count - MAX_LISTED);
    }
}

fn team_name(names: &Names, organization: &OrganizationId, team: Option<TeamId>) -> String {
    team.map_or_else(|| "(no team)".to_owned(), |id| names.team(organization, id))
}

fn ticket_document(organization: &OrganizationId, ticket: &str) -> Value {
    json!({ "organization_id": organization.as_str(), "ticket_id": ticket })
}
