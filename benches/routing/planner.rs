//! The planner alone: from decoded domain values (the team, its load and its members as the store
//! returns them, and events) to the plan. Building the planner's input is part of the time.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    time::Duration,
};

use anyhow::{Context, anyhow};
use criterion::{BatchSize, Criterion};
use muster_contracts::events::inbound::ticket_event;
use muster_domain::{
    Load, Member, OrganizationId, QueueStrategy, Tags, Team, TeamId, Ticket, TicketId, Timestamp,
    UserStatus,
    routing::{Plan, PlanningInput, TeamInput, TeamLookup, TicketTask, Trigger, plan},
};
use serde_json::{Value, json};

use super::{BATCHES, MEMBERS, TEAMS};
use crate::{
    calibration::Yardstick,
    events::new_ticket,
    fixture::{CREATED, new_team, team_id, user},
    report::{Aim, Figure, Unit, target_folder},
};

/// The skills of the members: two each.
const SKILLS: [[&str; 2]; 4] = [
    ["VPN", "DNS"],
    ["Mail", "Printer"],
    ["VPN", "Mail"],
    ["DNS", "Printer"],
];

/// The kind of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Workload {
    /// New tickets, and active members.
    New,
    /// Half of the events are updates and closings, and every tenth ticket had an assignee before.
    /// Every tenth member is inactive.
    Mixed,
}

/// One figure of the table.
#[derive(Debug, Clone, Copy)]
struct Cell {
    workload: Workload,
    strategy: QueueStrategy,
    teams: u32,
    members: u32,
    batch: usize,
}

/// The decoded values of a batch.
struct Decoded {
    teams: Vec<(Team, Load, Vec<Member>)>,
    tickets: BTreeMap<TicketId, Ticket>,
    tasks: Vec<TicketTask>,
    now: Timestamp,
}

/// Measures all cells.
///
/// # Errors
/// Criterion's results cannot be read.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let folder = target_folder()?.join("criterion");
    let mut criterion = Criterion::default()
        .without_plots()
        .output_directory(&folder)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400));
    let mut figures = Vec::new();
    for cell in cells() {
        let decoded = cell.decode()?;
        let name = cell.name();
        criterion.bench_function(&name, |bencher| {
            // The values are cloned, and the plan is dropped, outside of the time.
            bencher.iter_batched(
                || decoded.teams.clone(),
                |teams| decoded.plan(teams),
                cell.iterations(),
            );
        });
        let estimates = folder.join(&name).join("new").join("estimates.json");
        let estimates = fs::read_to_string(&estimates).context(name.clone())?;
        let estimates: Value = serde_json::from_str(&estimates)?;
        let nanos = estimates["median"]["point_estimate"].as_f64();
        let seconds = nanos.context("an estimate is a number")? / 1e9;
        figures.push(cell.figure(name, seconds));
    }
    Ok(figures)
}

fn cells() -> impl Iterator<Item = Cell> {
    let workloads = [(Workload::New, TEAMS), (Workload::Mixed, &TEAMS[..1])];
    workloads.into_iter().flat_map(|(workload, teams)| {
        QueueStrategy::ALL.into_iter().flat_map(move |strategy| {
            teams.iter().flat_map(move |&teams| {
                MEMBERS.into_iter().flat_map(move |members| {
                    BATCHES.into_iter().map(move |batch| Cell {
                        workload,
                        strategy,
                        teams,
                        members,
                        batch,
                    })
                })
            })
        })
    })
}

impl Cell {
    /// Returns the name, which is a folder of criterion's too.
    fn name(&self) -> String {
        let Self {
            workload,
            strategy,
            teams,
            members,
            batch,
        } = self;
        let workload = match workload {
            Workload::New => "new",
            Workload::Mixed => "mixed",
        };
        let (strategy, plural) = (strategy.as_str(), if *teams == 1 { "" } else { "s" });
        format!("planner {workload}, {strategy}, {teams} team{plural} of {members}, batch {batch}")
    }

    /// Returns the number of inputs that criterion clones ahead: so few that they stay in the cache
    /// of the processor, as the items that a function has just decoded.
    fn iterations(&self) -> BatchSize {
        BatchSize::NumIterations((500 / u64::from(self.members * self.involved_teams())).max(1))
    }

    /// Returns the number of teams of a batch.
    fn involved_teams(&self) -> u32 {
        self.teams
            .min(u32::try_from(self.batch).unwrap_or(u32::MAX))
    }

    /// Returns the figure of a plan's duration: the duration of a batch of 1, and else the tickets
    /// a second.
    #[expect(clippy::cast_precision_loss, reason = "at most 80 tickets")]
    fn figure(&self, name: String, seconds: f64) -> Figure {
        let figure = if self.batch == 1 {
            Figure::new(name, seconds, Unit::Seconds)
        } else {
            Figure::new(name, self.batch as f64 / seconds, Unit::PerSecond)
        };
        let figure = figure.calibrated_by(Yardstick::Sha256);
        match self.aim() {
            Some(aim) => figure.with_aim(aim),
            None => figure,
        }
    }

    /// Returns the aim of the first workload with one team.
    fn aim(&self) -> Option<Aim> {
        let is_skill_based = self.strategy == QueueStrategy::SkillBased;
        let of = |simple, by_skill| if is_skill_based { by_skill } else { simple };
        match (self.workload, self.teams, self.members, self.batch) {
            (Workload::New, 1, 50, 80) => Some(Aim::AtLeast(of(1e6, 5e5))),
            (Workload::New, 1, 500, 80) => Some(Aim::AtLeast(of(3e5, 1.5e5))),
            (Workload::New, 1, 500, 1) => Some(Aim::AtMost(of(15e-6, 40e-6))),
            _ => None,
        }
    }

    fn decode(&self) -> anyhow::Result<Decoded> {
        let now = Timestamp::now();
        let organization = OrganizationId::parse("org_bench")?;
        let team_of = |n: usize| team_id(u32::try_from(n).unwrap_or(0) % self.teams);
        let teams = (0..self.involved_teams())
            .map(|n| self.team(&organization, n))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let created = (0..self.batch).map(|n| {
            let id = format!("TKT-2026-{n:06}");
            (id.clone(), new_ticket(&organization, team_of(n), &id, n))
        });
        let created: Vec<_> = created.collect();
        let tasks = created.iter().map(|(_, event)| task(event, now));
        let mut decoded = Decoded {
            teams,
            tickets: BTreeMap::new(),
            tasks: tasks.collect::<anyhow::Result<_>>()?,
            now,
        };
        if self.workload == Workload::Mixed {
            decoded.process_known(created)?;
        }
        Ok(decoded)
    }

    /// Returns a team with its load and members.
    fn team(
        &self,
        organization: &OrganizationId,
        n: u32,
    ) -> anyhow::Result<(Team, Load, Vec<Member>)> {
        let mut team = new_team(organization, n, self.strategy)?;
        team.member_count = self.members;
        let load = Load {
            eligible: self.members.into(),
            ..Load::default()
        };
        let member = |n: u32| {
            let skills = SKILLS[n as usize % SKILLS.len()];
            let skills = Tags::parse(skills).map_err(|error| anyhow!("{error:?}"))?;
            let at = CREATED.plus(Duration::from_millis(n.into()));
            // A user must be active to join.
            let user = user(n, UserStatus::Active);
            let mut member =
                Member::joining(user, skills, None, 0, at).map_err(|error| anyhow!("{error:?}"))?;
            if self.workload == Workload::Mixed && n % 10 == 9 {
                member.user.status = UserStatus::Inactive;
            }
            anyhow::Ok(member)
        };
        let members = (0..self.members).map(member).collect::<Result<_, _>>()?;
        Ok((team, load, members))
    }
}

impl Decoded {
    /// Plans the batch over the values of its teams. Returns the input too, so that it is dropped
    /// later.
    fn plan(&self, teams: Vec<(Team, Load, Vec<Member>)>) -> (PlanningInput, Plan) {
        let found = teams.into_iter().map(|(team, load, members)| {
            let id = team.id;
            let input = Box::new(TeamInput::new(team, load, members));
            (id, TeamLookup::Found(input))
        });
        let input = PlanningInput {
            teams: found.collect::<HashMap<TeamId, TeamLookup>>(),
            ..PlanningInput::default()
        };
        let plan = plan(&self.tasks, &self.tickets, &input, self.now);
        (input, plan.expect("the input is complete"))
    }

    /// Replaces half of the events by updates and closings of tickets that were assigned before,
    /// and every tenth one by an event that withdraws the assignee.
    fn process_known(&mut self, events: Vec<(String, Value)>) -> anyhow::Result<()> {
        let (_, plan) = self.plan(self.teams.clone());
        let planned = plan.groups.into_iter().flatten();
        let known: BTreeMap<TicketId, _> = planned
            .flat_map(|transaction| transaction.tickets)
            .map(|(_, ticket)| (ticket.id.clone(), ticket))
            .collect();
        for (n, (id, mut event)) in events.into_iter().enumerate() {
            let change = match n % 10 {
                9 => ("ticket.unassigned", "open"),
                0 | 2 => ("ticket.updated", "in_progress"),
                4 | 6 | 8 => ("ticket.updated", "resolved"),
                // A new ticket.
                _ => continue,
            };
            let later = self.now.secs();
            event["id"] = json!(format!("changed-{id}"));
            event["type"] = json!(change.0);
            event["data"]["ticket"]["status"] = json!(change.1);
            event["data"]["ticket"]["updated_at"] = json!(later);
            self.tasks[n] = task(&event, self.now)?;
            let id = TicketId::parse(&id)?;
            let ticket = known.get(&id).context("every ticket was planned")?;
            self.tickets.insert(id, Ticket::clone(ticket));
        }
        Ok(())
    }
}

/// Decodes an event.
fn task(event: &Value, now: Timestamp) -> anyhow::Result<TicketTask> {
    let message = ticket_event(&event.to_string(), now).map_err(|error| anyhow!("{error:?}"))?;
    Ok(TicketTask {
        ticket_id: message.event.ticket.id.clone(),
        trigger: Trigger::Events(vec![message.event]),
    })
}
