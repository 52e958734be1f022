//! Counters equal the sum over the tickets after any sequence of steps.

use super::*;

/// A step of a random sequence.
#[derive(Debug, Clone)]
enum Step {
    Events(Vec<TicketEvent>),
    Toggle {
        team: TeamId,
        user: UserId,
    },
    Deactivate {
        team: TeamId,
        member: usize,
        active: bool,
    },
    Delete(TeamId),
    Sweep(TeamId),
    Drain(TeamId),
    RouteUnrouted,
}

prop_compose! {
    fn an_event()(
        ticket in 0..6_usize,
        at in 0..40_i64,
        kind in select(vec![0_u8, 0, 0, 0, 0, 0, 1, 2]),
        status in select(TicketStatus::ALL.to_vec()),
        team in option::of(1..4_u128),
        assignee in option::weighted(0.3, select(vec![100_u128, 101, 102, 999])),
        topics in vec(select(TOPICS.to_vec()), 0..2),
        due in option::of(0..40_i64),
        mentioned in any::<[bool; 5]>(),
    ) -> TicketEvent {
        let mut event = event(ticket, at, team.map(team_id));
        event.kind = match kind {
            0 => TicketEventKind::Snapshot,
            1 => TicketEventKind::Unassigned,
            _ => TicketEventKind::Deleted,
        };
        Arc::make_mut(&mut event.version).event_id = format!("e{at}-{ticket}");
        let [names_status, names_tags, names_creation, names_resolution, names_due] = mentioned;
        event.ticket.status = names_status.then_some(status);
        event.ticket.assignee_id = assignee.map(user_id);
        if names_tags {
            event.ticket.tags = FieldUpdate::Set(Topics::of(topics));
        }
        event.ticket.created_at = names_creation.then_some(Timestamp::from_secs(1_736_000_000));
        if names_resolution {
            event.ticket.resolved_at = update(due);
        }
        if names_due {
            event.ticket.due_at = update(due);
        }
        event
    }
}

fn a_step() -> impl Strategy<Value = Step> {
    let team = || (1..3_u128).prop_map(team_id);
    prop_oneof![
        8 => vec(an_event(), 1..6).prop_map(Step::Events),
        1 => (team(), 100..104_u128).prop_map(|(team, n)| Step::Toggle { team, user: user_id(n) }),
        1 => (team(), 0..4_usize, any::<bool>()).prop_map(|(team, member, active)| Step::Deactivate { team, member, active }),
        1 => team().prop_map(Step::Delete),
        1 => team().prop_map(Step::Sweep),
        2 => team().prop_map(Step::Drain),
        1 => Just(Step::RouteUnrouted),
    ]
}

impl SimulatedTable {
    fn run_step(&mut self, step: Step) {
        match step {
            Step::Events(events) => self.commit_events(events),
            Step::Toggle { team, user } => {
                if let Some(team_input) = self.input.team_input_mut(team) {
                    team_input.toggle_membership(user);
                }
            }
            Step::Deactivate {
                team,
                member,
                active,
            } => {
                if let Some(member) = self
                    .input
                    .team_input_mut(team)
                    .and_then(|team_input| team_input.members.get_mut(member))
                {
                    member.user.status = if active {
                        UserStatus::Active
                    } else {
                        UserStatus::Inactive
                    };
                }
            }
            Step::Delete(team) => self.delete_team(team),
            Step::Sweep(team) => self.sweep(team),
            Step::Drain(team) => self.drain(team),
            Step::RouteUnrouted => {
                let tasks = self.tasks_in_state(TicketState::Unrouted, None, &Trigger::Unrouted);
                self.commit(&tasks);
            }
        }
    }

    /// Commits events as one batch: one task for each ticket, with its events in order of version.
    fn commit_events(&mut self, events: Vec<TicketEvent>) {
        let mut tickets: BTreeMap<TicketId, Vec<TicketEvent>> = BTreeMap::new();
        for event in events {
            tickets
                .entry(event.ticket.id.clone())
                .or_default()
                .push(event);
        }
        let tasks: Vec<_> = tickets
            .into_iter()
            .map(|(ticket_id, mut events)| {
                events.sort_by(|a, b| a.version.cmp(&b.version));
                TicketTask {
                    ticket_id,
                    trigger: Trigger::Events(events),
                }
            })
            .collect();
        self.commit(&tasks);
    }

    /// Moves the tickets of a deleted team away from it.
    fn sweep(&mut self, team: TeamId) {
        let mut tasks =
            self.tasks_in_state(TicketState::Assigned, Some(team), &Trigger::TeamDeleted);
        tasks.extend(self.tasks_in_state(TicketState::Waiting, Some(team), &Trigger::TeamDeleted));
        self.commit(&tasks);
        if let Some(left) = self.tombstones.get(&team) {
            assert_eq!(left.open_tickets, 0, "the sweep is complete");
        }
    }

    /// Assigns the waiting tickets of a team with an eligible member.
    fn drain(&mut self, team: TeamId) {
        let tasks = self.tasks_in_state(TicketState::Waiting, Some(team), &Trigger::Waiting);
        self.commit(&tasks);
        if let TeamLookup::Found(team_input) = &self.input.teams[&team] {
            assert!(
                team_input.load.waiting_tickets == 0 || team_input.eligible() == 0,
                "no ticket waits in a team with an eligible member"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The table asserts after every step that each counter equals the sum over the tickets. Events
    /// that are redelivered change no ticket.
    #[test]
    fn counters_equal_the_sum_over_tickets(
        team_inputs in (a_team_input(1), a_team_input(2)),
        steps in vec(a_step(), 1..25),
    ) {
        let mut table = SimulatedTable::with_teams([team_inputs.0.without_open_tickets(), team_inputs.1.without_open_tickets()]);
        for step in steps {
            table.run_step(step.clone());
            if matches!(step, Step::Events(_)) {
                let before = table.tickets.clone();
                table.run_step(step);
                prop_assert_eq!(before, table.tickets.clone());
            }
        }
    }
}
