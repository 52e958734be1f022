//! A simulated table: it applies plans, and asserts the conditions of their writes.

use super::*;

/// The items of a table, and the number of decisions for each member.
#[derive(Clone, Default)]
pub(super) struct SimulatedTable {
    pub(super) input: PlanningInput,
    /// The load that the tombstone of a deleted team took over.
    pub(super) tombstones: HashMap<TeamId, Load>,
    pub(super) tickets: BTreeMap<TicketId, Ticket>,
    pub(super) decisions: BTreeMap<(TeamId, UserId), u64>,
}

impl SimulatedTable {
    pub(super) fn with_teams(team_inputs: impl IntoIterator<Item = TeamInput>) -> Self {
        let mut table = Self::default();
        for team_input in team_inputs {
            let id = team_input.team.id;
            let found = TeamLookup::Found(Box::new(team_input));
            table.input.teams.insert(id, found);
        }
        table
    }

    pub(super) fn team_input(&self, team: TeamId) -> &TeamInput {
        self.input.team_input(team)
    }

    fn team_inputs(&self) -> impl Iterator<Item = &TeamInput> {
        self.input.teams.values().filter_map(|lookup| match lookup {
            TeamLookup::Found(team_input) => Some(&**team_input),
            _ => None,
        })
    }

    /// Plans over exactly the input that the plan requests.
    pub(super) fn plan(&self, tasks: &[TicketTask]) -> crate::routing::Plan {
        let mut input = PlanningInput::default();
        let mut matcher = TeamMatcher::default();
        loop {
            let planned = plan(tasks, &self.tickets, &input, NOW);
            reference::assert_same(&planned, tasks, &self.tickets, &input, NOW);
            let missing = match planned {
                Ok(plan) => return plan,
                Err(missing) => missing,
            };
            assert!(!missing.is_empty());
            let MissingInput {
                teams,
                unmatched_tickets: tickets,
                past_counters,
            } = missing;
            for team in teams {
                let mut state = self
                    .input
                    .teams
                    .get(&team)
                    .cloned()
                    .unwrap_or(TeamLookup::NotFound);
                if let TeamLookup::Found(team_input) = &mut state {
                    team_input.past_counters.clear();
                }
                assert_eq!(input.teams.insert(team, state), None, "asked once");
            }
            for (team, user) in &past_counters {
                assert!(
                    input.team_input(*team).member(*user).is_none(),
                    "only for users who are not members"
                );
                assert!(
                    !input.team_input(*team).past_counters.contains_key(user),
                    "asked once"
                );
            }
            let found = past_counters.iter().filter_map(|(team, user)| {
                Some((*team, self.team_input(*team).past(*user)?.clone()))
            });
            let found = found.collect();
            input.add_past_counters(past_counters, found);
            self.match_teams(&tickets, &mut matcher);
            input
                .team_matches
                .extend(matcher.matches_of(tickets.iter().map(|ticket| &ticket.ticket_id)));
        }
    }

    /// Matches teams by the index and the loads that the store would read.
    fn match_teams(&self, tickets: &[UnmatchedTicket], matcher: &mut TeamMatcher) {
        let page = |topic: &Folded| {
            let knows = |team_input: &&TeamInput| {
                let specializations = team_input.team.specializations.as_slice();
                specializations
                    .iter()
                    .any(|text| Folded::of(text) == *topic)
            };
            let place = |team: TeamId| RingPlace::of(&team.uuid().to_string());
            let entries = self
                .team_inputs()
                .filter(knows)
                .map(|team_input| team_input.team.id);
            let entries = entries
                .map(|team| TopicEntry {
                    place: place(team),
                    team,
                })
                .collect();
            TopicPage {
                entries,
                is_complete: true,
            }
        };
        for unknown in matcher.without_candidates(tickets) {
            let pages: Vec<_> = unknown.topics.as_slice().iter().map(page).collect();
            matcher.set_candidates(unknown, candidates(&unknown.ticket_id, &pages));
        }
        let load = |team_input: &TeamInput| {
            (
                team_input.team.id,
                Load {
                    eligible: team_input.eligible() as u64,
                    ..team_input.load
                },
            )
        };
        matcher.set_loads(
            matcher.missing_loads(tickets),
            self.team_inputs().map(load).collect(),
        );
        matcher.match_teams(tickets);
    }

    /// Plans and writes, and asserts the invariants of every plan.
    pub(super) fn commit(&mut self, tasks: &[TicketTask]) {
        let plan = self.plan(tasks);
        let mut planned: Vec<_> = plan.unchanged.clone();
        for writes in plan.groups.iter().flatten() {
            planned.extend(&writes.tasks);
            assert!(writes.items() <= MAX_WRITES);
        }
        planned.sort_unstable();
        assert!(
            planned.iter().copied().eq(0..tasks.len()),
            "every task is planned once: {planned:?}"
        );
        for writes in plan.groups.iter().flatten() {
            self.apply(writes);
        }
        self.assert_consistent();
    }

    fn apply(&mut self, writes: &TransactionPlan) {
        for (rev, ticket) in &writes.tickets {
            let before = self
                .tickets
                .insert(ticket.id.clone(), Ticket::clone(ticket));
            assert_eq!(before.as_ref().map(|ticket| ticket.rev), *rev);
            if ticket.decision.reason == Reason::Strategy
                && before.is_none_or(|before| before.decision != ticket.decision)
            {
                self.count_decision(ticket);
            }
        }
        for (team, write) in &writes.loads {
            self.apply_load(*team, write);
        }
        for ((team, user), write) in &writes.members {
            if let CounterItem::NewPastCounters(past) = &write.counter_item {
                assert!(
                    writes.loads.contains_key(team),
                    "on condition that the load exists"
                );
                self.create_past_counters(*team, *user, past);
            }
            self.apply_member(*team, *user, write);
        }
    }

    fn apply_load(&mut self, team: TeamId, write: &LoadWrite) {
        let LoadWrite {
            is_deleted,
            delta,
            turn,
            ..
        } = write;
        assert!(
            !is_deleted || delta.open <= 0,
            "a deleted team gets no ticket"
        );
        let load = if *is_deleted {
            self.tombstones.get_mut(&team).expect("a tombstone")
        } else {
            &mut team_input_mut(&mut self.input, team).load
        };
        add(&mut load.open_tickets, delta.open);
        add(&mut load.waiting_tickets, delta.waiting);
        add(&mut load.sla_met, delta.sla_met);
        add(&mut load.sla_due, delta.sla_due);
        if let Some(turn) = turn {
            assert_eq!(load.turn, turn.from);
            load.turn = turn.to;
        }
    }

    fn create_past_counters(&mut self, team: TeamId, user: UserId, past: &PastCounters) {
        let team_input = team_input_mut(&mut self.input, team);
        assert_eq!(
            (past.user_id, team_input.member(user), team_input.past(user)),
            (user, None, None)
        );
        team_input.past_counters.insert(user, Some(past.clone()));
    }

    fn apply_member(&mut self, team: TeamId, user: UserId, write: &MemberWrite) {
        let MemberWrite {
            delta,
            turn,
            counter_item,
        } = write;
        let team_input = team_input_mut(&mut self.input, team);
        let (open_tickets, in_progress_tickets, resolved) =
            if *counter_item == CounterItem::Membership {
                let member = team_input.member_mut(user).expect("a member");
                if let Some(turn) = turn {
                    assert_eq!(member.last_turn, turn.from);
                    member.last_turn = turn.to;
                }
                (
                    &mut member.open_tickets,
                    &mut member.in_progress_tickets,
                    &mut member.resolved,
                )
            } else {
                assert_eq!(*turn, None, "only members take turns");
                let past = team_input
                    .past_counters
                    .get_mut(&user)
                    .and_then(Option::as_mut)
                    .expect("counters");
                (
                    &mut past.open_tickets,
                    &mut past.in_progress_tickets,
                    &mut past.resolved,
                )
            };
        add(open_tickets, delta.open);
        add(in_progress_tickets, delta.in_progress);
        add(&mut resolved.tickets, delta.resolved);
        add(&mut resolved.total_ms, delta.resolved_ms);
    }

    /// Counts a decision of a strategy. The member has to be eligible.
    fn count_decision(&mut self, ticket: &Ticket) {
        let (team, user) = ticket.team_id.zip(ticket.assignee_id).expect("both");
        let member = self.team_input(team).member(user).expect("a member");
        assert!(member.is_eligible(), "{ticket:?}");
        *self.decisions.entry((team, user)).or_default() += 1;
    }

    /// Deletes a team: its tombstone takes over the counters.
    pub(super) fn delete_team(&mut self, team: TeamId) {
        let before = self.input.teams.insert(team, TeamLookup::Deleted);
        if let Some(TeamLookup::Found(team_input)) = before {
            self.tombstones.insert(team, team_input.load);
        }
    }

    /// Returns a task for each ticket of a list, as a job would: by priority, then by age.
    pub(super) fn tasks_in_state(
        &self,
        state: TicketState,
        team: Option<TeamId>,
        trigger: &Trigger,
    ) -> Vec<TicketTask> {
        let mut found: Vec<_> = self
            .tickets
            .values()
            .filter(|ticket| ticket.state == state && ticket.team_id == team)
            .collect();
        found.sort_by_key(|ticket| (ticket.priority, ticket.created_at, ticket.id.clone()));
        found
            .iter()
            .map(|ticket| TicketTask {
                ticket_id: ticket.id.clone(),
                trigger: trigger.clone(),
            })
            .collect()
    }

    /// Commits an event of ticket 0. Returns the ticket.
    pub(super) fn send_event(&mut self, at: i64, change: impl FnOnce(&mut TicketEvent)) -> Ticket {
        let mut event = event(0, at, Some(team_id(1)));
        change(&mut event);
        self.commit(&[TicketTask {
            ticket_id: ticket_id(0),
            trigger: Trigger::Events(vec![event]),
        }]);
        self.tickets[&ticket_id(0)].clone()
    }
}

fn add(counter: &mut u64, delta: i64) {
    *counter = counter.checked_add_signed(delta).expect("not below zero");
}

pub(super) fn team_input_mut(input: &mut PlanningInput, team: TeamId) -> &mut TeamInput {
    input.team_input_mut(team).expect("the team exists")
}

impl PlanningInput {
    fn team_input(&self, team: TeamId) -> &TeamInput {
        match &self.teams[&team] {
            TeamLookup::Found(team_input) => team_input,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn team_input_mut(&mut self, team: TeamId) -> Option<&mut TeamInput> {
        match self.teams.get_mut(&team)? {
            TeamLookup::Found(team_input) => Some(team_input),
            TeamLookup::Deleted | TeamLookup::NotFound => None,
        }
    }
}

impl TeamInput {
    pub(super) fn member(&self, user: UserId) -> Option<&Member> {
        self.members.iter().find(|member| member.user.id == user)
    }

    pub(super) fn member_mut(&mut self, user: UserId) -> Option<&mut Member> {
        self.members
            .iter_mut()
            .find(|member| member.user.id == user)
    }

    pub(super) fn past(&self, user: UserId) -> Option<&PastCounters> {
        self.past_counters.get(&user)?.as_ref()
    }

    /// Removes a member, or adds a user with past counters.
    pub(super) fn toggle_membership(&mut self, user: UserId) {
        if let Some(at) = self
            .members
            .iter()
            .position(|member| member.user.id == user)
        {
            let past = self.members.remove(at).leaving();
            self.past_counters.insert(user, Some(past));
        } else if let Some(Some(past)) = self.past_counters.remove(&user) {
            let n = user.uuid().as_u128();
            let joined_at = Timestamp::from_millis(i64::try_from(n).unwrap());
            let member = Member::joining(
                super::user(n),
                Tags::default(),
                Some(&past),
                self.load.turn,
                joined_at,
            );
            self.members.push(member.unwrap());
        }
    }

    /// Sets the open tickets of all users to 0.
    pub(super) fn without_open_tickets(mut self) -> Self {
        self.members
            .iter_mut()
            .for_each(|member| member.open_tickets = 0);
        self.past_counters
            .values_mut()
            .flatten()
            .for_each(|past| past.open_tickets = 0);
        self
    }
}
