//! Reads the table without the store, and asserts the invariants of its items between requests.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use muster_domain::TeamName;
use serde_json::Value;

use super::{Organization, invoke};

pub type Item = HashMap<String, AttributeValue>;

/// Returns a string attribute, or the empty string.
pub fn text<'i>(item: &'i Item, attribute: &str) -> &'i str {
    item.get(attribute)
        .and_then(|value| value.as_s().ok())
        .map_or("", String::as_str)
}

/// Returns a number attribute. Panics if there is none.
pub fn number(item: &Item, attribute: &str) -> i64 {
    let number = item.get(attribute).and_then(|value| value.as_n().ok());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no {attribute} in {item:?}"))
}

/// A membership, or the counters of a user who is not a member.
#[derive(Debug, Clone)]
pub struct Membership {
    pub team: String,
    pub user: String,
    pub item: Item,
}

/// The items of an organization, except its users, tickets and credentials.
#[derive(Debug, Default)]
pub struct TableContents {
    pub team_count: i64,
    pub teams: BTreeMap<String, Item>,
    pub loads: BTreeMap<String, Item>,
    pub deleted_teams: BTreeMap<String, Item>,
    /// The team that claims each folded name.
    pub claims: BTreeMap<String, String>,
    pub memberships: Vec<Membership>,
    /// Users and the teams they lead, from the `LEAD#` items.
    pub leads: BTreeSet<(String, String)>,
    /// Counters of users who are not members.
    pub pasts: Vec<Membership>,
}

/// Direct reads and writes of an organization's items.
pub struct OrgTable {
    client: Client,
    table: String,
    org: String,
}

impl OrgTable {
    pub fn of(org: &Organization) -> Self {
        let client = Client::from_conf(invoke::client_config(&org.stack).build());
        Self {
            client,
            table: org.stack.table.clone(),
            org: org.id.as_str().to_owned(),
        }
    }

    /// Sets a number of a team's item.
    pub async fn set_number(&self, team: &str, attribute: &str, number: i64) {
        self.set(
            format!("ORG#{}", self.org),
            format!("TEAM#{team}"),
            attribute,
            number,
        )
        .await;
    }

    /// Sets a number of a team's load.
    pub async fn set_load_number(&self, team: &str, attribute: &str, number: i64) {
        self.set(
            format!("ORG#{}#TEAM#{team}", self.org),
            "LOAD".to_owned(),
            attribute,
            number,
        )
        .await;
    }

    async fn set(&self, pk: String, sk: String, attribute: &str, number: i64) {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            .update_expression("SET #attribute = :number")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":number", AttributeValue::N(number.to_string()))
            .send()
            .await
            .expect("the item is there");
    }

    /// Scans the table for all items of the organization except its users, tickets and credentials.
    /// A scan also finds tombstones and items of teams that never existed.
    async fn everything(&self) -> TableContents {
        let (own, [teams, users]) = self.prefixes();
        let scan = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .filter_expression(
                "pk = :own OR pk = :names OR begins_with(pk, :teams) OR begins_with(pk, :users)",
            )
            .expression_attribute_values(":names", AttributeValue::S(format!("{own}#NAMES")))
            .expression_attribute_values(":own", AttributeValue::S(own))
            .expression_attribute_values(":teams", AttributeValue::S(teams))
            .expression_attribute_values(":users", AttributeValue::S(users));
        let items = scan
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await;
        self.sorted(items.expect("the table can be read"))
    }

    /// Reads the same items by queries, without deleted teams.
    pub async fn contents(&self) -> TableContents {
        self.contents_with(&[]).await
    }

    /// Reads the same items by queries, including these deleted teams.
    pub async fn contents_with(&self, deleted: &[&str]) -> TableContents {
        let (own, [teams, _]) = self.prefixes();
        let mut items = self.query(&own).await;
        items.extend(self.query(&format!("{own}#NAMES")).await);
        let present = items
            .iter()
            .filter_map(|item| text(item, "sk").strip_prefix("TEAM#").map(str::to_owned));
        let partitions: BTreeSet<_> = present
            .chain(deleted.iter().map(|&team| team.to_owned()))
            .collect();
        for team in partitions {
            items.extend(self.query(&format!("{teams}{team}")).await);
        }
        self.sorted(items)
    }

    /// Returns the organization's partition key, and the prefixes of the partitions of its teams
    /// and users.
    fn prefixes(&self) -> (String, [String; 2]) {
        let own = format!("ORG#{}", self.org);
        let others = ["TEAM", "USER"].map(|kind| format!("{own}#{kind}#"));
        (own, others)
    }

    async fn query(&self, pk: &str) -> Vec<Item> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
        let items = query
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await;
        items.expect("the table can be read")
    }

    fn sorted(&self, items: Vec<Item>) -> TableContents {
        let (_, [teams, users]) = self.prefixes();
        let mut contents = TableContents::default();
        for item in items {
            let (pk, sk) = (text(&item, "pk").to_owned(), text(&item, "sk").to_owned());
            match pk.strip_prefix(&teams) {
                Some(team) => contents.add_of_team(team, &sk, item),
                None if pk.starts_with(&users) => {
                    let led = sk
                        .strip_prefix("LEAD#")
                        .map(|team| (pk[users.len()..].to_owned(), team.to_owned()));
                    contents.leads.extend(led);
                }
                None => contents.add_own(&sk, item),
            }
        }
        contents
    }
}

impl TableContents {
    /// Adds an item of a team's partition.
    fn add_of_team(&mut self, team: &str, sk: &str, item: Item) {
        match sk {
            "LOAD" => drop(self.loads.insert(team.to_owned(), item)),
            "GONE" => drop(self.deleted_teams.insert(team.to_owned(), item)),
            // The specialization index is not part of the contents.
            "SPECS" => {}
            _ => {
                let (list, user) = match (sk.strip_prefix("MEMBER#"), sk.strip_prefix("PAST#")) {
                    (Some(user), _) => (&mut self.memberships, user),
                    (None, Some(user)) => (&mut self.pasts, user),
                    (None, None) => panic!("unknown kind of item: {item:?}"),
                };
                list.push(Membership {
                    team: team.to_owned(),
                    user: user.to_owned(),
                    item,
                });
            }
        }
    }

    /// Adds an item of the organization's partition or of its names.
    fn add_own(&mut self, sk: &str, item: Item) {
        if sk == "ORG" {
            self.team_count = number(&item, "team_count");
        } else if sk.starts_with("NAME") {
            let name = sk
                .strip_prefix("NAME#")
                .unwrap_or_else(|| text(&item, "folded"));
            self.claims
                .insert(name.to_owned(), text(&item, "team_id").to_owned());
        } else if let Some(team) = sk.strip_prefix("TEAM#") {
            self.teams.insert(team.to_owned(), item);
        } else {
            panic!("unknown kind of item: {item:?}");
        }
    }

    /// Returns the ids of a team's members.
    pub fn members(&self, team: &str) -> BTreeSet<String> {
        let present = self
            .memberships
            .iter()
            .filter(|membership| membership.team == team);
        present.map(|membership| membership.user.clone()).collect()
    }

    /// Returns the ids of a team's members with skills.
    pub fn skilled(&self, team: &str) -> BTreeSet<String> {
        let skilled = |membership: &&Membership| {
            let skills = membership
                .item
                .get("skills")
                .and_then(|skills| skills.as_l().ok());
            membership.team == team && skills.is_some_and(|skills| !skills.is_empty())
        };
        self.memberships
            .iter()
            .filter(skilled)
            .map(|membership| membership.user.clone())
            .collect()
    }

    /// Returns the teams with this name.
    pub fn named(&self, name: &str) -> Vec<String> {
        let named = self
            .teams
            .iter()
            .filter(|(_, item)| text(item, "name") == name);
        named.map(|(team, _)| team.clone()).collect()
    }

    /// Asserts that every team is complete, every count is exact, and every name is claimed once,
    /// by its team.
    pub fn assert_sound(&self) {
        let teams: BTreeSet<_> = self.teams.keys().collect();
        assert_eq!(teams, self.loads.keys().collect(), "teams and their loads");
        assert!(
            self.deleted_teams
                .keys()
                .all(|team| !self.teams.contains_key(team)),
            "a team and its tombstone exclude each other"
        );
        assert_eq!(
            usize::try_from(self.team_count),
            Ok(self.teams.len()),
            "the organization's count of teams"
        );
        let names: BTreeSet<(String, &str)> = self
            .teams
            .iter()
            .map(|(team, item)| {
                let name = TeamName::parse(text(item, "name")).expect("a stored name is valid");
                (name.folded().as_str().to_owned(), team.as_str())
            })
            .collect();
        let claims = self
            .claims
            .iter()
            .map(|(name, team)| (name.clone(), team.as_str()))
            .collect();
        assert_eq!(names, claims, "names of teams and claims on names");
        for (team, item) in &self.teams {
            let members = self.members(team).len();
            assert_eq!(
                usize::try_from(number(item, "member_count")),
                Ok(members),
                "member_count of {team}"
            );
            let is_eligible =
                |one: &&Membership| one.team == *team && text(&one.item, "status") == "active";
            let eligible = self.memberships.iter().filter(is_eligible).count();
            assert_eq!(
                usize::try_from(number(&self.loads[team], "eligible")),
                Ok(eligible),
                "eligible of {team}"
            );
        }
        for past in &self.pasts {
            let is_member = self.members(&past.team).contains(&past.user);
            assert!(
                !is_member,
                "{} is a member and a former member of {}",
                past.user, past.team
            );
        }
        for Membership { team, user, .. } in self.memberships.iter().chain(&self.pasts) {
            let known = self.teams.contains_key(team) || self.deleted_teams.contains_key(team);
            assert!(known, "{user} is a member of {team}, which never was");
        }
    }
}

/// Lists all teams over ITSM, by id, and asserts the total of each page.
async fn list_itsm(org: &Organization, total: usize) -> BTreeMap<String, Value> {
    let mut listed = BTreeMap::new();
    for page in 1.. {
        let response = org
            .itsm
            .get(&format!("/v1/teams?limit=7&page={page}"))
            .await;
        assert_eq!(response.status, 200, "{response}");
        let pagination = &response.json["meta"]["pagination"];
        assert_eq!(pagination["total"], total, "{response}");
        for team in response.json["data"].as_array().expect("a list") {
            let id = team["id"]
                .as_str()
                .and_then(|id| id.strip_prefix("team_"))
                .expect("an id")
                .to_owned();
            assert!(
                listed.insert(id, team.clone()).is_none(),
                "{team} is on two pages"
            );
        }
        if pagination["hasMore"] == Value::Bool(false) {
            break;
        }
    }
    listed
}

/// Lists the ids of all teams over TopTickets.
async fn list_toptickets(org: &Organization) -> Vec<String> {
    let mut listed = Vec::new();
    for skip in (0..).step_by(7) {
        let response = org
            .toptickets
            .get(&format!("/v1/teams?limit=7&skip={skip}"))
            .await;
        let page = response.json.as_array().expect("a list");
        listed.extend(
            page.iter()
                .map(|team| team["id"].as_str().expect("an id").to_owned()),
        );
        if page.len() < 7 {
            break;
        }
    }
    listed
}

/// Reads the table and asserts its invariants, and that both contracts show its contents.
pub async fn assert_sound(org: &Organization) -> TableContents {
    let contents = OrgTable::of(org).everything().await;
    contents.assert_sound();
    let led = contents
        .teams
        .iter()
        .filter(|(_, item)| item.contains_key("lead_id"));
    let led: BTreeSet<_> = led
        .map(|(team, item)| (text(item, "lead_id").to_owned(), team.clone()))
        .collect();
    assert_eq!(contents.leads, led, "items of leads");

    let listed = list_itsm(org, contents.teams.len()).await;
    assert!(
        listed.keys().eq(contents.teams.keys()),
        "listed over ITSM: {:?}",
        listed.keys()
    );

    let listed_bare = list_toptickets(org).await;
    assert!(
        listed_bare.iter().eq(contents.teams.keys()),
        "listed over TopTickets: {listed_bare:?}"
    );

    for (id, item) in &contents.teams {
        let bare = org.toptickets.get(&format!("/v1/teams/{id}")).await;
        let shown = bare.json["members"]
            .as_array()
            .unwrap_or_else(|| panic!("a team is shown: {bare}"));
        let shown: BTreeSet<_> = shown
            .iter()
            .map(|user| user["id"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(shown, contents.members(id), "members of {id}");
        assert_eq!(bare.json["name"], text(item, "name"), "name of {id}");
        assert_eq!(listed[id]["member_count"], shown.len(), "{}", listed[id]);
    }
    contents
}
