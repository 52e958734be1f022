//! The order in which a strategy selects members.

use super::{
    super::{select::select_member, state::TeamState},
    *,
};

proptest! {
    #[test]
    fn selected_member_is_eligible_and_first_in_order(
        team_input in a_team_input(1),
        topics in vec(select(TOPICS.to_vec()), 0..3),
        previous in option::of(100..109_u128),
    ) {
        let (topics, previous) = (Topics::of(topics), previous.map(user_id));
        let of_ticket: Vec<_> = topics.as_slice().iter().collect();
        let mut state = TeamState::new(&team_input);
        let selection = select_member(&mut state, &of_ticket, previous);
        let matched_skills = |member: &Member| {
            let skills = member.skills.as_slice().iter();
            skills.filter(|skill| topics.as_slice().contains(&Folded::of(skill))).count()
        };
        let eligible: Vec<_> = team_input.members.iter().filter(|member| member.is_eligible()).collect();
        prop_assert_eq!(selection.eligible, eligible.len() as u64);
        prop_assert_eq!(selection.considered, team_input.members.len() as u64);
        prop_assert_eq!(selection.selected.is_some(), !eligible.is_empty());
        prop_assert!(selection.candidates.len() <= 3);
        let Some(position) = selection.selected else { return Ok(()) };
        let user = team_input.members[position].user.id;
        prop_assert_eq!(selection.candidates[0].user_id, user);
        let chosen = eligible.iter().find(|member| member.user.id == user).expect("an eligible one");
        // The previous assignee is selected only if no other member is eligible.
        prop_assert!(previous != Some(user) || eligible.len() == 1);
        let others = || eligible.iter().filter(|member| Some(member.user.id) != previous || eligible.len() == 1);
        let (open, turn) = (chosen.open_tickets, chosen.last_turn);
        let matched = matched_skills(chosen);
        for other in others() {
            let (other_open, other_turn) = (other.open_tickets, other.last_turn);
            match team_input.team.queue_strategy {
                QueueStrategy::RoundRobin => prop_assert!(turn <= other_turn),
                QueueStrategy::LeastBusy => prop_assert!((open, turn) <= (other_open, other_turn)),
                QueueStrategy::SkillBased => {
                    let other_matched = matched_skills(other);
                    prop_assert!(matched > other_matched || (matched == other_matched && (open, turn) <= (other_open, other_turn)));
                }
            }
        }
        let fell_back = team_input.team.queue_strategy == QueueStrategy::SkillBased && matched == 0;
        prop_assert_eq!(selection.fallback, fell_back.then_some(QueueStrategy::LeastBusy));
    }

    #[test]
    fn least_busy_batch_evens_open_tickets(open in vec(0..20_u64, 1..8), arriving in 1..200_usize) {
        let members = open.iter().enumerate().map(|(at, _)| member(100 + at as u128, &[], 0)).collect();
        let mut table = SimulatedTable::with_teams([TeamInput::new(team(1, QueueStrategy::LeastBusy, &[]), Load::default(), members)]);
        // Each already has as many tickets as drawn, adopted.
        let mut taken = 10_000;
        for (at, open) in open.iter().enumerate() {
            for _ in 0..*open {
                let mut adopted = event(taken, 0, Some(team_id(1)));
                adopted.ticket.assignee_id = Some(user_id(100 + at as u128));
                table.commit(&[TicketTask { ticket_id: ticket_id(taken), trigger: Trigger::Events(vec![adopted]) }]);
                taken += 1;
            }
        }
        table.commit(&new_tickets(0..arriving, team_id(1), |_| Topics::default()));
        let counts: Vec<_> = table.team_input(team_id(1)).members.iter().map(|member| member.open_tickets).collect();
        let least = *counts.iter().min().unwrap();
        // A member that got a ticket has at most one more than the least busy member.
        for (before, after) in open.iter().zip(&counts) {
            prop_assert!(after == before || *after <= least + 1, "{open:?} -> {counts:?}");
        }
    }
}

#[test]
fn decision_lists_candidates_and_the_passed_over() {
    let mut away = member(101, &[], 0);
    away.user.status = UserStatus::Inactive;
    let mut table = SimulatedTable::with_teams([TeamInput::new(
        team(1, QueueStrategy::LeastBusy, &[]),
        Load::default(),
        vec![away, member(102, &[], 0)],
    )]);
    let decision = table.send_event(1, |_| {}).decision;
    let candidates: Vec<_> = decision
        .candidates
        .iter()
        .map(|c: &Candidate| (c.user_id, c.is_eligible()))
        .collect();
    assert_eq!(candidates, [(user_id(102), true), (user_id(101), false)]);
    assert_eq!((decision.considered, decision.eligible), (2, 1));
    assert_eq!(decision.explanation(), "The only eligible member of 2.");
}
