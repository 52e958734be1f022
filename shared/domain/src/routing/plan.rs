//! A batch: every ticket settled, and what that writes, in as few transactions as the table's limit
//! allows.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Known, Missing, TeamState, Work,
    settle::{Chosen, Outcome, Settled, settle},
};
use crate::{
    LoadDelta, MemberDelta, Past, TeamId, Ticket, TicketId, TicketState, Timestamp, UserId,
};

/// The most items that a transaction may write.
pub const MAX_WRITES: usize = 100;

/// From one turn to another: written only if the first still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// As it was read.
    pub from: u64,
    /// As it will be.
    pub to: u64,
}

/// What a transaction does to a team's load, or to what a deleted team left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadWrite {
    /// Whether the team was deleted.
    pub is_gone: bool,
    /// By how much the counters move.
    pub delta: LoadDelta,
    /// The decisions that it counts, if there are any.
    pub turn: Option<Turn>,
    /// Whether it has to be written even if nothing moves, since a ticket or a membership comes in
    /// on condition that the team is there.
    is_entered: bool,
}

/// The item that holds the counters of a user in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// A membership.
    Member,
    /// The counters of a user who is not a member.
    Past,
    /// Counters to create, on condition that neither they nor a membership exist.
    New(Past),
}

/// The change of a user's counters in a team by one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberWrite {
    /// By how much the counters move.
    pub delta: MemberDelta,
    /// The turns of the member's latest decision before and after, if there are any.
    pub turn: Option<Turn>,
    /// The item that holds the counters.
    pub counted: Counted,
}

impl MemberWrite {
    /// Returns the number of items in the transaction: one that creates counters checks that there
    /// is no membership.
    #[must_use]
    pub fn items(&self) -> usize {
        match self.counted {
            Counted::Member | Counted::Past => 1,
            Counted::New(_) => 2,
        }
    }
}

/// How many tickets were decided about, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decided {
    /// Given to somebody by a team's strategy.
    pub assigned: usize,
    /// Found without a team.
    pub unrouted: usize,
    /// Begun to wait with a team.
    pub begun_waiting: usize,
    /// Events that changed nothing because newer ones have set the fields that they mention.
    pub superseded: usize,
}

/// Tickets that are written together, and everything that moves with them.
#[derive(Debug, Clone, Default)]
pub struct Writes {
    /// The positions, in the batch, of what it settles.
    pub work: Vec<usize>,
    /// The tickets, each with the revision that was read.
    pub tickets: Vec<(Option<u64>, Ticket)>,
    /// Loads, by team.
    pub loads: BTreeMap<TeamId, LoadWrite>,
    /// Counters of members and of other users, by team and user.
    pub members: BTreeMap<(TeamId, UserId), MemberWrite>,
    /// The decisions among them.
    pub decided: Decided,
}

/// What to write for a batch.
#[derive(Debug, Default)]
pub struct Plan {
    /// By team: its transactions in order, each made over what the one before leaves. Those of
    /// different teams can be written at once.
    pub groups: Vec<Vec<Writes>>,
    /// The positions of what needs no writing.
    pub nothing_to_do: Vec<usize>,
    /// The number of superseded events among what needs no writing.
    pub superseded: usize,
}

/// Plans a batch over what is known, where no ticket may come twice.
///
/// # Errors
/// What has to be read first.
pub fn plan(
    work: &[Work],
    tickets: &BTreeMap<TicketId, Ticket>,
    known: &Known,
    now: Timestamp,
) -> Result<Plan, Missing> {
    let mut after = known.clone();
    let mut missing = Missing::default();
    let mut plan = Plan::default();
    let mut groups: BTreeMap<Option<TeamId>, Vec<(usize, Settled, usize)>> = BTreeMap::new();
    for (position, work) in work.iter().enumerate() {
        match settle(tickets.get(&work.ticket_id), work, &mut after, now) {
            Ok(Outcome {
                settled: Some(settled),
                superseded,
            }) => {
                let left = settled.before.as_ref().and_then(|before| before.team_id);
                groups
                    .entry(settled.after.team_id.or(left))
                    .or_default()
                    .push((position, settled, superseded));
            }
            Ok(Outcome {
                settled: None,
                superseded,
            }) => {
                plan.nothing_to_do.push(position);
                plan.superseded += superseded;
            }
            Err(more) => missing.add(more),
        }
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    plan.groups = groups
        .into_values()
        .map(|settled| writes(settled, known))
        .collect();
    Ok(plan)
}

/// Cuts a team's tickets into transactions within the limit.
fn writes(settled: Vec<(usize, Settled, usize)>, known: &Known) -> Vec<Writes> {
    let mut cut = Vec::new();
    let mut current = Writes::default();
    for (position, settled, superseded) in settled {
        if current.items_with(&settled) > MAX_WRITES {
            cut.push(std::mem::take(&mut current));
        }
        current.add(position, settled, known);
        current.decided.superseded += superseded;
    }
    if !current.work.is_empty() {
        cut.push(current);
    }
    cut.iter_mut().for_each(Writes::drop_what_cancels_out);
    cut
}

impl Writes {
    /// Returns the number of items of the transaction, those included that it only checks.
    #[must_use]
    pub fn items(&self) -> usize {
        self.tickets.len()
            + self.loads.len()
            + self.members.values().map(MemberWrite::items).sum::<usize>()
    }

    /// Returns the largest number of items that it would have with this ticket too.
    fn items_with(&self, settled: &Settled) -> usize {
        let touched = || settled.before.iter().chain([&settled.after]);
        let checked = settled.adopted.as_ref().and(settled.after.team_id);
        let loads: BTreeSet<_> = touched()
            .filter_map(|ticket| Some(ticket.adds_to_team()?.0))
            .chain(checked)
            .collect();
        let members: BTreeSet<_> = touched()
            .filter_map(|ticket| ticket.adds_to_member().map(|(team, user, _)| (team, user)))
            .collect();
        let more_loads = loads
            .iter()
            .filter(|team| !self.loads.contains_key(team))
            .count();
        let more_members = members
            .iter()
            .filter(|seat| !self.members.contains_key(seat))
            .count();
        // Beside the counters that it creates, it checks that there is no membership.
        let checks = usize::from(settled.adopted.is_some());
        self.items() + 1 + more_loads + more_members + checks
    }

    fn add(&mut self, position: usize, settled: Settled, known: &Known) {
        let Settled {
            before,
            after,
            chosen,
            adopted,
        } = settled;
        let added = |ticket: &Ticket| (ticket.adds_to_team(), ticket.adds_to_member());
        let (left, left_member) = before.as_ref().map(added).unwrap_or_default();
        let (entered, entered_member) = added(&after);
        if let Some((team, delta)) = left {
            self.count_load(team, delta.negated(), false, known);
        }
        if let Some((team, user, delta)) = left_member {
            self.count_member(team, user, delta.negated(), known);
        }
        if let Some((team, delta)) = entered {
            let stays = left.is_some_and(|(left, _)| left == team);
            self.count_load(team, delta, !stays, known);
        }
        if let Some((team, user, delta)) = entered_member {
            self.count_member(team, user, delta, known);
            if let (Some(past), Some(write)) = (adopted, self.members.get_mut(&(team, user))) {
                write.counted = Counted::New(past);
                // One that was closed when it was first seen may add nothing to the team, and still
                // no counters may be created behind a sweep.
                self.count_load(team, LoadDelta::default(), true, known);
            }
        }
        if let Some(Chosen {
            team,
            user,
            turn,
            last_turn,
        }) = chosen
        {
            if let Some(write) = self.loads.get_mut(&team) {
                write.turn = Some(Turn {
                    from: write.turn.map_or(turn - 1, |turn| turn.from),
                    to: turn,
                });
            }
            if let Some(write) = self.members.get_mut(&(team, user)) {
                write.turn = Some(Turn {
                    from: write.turn.map_or(last_turn, |turn| turn.from),
                    to: turn,
                });
            }
        }
        let place = |ticket: &Ticket| (ticket.state, ticket.team_id);
        let has_moved = before.as_ref().map(place) != Some(place(&after));
        self.decided.assigned += usize::from(chosen.is_some());
        self.decided.unrouted += usize::from(has_moved && after.state == TicketState::Unrouted);
        self.decided.begun_waiting += usize::from(has_moved && after.state == TicketState::Waiting);
        self.work.push(position);
        self.tickets.push((before.map(|before| before.rev), after));
    }

    fn count_load(&mut self, team: TeamId, delta: LoadDelta, enters: bool, known: &Known) {
        let (is_gone, delta) = match known.teams.get(&team) {
            Some(TeamState::Present(_)) => (false, delta),
            // Nobody is shown a deleted team's SLA figures.
            Some(TeamState::Gone) => (
                true,
                LoadDelta {
                    sla_met: 0,
                    sla_due: 0,
                    ..delta
                },
            ),
            Some(TeamState::Absent) | None => return,
        };
        let none = LoadWrite {
            is_gone,
            delta: LoadDelta::default(),
            turn: None,
            is_entered: false,
        };
        let write = self.loads.entry(team).or_insert(none);
        write.delta = write.delta.plus(delta);
        write.is_entered |= enters;
    }

    fn count_member(&mut self, team: TeamId, user: UserId, delta: MemberDelta, known: &Known) {
        // Memberships go with their team, figures and all.
        if let Some(TeamState::Present(desk)) = known.teams.get(&team) {
            // Counters that an earlier transaction of the batch creates exist when this one is
            // written.
            let counted = if desk.seat(user).is_some() {
                Counted::Member
            } else {
                Counted::Past
            };
            let none = MemberWrite {
                delta: MemberDelta::default(),
                turn: None,
                counted,
            };
            let write = self.members.entry((team, user)).or_insert(none);
            write.delta = write.delta.plus(delta);
        }
    }

    fn drop_what_cancels_out(&mut self) {
        self.loads.retain(|_, write| {
            write.delta != LoadDelta::default() || write.turn.is_some() || write.is_entered
        });
        self.members.retain(|_, write| {
            write.delta != MemberDelta::default()
                || write.turn.is_some()
                || matches!(write.counted, Counted::New(_))
        });
    }
}
