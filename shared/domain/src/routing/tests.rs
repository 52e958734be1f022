//! Properties of plans, over a world that applies what is planned and holds it to its own
//! conditions.

use std::collections::{BTreeMap, HashMap};

use proptest::{collection::vec, option, prelude::*, sample::select};
use uuid::Uuid;

mod choice;
mod order;
mod partial;
mod rotation;

use super::{
    CounterItem, LoadWrite, MAX_WRITES, MemberInput, MemberWrite, MissingInput, PlanningInput,
    TeamInput, TeamLookup, TeamMatcher, TicketTask, TopicEntry, TopicPage, TransactionPlan,
    Trigger, UnmatchedTicket, candidates, plan,
};
use crate::{
    Candidate, EventVersion, FieldUpdate, Folded, Load, Member, NewTeam, OrganizationId,
    PastCounters, Priority, QueueStrategy, Reason, Resolved, RingPlace, Tags, Team, TeamId,
    TeamName, Ticket, TicketEvent, TicketEventKind, TicketId, TicketSnapshot, TicketState,
    TicketStatus, Timestamp, Topics, User, UserId, UserStatus,
};

const NOW: Timestamp = Timestamp::from_secs(1_736_064_000);

fn team_id(n: u128) -> TeamId {
    TeamId::new(Uuid::from_u128(n))
}

fn user_id(n: u128) -> UserId {
    UserId::new(Uuid::from_u128(n))
}

fn ticket_id(n: usize) -> TicketId {
    TicketId::parse(&format!("T-{n}")).unwrap()
}

fn user(n: u128) -> User {
    User {
        id: user_id(n),
        name: format!("User {n}"),
        email: String::new(),
        role: "agent".to_owned(),
        avatar_url: None,
        status: UserStatus::Active,
        version: 1,
    }
}

fn member(n: u128, skills: &[&str], turn: u64) -> Member {
    let joined_at = Timestamp::from_millis(i64::try_from(n).unwrap());
    Member::joining(user(n), Tags::parse(skills).unwrap(), None, turn, joined_at).unwrap()
}

fn team(n: u128, strategy: QueueStrategy, specializations: &[&str]) -> Team {
    let new = NewTeam {
        name: TeamName::parse(&format!("Team {n}")).unwrap(),
        description: None,
        lead_id: None,
        queue_strategy: strategy,
        specializations: Tags::parse(specializations).unwrap(),
    };
    Team::create(team_id(n), OrganizationId::parse("o").unwrap(), new, NOW)
}

/// What a table would hold, and how a store would treat it.
#[derive(Clone, Default)]
struct World {
    input: PlanningInput,
    gone: HashMap<TeamId, Load>,
    tickets: BTreeMap<TicketId, Ticket>,
    /// Everybody's decisions, by team.
    decisions: BTreeMap<(TeamId, UserId), u64>,
}

impl World {
    fn with(team_inputs: impl IntoIterator<Item = TeamInput>) -> Self {
        let mut world = Self::default();
        for team_input in team_inputs {
            world
                .input
                .teams
                .insert(team_input.team.id, TeamLookup::Found(Box::new(team_input)));
        }
        world
    }

    fn team_input(&self, team: TeamId) -> &TeamInput {
        match &self.input.teams[&team] {
            TeamLookup::Found(team_input) => team_input,
            other => panic!("{other:?}"),
        }
    }

    fn team_inputs(&self) -> impl Iterator<Item = &TeamInput> {
        self.input.teams.values().filter_map(|state| match state {
            TeamLookup::Found(team_input) => Some(&**team_input),
            _ => None,
        })
    }

    /// Plans over no more than what the plan asks for.
    fn plan(&self, work: &[TicketTask]) -> super::Plan {
        let mut input = PlanningInput::default();
        let mut choices = TeamMatcher::default();
        loop {
            let missing = match plan(work, &self.tickets, &input, NOW) {
                Ok(plan) => return plan,
                Err(missing) => missing,
            };
            assert!(!missing.is_empty());
            let MissingInput {
                teams,
                unmatched_tickets: wanted,
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
                    input
                        .team_input(*team)
                        .unwrap()
                        .unwrap()
                        .member(*user)
                        .is_none(),
                    "only for users who are not members"
                );
                assert!(
                    !input
                        .team_input(*team)
                        .unwrap()
                        .unwrap()
                        .past_counters
                        .contains_key(user),
                    "asked once"
                );
            }
            let found = past_counters.iter().filter_map(|(team, user)| {
                Some((*team, self.team_input(*team).past(*user)?.clone()))
            });
            let found = found.collect();
            input.add_past_counters(past_counters, found);
            self.choose(&wanted, &mut choices);
            input
                .team_matches
                .extend(choices.matches_of(wanted.iter().map(|wanted| &wanted.ticket_id)));
        }
    }

    /// Chooses teams as the store's index and loads would show them.
    fn choose(&self, wanted: &[UnmatchedTicket], choices: &mut TeamMatcher) {
        let page = |topic: &Folded| {
            let knows = |team_input: &&TeamInput| team_input.specializations.contains(topic);
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
        for unknown in choices.without_candidates(wanted) {
            let pages: Vec<_> = unknown.topics.as_slice().iter().map(page).collect();
            choices.set_candidates(unknown, candidates(&unknown.ticket_id, &pages));
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
        choices.set_loads(
            choices.missing_loads(wanted),
            self.team_inputs().map(load).collect(),
        );
        choices.match_teams(wanted);
    }

    /// Plans and writes, and asserts what every plan has to keep.
    fn settle(&mut self, work: &[TicketTask]) {
        let plan = self.plan(work);
        let mut placed: Vec<_> = plan.unchanged.clone();
        for writes in plan.groups.iter().flatten() {
            placed.extend(&writes.tasks);
            assert!(writes.items() <= MAX_WRITES);
        }
        placed.sort_unstable();
        assert!(
            placed.iter().copied().eq(0..work.len()),
            "every ticket is placed once: {placed:?}"
        );
        for writes in plan.groups.iter().flatten() {
            self.apply(writes);
        }
        self.audit();
    }

    fn apply(&mut self, writes: &TransactionPlan) {
        for (rev, ticket) in &writes.tickets {
            let before = self.tickets.insert(ticket.id.clone(), ticket.clone());
            assert_eq!(before.as_ref().map(|ticket| ticket.rev), *rev);
            if ticket.decision.reason == Reason::Strategy
                && before.is_none_or(|before| before.decision != ticket.decision)
            {
                self.decide(ticket);
            }
        }
        let add = |counter: &mut u64, delta: i64| {
            *counter = counter.checked_add_signed(delta).expect("not below zero");
        };
        for (
            team,
            LoadWrite {
                is_deleted,
                delta,
                turn,
                ..
            },
        ) in &writes.loads
        {
            assert!(
                !is_deleted || delta.open <= 0,
                "a team that was deleted gets no ticket"
            );
            let load = if *is_deleted {
                self.gone.get_mut(team).expect("it left counts")
            } else {
                &mut team_input_mut(&mut self.input, *team).load
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
        for (
            (team, user),
            MemberWrite {
                delta,
                turn,
                counter_item,
            },
        ) in &writes.members
        {
            let team_input = team_input_mut(&mut self.input, *team);
            if let CounterItem::NewPastCounters(past) = counter_item {
                assert_eq!(
                    (
                        past.user_id,
                        team_input.member(*user),
                        team_input.past(*user)
                    ),
                    (*user, None, None)
                );
                assert!(
                    writes.loads.contains_key(team),
                    "on condition that the load exists"
                );
                team_input.past_counters.insert(*user, Some(past.clone()));
            }
            if *counter_item == CounterItem::Membership {
                let member = &mut team_input.member_mut(*user).expect("a member").membership;
                add(&mut member.open_tickets, delta.open);
                add(&mut member.in_progress_tickets, delta.in_progress);
                add(&mut member.resolved.tickets, delta.resolved);
                add(&mut member.resolved.total_ms, delta.resolved_ms);
                if let Some(turn) = turn {
                    assert_eq!(member.last_turn, turn.from);
                    member.last_turn = turn.to;
                }
            } else {
                let past = team_input
                    .past_counters
                    .get_mut(user)
                    .and_then(Option::as_mut)
                    .expect("counters");
                add(&mut past.open_tickets, delta.open);
                add(&mut past.in_progress_tickets, delta.in_progress);
                add(&mut past.resolved.tickets, delta.resolved);
                add(&mut past.resolved.total_ms, delta.resolved_ms);
                assert_eq!(*turn, None, "only members take turns");
            }
        }
    }

    /// Looks at a decision that is about to be counter_item.
    fn decide(&mut self, ticket: &Ticket) {
        let (team, user) = ticket.team_id.zip(ticket.assignee_id).expect("it has both");
        let member = self.team_input(team).member(user).expect("a member");
        assert!(member.membership.is_eligible(), "{ticket:?}");
        *self.decisions.entry((team, user)).or_default() += 1;
    }

    /// Recounts every counter from the tickets.
    #[expect(clippy::too_many_lines, reason = "one statement for each counter")]
    fn audit(&self) {
        for (&team, state) in &self.input.teams {
            let of_team = || {
                self.tickets
                    .values()
                    .filter(move |ticket| ticket.team_id == Some(team))
            };
            let count = |matches: &dyn Fn(&Ticket) -> bool| {
                of_team().filter(|ticket| matches(ticket)).count() as u64
            };
            let open = |ticket: &Ticket| {
                matches!(ticket.state, TicketState::Assigned | TicketState::Waiting)
            };
            let waiting = |ticket: &Ticket| ticket.state == TicketState::Waiting;
            let team_input = match state {
                TeamLookup::Found(team_input) => team_input,
                TeamLookup::Deleted => {
                    let left = self.gone[&team];
                    assert_eq!(
                        (left.open_tickets, left.waiting_tickets),
                        (count(&open), count(&waiting))
                    );
                    continue;
                }
                TeamLookup::NotFound => {
                    assert_eq!(of_team().count(), 0);
                    continue;
                }
            };
            let due = |ticket: &Ticket| {
                ticket
                    .credit()
                    .is_some_and(|credit| credit.in_time.is_some())
            };
            let met = |ticket: &Ticket| {
                ticket
                    .credit()
                    .is_some_and(|credit| credit.in_time == Some(true))
            };
            let load = team_input.load;
            assert_eq!(load.open_tickets, count(&open), "open of {team:?}");
            assert_eq!(load.waiting_tickets, count(&waiting), "waiting of {team:?}");
            assert_eq!(
                (load.sla_due, load.sla_met),
                (count(&due), count(&met)),
                "SLA of {team:?}"
            );
            let members = team_input
                .members
                .iter()
                .map(|MemberInput { membership, .. }| {
                    (
                        membership.user.id,
                        membership.open_tickets,
                        membership.in_progress_tickets,
                        membership.resolved,
                    )
                });
            let past_counters = team_input.past_counters.values().flatten();
            let past_counters = past_counters.map(|past| {
                (
                    past.user_id,
                    past.open_tickets,
                    past.in_progress_tickets,
                    past.resolved,
                )
            });
            for (user, open_tickets, in_progress_tickets, resolved) in members.chain(past_counters)
            {
                let count = |matches: &dyn Fn(&Ticket) -> bool| {
                    of_team()
                        .filter(|ticket| ticket.assignee_id == Some(user) && matches(ticket))
                        .count() as u64
                };
                assert_eq!(open_tickets, count(&open), "open of {user:?}");
                assert_eq!(
                    in_progress_tickets,
                    count(&|ticket| open(ticket) && ticket.status == TicketStatus::InProgress)
                );
                let credited = |ticket: &Ticket| ticket.credit().is_some();
                let of_user = || of_team().filter(|ticket| ticket.assignee_id == Some(user));
                let total_ms = of_user()
                    .filter_map(|ticket| Some(ticket.credit()?.resolution_ms))
                    .sum();
                assert_eq!(
                    resolved,
                    Resolved {
                        tickets: count(&credited),
                        total_ms
                    }
                );
            }
            assert!(
                team_input
                    .members
                    .iter()
                    .all(|member| team_input.past(member.membership.user.id).is_none()),
                "counter_item twice"
            );
            for ticket in of_team() {
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
        for ticket in self.tickets.values() {
            match ticket.state {
                TicketState::Assigned => {
                    assert!(ticket.assignee_id.is_some() && ticket.status.is_open());
                }
                TicketState::Waiting => {
                    assert!(ticket.team_id.is_some() && ticket.assignee_id.is_none());
                }
                TicketState::Unrouted => {
                    assert!(ticket.team_id.is_none() && ticket.assignee_id.is_none());
                }
                TicketState::Closed => assert!(!ticket.status.is_open()),
                TicketState::Deleted => assert_eq!(ticket.credit(), None),
            }
        }
    }

    fn delete(&mut self, team: TeamId) {
        if let Some(TeamLookup::Found(team_input)) =
            self.input.teams.insert(team, TeamLookup::Deleted)
        {
            self.gone.insert(team, team_input.load);
        }
    }

    fn in_state(
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
}

fn team_input_mut(input: &mut PlanningInput, team: TeamId) -> &mut TeamInput {
    input.team_input_mut(team).expect("the team is there")
}

impl TeamInput {
    fn past(&self, user: UserId) -> Option<&PastCounters> {
        self.past_counters.get(&user)?.as_ref()
    }

    /// Has a member leave, or a user with counters join.
    fn toggle(&mut self, user: UserId) {
        if let Some(at) = self
            .members
            .iter()
            .position(|member| member.membership.user.id == user)
        {
            let past = self.members.remove(at).membership.leaving();
            self.past_counters.insert(user, Some(past));
        } else if let Some(Some(past)) = self.past_counters.remove(&user) {
            let n = user.uuid().as_u128();
            let joined_at = Timestamp::from_millis(i64::try_from(n).unwrap());
            let member = Member::joining(
                self::user(n),
                Tags::default(),
                Some(&past),
                self.load.turn,
                joined_at,
            );
            self.members.push(MemberInput::new(member.unwrap()));
        }
    }

    /// Sets the open tickets of all users to 0.
    fn zeroed(mut self) -> Self {
        self.members
            .iter_mut()
            .for_each(|member| member.membership.open_tickets = 0);
        self.past_counters
            .values_mut()
            .flatten()
            .for_each(|past| past.open_tickets = 0);
        self
    }
}

fn event(ticket: usize, at: i64, team: Option<TeamId>) -> TicketEvent {
    TicketEvent {
        organization_id: OrganizationId::parse("o").unwrap(),
        kind: TicketEventKind::Snapshot,
        version: EventVersion {
            at: Timestamp::from_secs(1_736_000_000 + at),
            time: None,
            event_id: format!("e{at}"),
        },
        ticket: TicketSnapshot {
            status: Some(TicketStatus::New),
            team_id: team,
            ..TicketSnapshot::empty(ticket_id(ticket))
        },
    }
}

/// Returns an update to a number of seconds after the first event, or to no value.
fn update(seconds: Option<i64>) -> FieldUpdate<Timestamp> {
    seconds.map_or(FieldUpdate::Cleared, |at| {
        FieldUpdate::Set(Timestamp::from_secs(1_736_000_000 + at))
    })
}

fn new_tickets(
    range: std::ops::Range<usize>,
    team: TeamId,
    topics: impl Fn(usize) -> Topics,
) -> Vec<TicketTask> {
    range
        .map(|n| {
            let mut event = event(n, i64::try_from(n).unwrap(), Some(team));
            event.ticket.tags = FieldUpdate::Set(topics(n));
            TicketTask {
                ticket_id: ticket_id(n),
                trigger: Trigger::Events(vec![event]),
            }
        })
        .collect()
}

const TOPICS: [&str; 4] = ["vpn", "dns", "mail", "printer"];

fn strategy() -> impl Strategy<Value = QueueStrategy> {
    select(QueueStrategy::ALL.to_vec())
}

prop_compose! {
    /// A team with members of any figures, some of them not eligible.
    fn a_team_input(n: u128)(
        strategy in strategy(),
        people in vec((0..6_u64, 0..20_u64, select(vec![0_u8, 0, 0, 1, 2]), vec(select(TOPICS.to_vec()), 0..3)), 0..9),
        specializations in vec(select(TOPICS.to_vec()), 0..3),
    ) -> TeamInput {
        let left: Vec<_> = (100..).zip(&people).filter(|(_, (.., pass_over_reason, _))| *pass_over_reason == 2).map(|(n, _)| n).collect();
        let members = people.into_iter().enumerate().map(|(at, (open, last_turn, pass_over_reason, skills))| {
            let mut member = member(100 + at as u128, &skills, last_turn);
            member.open_tickets = open;
            if pass_over_reason == 1 {
                member.user.status = UserStatus::Inactive;
            }
            member
        });
        let load = Load { turn: 20, ..Load::default() };
        let mut team_input = TeamInput::new(team(n, strategy, &specializations), load, members.collect());
        for n in left {
            team_input.toggle(user_id(n));
        }
        team_input
    }
}

proptest! {
    #[test]
    fn whoever_is_chosen_is_eligible_and_the_strategys_first(
        team_input in a_team_input(1),
        topics in vec(select(TOPICS.to_vec()), 0..3),
        previous in option::of(100..109_u128),
    ) {
        let (topics, previous) = (Topics::of(topics), previous.map(user_id));
        let selection = super::select_member(&team_input, &topics, previous);
        let eligible: Vec<_> = team_input.members.iter().filter(|member| member.membership.is_eligible()).collect();
        prop_assert_eq!(selection.eligible, eligible.len() as u64);
        prop_assert_eq!(selection.considered, team_input.members.len() as u64);
        prop_assert_eq!(selection.selected.is_some(), !eligible.is_empty());
        prop_assert!(selection.candidates.len() <= 3);
        let Some(user) = selection.selected else { return Ok(()) };
        prop_assert_eq!(selection.candidates[0].user_id, user);
        let chosen = eligible.iter().find(|member| member.membership.user.id == user).expect("an eligible one");
        // Whoever had it gets it back only if there is nobody else.
        prop_assert!(previous != Some(user) || eligible.len() == 1);
        let others = || eligible.iter().filter(|member| Some(member.membership.user.id) != previous || eligible.len() == 1);
        let (open, turn) = (chosen.membership.open_tickets, chosen.membership.last_turn);
        let matched = topics.matched(&chosen.skills);
        for other in others() {
            let (other_open, other_turn) = (other.membership.open_tickets, other.membership.last_turn);
            match team_input.team.queue_strategy {
                QueueStrategy::RoundRobin => prop_assert!(turn <= other_turn),
                QueueStrategy::LeastBusy => prop_assert!((open, turn) <= (other_open, other_turn)),
                QueueStrategy::SkillBased => {
                    let other_matched = topics.matched(&other.skills);
                    prop_assert!(matched > other_matched || (matched == other_matched && (open, turn) <= (other_open, other_turn)));
                }
            }
        }
        let fell_back = team_input.team.queue_strategy == QueueStrategy::SkillBased && matched == 0;
        prop_assert_eq!(selection.fallback, fell_back.then_some(QueueStrategy::LeastBusy));
    }

    #[test]
    fn a_batch_ends_where_its_tickets_would_have_ended_one_by_one(
        team_inputs in (a_team_input(1), a_team_input(2)),
        // Tickets that name a team and tickets that name none are settled in batches of their own.
        names_team in any::<bool>(),
        tickets in vec((1..3_u128, vec(select(TOPICS.to_vec()), 0..3), option::of(select(vec![100_u128, 101, 999]))), 1..150),
    ) {
        let mut at_once = World::with([team_inputs.0.zeroed(), team_inputs.1.zeroed()]);
        let mut one_by_one = at_once.clone();
        let work: Vec<_> = tickets.into_iter().enumerate().map(|(n, (team, topics, assignee))| {
            let mut event = event(n, i64::try_from(n).unwrap(), names_team.then_some(team_id(team)));
            event.ticket.tags = FieldUpdate::Set(Topics::of(topics));
            event.ticket.assignee_id = assignee.map(user_id);
            TicketTask { ticket_id: ticket_id(n), trigger: Trigger::Events(vec![event]) }
        }).collect();
        at_once.settle(&work);
        for work in &work {
            one_by_one.settle(std::slice::from_ref(work));
        }
        prop_assert_eq!(&at_once.tickets, &one_by_one.tickets);
        for team in [1, 2].map(team_id) {
            let members = |world: &World| {
                let mut members = world.team_input(team).members.clone();
                members.sort_by_key(|member| member.membership.user.id);
                members
            };
            prop_assert_eq!(at_once.team_input(team).load, one_by_one.team_input(team).load);
            prop_assert_eq!(members(&at_once), members(&one_by_one));
            prop_assert_eq!(&at_once.team_input(team).past_counters, &one_by_one.team_input(team).past_counters);
        }
    }

    #[test]
    fn round_robin_stays_within_one_while_others_come_and_go(
        steps in vec((1..30_usize, 0..8_u128, any::<bool>()), 1..12),
    ) {
        let stable = [100, 101, 102];
        let all = stable.into_iter().chain(103..108).map(|n| member(n, &[], 0));
        let mut world = World::with([TeamInput::new(team(1, QueueStrategy::RoundRobin, &[]), Load::default(), all.collect())]);
        let mut tickets = 0;
        for (arriving, who, present) in steps {
            let team_input = team_input_mut(&mut world.input, team_id(1));
            if who >= 3 && team_input.member(user_id(100 + who)).is_some() != present {
                team_input.toggle(user_id(100 + who));
            }
            world.settle(&new_tickets(tickets..tickets + arriving, team_id(1), |_| Topics::default()));
            tickets += arriving;
            let counts = stable.map(|n| world.decisions.get(&(team_id(1), user_id(n))).copied().unwrap_or(0));
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        }
        prop_assert_eq!(world.team_input(team_id(1)).load.turn, tickets as u64);
    }

    #[test]
    fn least_busy_evens_out(open in vec(0..20_u64, 1..8), arriving in 1..200_usize) {
        let members = open.iter().enumerate().map(|(at, _)| member(100 + at as u128, &[], 0)).collect();
        let mut world = World::with([TeamInput::new(team(1, QueueStrategy::LeastBusy, &[]), Load::default(), members)]);
        // Each already has as many tickets as drawn, adopted.
        let mut taken = 10_000;
        for (at, open) in open.iter().enumerate() {
            for _ in 0..*open {
                let mut adopted = event(taken, 0, Some(team_id(1)));
                adopted.ticket.assignee_id = Some(user_id(100 + at as u128));
                world.settle(&[TicketTask { ticket_id: ticket_id(taken), trigger: Trigger::Events(vec![adopted]) }]);
                taken += 1;
            }
        }
        world.settle(&new_tickets(0..arriving, team_id(1), |_| Topics::default()));
        let counts: Vec<_> = world.team_input(team_id(1)).members.iter().map(|member| member.membership.open_tickets).collect();
        let least = *counts.iter().min().unwrap();
        // Nobody who was given one had more than the least busy has now.
        for (before, after) in open.iter().zip(&counts) {
            prop_assert!(after == before || *after <= least + 1, "{open:?} -> {counts:?}");
        }
    }
}

/// Something that happens.
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
        event.version.event_id = format!("e{at}-{ticket}");
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

impl World {
    fn take(&mut self, step: Step) {
        match step {
            Step::Events(events) => {
                let mut tickets: BTreeMap<TicketId, Vec<TicketEvent>> = BTreeMap::new();
                for event in events {
                    tickets
                        .entry(event.ticket.id.clone())
                        .or_default()
                        .push(event);
                }
                let work: Vec<_> = tickets
                    .into_iter()
                    .map(|(ticket_id, mut events)| {
                        events.sort_by(|a, b| a.version.cmp(&b.version));
                        TicketTask {
                            ticket_id,
                            trigger: Trigger::Events(events),
                        }
                    })
                    .collect();
                self.settle(&work);
            }
            Step::Toggle { team, user } => {
                if let Some(team_input) = self.input.team_input_mut(team) {
                    team_input.toggle(user);
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
                    member.membership.user.status = if active {
                        UserStatus::Active
                    } else {
                        UserStatus::Inactive
                    };
                }
            }
            Step::Delete(team) => self.delete(team),
            Step::Sweep(team) => {
                let mut work =
                    self.in_state(TicketState::Assigned, Some(team), &Trigger::TeamDeleted);
                work.extend(self.in_state(TicketState::Waiting, Some(team), &Trigger::TeamDeleted));
                self.settle(&work);
                if let Some(left) = self.gone.get(&team) {
                    assert_eq!(left.open_tickets, 0, "all of it is swept");
                }
            }
            Step::Drain(team) => {
                let work = self.in_state(TicketState::Waiting, Some(team), &Trigger::Waiting);
                self.settle(&work);
                if let TeamLookup::Found(team_input) = &self.input.teams[&team] {
                    assert!(
                        team_input.load.waiting_tickets == 0 || team_input.eligible() == 0,
                        "none waits beside somebody eligible"
                    );
                }
            }
            Step::RouteUnrouted => {
                let work = self.in_state(TicketState::Unrouted, None, &Trigger::Unrouted);
                self.settle(&work);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens, each counter is what the tickets say, which the world asserts after every
    /// step; and whatever was said before changes nothing when it is said again.
    #[test]
    fn counters_are_what_the_tickets_say(
        team_inputs in (a_team_input(1), a_team_input(2)),
        steps in vec(a_step(), 1..25),
    ) {
        let mut world = World::with([team_inputs.0.zeroed(), team_inputs.1.zeroed()]);
        for step in steps {
            world.take(step.clone());
            if matches!(step, Step::Events(_)) {
                let before = world.tickets.clone();
                world.take(step);
                prop_assert_eq!(before, world.tickets.clone());
            }
        }
    }
}

fn team_input_of(strategy: QueueStrategy, people: u128) -> TeamInput {
    TeamInput::new(
        team(1, strategy, &["vpn"]),
        Load::default(),
        (0..people).map(|n| member(100 + n, &[], 0)).collect(),
    )
}

impl World {
    /// Says something of ticket 0 at a time, and gives the ticket.
    fn say(&mut self, at: i64, change: impl FnOnce(&mut TicketEvent)) -> Ticket {
        let mut event = event(0, at, Some(team_id(1)));
        change(&mut event);
        self.settle(&[TicketTask {
            ticket_id: ticket_id(0),
            trigger: Trigger::Events(vec![event]),
        }]);
        self.tickets[&ticket_id(0)].clone()
    }
}

#[test]
fn eighty_tickets_of_one_team_are_one_transaction() {
    let world = World::with([team_input_of(QueueStrategy::RoundRobin, 8)]);
    let plan = world.plan(&new_tickets(0..80, team_id(1), |_| Topics::default()));
    let [group] = &plan.groups[..] else {
        panic!("{} groups", plan.groups.len())
    };
    let [writes] = &group[..] else {
        panic!("{} transactions", group.len())
    };
    assert_eq!(
        (
            writes.tickets.len(),
            writes.members.len(),
            writes.loads.len()
        ),
        (80, 8, 1)
    );
}

#[test]
fn larger_batches_are_cut_at_the_tables_limit_and_go_on_where_they_were_cut() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 8)]);
    let plan = world.plan(&new_tickets(0..200, team_id(1), |_| Topics::default()));
    let cut: Vec<_> = plan.groups[0]
        .iter()
        .map(|writes| writes.tickets.len())
        .collect();
    assert_eq!(cut, [91, 91, 18]);
    world.settle(&new_tickets(0..200, team_id(1), |_| Topics::default()));
    assert_eq!(world.team_input(team_id(1)).load.turn, 200);
}

#[test]
fn closings_of_different_people_net_to_one_write_each() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 2)]);
    world.settle(&new_tickets(0..10, team_id(1), |_| Topics::default()));
    let closing: Vec<_> = (0..10)
        .map(|n| {
            let mut event = event(n, 100, None);
            event.ticket.status = Some(TicketStatus::Closed);
            TicketTask {
                ticket_id: ticket_id(n),
                trigger: Trigger::Events(vec![event]),
            }
        })
        .collect();
    let plan = world.plan(&closing);
    let writes = &plan.groups[0][0];
    assert_eq!(
        (
            writes.tickets.len(),
            writes.members.len(),
            writes.loads.len()
        ),
        (10, 2, 1)
    );
    assert_eq!(
        writes.loads[&team_id(1)].turn,
        None,
        "a closing is no decision"
    );
}

#[test]
fn a_person_who_reassigns_takes_no_turn() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 3)]);
    assert_eq!(world.say(1, |_| {}).assignee_id, Some(user_id(100)));
    let adopted = world.say(2, |event| event.ticket.assignee_id = Some(user_id(102)));
    assert_eq!(
        (adopted.assignee_id, adopted.decision.reason),
        (Some(user_id(102)), Reason::Adopted)
    );
    let team_input = world.team_input(team_id(1));
    assert_eq!(team_input.load.turn, 1);
    assert_eq!(
        team_input
            .member(user_id(102))
            .unwrap()
            .membership
            .last_turn,
        0
    );
}

#[test]
fn the_platforms_echo_of_our_own_decision_changes_nothing_about_it() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 3)]);
    let ours = world.say(1, |_| {});
    let echoed = world.say(2, |event| event.ticket.assignee_id = ours.assignee_id);
    assert_eq!(
        (echoed.decision, echoed.assignee_id),
        (ours.decision, ours.assignee_id)
    );
}

#[test]
fn assignee_from_outside_gets_counters_and_no_membership() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 1)]);
    world.say(1, |event| event.ticket.assignee_id = Some(user_id(999)));
    let team_input = world.team_input(team_id(1));
    assert_eq!(team_input.member(user_id(999)), None);
    assert_eq!(
        team_input.past(user_id(999)),
        Some(&PastCounters {
            open_tickets: 1,
            ..PastCounters::placeholder(user_id(999), 0)
        })
    );
    assert_eq!(team_input.load.open_tickets, 1);
}

#[test]
fn plan_asks_for_counters_of_outsiders_that_a_batch_names() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 2)]);
    let named = |ticket, user| {
        let mut event = event(ticket, 1, Some(team_id(1)));
        event.ticket.assignee_id = Some(user_id(user));
        TicketTask {
            ticket_id: ticket_id(ticket),
            trigger: Trigger::Events(vec![event]),
        }
    };
    let mut input = PlanningInput::default();
    input
        .teams
        .insert(team_id(1), world.input.teams[&team_id(1)].clone());
    assert!(
        plan(&[named(0, 100)], &BTreeMap::new(), &input, NOW).is_ok(),
        "a member is input"
    );
    let missing = plan(
        &[named(0, 100), named(1, 999)],
        &BTreeMap::new(),
        &input,
        NOW,
    )
    .unwrap_err();
    assert_eq!(
        missing,
        MissingInput {
            past_counters: [(team_id(1), user_id(999))].into(),
            ..MissingInput::default()
        }
    );
    // Both tickets of the batch count in one new item.
    let plan = world.plan(&[named(0, 999), named(1, 999)]);
    let writes = &plan.groups[0][0];
    let write = &writes.members[&(team_id(1), user_id(999))];
    assert_eq!((write.delta.open, write.items()), (2, 2));
    assert_eq!(writes.items(), 2 + 1 + 2);
    world.settle(&[named(0, 999), named(1, 999)]);
}

#[test]
fn former_member_keeps_counting_and_returns_with_counters() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 2)]);
    assert_eq!(world.say(1, |_| {}).assignee_id, Some(user_id(100)));
    team_input_mut(&mut world.input, team_id(1)).toggle(user_id(100));
    let past = |world: &World| world.team_input(team_id(1)).past(user_id(100)).cloned();
    let left = past(&world).unwrap();
    assert_eq!((left.open_tickets, left.last_turn, left.rev), (1, 1, 2));
    world.say(2, |event| {
        event.ticket.status = Some(TicketStatus::Resolved);
    });
    assert_eq!(
        past(&world).map(|past| (past.open_tickets, past.resolved.tickets)),
        Some((0, 1))
    );
    team_input_mut(&mut world.input, team_id(1)).toggle(user_id(100));
    let member = &world
        .team_input(team_id(1))
        .member(user_id(100))
        .unwrap()
        .membership;
    assert_eq!(
        (member.last_turn, member.resolved.tickets, member.rev),
        (1, 1, 3)
    );
}

#[test]
fn counters_are_only_created_where_the_load_exists() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 1)]);
    let closed = |n: usize| {
        let mut event = event(n, 1, Some(team_id(1)));
        event.ticket.status = Some(TicketStatus::Closed);
        event.ticket.assignee_id = Some(user_id(900 + n as u128));
        TicketTask {
            ticket_id: ticket_id(n),
            trigger: Trigger::Events(vec![event]),
        }
    };
    let work: Vec<_> = (0..60).map(closed).collect();
    let plan = world.plan(&work);
    assert_eq!(
        plan.groups[0]
            .iter()
            .map(|writes| writes.loads.len())
            .collect::<Vec<_>>(),
        [1, 1]
    );
    world.settle(&work);
}

#[test]
fn unassigning_passes_the_previous_assignee_over_unless_nobody_else_is_there() {
    for (people, expected) in [(2, 101), (1, 100)] {
        let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, people)]);
        assert_eq!(world.say(1, |_| {}).assignee_id, Some(user_id(100)));
        let again = world.say(2, |event| event.kind = TicketEventKind::Unassigned);
        assert_eq!(again.assignee_id, Some(user_id(expected)));
        assert_eq!(world.team_input(team_id(1)).load.turn, 2);
    }
}

#[test]
fn an_older_word_still_counts_for_what_it_alone_spoke_of() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 2)]);
    world.say(5, |event| event.ticket.team_id = None);
    let ticket = world.say(3, |event| event.ticket.status = Some(TicketStatus::OnHold));
    assert_eq!(
        (ticket.team_id, ticket.status),
        (Some(team_id(1)), TicketStatus::New)
    );
    assert_eq!(ticket.state, TicketState::Assigned);
    assert_eq!(
        ticket.versions.newest().unwrap().at,
        Timestamp::from_secs(1_736_000_005)
    );
}

#[test]
fn what_is_said_of_a_closed_ticket_is_planned_over_the_team_that_is_credited() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 2)]);
    world.say(1, |_| {});
    world.say(2, |event| {
        event.ticket.status = Some(TicketStatus::Resolved);
    });
    for (kind, status) in [
        (TicketEventKind::Deleted, None),
        (TicketEventKind::Snapshot, Some(TicketStatus::Cancelled)),
        (TicketEventKind::Snapshot, Some(TicketStatus::Open)),
    ] {
        let mut event = event(0, 3, None);
        (event.kind, event.ticket.status) = (kind, status);
        let work = [TicketTask {
            ticket_id: ticket_id(0),
            trigger: Trigger::Events(vec![event]),
        }];
        let missing = plan(&work, &world.tickets, &PlanningInput::default(), NOW).unwrap_err();
        assert_eq!(
            missing,
            MissingInput {
                teams: [team_id(1)].into(),
                ..MissingInput::default()
            }
        );
    }
}

#[test]
fn what_a_later_event_took_away_does_not_return_with_an_earlier_one() {
    let other = TeamInput::new(
        team(2, QueueStrategy::RoundRobin, &[]),
        Load::default(),
        vec![member(200, &[], 0)],
    );
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 1), other]);
    assert_eq!(world.say(1, |_| {}).assignee_id, Some(user_id(100)));
    team_input_mut(&mut world.input, team_id(1))
        .member_mut(user_id(100))
        .unwrap()
        .membership
        .user
        .status = UserStatus::Inactive;
    let unassigned = world.say(5, |event| {
        event.kind = TicketEventKind::Unassigned;
        event.ticket.team_id = None;
    });
    assert_eq!(unassigned.state, TicketState::Waiting);
    assert_eq!(
        world
            .say(3, |event| event.ticket.team_id = Some(team_id(2)))
            .assignee_id,
        Some(user_id(200))
    );
    let stays = world.say(4, |event| {
        event.ticket.team_id = None;
        event.ticket.assignee_id = Some(user_id(100));
    });
    assert_eq!(
        (stays.team_id, stays.assignee_id),
        (Some(team_id(2)), Some(user_id(200)))
    );
}

#[test]
fn whoever_an_older_snapshot_names_has_a_ticket_for_which_nobody_was_found() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 0)]);
    assert_eq!(world.say(5, |_| {}).state, TicketState::Waiting);
    assert_eq!(
        world
            .say(3, |event| event.ticket.assignee_id = Some(user_id(100)))
            .assignee_id,
        Some(user_id(100))
    );

    // Somebody who was found since stays: that was decided after what the snapshot tells.
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 1)]);
    team_input_mut(&mut world.input, team_id(1))
        .member_mut(user_id(100))
        .unwrap()
        .membership
        .user
        .status = UserStatus::Inactive;
    assert_eq!(world.say(5, |_| {}).state, TicketState::Waiting);
    team_input_mut(&mut world.input, team_id(1))
        .member_mut(user_id(100))
        .unwrap()
        .membership
        .user
        .status = UserStatus::Active;
    world.settle(&[TicketTask {
        ticket_id: ticket_id(0),
        trigger: Trigger::Waiting,
    }]);
    assert_eq!(
        world
            .say(3, |event| event.ticket.assignee_id = Some(user_id(200)))
            .assignee_id,
        Some(user_id(100))
    );
}

#[test]
fn an_unassignment_that_tells_no_facts_leaves_them_to_an_older_snapshot() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 2)]);
    world.say(5, |event| {
        event.kind = TicketEventKind::Unassigned;
        event.ticket.status = None;
    });
    let told = world.say(3, |event| {
        event.ticket.status = Some(TicketStatus::OnHold);
        event.ticket.priority = FieldUpdate::Set(Priority::High);
    });
    assert_eq!(
        (told.status, told.priority),
        (TicketStatus::OnHold, Priority::High)
    );
    let older = world.say(2, |event| event.ticket.status = Some(TicketStatus::Closed));
    assert_eq!(older.status, TicketStatus::OnHold);
}

#[test]
fn deletion_is_final() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 2)]);
    world.say(1, |event| event.kind = TicketEventKind::Deleted);
    assert_eq!(world.say(2, |_| {}).state, TicketState::Deleted);
}

#[test]
fn a_reopened_ticket_returns_to_its_assignee_without_a_turn_if_they_are_eligible() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 2)]);
    let first = world.say(1, |_| {}).assignee_id;
    let close = |event: &mut TicketEvent| {
        event.ticket.status = Some(TicketStatus::Resolved);
        event.ticket.due_at = FieldUpdate::Set(event.version.at);
    };
    assert_eq!(
        world.say(3, close).credit().unwrap().in_time,
        Some(true),
        "the due moment itself is in time"
    );
    let reopened = world.say(4, |_| {});
    assert_eq!(
        (reopened.assignee_id, reopened.decision.reason),
        (first, Reason::Reopened)
    );
    assert_eq!(
        world.team_input(team_id(1)).load,
        Load {
            turn: 1,
            open_tickets: 1,
            ..Load::default()
        }
    );

    world.say(5, close);
    team_input_mut(&mut world.input, team_id(1))
        .member_mut(user_id(100))
        .unwrap()
        .membership
        .user
        .status = UserStatus::Suspended;
    assert_eq!(world.say(6, |_| {}).assignee_id, Some(user_id(101)));
}

#[test]
fn a_credit_is_what_the_first_close_said_and_cancelling_takes_it_back() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 1)]);
    world.say(1, |event| {
        event.ticket.created_at = Some(Timestamp::from_secs(1_736_000_000));
    });
    let with = |status, resolved_at: Option<i64>| {
        move |event: &mut TicketEvent| {
            event.ticket.status = Some(status);
            event.ticket.resolved_at =
                resolved_at.map_or(FieldUpdate::Absent, |at| update(Some(at)));
        }
    };
    assert_eq!(
        world
            .say(9, with(TicketStatus::Resolved, Some(7)))
            .credit()
            .unwrap()
            .resolution_ms,
        7000
    );
    assert_eq!(
        world
            .say(20, with(TicketStatus::Closed, None))
            .credit()
            .unwrap()
            .resolution_ms,
        7000
    );
    assert_eq!(
        world.say(21, with(TicketStatus::Cancelled, None)).credit(),
        None
    );
}

#[test]
fn a_credit_is_the_same_whether_closings_come_in_one_batch_or_one_by_one() {
    let closings = [
        (9, TicketStatus::Resolved),
        (20, TicketStatus::Closed),
        (30, TicketStatus::Open),
    ];
    for closings in [
        &closings[..2],
        &[closings[0], closings[2], (40, TicketStatus::Resolved)],
    ] {
        let events = |(at, status)| {
            let mut event = event(0, at, None);
            event.ticket.status = Some(status);
            event
        };
        let events: Vec<_> = closings.iter().copied().map(events).collect();
        let settled = |batches: Vec<Vec<TicketEvent>>| {
            let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 1)]);
            world.say(1, |_| {});
            for events in batches {
                world.settle(&[TicketTask {
                    ticket_id: ticket_id(0),
                    trigger: Trigger::Events(events),
                }]);
            }
            world.tickets[&ticket_id(0)].credit()
        };
        let one_by_one = settled(events.iter().map(|event| vec![event.clone()]).collect());
        assert!(one_by_one.is_some());
        assert_eq!(settled(vec![events]), one_by_one);
    }
}

#[test]
fn a_move_to_another_team_is_routed_there_and_a_team_that_is_not_there_moves_nothing() {
    let mut other = TeamInput::new(
        team(2, QueueStrategy::RoundRobin, &[]),
        Load::default(),
        vec![member(200, &[], 0)],
    );
    other.load.turn = 4;
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 1), other]);
    world.say(1, |_| {});
    let stays = world.say(2, |event| event.ticket.team_id = Some(team_id(9)));
    assert_eq!(
        (stays.team_id, stays.assignee_id),
        (Some(team_id(1)), Some(user_id(100)))
    );
    let moved = world.say(3, |event| event.ticket.team_id = Some(team_id(2)));
    assert_eq!(
        (moved.team_id, moved.assignee_id),
        (Some(team_id(2)), Some(user_id(200)))
    );
    assert_eq!(moved.decision.turn, Some(5));
}

#[test]
fn a_team_takes_over_a_ticket_of_no_team_with_its_assignee() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 2)]);
    let theirs = world.say(1, |event| {
        event.ticket.team_id = None;
        event.ticket.assignee_id = Some(user_id(101));
    });
    assert_eq!(
        (theirs.state, theirs.team_id),
        (TicketState::Assigned, None)
    );
    let ours = world.say(2, |_| {});
    assert_eq!(
        (ours.team_id, ours.assignee_id),
        (Some(team_id(1)), Some(user_id(101)))
    );
}

#[test]
fn a_ticket_reopened_by_a_person_does_not_enter_a_team_that_is_deleted() {
    let mut world = World::with([team_input_of(QueueStrategy::RoundRobin, 2)]);
    world.say(1, |_| {});
    world.say(2, |event| event.ticket.status = Some(TicketStatus::Closed));
    world.delete(team_id(1));
    let reopened = world.say(3, |event| event.ticket.assignee_id = Some(user_id(101)));
    assert_eq!(
        (reopened.state, reopened.team_id),
        (TicketState::Assigned, None)
    );
}

#[test]
fn a_ticket_that_names_no_team_goes_to_who_knows_most_and_can_take_it() {
    let team_input = |n, specializations: &[&str], people: u128, open| {
        let members = (0..people).map(|at| member(n * 10 + at, &[], 0)).collect();
        let load = Load {
            open_tickets: open,
            ..Load::default()
        };
        TeamInput::new(
            team(n, QueueStrategy::RoundRobin, specializations),
            load,
            members,
        )
    };
    let routed = |team_inputs: Vec<TeamInput>| {
        let world = World::with(team_inputs);
        let mut event = event(0, 1, None);
        event.ticket.tags = FieldUpdate::Set(Topics::of(["VPN", "dns"]));
        let plan = world.plan(&[TicketTask {
            ticket_id: ticket_id(0),
            trigger: Trigger::Events(vec![event]),
        }]);
        plan.groups[0][0].tickets[0].1.clone()
    };
    let to = |team_inputs: Vec<TeamInput>| routed(team_inputs).team_id;
    assert_eq!(
        to(vec![
            team_input(1, &["vpn"], 1, 0),
            team_input(2, &["VPN", "DNS"], 1, 50)
        ]),
        Some(team_id(2)),
        "most matches"
    );
    assert_eq!(
        to(vec![
            team_input(1, &["vpn", "dns"], 0, 0),
            team_input(2, &["vpn"], 1, 50)
        ]),
        Some(team_id(2)),
        "nobody is last"
    );
    assert_eq!(
        to(vec![
            team_input(1, &["vpn"], 2, 9),
            team_input(2, &["vpn"], 3, 9)
        ]),
        Some(team_id(2)),
        "fewest for each"
    );
    assert_eq!(
        to(vec![
            team_input(2, &["vpn"], 1, 9),
            team_input(1, &["vpn"], 1, 9)
        ]),
        Some(team_id(1)),
        "the oldest"
    );
    assert_eq!(
        to(vec![team_input(1, &["vpn"], 0, 0)]),
        Some(team_id(1)),
        "it waits with the only one that knows"
    );
    let unrouted = routed(vec![team_input(1, &["printer"], 1, 0)]);
    assert_eq!(
        (unrouted.state, unrouted.decision.reason),
        (TicketState::Unrouted, Reason::NoTeamMatches)
    );
}

#[test]
fn a_decision_says_who_was_passed_over_and_why() {
    let mut away = member(101, &[], 0);
    away.user.status = UserStatus::Inactive;
    let mut world = World::with([TeamInput::new(
        team(1, QueueStrategy::LeastBusy, &[]),
        Load::default(),
        vec![away, member(102, &[], 0)],
    )]);
    let decision = world.say(1, |_| {}).decision;
    let candidates: Vec<_> = decision
        .candidates
        .iter()
        .map(|c: &Candidate| (c.user_id, c.is_eligible()))
        .collect();
    assert_eq!(candidates, [(user_id(102), true), (user_id(101), false)]);
    assert_eq!((decision.considered, decision.eligible), (2, 1));
    assert_eq!(decision.explanation(), "The only eligible member of 2.");
}

#[test]
fn plan_without_a_choice_asks_for_one() {
    let mut event = event(0, 1, None);
    event.ticket.tags = FieldUpdate::Set(Topics::of(["VPN "]));
    let work = [TicketTask {
        ticket_id: ticket_id(0),
        trigger: Trigger::Events(vec![event]),
    }];
    let missing = plan(&work, &BTreeMap::new(), &PlanningInput::default(), NOW).unwrap_err();
    let wanted = UnmatchedTicket {
        ticket_id: ticket_id(0),
        topics: Topics::of(["vpn"]),
        rejected: None,
    };
    assert_eq!(
        missing,
        MissingInput {
            unmatched_tickets: vec![wanted],
            ..MissingInput::default()
        }
    );
}
