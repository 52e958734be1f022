//! The writes of a batch, in transactions within DynamoDB's limit.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{
    reconcile::{PlannedTicket, SelectedMember},
    state::{Contribution, Counters, LoadItem, MemberContribution, TeamContribution},
};
use crate::{LoadDelta, MemberDelta, PastCounters, TeamId, Ticket, TicketState, UserId};

/// The largest number of items in a DynamoDB transaction.
///
/// AWS: *Amazon DynamoDB Transactions: How it works*,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>.
pub const MAX_WRITES: usize = 100;

/// The largest number of items that one ticket adds to a transaction: the ticket, two loads, two
/// counter items, and the checks of a placeholder.
const MAX_ITEMS_OF_TICKET: usize = 7;

/// The advance of a turn. The write is conditional on `from`, so of two plans over the same turn
/// one commits, and the other one conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnAdvance {
    /// The turn that was read.
    pub from: u64,
    /// The turn to write.
    pub to: u64,
}

/// The write of a transaction to a team's load, or to the tombstone of a deleted team.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadWrite {
    /// Whether the team was deleted, so that its tombstone has the counters.
    pub is_deleted: bool,
    /// The change of the counters.
    pub delta: LoadDelta,
    /// The advance by the decisions of the transaction, if there are any.
    pub turn: Option<TurnAdvance>,
    /// Whether the transaction is conditional on the load even if no counter moves: a ticket or a
    /// placeholder enters the team. Without the condition, it could enter behind the sweep of a
    /// deleted team, and no job would find it.
    pub(super) requires_team: bool,
}

/// The item that has the counters of a user in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CounterItem {
    /// The membership.
    Membership,
    /// The past counters of a user that is not a member.
    PastCounters,
    /// Past counters to create, on condition that neither they nor a membership exist.
    NewPastCounters(PastCounters),
}

/// The write of a transaction to the counters of a user in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberWrite {
    /// The change of the counters.
    pub delta: MemberDelta,
    /// The advance of the member's `last_turn`, if the transaction has a decision for the member.
    pub turn: Option<TurnAdvance>,
    /// The item that has the counters.
    pub counter_item: CounterItem,
}

impl MemberWrite {
    /// Returns the number of items in the transaction. The creation of counters also checks that
    /// there is no membership.
    #[must_use]
    pub fn items(&self) -> usize {
        match self.counter_item {
            CounterItem::Membership | CounterItem::PastCounters => 1,
            CounterItem::NewPastCounters(_) => 2,
        }
    }
}

/// The numbers of decisions, for the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecisionCounts {
    /// Tickets that a strategy assigned.
    pub assigned: usize,
    /// Tickets that became unrouted.
    pub unrouted: usize,
    /// Tickets that began to wait with a team.
    pub begun_waiting: usize,
    /// Superseded events: newer events have set every field that they mention.
    pub superseded: usize,
}

/// The writes of one transaction: tickets, and the counters that they change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionPlan {
    /// The positions of the tasks in the batch.
    pub tasks: Vec<usize>,
    /// The tickets, each with the revision that was read; `None` for a new ticket.
    pub tickets: Vec<(Option<u64>, Box<Ticket>)>,
    /// Loads, by team.
    pub loads: BTreeMap<TeamId, LoadWrite>,
    /// Counters of members and of other users, by team and user.
    pub members: BTreeMap<(TeamId, UserId), MemberWrite>,
    /// The decisions of the transaction.
    pub decisions: DecisionCounts,
}

impl TransactionPlan {
    /// Returns the number of items of the transaction, condition checks included.
    #[must_use]
    pub fn items(&self) -> usize {
        self.tickets.len()
            + self.loads.len()
            + self.members.values().map(MemberWrite::items).sum::<usize>()
    }
}

/// Collects the tickets of a team into transactions within the limit.
#[derive(Default)]
pub(super) struct Transactions {
    full: Vec<TransactionPlan>,
    last: TransactionPlan,
    /// The number of items of `last`.
    items: usize,
}

impl Transactions {
    /// Adds a ticket and the change of its counters.
    pub(super) fn add(&mut self, position: usize, planned: PlannedTicket<'_>, superseded: usize) {
        let may_exceed = self.items + MAX_ITEMS_OF_TICKET > MAX_WRITES;
        if may_exceed && self.items + self.more_items(&planned) > MAX_WRITES {
            self.full.push(std::mem::take(&mut self.last));
            self.items = 0;
        }
        let PlannedTicket {
            before,
            after,
            left,
            entered,
            selected,
            placeholder,
        } = planned;
        self.count(&left, &entered, selected, placeholder);
        let place = |ticket: &Ticket| (ticket.state, ticket.team_id);
        let has_moved = before.map(place) != Some(place(&after));
        let began = |state| usize::from(has_moved && after.state == state);
        let decisions = &mut self.last.decisions;
        decisions.assigned += usize::from(selected.is_some());
        decisions.unrouted += began(TicketState::Unrouted);
        decisions.begun_waiting += began(TicketState::Waiting);
        decisions.superseded += superseded;
        self.last.tasks.push(position);
        self.last
            .tickets
            .push((before.map(|before| before.rev), after));
        self.items += 1;
    }

    /// Returns the transactions, without writes that change nothing.
    pub(super) fn finish(self) -> Vec<TransactionPlan> {
        let Self {
            full: mut transactions,
            last,
            items: _,
        } = self;
        if !last.tasks.is_empty() {
            transactions.push(last);
        }
        transactions
            .iter_mut()
            .for_each(TransactionPlan::drop_empty_writes);
        transactions
    }

    /// Returns an upper bound of the number of items that a ticket adds.
    fn more_items(&self, planned: &PlannedTicket<'_>) -> usize {
        let PlannedTicket {
            before: _,
            after,
            left,
            entered,
            selected: _,
            placeholder,
        } = planned;
        let team = |contribution: &Contribution| contribution.team.map(|of_team| of_team.team);
        // The placeholder is conditional on the load of its team.
        let checked = placeholder.as_ref().and(after.team_id);
        let loads = [team(left), team(entered), checked];
        let member = |contribution: &Contribution| {
            let MemberContribution { team, user, .. } = contribution.member?;
            Some((team, user))
        };
        let members = [member(left), member(entered)];
        let more_loads = new_keys(&loads, &self.last.loads);
        let more_members = new_keys(&members, &self.last.members);
        // The creation of a placeholder also checks that there is no membership.
        let checks = usize::from(placeholder.is_some());
        1 + more_loads + more_members + checks
    }

    /// Moves the counters by the contribution of a ticket after, less that before, and advances the
    /// turns of a decision.
    fn count(
        &mut self,
        left: &Contribution,
        entered: &Contribution,
        selected: Option<SelectedMember>,
        placeholder: Option<PastCounters>,
    ) {
        if let Some(of_team) = left.team {
            self.count_load(of_team, of_team.delta.negated(), false);
        }
        if let Some(of_member) = left.member {
            self.count_member(of_member, of_member.delta.negated(), None);
        }
        if let Some(of_team) = entered.team {
            let stays = left.team.is_some_and(|left| left.team == of_team.team);
            if let Some(write) = self.count_load(of_team, of_team.delta, !stays)
                && let Some(SelectedMember { turn, .. }) = selected
            {
                write.turn = Some(advance(write.turn, turn - 1, turn));
            }
        }
        if let Some(of_member) = entered.member {
            self.count_member(of_member, of_member.delta, selected);
            if let Some(past) = placeholder {
                self.create_past_counters(of_member, past);
            }
        }
    }

    /// Moves the counters of a load, or of the tombstone of a deleted team.
    fn count_load(
        &mut self,
        of_team: TeamContribution,
        delta: LoadDelta,
        requires_team: bool,
    ) -> Option<&mut LoadWrite> {
        let delta = match of_team.item? {
            LoadItem::Load => delta,
            // The tombstone has no SLA counters: no endpoint shows those of a deleted team.
            LoadItem::Tombstone => LoadDelta {
                sla_met: 0,
                sla_due: 0,
                ..delta
            },
        };
        let write = match self.last.loads.entry(of_team.team) {
            Entry::Occupied(write) => write.into_mut(),
            Entry::Vacant(place) => {
                self.items += 1;
                place.insert(LoadWrite {
                    is_deleted: of_team.item == Some(LoadItem::Tombstone),
                    ..LoadWrite::default()
                })
            }
        };
        write.delta = write.delta.plus(delta);
        write.requires_team |= requires_team;
        Some(write)
    }

    /// Moves the counters of a user in a team, and advances the member's turn by a decision.
    fn count_member(
        &mut self,
        of_member: MemberContribution,
        delta: MemberDelta,
        selected: Option<SelectedMember>,
    ) {
        let counter_item = match of_member.counters {
            Some(Counters::Member(_)) => CounterItem::Membership,
            // An earlier transaction of the batch may create the counters. They exist when this
            // one is written.
            Some(Counters::Past | Counters::Absent) => CounterItem::PastCounters,
            // The sweep of a deleted team removes its memberships with their counters.
            None => return,
        };
        let write = match self.last.members.entry((of_member.team, of_member.user)) {
            Entry::Occupied(write) => write.into_mut(),
            Entry::Vacant(place) => {
                self.items += 1;
                place.insert(MemberWrite {
                    delta: MemberDelta::default(),
                    turn: None,
                    counter_item,
                })
            }
        };
        write.delta = write.delta.plus(delta);
        if let Some(SelectedMember {
            turn, last_turn, ..
        }) = selected
        {
            write.turn = Some(advance(write.turn, last_turn, turn));
        }
    }

    /// Creates the past counters of a user in a team that exists.
    ///
    /// A ticket that was closed in its first event may change no counter of the load. The creation
    /// still requires the team: a sweep that has passed would not remove the counters.
    fn create_past_counters(&mut self, of_member: MemberContribution, past: PastCounters) {
        let MemberContribution { team, user, .. } = of_member;
        if let Some(write) = self.last.members.get_mut(&(team, user)) {
            let before = write.items();
            write.counter_item = CounterItem::NewPastCounters(past);
            self.items += write.items() - before;
        }
        let load = TeamContribution {
            team,
            delta: LoadDelta::default(),
            item: Some(LoadItem::Load),
        };
        self.count_load(load, load.delta, true);
    }
}

/// Advances a turn. Several decisions of one transaction are one advance: from the turn that was
/// read to that of the last decision.
fn advance(before: Option<TurnAdvance>, read: u64, turn: u64) -> TurnAdvance {
    let from = before.map_or(read, |before| before.from);
    TurnAdvance { from, to: turn }
}

/// Returns the number of different keys that a map does not have.
fn new_keys<K: Ord, V, const N: usize>(keys: &[Option<K>; N], map: &BTreeMap<K, V>) -> usize {
    let is_new = |(at, key): &(usize, &Option<K>)| {
        key.as_ref().is_some_and(|key| {
            !map.contains_key(key) && !keys[..*at].iter().flatten().any(|other| other == key)
        })
    };
    keys.iter().enumerate().filter(is_new).count()
}

impl TransactionPlan {
    /// Drops writes with changes that cancel out. They cost write units, and their conditions could
    /// conflict with other transactions.
    pub(super) fn drop_empty_writes(&mut self) {
        self.loads.retain(|_, write| {
            write.delta != LoadDelta::default() || write.turn.is_some() || write.requires_team
        });
        self.members.retain(|_, write| {
            write.delta != MemberDelta::default()
                || write.turn.is_some()
                || matches!(write.counter_item, CounterItem::NewPastCounters(_))
        });
    }
}
