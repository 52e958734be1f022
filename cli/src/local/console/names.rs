//! The names of teams and users, from the local table.

use std::{collections::HashMap, time::Duration};

use muster_domain::{Change, ChangeKind, OrganizationId, TeamId, UserId};
use muster_service::store::Table;
use tokio::time::Instant;

/// The most teams in the cache. Beyond, the cache starts again.
const MAX_TEAMS: usize = 1000;

/// Timeout of a read. The console shows the id of a name that it cannot read.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// A cache of names. A change of a team or of its members removes the team.
pub(super) struct Names {
    table: Table,
    teams: HashMap<(OrganizationId, TeamId), TeamNames>,
}

struct TeamNames {
    name: String,
    members: HashMap<UserId, String>,
}

impl Names {
    pub(super) fn new(table: Table) -> Self {
        Self {
            table,
            teams: HashMap::new(),
        }
    }

    /// Drops the names that a change may replace.
    pub(super) fn forget(&mut self, change: &Change) {
        let team = match &change.kind {
            ChangeKind::Team { before, after } => {
                before.as_ref().or(after.as_ref()).map(|team| team.id)
            }
            ChangeKind::Membership { team_id, .. } | ChangeKind::TeamDeleted { team_id } => {
                Some(*team_id)
            }
            ChangeKind::User { .. } | ChangeKind::Ticket { .. } | ChangeKind::Load { .. } => None,
        };
        if let Some(team) = team {
            self.teams.remove(&(change.organization_id.clone(), team));
        }
    }

    /// Returns the name of a team, or its id if there is no such team. Costs one round trip if the
    /// team is not in the cache.
    pub(super) async fn team(&mut self, org: &OrganizationId, id: TeamId) -> String {
        match self.read(org, id).await {
            Some(team) => team.name.clone(),
            None => id.uuid().to_string(),
        }
    }

    /// Returns the name of a user, or the id if there is none. Costs one round trip if the user is
    /// not a member of the team.
    pub(super) async fn user(
        &mut self,
        org: &OrganizationId,
        team: Option<TeamId>,
        id: UserId,
    ) -> String {
        if let Some(team) = team
            && let Some(names) = self.read(org, team).await
            && let Some(name) = names.members.get(&id)
        {
            return name.clone();
        }
        let store = self.table.until(Instant::now() + READ_TIMEOUT);
        match store.user(org, id).await {
            Ok(Some(user)) if !user.name.is_empty() => user.name,
            _ => id.uuid().to_string(),
        }
    }

    async fn read(&mut self, org: &OrganizationId, id: TeamId) -> Option<&TeamNames> {
        let key = (org.clone(), id);
        if !self.teams.contains_key(&key) {
            let store = self.table.until(Instant::now() + READ_TIMEOUT);
            let (roster, _) = store.team(org, id).await.ok()?;
            if self.teams.len() >= MAX_TEAMS {
                self.teams.clear();
            }
            let members = roster.members.into_iter();
            let names = TeamNames {
                name: roster.team.name.as_str().to_owned(),
                members: members
                    .map(|member| (member.user.id, member.user.name))
                    .collect(),
            };
            self.teams.insert(key.clone(), names);
        }
        self.teams.get(&key)
    }
}
