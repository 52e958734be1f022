//! Tickets: reading the input of a plan, and committing the plan.

use std::collections::BTreeMap;

use super::{
    Error, Store,
    access::run_concurrently,
    error::CommitError,
    expression::{self, Values, n, s},
    items::{self, PastItem, TicketItem},
    keys,
    pending_work::{MARK, mark_values},
    transaction::{Transaction, conflict},
};
use muster_domain::{
    LoadDelta, MemberDelta, OrganizationId, PastCounters, Resolved, TeamId, Ticket, TicketId,
    TicketState, Timestamp, UserId, UserStatus,
    routing::{
        CounterItem, LoadWrite, MemberWrite, MissingInput, PlanningInput, TransactionPlan,
        TurnAdvance,
    },
};

/// The tickets of an organization that a read found.
pub struct TicketsRead {
    /// True if the organization exists.
    pub organization_exists: bool,
    /// The tickets, by id.
    pub by_id: BTreeMap<TicketId, Ticket>,
}

impl Store {
    /// Reads tickets, and checks that their organization exists, strongly consistent. One round
    /// trip: one call for up to 99 tickets and one for each further 100, in parallel.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn tickets(
        &self,
        org: &OrganizationId,
        ids: impl IntoIterator<Item = &TicketId>,
    ) -> Result<TicketsRead, Error> {
        let organization = keys::organization(org);
        let keys: Vec<_> = std::iter::once(&organization)
            .map(keys::Key::attributes)
            .chain(ids.into_iter().map(|id| keys::ticket(org, id).attributes()))
            .collect();
        let read = self.get_all(&keys).await?;
        let mut tickets = TicketsRead {
            organization_exists: false,
            by_id: BTreeMap::new(),
        };
        for item in read {
            if items::text(&item, "sk") == Some(&organization.sk) {
                tickets.organization_exists = true;
            } else {
                let ticket = items::ticket(item)?;
                tickets.by_id.insert(ticket.id.clone(), ticket);
            }
        }
        Ok(tickets)
    }

    /// Reads the teams and past counters that a plan lacks, in parallel. One round trip, and one
    /// more for a team that is being created or deleted.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Internal`].
    pub async fn load_missing(
        &self,
        org: &OrganizationId,
        missing: MissingInput,
        known: &mut PlanningInput,
    ) -> Result<(), Error> {
        let MissingInput {
            teams,
            unmatched_tickets: _,
            past_counters,
        } = missing;
        let team = async |id| Ok((id, self.team_lookup(org, id).await?));
        let (teams, found) = tokio::try_join!(
            run_concurrently(teams.into_iter().map(team).collect()),
            self.pasts(org, &past_counters),
        )?;
        known.teams.extend(teams);
        known.add_past_counters(past_counters, found);
        Ok(())
    }

    /// Commits a plan: tickets, loads, memberships and past counters. One round trip: one
    /// transaction. One more to mark the organization, once an hour, if a ticket is unrouted. `now`
    /// is the time of this mark, and of the mark of loads in which tickets begin to wait.
    ///
    /// Every ticket has the condition of its `rev`, so an event that another invocation has applied
    /// causes a conflict. A decision has the condition of the load's `turn`, and of the selected
    /// member's `last_turn` and status, so concurrent invocations cannot both commit a decision of
    /// one team. Counters change by `ADD`, so writes without a decision do not conflict over them.
    pub(crate) async fn commit_plan(
        &self,
        org: &OrganizationId,
        writes: &TransactionPlan,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let TransactionPlan {
            tasks: _,
            tickets,
            loads,
            members,
            decisions: _,
        } = writes;
        if tickets
            .iter()
            .any(|(_, ticket)| ticket.state == TicketState::Unrouted)
        {
            self.mark_stock(org, now).await?;
        }
        let mut transaction = Transaction::new(self);
        for (rev, ticket) in tickets {
            let item = TicketItem::new(org, ticket);
            match rev {
                Some(rev) => {
                    let as_read = expression::values([(":rev", n(*rev))]);
                    transaction.put(item, "#rev = :rev", Some(as_read), conflict)?;
                }
                None => transaction.put(item, "attribute_not_exists(#pk)", None, conflict)?,
            }
        }
        for (team, write) in loads {
            write_load(&mut transaction, org, *team, *write, now)?;
        }
        for ((team, user), write) in members {
            write_member(&mut transaction, org, *team, *user, write)?;
        }
        transaction.commit().await
    }
}

/// An update of counters. Its condition keeps each counter at zero or above, so a wrong counter
/// stops the writes that would make it negative.
struct CounterUpdate {
    set: Vec<String>,
    add: Vec<String>,
    conditions: Vec<String>,
    values: Values,
}

impl CounterUpdate {
    fn new<const N: usize>(counters: [(&str, i64); N]) -> Self {
        let mut counters_update = Self {
            set: Vec::new(),
            add: Vec::new(),
            conditions: vec!["attribute_exists(#pk)".to_owned()],
            values: Values::new(),
        };
        for (counter, delta) in counters.into_iter().filter(|(_, delta)| *delta != 0) {
            counters_update.add.push(format!("#{counter} :{counter}"));
            counters_update
                .values
                .insert(format!(":{counter}"), n(delta));
            if delta < 0 {
                counters_update
                    .conditions
                    .push(format!("#{counter} >= :least_{counter}"));
                counters_update
                    .values
                    .insert(format!(":least_{counter}"), n(delta.unsigned_abs()));
            }
        }
        counters_update
    }

    /// Advances a turn, on condition that it is the one that was read.
    fn turn(&mut self, attribute: &str, TurnAdvance { from, to }: TurnAdvance) {
        self.conditions.push(format!("#{attribute} = :from"));
        self.set.push(format!("#{attribute} = :to"));
        self.values.insert(":from".to_owned(), n(from));
        self.values.insert(":to".to_owned(), n(to));
    }

    fn write(self, transaction: &mut Transaction<'_>, key: &keys::Key) -> Result<(), Error> {
        let Self {
            set,
            add,
            conditions,
            values,
        } = self;
        let clause = |word: &str, parts: &[String]| {
            if parts.is_empty() {
                String::new()
            } else {
                format!("{word} {} ", parts.join(", "))
            }
        };
        let update = clause("SET", &set) + &clause("ADD", &add);
        let condition = conditions.join(" AND ");
        if update.is_empty() {
            transaction.check(
                key,
                &condition,
                (!values.is_empty()).then_some(values),
                conflict,
            )
        } else {
            transaction.update(key, update.trim_end(), Some(&condition), values, conflict)
        }
    }
}

fn write_load(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    team: TeamId,
    write: LoadWrite,
    now: Timestamp,
) -> Result<(), Error> {
    let LoadDelta {
        open,
        waiting,
        sla_met,
        sla_due,
    } = write.delta;
    let counters = [
        ("open_tickets", open),
        ("waiting_tickets", waiting),
        ("sla_met", sla_met),
        ("sla_due", sla_due),
    ];
    let mut counters_update = CounterUpdate::new(counters);
    if write.is_deleted {
        return counters_update.write(transaction, &keys::deleted_team(org, team));
    }
    if let Some(turn) = write.turn {
        counters_update.turn("turn", turn);
    }
    if waiting > 0 {
        // The message that starts the drain may be lost. The schedule restarts the drain of every
        // marked load.
        counters_update.set.push(MARK.to_owned());
        let values = mark_values(&keys::load(org, team), now);
        counters_update
            .values
            .extend(values.map(|(placeholder, value)| (placeholder.to_owned(), value)));
    }
    counters_update.write(transaction, &keys::load(org, team))
}

fn write_member(
    transaction: &mut Transaction<'_>,
    org: &OrganizationId,
    team: TeamId,
    user: UserId,
    write: &MemberWrite,
) -> Result<(), Error> {
    let MemberWrite {
        delta:
            MemberDelta {
                open,
                in_progress,
                resolved,
                resolved_ms,
            },
        turn,
        counter_item,
    } = write;
    let key = match counter_item {
        CounterItem::Membership => keys::membership(org, team, user),
        CounterItem::PastCounters => keys::past(org, team, user),
        CounterItem::NewPastCounters(past) => {
            let count = |delta: &i64| u64::try_from(*delta).unwrap_or(0);
            let past = PastCounters {
                open_tickets: count(open),
                in_progress_tickets: count(in_progress),
                resolved: Resolved {
                    tickets: count(resolved),
                    total_ms: count(resolved_ms),
                },
                ..past.clone()
            };
            let absent = "attribute_not_exists(#pk)";
            transaction.check(&keys::membership(org, team, user), absent, None, conflict)?;
            return transaction.put(PastItem::new(org, team, &past), absent, None, conflict);
        }
    };
    let mut counters_update = CounterUpdate::new([
        ("open_tickets", *open),
        ("in_progress_tickets", *in_progress),
        ("resolved_tickets", *resolved),
        ("resolved_ms", *resolved_ms),
    ]);
    if let Some(turn) = turn {
        counters_update.turn("last_turn", *turn);
        counters_update
            .conditions
            .push("#status = :active".to_owned());
        counters_update
            .values
            .insert(":active".to_owned(), s(UserStatus::Active.as_str()));
    }
    counters_update.write(transaction, &key)
}
