//! Writes many items directly to the table, as copies of items that the API created.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, PutRequest, WriteRequest},
};
use futures_util::{StreamExt, TryStreamExt, stream::iter};
use muster_domain::TeamName;
use uuid::Uuid;

/// An item of the table.
pub type Item = HashMap<String, AttributeValue>;

/// Returns a string attribute.
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// Copies an item with other attributes.
pub fn with<const N: usize>(item: &Item, attributes: [(&str, AttributeValue); N]) -> Item {
    let mut item = item.clone();
    item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    item
}

/// A table with direct reads and writes.
pub struct RawTable {
    pub client: Client,
    pub table: String,
}

impl RawTable {
    /// Reads an item that exists.
    pub async fn get(&self, pk: &str, sk: &str) -> Item {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", s(pk))
            .key("sk", s(sk));
        get.send()
            .await
            .expect("the table can be read")
            .item
            .unwrap_or_else(|| panic!("no {pk} {sk}"))
    }

    /// Writes items, 25 a call.
    pub async fn put(&self, items: Vec<Item>) {
        let write = |items: &[Item]| {
            let put = |item: &Item| {
                let put = PutRequest::builder()
                    .set_item(Some(item.clone()))
                    .build()
                    .expect("it has an item");
                WriteRequest::builder().put_request(put).build()
            };
            let call = self.client.batch_write_item();
            call.request_items(&self.table, items.iter().map(put).collect())
                .send()
        };
        let mut written = iter(items.chunks(25).map(write)).buffer_unordered(8);
        while let Some(output) = written.try_next().await.expect("the table can be written") {
            assert!(
                output.unprocessed_items().is_none_or(HashMap::is_empty),
                "{output:?}"
            );
        }
    }

    /// Creates teams of these names in an organization with one team, `First`. Their ids ascend,
    /// and follow the first one's if that is a UUIDv7. They have no load items, like new teams in
    /// an eventually consistent read. Reading an absent item costs the same.
    pub async fn put_teams(&self, org: &str, first: &str, names: impl Iterator<Item = String>) {
        let (organization, names_partition) = (format!("ORG#{org}"), format!("ORG#{org}#NAMES"));
        let count = self.get(&organization, "ORG").await;
        let team = self.get(&organization, &format!("TEAM#{first}")).await;
        let claim = self.get(&names_partition, "NAME#first").await;
        let (mut items, mut teams) = (Vec::new(), 1);
        for (at, name) in (0_u128..).zip(names) {
            let id = Uuid::from_u128(0x0200_0000_0000_7000_8000_0000_0000_0000 + at).to_string();
            let folded = TeamName::parse(&name).expect("a valid name").folded();
            items.push(with(
                &team,
                [("sk", s(format!("TEAM#{id}"))), ("name", s(name))],
            ));
            items.push(with(
                &claim,
                [
                    ("sk", s(format!("NAME#{}", folded.as_str()))),
                    ("team_id", s(id)),
                ],
            ));
            teams += 1;
        }
        items.push(with(
            &count,
            [("team_count", AttributeValue::N(teams.to_string()))],
        ));
        self.put(items).await;
    }
}
