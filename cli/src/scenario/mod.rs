//! A generated day of a help desk: ticket events as either platform sends them.
//!
//! Everything is a pure function of a [`Scenario`]: the same scenario has the same events, byte for
//! byte, on every machine. Each ticket has its own stream of random numbers, so an event can be
//! generated without the others. An event that is not written yet takes 16 bytes.

mod catalog;
mod event;
mod lifecycle;

use std::time::Duration;

use muster_domain::{Contract, OrganizationId, TeamId, Timestamp, UserId};
use rand::Rng;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use uuid::Uuid;

pub use event::ScenarioEvent;
use lifecycle::TicketLifecycle;

/// The length of a day.
pub const DAY: Duration = Duration::from_hours(24);

/// The parameters of a day.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The organization of the tickets.
    pub organization: OrganizationId,
    /// The contract of the tickets' fields and values. `None` selects one at random for each
    /// ticket.
    pub contract: Option<Contract>,
    /// The start of the day, in whole seconds. The day has 24 hours; tickets that are not resolved
    /// at its end stay open. Arrivals follow the hours of UTC, at any start.
    pub start: Timestamp,
    /// The number of created tickets. Each has about four events.
    pub tickets: u32,
    /// The teams that tickets name, with equal frequency. If it is empty, no team is named, so that
    /// specializations route the tickets.
    pub teams: Vec<TeamId>,
    /// The users that people reassign tickets to. If it is empty, no ticket names an assignee.
    pub users: Vec<UserId>,
    /// The random seed. The ids of tickets and events depend on `start` too, so that two days have
    /// different ids.
    pub seed: u64,
    /// The percentage of events that are delivered twice, 0 to 100.
    pub duplicates: u8,
    /// The maximum delay of an event. Events and their duplicates arrive out of order within this
    /// time.
    pub shuffle: Duration,
}

/// A delivery of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Delivery {
    /// The arrival, in milliseconds after the start of the day.
    arrives: u32,
    ticket: u32,
    /// The index of the ticket's snapshot.
    step: u32,
}

/// The uses of random numbers. Each has its own stream, so that another delivery does not change
/// the tickets.
#[derive(Clone, Copy)]
enum RngStream {
    TicketLifecycle,
    Delivery,
    Id,
}

impl Scenario {
    /// Returns the events in the order of their arrival.
    ///
    /// Takes about a microsecond for each event before the first, and some more at each.
    #[must_use]
    pub fn events(&self) -> impl ExactSizeIterator<Item = ScenarioEvent> {
        self.deliveries()
            .into_iter()
            .map(|Delivery { ticket, step, .. }| {
                let lifecycle = self.lifecycle(ticket);
                ScenarioEvent::new(
                    &self.organization,
                    self.ticket_id(ticket),
                    &lifecycle,
                    step as usize,
                )
            })
    }

    fn deliveries(&self) -> Vec<Delivery> {
        let longest = u32::try_from(self.shuffle.as_millis())
            .unwrap_or(u32::MAX / 4)
            .min(u32::MAX / 4);
        let mut deliveries = Vec::new();
        for ticket in 0..self.tickets {
            let mut random = self.random(RngStream::Delivery, ticket);
            for (step, snapshot) in (0..).zip(&self.lifecycle(ticket).snapshots) {
                let sent = snapshot.updated_at.since(self.start).as_millis();
                let sent = u32::try_from(sent).expect("a day has fewer than 2^32 milliseconds");
                let arrives = sent + random.random_range(0..=longest);
                deliveries.push(Delivery {
                    arrives,
                    ticket,
                    step,
                });
                if random.random_range(0..100) < self.duplicates {
                    let arrives = arrives.max(sent + random.random_range(0..=longest));
                    deliveries.push(Delivery {
                        arrives,
                        ticket,
                        step,
                    });
                }
            }
        }
        deliveries.sort_unstable();
        deliveries
    }

    fn lifecycle(&self, ticket: u32) -> TicketLifecycle {
        TicketLifecycle::new(
            self,
            ticket,
            &mut self.random(RngStream::TicketLifecycle, ticket),
        )
    }

    fn ticket_id(&self, ticket: u32) -> Uuid {
        let mut bytes = [0; 16];
        self.random(RngStream::Id, ticket).fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// Returns a ticket's random numbers for one use. The algorithm is fixed, because `rand` may
    /// change its default between versions.
    fn random(&self, stream: RngStream, ticket: u32) -> ChaCha8Rng {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        if let RngStream::Id = stream {
            seed[8..16].copy_from_slice(&self.start.secs().to_le_bytes());
        }
        seed[16] = stream as u8;
        let mut random = ChaCha8Rng::from_seed(seed);
        random.set_stream(ticket.into());
        random
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use muster_contracts::events::inbound::ticket_event;
    use serde_json::Value;

    use super::*;

    /// 2026-03-02T00:00:00Z, a Monday.
    const MONDAY: i64 = 1_772_409_600;

    fn scenario_of(tickets: u32) -> Scenario {
        Scenario {
            organization: OrganizationId::parse("org_demo").unwrap(),
            contract: None,
            start: Timestamp::from_secs(MONDAY),
            tickets,
            teams: Vec::new(),
            users: Vec::new(),
            seed: 1,
            duplicates: 0,
            shuffle: Duration::ZERO,
        }
    }

    fn json(scenario: &Scenario) -> Vec<Value> {
        scenario
            .events()
            .map(|event| serde_json::to_value(event).unwrap())
            .collect()
    }

    /// Returns a time of either contract in seconds.
    fn seconds(time: &Value) -> i64 {
        use time::{OffsetDateTime, format_description::well_known::Rfc3339};
        match time {
            Value::String(text) => OffsetDateTime::parse(text, &Rfc3339)
                .unwrap()
                .unix_timestamp(),
            number => number.as_i64().expect("a time"),
        }
    }

    fn share(part: usize, whole: usize) -> f64 {
        f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(whole).unwrap())
    }

    #[test]
    fn equal_scenarios_have_equal_events() {
        let scenario = Scenario {
            duplicates: 10,
            shuffle: Duration::from_mins(1),
            ..scenario_of(200)
        };
        assert_eq!(json(&scenario), json(&scenario));
        assert_eq!(scenario.events().len(), json(&scenario).len());
        assert_ne!(
            json(&scenario),
            json(&Scenario {
                seed: 2,
                ..scenario.clone()
            })
        );

        // The same day a week later has other ids and the same changes.
        let later = Scenario {
            start: Timestamp::from_secs(MONDAY + 7 * 86_400),
            ..scenario.clone()
        };
        let kinds = |scenario: &Scenario| {
            json(scenario)
                .iter()
                .map(|event| event["type"].clone())
                .collect::<Vec<_>>()
        };
        let ids = |scenario: &Scenario| {
            json(scenario)
                .iter()
                .map(|event| event["id"].to_string())
                .collect::<HashSet<_>>()
        };
        assert_eq!(kinds(&scenario), kinds(&later));
        assert!(ids(&scenario).is_disjoint(&ids(&later)));
    }

    #[test]
    fn ticket_events_are_ordered_within_the_day() {
        let teams: Vec<_> = (0..3).map(|n| TeamId::new(Uuid::from_u128(n))).collect();
        let users: Vec<_> = (0..3).map(|n| UserId::new(Uuid::from_u128(n))).collect();
        let mut latest: HashMap<String, i64> = HashMap::new();
        let mut created = 0;
        let mut before = 0;
        for event in json(&Scenario {
            teams,
            users,
            ..scenario_of(2_000)
        }) {
            let ticket = &event["data"]["ticket"];
            let at = seconds(&ticket["updated_at"]);
            assert_eq!(seconds(&event["time"]), at);
            assert!(
                before <= at && (MONDAY..MONDAY + 86_400).contains(&at),
                "{event}"
            );
            before = at;
            let earlier = latest.insert(ticket["id"].as_str().unwrap().to_owned(), at);
            assert!(earlier.is_none_or(|earlier| earlier < at), "{event}");
            assert_eq!(earlier.is_none(), event["type"] == "ticket.created");
            created += usize::from(earlier.is_none());
            let done = ["resolved", "closed"]
                .iter()
                .any(|status| ticket["status"] == *status);
            assert_eq!(!ticket["resolved_at"].is_null(), done, "{event}");
        }
        assert_eq!(created, 2_000);
    }

    #[test]
    fn every_event_is_parsed_by_the_function() {
        let (teams, users) = (
            vec![TeamId::new(Uuid::nil())],
            vec![UserId::new(Uuid::nil())],
        );
        for event in (Scenario {
            teams,
            users,
            ..scenario_of(1_000)
        })
        .events()
        {
            let body = serde_json::to_string(&event).unwrap();
            let message = ticket_event(&body, Timestamp::from_secs(MONDAY).plus(DAY)).expect(&body);
            let ticket = message.event.ticket;
            assert!(
                ticket.due_at.new_value().flatten() > ticket.created_at && ticket.team_id.is_some(),
                "{body}"
            );
            assert!(!message.has_unknown_priority, "{body}");
        }
    }

    #[test]
    fn scenario_has_the_proportions_of_a_help_desk() {
        let users = vec![UserId::new(Uuid::nil())];
        let events = json(&Scenario {
            users,
            ..scenario_of(5_000)
        });
        let count = |predicate: &dyn Fn(&Value) -> bool| {
            events.iter().filter(|event| predicate(event)).count()
        };
        let status =
            |status: &'static str| count(&|event| event["data"]["ticket"]["status"] == status);
        let kind = |kind: &'static str| count(&|event| event["type"] == kind);

        assert!(
            (3.5..4.5).contains(&share(events.len(), 5_000)),
            "{} events",
            events.len()
        );
        assert!((0.005..0.02).contains(&share(kind("ticket.deleted"), 5_000)));
        assert!((0.01..0.05).contains(&share(kind("ticket.unassigned"), 5_000)));
        assert!((0.02..0.06).contains(&share(status("cancelled"), 5_000)));
        assert!(
            (0.6..0.95).contains(&share(status("resolved"), 5_000)),
            "{}",
            status("resolved")
        );
        assert!(
            (0.4..0.8).contains(&share(status("closed"), 5_000)),
            "{}",
            status("closed")
        );
        assert!(status("pending") > 100 && status("on_hold") > 100);

        let hours = |hours: std::ops::Range<i64>| {
            let during =
                |event: &Value| hours.contains(&((seconds(&event["time"]) - MONDAY) / 3600));
            count(&|event| event["type"] == "ticket.created" && during(event))
        };
        assert!(hours(0..6) < hours(9..10) / 2, "the night is quiet");
        assert!(
            hours(12..13) < hours(10..11) && hours(12..13) < hours(14..15),
            "people have lunch"
        );

        let created: Vec<_> = events
            .iter()
            .filter(|event| event["type"] == "ticket.created")
            .collect();
        let critical = |event: &&&Value| {
            let priority = &event["data"]["ticket"]["priority"];
            priority == "critical" || priority == "urgent"
        };
        assert!((0.03..0.08).contains(&share(
            created.iter().filter(critical).count(),
            created.len()
        )));
        let itsm = created
            .iter()
            .filter(|event| event["source"] == "/itsm/tickets")
            .count();
        assert!((0.45..0.55).contains(&share(itsm, created.len())));
    }

    #[test]
    fn resolution_times_depend_on_priority_and_meet_due_dates() {
        let mut hours: HashMap<String, Vec<f64>> = HashMap::new();
        let mut met = 0;
        let mut resolved = 0;
        for event in json(&Scenario {
            contract: Some(Contract::Itsm),
            ..scenario_of(5_000)
        }) {
            let ticket = &event["data"]["ticket"];
            if ticket["status"] == "resolved" {
                let at = seconds(&ticket["resolved_at"]);
                resolved += 1;
                met += usize::from(at <= seconds(&ticket["due_date"]));
                let took = u32::try_from(at - seconds(&ticket["created_at"])).unwrap();
                hours
                    .entry(ticket["priority"].to_string())
                    .or_default()
                    .push(f64::from(took) / 3600.0);
            }
        }
        assert!(
            (0.8..0.99).contains(&share(met, resolved)),
            "{met} of {resolved}"
        );
        let median = |priority: &str| {
            let mut hours = hours[&format!("{priority:?}")].clone();
            hours.sort_by(f64::total_cmp);
            hours[hours.len() / 2]
        };
        assert!(median("critical") < median("high") && median("high") < median("medium"));
    }

    #[test]
    fn tickets_name_only_the_given_teams_and_users() {
        let (teams, users) = (
            vec![TeamId::new(Uuid::from_u128(7))],
            vec![UserId::new(Uuid::from_u128(8))],
        );
        for contract in Contract::ALL {
            let (team, user, of) = match contract {
                Contract::Toptickets => ("team_id", "assignee_id", ["", ""]),
                Contract::Itsm => ("assigned_team_id", "assigned_user_id", ["team_", "usr_"]),
            };
            let without_users = Scenario {
                contract: Some(contract),
                ..scenario_of(500)
            };
            for event in json(&without_users) {
                let ticket = &event["data"]["ticket"];
                assert_eq!(
                    (ticket.get(team), ticket.get(user)),
                    (Some(&Value::Null), Some(&Value::Null))
                );
            }
            let with_users = Scenario {
                teams: teams.clone(),
                users: users.clone(),
                ..without_users
            };
            let mut reassigned = 0;
            for event in json(&with_users) {
                let ticket = &event["data"]["ticket"];
                assert_eq!(ticket[team], format!("{}{}", of[0], teams[0].uuid()));
                if !ticket[user].is_null() {
                    assert_eq!(ticket[user], format!("{}{}", of[1], users[0].uuid()));
                    assert_ne!(event["type"], "ticket.unassigned");
                    reassigned += 1;
                }
            }
            assert!(reassigned > 10, "{reassigned}");
        }
    }

    #[test]
    fn delivery_options_do_not_change_events() {
        let straight = json(&scenario_of(1_000));
        let shuffled = json(&Scenario {
            duplicates: 10,
            shuffle: Duration::from_mins(1),
            ..scenario_of(1_000)
        });
        let by_id = |events: &[Value]| -> HashMap<String, Value> {
            events
                .iter()
                .map(|event| (event["id"].to_string(), event.clone()))
                .collect()
        };
        assert_eq!(
            by_id(&straight).len(),
            straight.len(),
            "an id is one event's"
        );
        assert_eq!(
            by_id(&straight),
            by_id(&shuffled),
            "a copy has its event's id, and is the same"
        );
        let duplicates = share(shuffled.len() - straight.len(), straight.len());
        assert!((0.07..0.13).contains(&duplicates), "{duplicates}");

        let times: Vec<i64> = shuffled
            .iter()
            .map(|event| seconds(&event["time"]))
            .collect();
        assert!(!times.is_sorted());
        let mut newest = 0;
        for time in times {
            newest = newest.max(time);
            assert!(newest - time <= 60, "more than a minute late");
        }
        let doubled = json(&Scenario {
            duplicates: 100,
            ..scenario_of(20)
        });
        assert_eq!(doubled.len(), 2 * json(&scenario_of(20)).len());
        assert!(doubled.chunks(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn scenario_can_start_at_any_time_and_be_empty() {
        for start in [MONDAY + 1, MONDAY + 12 * 3600 + 59, MONDAY + 86_399] {
            let events = json(&Scenario {
                start: Timestamp::from_secs(start),
                ..scenario_of(300)
            });
            let times: Vec<i64> = events
                .iter()
                .map(|event| seconds(&event["time"]) - start)
                .collect();
            assert!(
                times.is_sorted() && times.iter().all(|time| (0..86_400).contains(time)),
                "{start}"
            );
        }
        assert_eq!(scenario_of(0).events().len(), 0);
    }
}
