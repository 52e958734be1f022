//! The bound of round robin.

use std::collections::BTreeSet;

use super::*;

/// One decision: the member that was chosen, and the members that were eligible for it.
struct Taken {
    chosen: UserId,
    eligible: BTreeSet<UserId>,
}

#[derive(Debug, Clone)]
enum Move {
    Arrive,
    Unassign(usize),
    Toggle(u128),
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => Just(Move::Arrive),
        3 => (0..40_usize).prop_map(Move::Unassign),
        1 => (0..5_u128).prop_map(Move::Toggle),
    ]
}

impl SimulatedTable {
    /// Commits an event of a ticket of team 1. Returns the decision, if the event led to one.
    fn decide_on(&mut self, event: TicketEvent) -> Option<Taken> {
        let id = event.ticket.id.clone();
        let previous = self.tickets.get(&id).and_then(|ticket| ticket.assignee_id);
        let turn = self.team_input(team_id(1)).load.turn;
        let members = self
            .team_input(team_id(1))
            .members
            .iter()
            .filter(|member| member.is_eligible());
        let mut eligible: BTreeSet<_> = members.map(|member| member.user.id).collect();
        self.commit(&[TicketTask {
            ticket_id: id.clone(),
            trigger: Trigger::Events(vec![event]),
        }]);
        if self.team_input(team_id(1)).load.turn == turn {
            return None;
        }
        let chosen = self.tickets[&id]
            .assignee_id
            .expect("a decision chooses a member");
        // The previous assignee, when passed over, was not eligible for this decision.
        eligible.retain(|user| Some(*user) != previous || *user == chosen);
        Some(Taken { chosen, eligible })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// In each period, the numbers of decisions differ by at most one between two members that were
    /// eligible for all of them.
    #[test]
    fn round_robin_differs_by_one_between_eligible_members(moves in vec(a_move(), 1..80)) {
        let mut table = SimulatedTable::with_teams([team_input_of(QueueStrategy::RoundRobin, 5)]);
        let (mut taken, mut tickets) = (Vec::new(), 0);
        for (at, next) in (0_i64..).zip(moves) {
            match next {
                Move::Arrive => {
                    taken.extend(table.decide_on(event(tickets, at, Some(team_id(1)))));
                    tickets += 1;
                }
                Move::Unassign(ticket) if tickets > 0 => {
                    let mut event = event(ticket % tickets, at, Some(team_id(1)));
                    event.kind = TicketEventKind::Unassigned;
                    taken.extend(table.decide_on(event));
                }
                Move::Unassign(_) => {}
                Move::Toggle(member) => {
                    team_input_mut(&mut table.input, team_id(1)).toggle_membership(user_id(100 + member));
                }
            }
        }
        for (a, b) in (100..105).flat_map(|a| (100..a).map(move |b| (user_id(a), user_id(b)))) {
            // The lead of `a` since the last decision for which one of them was not eligible, and
            // its extremes.
            let (mut lead, mut least, mut most) = (0_i64, 0_i64, 0_i64);
            for Taken { chosen, eligible } in &taken {
                if eligible.contains(&a) && eligible.contains(&b) {
                    lead += i64::from(*chosen == a) - i64::from(*chosen == b);
                    (least, most) = (least.min(lead), most.max(lead));
                    prop_assert!(most - least <= 1, "{a:?} and {b:?}");
                } else {
                    (lead, least, most) = (0, 0, 0);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn round_robin_with_roster_changes_stays_within_one(
        steps in vec((1..30_usize, 0..8_u128, any::<bool>()), 1..12),
    ) {
        let stable = [100, 101, 102];
        let all = stable.into_iter().chain(103..108).map(|n| member(n, &[], 0));
        let mut table = SimulatedTable::with_teams([TeamInput::new(team(1, QueueStrategy::RoundRobin, &[]), Load::default(), all.collect())]);
        let mut tickets = 0;
        for (arriving, who, present) in steps {
            let team_input = team_input_mut(&mut table.input, team_id(1));
            if who >= 3 && team_input.member(user_id(100 + who)).is_some() != present {
                team_input.toggle_membership(user_id(100 + who));
            }
            table.commit(&new_tickets(tickets..tickets + arriving, team_id(1), |_| Topics::default()));
            tickets += arriving;
            let counts = stable.map(|n| table.decisions.get(&(team_id(1), user_id(n))).copied().unwrap_or(0));
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        }
        prop_assert_eq!(table.team_input(team_id(1)).load.turn, tickets as u64);
    }
}
