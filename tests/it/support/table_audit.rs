//! The content of an organization's table, read without the store and recounted without the
//! domain's code.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::types::AttributeValue;
use muster_domain::{Folded, OrganizationId};

use super::{
    Stack,
    crash::TransactionLog,
    invoke,
    table::{Item, number, text},
};

/// The expected counters of a team.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct TeamCounters {
    open: i64,
    waiting: i64,
    sla_met: i64,
    sla_due: i64,
}

/// The expected counters of a membership.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct MemberCounters {
    open: i64,
    in_progress: i64,
    resolved: i64,
    resolved_ms: i64,
}

/// The expected counters by team.
type ByTeam<'t> = HashMap<&'t str, TeamCounters>;

/// The expected counters by team and user.
type ByMember<'t> = HashMap<(&'t str, &'t str), MemberCounters>;

/// The items of an organization's teams and tickets. Ids have no prefix.
#[derive(Debug, Default)]
pub struct TableAudit {
    pub teams: BTreeMap<String, Item>,
    pub loads: BTreeMap<String, Item>,
    pub deleted_teams: BTreeMap<String, Item>,
    /// Memberships, by team and user.
    pub members: BTreeMap<(String, String), Item>,
    /// Counters of former and placeholder members, by team and user.
    pub pasts: BTreeMap<(String, String), Item>,
    pub tickets: BTreeMap<String, Item>,
    /// The items in stored form, by key.
    pub items: BTreeMap<(String, String), Item>,
}

/// Returns true if an item has an attribute.
fn has(item: &Item, attribute: &str) -> bool {
    item.contains_key(attribute)
}

/// Returns true if a member is eligible.
pub fn is_eligible(member: &Item) -> bool {
    text(member, "status") == "active"
}

impl TableAudit {
    /// Reads the whole table, page by page, and stores the items of the organization.
    pub async fn read(stack: &Stack, org: &OrganizationId) -> Self {
        let client = aws_sdk_dynamodb::Client::from_conf(invoke::client_config(stack).build());
        let mut audit = Self::default();
        let (own, prefix) = (format!("ORG#{org}"), format!("ORG#{org}#"));
        let items = client
            .scan()
            .table_name(&stack.table)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let items: Vec<Item> = items
            .collect::<Result<_, _>>()
            .await
            .expect("the table can be read");
        for item in items {
            let (pk, sk) = (text(&item, "pk").to_owned(), text(&item, "sk").to_owned());
            let rest = match pk.strip_prefix(&prefix) {
                Some(rest) => rest,
                None if pk == own => "",
                None => continue,
            };
            audit.items.insert((pk.clone(), sk.clone()), item.clone());
            if let Some(ticket) = rest.strip_prefix("TICKET#") {
                audit.tickets.insert(ticket.to_owned(), item);
            } else if let Some(team) = rest.strip_prefix("TEAM#") {
                if sk == "LOAD" {
                    audit.loads.insert(team.to_owned(), item);
                } else if sk == "GONE" {
                    audit.deleted_teams.insert(team.to_owned(), item);
                } else if let Some(user) = sk.strip_prefix("MEMBER#") {
                    audit
                        .members
                        .insert((team.to_owned(), user.to_owned()), item);
                } else if let Some(user) = sk.strip_prefix("PAST#") {
                    audit.pasts.insert((team.to_owned(), user.to_owned()), item);
                }
            } else if !rest.is_empty() {
                // Users and specializations.
            } else if let Some(team) = sk.strip_prefix("TEAM#") {
                audit.teams.insert(team.to_owned(), item);
            }
        }
        audit
    }

    /// Returns the items that count the tickets of users in existing teams.
    fn counters(&self) -> impl Iterator<Item = (&(String, String), &Item)> {
        let counters = self.members.iter().chain(&self.pasts);
        counters.filter(|((team, _), _)| self.teams.contains_key(team))
    }

    /// Returns the eligible members of a team.
    pub fn eligible(&self, team: &str) -> Vec<&str> {
        let of_team = self
            .members
            .iter()
            .filter(|((of, _), member)| of == team && is_eligible(member));
        of_team.map(|((_, user), _)| user.as_str()).collect()
    }

    /// Asserts that every ticket has exactly one placement, and that every counter is the sum over
    /// the tickets.
    pub fn assert_exact(&self) {
        for (id, ticket) in &self.tickets {
            assert_placement(id, ticket);
        }
        assert!(
            self.teams.keys().eq(self.loads.keys()),
            "every team has a load"
        );
        let (teams, members) = self.expected_counters();
        self.assert_team_counters(&teams);
        self.assert_member_counters(members);
        self.assert_leads();
        self.assert_names();
        self.assert_specializations();
    }

    /// Returns the counters of teams, and of users by team, as the sums over the tickets.
    fn expected_counters(&self) -> (ByTeam<'_>, ByMember<'_>) {
        let (mut teams, mut members) = (ByTeam::new(), ByMember::new());
        for (id, ticket) in &self.tickets {
            let (status, state) = (text(ticket, "status"), text(ticket, "state"));
            let (team, assignee) = (text(ticket, "team_id"), text(ticket, "assignee_id"));
            let time = |name: &str| has(ticket, name).then(|| number(ticket, name));
            let resolved_at = time("resolved_at").or(time("closed_at"));
            let is_credited = state != "deleted" && matches!(status, "resolved" | "closed");
            assert!(
                !is_credited || resolved_at.is_some(),
                "credit of {id}: {ticket:?}"
            );
            let resolved_at = resolved_at.filter(|_| is_credited);
            if team.is_empty() {
                continue;
            }
            let in_time = resolved_at
                .zip(time("due_at"))
                .map(|(resolved_at, due_at)| resolved_at <= due_at);
            let of_team = teams.entry(team).or_default();
            of_team.open += i64::from(matches!(state, "assigned" | "waiting"));
            of_team.waiting += i64::from(state == "waiting");
            of_team.sla_due += i64::from(in_time.is_some());
            of_team.sla_met += i64::from(in_time == Some(true));
            if assignee.is_empty() {
                continue;
            }
            let of_member = members.entry((team, assignee)).or_default();
            of_member.open += i64::from(state == "assigned");
            of_member.in_progress += i64::from(state == "assigned" && status == "in_progress");
            of_member.resolved += i64::from(resolved_at.is_some());
            of_member.resolved_ms +=
                resolved_at.map_or(0, |at| (at - number(ticket, "created_at")).max(0));
        }
        (teams, members)
    }

    /// Asserts the counters of every team and deleted team.
    fn assert_team_counters(&self, expected: &ByTeam<'_>) {
        let of_team = |team: &str| expected.get(team).copied().unwrap_or_default();
        for (team, load) in &self.loads {
            let counted = TeamCounters {
                open: number(load, "open_tickets"),
                waiting: number(load, "waiting_tickets"),
                sla_met: number(load, "sla_met"),
                sla_due: number(load, "sla_due"),
            };
            assert_eq!(counted, of_team(team), "counters of team {team}");
            assert!(
                counted.waiting == 0 || text(load, "gsi1pk").starts_with("WORK#"),
                "the schedule does not find {team}"
            );
            let eligible = usize::try_from(number(load, "eligible"));
            assert_eq!(
                eligible,
                Ok(self.eligible(team).len()),
                "eligible members of team {team}"
            );
            let members = self.members.keys().filter(|(of, _)| of == team);
            let member_count = usize::try_from(number(&self.teams[team], "member_count"));
            assert_eq!(member_count, Ok(members.count()), "member_count of {team}");
        }
        for (team, item) in &self.deleted_teams {
            let expected = of_team(team);
            let counted = (
                number(item, "open_tickets"),
                number(item, "waiting_tickets"),
            );
            assert_eq!(
                counted,
                (expected.open, expected.waiting),
                "counters of deleted team {team}"
            );
            assert!(
                counted.0 == 0 || text(item, "gsi1pk").starts_with("WORK#"),
                "the schedule does not find {team}"
            );
        }
        for (team, counters) in expected {
            let is_known = self.teams.contains_key(*team) || self.deleted_teams.contains_key(*team);
            assert!(
                is_known || *counters == TeamCounters::default(),
                "tickets of unknown team {team}"
            );
        }
    }

    /// Asserts the counters of every current, former and placeholder member.
    fn assert_member_counters<'t>(&'t self, mut expected: ByMember<'t>) {
        for key in self.pasts.keys() {
            assert!(
                !self.members.contains_key(key),
                "{key:?} is a member and a former member"
            );
        }
        for ((team, user), past) in &self.pasts {
            let attributes: Vec<_> = ["gsi1pk", "gsi1sk", "name", "email"]
                .into_iter()
                .filter(|name| has(past, name))
                .collect();
            assert_eq!(
                attributes, [""; 0],
                "counters of {user} in {team} have no profile and no index key"
            );
        }
        for ((team, user), member) in self.counters() {
            let counted = MemberCounters {
                open: number(member, "open_tickets"),
                in_progress: number(member, "in_progress_tickets"),
                resolved: number(member, "resolved_tickets"),
                resolved_ms: number(member, "resolved_ms"),
            };
            let of_member = expected
                .remove(&(team.as_str(), user.as_str()))
                .unwrap_or_default();
            assert_eq!(counted, of_member, "counters of {user} in {team}");
        }
        expected.retain(|(team, _), counters| {
            self.teams.contains_key(*team) && *counters != MemberCounters::default()
        });
        assert!(
            expected.is_empty(),
            "tickets without counters: {expected:?}"
        );
    }

    /// Asserts that each lead of a team has an item beside the user's profile, and that no other
    /// user has one.
    fn assert_leads(&self) {
        let led = self.teams.iter().filter(|(_, team)| has(team, "lead_id"));
        let led: BTreeSet<_> = led
            .map(|(id, team)| (text(team, "lead_id").to_owned(), id.clone()))
            .collect();
        let leads = self.items.keys().filter_map(|(pk, sk)| {
            let (_, user) = pk.split_once("#USER#")?;
            Some((user.to_owned(), sk.strip_prefix("LEAD#")?.to_owned()))
        });
        assert_eq!(leads.collect::<BTreeSet<_>>(), led, "items of leads");
    }

    /// Asserts that the second index has each user by name, and no deleted user.
    fn assert_names(&self) {
        for ((pk, _), user) in self.items.iter().filter(|((_, sk), _)| sk == "USER") {
            let entry = [text(user, "gsi2pk"), text(user, "gsi2sk")];
            let (organization, id) = pk.split_once("#USER#").expect("the key of a profile");
            let expected = if text(user, "status") == "deleted" {
                [String::new(), String::new()]
            } else {
                let folded = Folded::of(text(user, "name"));
                [
                    format!("{organization}#USERS"),
                    format!("{}#{id}", folded.as_str()),
                ]
            };
            assert_eq!(entry, expected, "entry of {pk}");
        }
    }

    /// Asserts that the index has each team without a mark by its topics, in both turns of the
    /// ring, and no other team. The topics are those of `SPECS`.
    fn assert_specializations(&self) {
        for (id, team) in self.teams.iter().filter(|(_, team)| !has(team, "gsi1pk")) {
            let known = self.topics(id, "specializations");
            assert_eq!(
                self.indexed(id),
                [known.clone(), known].concat(),
                "topics of {id}: {team:?}"
            );
        }
        for id in self
            .deleted_teams
            .iter()
            .filter(|(_, item)| !has(item, "gsi1pk"))
            .map(|(id, _)| id)
        {
            assert_eq!(self.indexed(id), [""; 0], "topics of deleted team {id}");
        }
    }

    /// Returns the folded specializations of a team.
    fn topics(&self, team: &str, attribute: &str) -> Vec<String> {
        let tags = self.teams[team]
            .get(attribute)
            .and_then(|tags| tags.as_l().ok())
            .into_iter()
            .flatten();
        let mut topics: Vec<_> = tags
            .map(|tag| {
                Folded::of(tag.as_s().expect("a tag is a string"))
                    .as_str()
                    .to_owned()
            })
            .collect();
        topics.sort();
        topics
    }

    /// Returns the topics of a team's entries in the index, those of the first turn of the ring
    /// before those of the second.
    fn indexed(&self, team: &str) -> Vec<String> {
        let entries = self.items.keys().filter(|(_, sk)| sk.ends_with(team));
        let mut entries: Vec<_> = entries
            .filter_map(|(pk, sk)| {
                Some((sk.chars().next()?, pk.split_once("#SPEC#")?.1.to_owned()))
            })
            .collect();
        entries.sort();
        entries.into_iter().map(|(_, topic)| topic).collect()
    }

    /// Asserts that no pending work is left. No deleted team has a ticket, and no ticket waits in a
    /// team with an eligible member. The schedule finds only teams without an eligible member.
    pub fn assert_at_rest(&self) {
        let mut waiting = HashSet::new();
        for (id, ticket) in &self.tickets {
            let team = text(ticket, "team_id");
            let is_open = matches!(text(ticket, "state"), "assigned" | "waiting");
            assert!(
                !is_open || team.is_empty() || self.teams.contains_key(team),
                "{id} is in deleted team {team}"
            );
            if text(ticket, "state") == "waiting" {
                assert_eq!(self.eligible(team), [""; 0], "{id} waits in {team}");
                waiting.insert(team);
            }
        }
        for (team, load) in &self.loads {
            assert_eq!(
                has(load, "gsi1pk"),
                waiting.contains(team.as_str()),
                "{team} in the index of pending work"
            );
        }
        for (team, left) in &self.deleted_teams {
            assert!(!has(left, "gsi1pk"), "{team} is not swept");
            let left = self
                .members
                .keys()
                .chain(self.pasts.keys())
                .find(|(of, _)| of == team);
            assert_eq!(left, None, "memberships of deleted team {team}");
        }
    }

    /// Asserts that one decision took each turn of each team, and that the last turn of each member
    /// is the one in the log.
    pub fn assert_turns(&self, transaction_log: &TransactionLog) {
        let decisions = transaction_log.decisions();
        for (team, turns) in &decisions {
            let count = u64::try_from(turns.len()).expect("a few");
            assert!(
                turns.keys().copied().eq(1..=count),
                "team {team} has a turn without a decision"
            );
        }
        for (team, load) in &self.loads {
            let turns = decisions.get(team).map_or(0, BTreeMap::len);
            assert_eq!(
                usize::try_from(number(load, "turn")),
                Ok(turns),
                "turn of {team}"
            );
        }
        for ((team, user), member) in self.counters() {
            let turns = decisions.get(team).into_iter().flatten();
            let latest = turns
                .filter(|(_, (_, chosen))| chosen == user)
                .map(|(turn, _)| *turn)
                .max();
            // A member who joined later starts at the current turn of the team.
            if let Some(latest) = latest {
                assert!(
                    u64::try_from(number(member, "last_turn")).is_ok_and(|turn| turn >= latest),
                    "{user} in {team}"
                );
            }
        }
    }

    /// Returns the smallest and the largest number of decisions of the eligible members of a team.
    pub fn spread(&self, team: &str, transaction_log: &TransactionLog) -> (usize, usize) {
        let decisions = transaction_log.decisions();
        let mut counts: BTreeMap<&str, usize> = self
            .eligible(team)
            .into_iter()
            .map(|user| (user, 0))
            .collect();
        for (_, (_, chosen)) in decisions.get(team).into_iter().flatten() {
            *counts
                .get_mut(chosen.as_str())
                .expect("a member at the time of every decision") += 1;
        }
        (
            counts.values().copied().min().unwrap_or(0),
            counts.values().copied().max().unwrap_or(0),
        )
    }

    /// Returns the items without the parts that may differ between two orders of events: the
    /// organization's id and the revisions.
    pub fn normalized(&self, org: &OrganizationId) -> BTreeMap<String, String> {
        let mut normalized = BTreeMap::new();
        let work = AttributeValue::S("WORK".to_owned());
        let is_mark = |pk: &AttributeValue| pk.as_s().is_ok_and(|pk| pk.starts_with("WORK#"));
        // The mark of the stock depends on the order: a ticket may be unrouted in between.
        let items = self.items.iter().filter(|((_, sk), _)| sk != "STOCK");
        for ((pk, sk), item) in items {
            let mut item: BTreeMap<&String, &AttributeValue> = item.iter().collect();
            for moves in ["rev", "covered"] {
                item.remove(&moves.to_owned());
            }
            // The organization's id determines the shard.
            if let Some(mark) = item.get_mut(&"gsi1pk".to_owned()).filter(|pk| is_mark(pk)) {
                *mark = &work;
            }
            let [key, item] = [format!("{pk} {sk}"), describe(item)]
                .map(|text| text.replace(org.as_str(), "org"));
            normalized.insert(key, item);
        }
        normalized
    }
}

/// Asserts that the fields and the index key of a ticket match its state.
fn assert_placement(id: &str, ticket: &Item) {
    let (status, state) = (text(ticket, "status"), text(ticket, "state"));
    let (team, assignee) = (text(ticket, "team_id"), text(ticket, "assignee_id"));
    let is_over = matches!(status, "resolved" | "closed" | "cancelled");
    let is_valid = match state {
        "assigned" => !is_over && !assignee.is_empty(),
        "waiting" => !is_over && assignee.is_empty() && !team.is_empty(),
        "unrouted" => !is_over && assignee.is_empty() && team.is_empty(),
        "closed" => is_over,
        "deleted" => team.is_empty() && assignee.is_empty(),
        other => panic!("{id} is {other}"),
    };
    assert!(is_valid, "{id}: {ticket:?}");
    let index = match state {
        "assigned" if !team.is_empty() => format!("#TEAM#{team}#OPEN"),
        "waiting" => format!("#TEAM#{team}#WAITING"),
        "unrouted" => "#UNROUTED".to_owned(),
        _ => String::new(),
    };
    let indexed = text(ticket, "gsi1pk");
    assert!(
        indexed.ends_with(&index) && indexed.is_empty() == index.is_empty(),
        "{id} has index key {indexed}"
    );
    let queued = [text(ticket, "gsi2pk"), text(ticket, "gsi2sk")];
    let expected = if state == "waiting" {
        // Both indexes list waiting tickets in one order.
        let organization = text(ticket, "pk").split("#TICKET#").next();
        [
            &*format!("{}#QUEUE", organization.unwrap_or_default()),
            text(ticket, "gsi1sk"),
        ]
    } else {
        [""; 2]
    };
    assert_eq!(queued, expected, "{id} in the second index");
}

/// Returns the size of an item in bytes as DynamoDB bills it: the names and values of its
/// attributes.
pub fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + value_size(value))
        .sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        // Two digits take a byte, and the exponent takes one.
        AttributeValue::N(number) => number.trim_end_matches('0').len().div_ceil(2) + 1,
        AttributeValue::L(list) => {
            3 + list
                .iter()
                .map(|value| 1 + value_size(value))
                .sum::<usize>()
        }
        AttributeValue::M(map) => 3 + map.len() + size(map),
        _ => 1,
    }
}

/// Returns an item as a text with its attributes sorted by name.
fn describe(item: BTreeMap<&String, &AttributeValue>) -> String {
    let attribute =
        |(name, value): (&String, &AttributeValue)| format!("{name}: {}", value_text(value));
    item.into_iter()
        .map(attribute)
        .collect::<Vec<_>>()
        .join(", ")
}

fn value_text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::M(map) => format!("{{{}}}", describe(map.iter().collect())),
        AttributeValue::L(list) => format!(
            "[{}]",
            list.iter().map(value_text).collect::<Vec<_>>().join(", ")
        ),
        AttributeValue::S(text) => text.clone(),
        AttributeValue::N(number) => number.clone(),
        other => format!("{other:?}"),
    }
}
