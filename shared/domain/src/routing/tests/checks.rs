//! Recounts every counter of a simulated table from its tickets.

use super::*;

impl SimulatedTable {
    /// Asserts that every counter equals the sum over the tickets, and that every ticket has the
    /// team and the assignee of its state.
    pub(super) fn assert_consistent(&self) {
        for (&team, lookup) in &self.input.teams {
            match lookup {
                TeamLookup::Found(team_input) => self.assert_team(team, team_input),
                TeamLookup::Deleted => {
                    let load = self.tombstones[&team];
                    assert_eq!(
                        (load.open_tickets, load.waiting_tickets),
                        (self.count(team, is_open), self.count(team, is_waiting))
                    );
                }
                TeamLookup::NotFound => assert_eq!(self.of_team(team).count(), 0),
            }
        }
        self.tickets.values().for_each(assert_state);
    }

    fn of_team(&self, team: TeamId) -> impl Iterator<Item = &Ticket> {
        self.tickets
            .values()
            .filter(move |ticket| ticket.team_id == Some(team))
    }

    fn count(&self, team: TeamId, matches: impl Fn(&Ticket) -> bool) -> u64 {
        self.of_team(team).filter(|ticket| matches(ticket)).count() as u64
    }

    fn assert_team(&self, team: TeamId, team_input: &TeamInput) {
        let in_time = |ticket: &Ticket| ticket.credit().and_then(|credit| credit.in_time);
        let load = team_input.load;
        assert_eq!(load.open_tickets, self.count(team, is_open), "{team:?}");
        assert_eq!(
            load.waiting_tickets,
            self.count(team, is_waiting),
            "{team:?}"
        );
        assert_eq!(
            (load.sla_due, load.sla_met),
            (
                self.count(team, |ticket| in_time(ticket).is_some()),
                self.count(team, |ticket| in_time(ticket) == Some(true))
            ),
            "SLA of {team:?}"
        );
        for member in &team_input.members {
            let Member {
                user,
                open_tickets,
                in_progress_tickets,
                resolved,
                ..
            } = member;
            self.assert_user(
                team,
                user.id,
                (*open_tickets, *in_progress_tickets),
                *resolved,
            );
            assert_eq!(team_input.past(user.id), None, "counted twice");
        }
        for past in team_input.past_counters.values().flatten() {
            let counters = (past.open_tickets, past.in_progress_tickets);
            self.assert_user(team, past.user_id, counters, past.resolved);
        }
        for ticket in self.of_team(team) {
            let counts =
                |user| team_input.member(user).is_some() || team_input.past(user).is_some();
            assert!(
                ticket
                    .adds_to_member()
                    .is_none_or(|(_, user, _)| counts(user)),
                "{ticket:?} counts for no user"
            );
        }
    }

    fn assert_user(&self, team: TeamId, user: UserId, counters: (u64, u64), resolved: Resolved) {
        let of_user = |ticket: &&Ticket| ticket.assignee_id == Some(user);
        let open: Vec<_> = self
            .of_team(team)
            .filter(of_user)
            .filter(|ticket| is_open(ticket))
            .collect();
        let in_progress = open
            .iter()
            .filter(|ticket| ticket.status == TicketStatus::InProgress);
        assert_eq!(
            counters,
            (open.len() as u64, in_progress.count() as u64),
            "open and in progress of {user:?}"
        );
        let credits: Vec<_> = self
            .of_team(team)
            .filter(of_user)
            .filter_map(Ticket::credit)
            .collect();
        let expected = Resolved {
            tickets: credits.len() as u64,
            total_ms: credits.iter().map(|credit| credit.resolution_ms).sum(),
        };
        assert_eq!(resolved, expected, "resolved by {user:?}");
    }
}

fn is_open(ticket: &Ticket) -> bool {
    matches!(ticket.state, TicketState::Assigned | TicketState::Waiting)
}

fn is_waiting(ticket: &Ticket) -> bool {
    ticket.state == TicketState::Waiting
}

fn assert_state(ticket: &Ticket) {
    let (team, assignee) = (ticket.team_id.is_some(), ticket.assignee_id.is_some());
    match ticket.state {
        TicketState::Assigned => assert!(assignee && ticket.status.is_open()),
        TicketState::Waiting => assert!(team && !assignee),
        TicketState::Unrouted => assert!(!team && !assignee),
        TicketState::Closed => assert!(!ticket.status.is_open()),
        TicketState::Deleted => assert_eq!(ticket.credit(), None),
    }
}
