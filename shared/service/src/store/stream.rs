//! Records of the table's stream (DynamoDB Streams), and the changes that they describe.

use super::{
    Error,
    items::{self, Item},
    keys::{self, ItemKind},
};
use muster_domain::{Change, ChangeKind, OrganizationId, Timestamp};

/// A record of the stream. An absent image is an empty item.
#[derive(Debug, Clone)]
pub struct StreamRecord {
    /// The item's key.
    pub keys: serde_dynamo::Item,
    /// The item before the write.
    pub old_image: serde_dynamo::Item,
    /// The item after the write.
    pub new_image: serde_dynamo::Item,
    /// The approximate time of the write.
    pub at: Timestamp,
}

/// Returns the organization of an item, by its partition key. `None` for an item of no
/// organization.
#[must_use]
pub fn organization_of(pk: &str) -> Option<OrganizationId> {
    keys::organization_of(pk)
}

impl StreamRecord {
    /// Returns the change that the record describes. `None` for items without announcements or
    /// jobs.
    ///
    /// # Errors
    /// [`Error::Internal`] if this version cannot read an image, or the record has none.
    pub fn into_change(self) -> Result<Option<Change>, Error> {
        let Self {
            keys,
            old_image,
            new_image,
            at,
        } = self;
        let keys = Item::from(keys);
        let (Some(pk), Some(sk)) = (items::text(&keys, "pk"), items::text(&keys, "sk")) else {
            return Err(Error::internal("a stream record has no key"));
        };
        let Some((organization_id, item_kind)) = ItemKind::parse(pk, sk) else {
            return Ok(None);
        };
        if old_image.is_empty() && new_image.is_empty() {
            return Err(Error::internal("a stream record has no image"));
        }
        let (old, new) = (image(old_image), image(new_image));
        let kind = match item_kind {
            ItemKind::Pass | ItemKind::Stock => return Ok(None),
            ItemKind::Team(_) => {
                let team = |item| items::team(&organization_id, item);
                ChangeKind::Team {
                    before: old.map(team).transpose()?,
                    after: new.map(team).transpose()?,
                }
            }
            ItemKind::Load(team_id) => ChangeKind::Load {
                team_id,
                before: old.map(items::load).transpose()?,
                after: new.map(items::load).transpose()?,
            },
            // Only the creation of the tombstone is a change: the sweep updates and never replaces
            // it.
            ItemKind::DeletedTeam(_) if old.is_some() => return Ok(None),
            ItemKind::DeletedTeam(team_id) => ChangeKind::TeamDeleted { team_id },
            ItemKind::Membership(team_id) => ChangeKind::Membership {
                team_id,
                before: old.map(items::member).transpose()?,
                after: new.map(items::member).transpose()?,
            },
            ItemKind::User(user_id) => {
                let user = |item| items::user(user_id, item);
                ChangeKind::User {
                    user_id,
                    before: old.map(user).transpose()?,
                    after: new.map(user).transpose()?,
                }
            }
            ItemKind::Ticket => ChangeKind::Ticket {
                before: old.map(items::ticket).transpose()?,
                after: new.map(items::ticket).transpose()?,
            },
        };
        let record = format!("{pk}/{sk}");
        Ok(Some(Change {
            record,
            organization_id,
            at,
            kind,
        }))
    }
}

fn image(item: serde_dynamo::Item) -> Option<Item> {
    (!item.is_empty()).then(|| item.into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use muster_domain::{Load, OrganizationId, TeamId};

    const TEAM: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";

    fn record(pk: &str, sk: &str, old: Value, new: Value) -> StreamRecord {
        let item = |value| serde_json::from_value(value).unwrap();
        let keys = item(json!({ "pk": { "S": pk }, "sk": { "S": sk } }));
        StreamRecord {
            keys,
            old_image: item(old),
            new_image: item(new),
            at: Timestamp::from_secs(9),
        }
    }

    fn partition() -> String {
        format!("ORG#org#TEAM#{TEAM}")
    }

    fn load(waiting: u64) -> Value {
        json!({
            "pk": { "S": partition() },
            "sk": { "S": "LOAD" },
            "turn": { "N": "7" },
            "open_tickets": { "N": "5" },
            "waiting_tickets": { "N": waiting.to_string() },
            "sla_met": { "N": "0" },
            "sla_due": { "N": "0" },
            "eligible": { "N": "3" },
            "write_id": { "S": "unknown to the domain" },
        })
    }

    #[test]
    fn load_record_has_old_and_new_counters() {
        let counts = |waiting_tickets| Load {
            turn: 7,
            open_tickets: 5,
            waiting_tickets,
            sla_met: 0,
            sla_due: 0,
            eligible: 3,
        };
        let expected = Change {
            record: format!("ORG#org#TEAM#{TEAM}/LOAD"),
            organization_id: OrganizationId::parse("org").unwrap(),
            at: Timestamp::from_secs(9),
            kind: ChangeKind::Load {
                team_id: TeamId::parse(TEAM).unwrap(),
                before: Some(counts(0)),
                after: Some(counts(2)),
            },
        };
        assert_eq!(
            record(&partition(), "LOAD", load(0), load(2))
                .into_change()
                .unwrap(),
            Some(expected)
        );
        let Some(Change {
            kind: ChangeKind::Load { before, after, .. },
            ..
        }) = record(&partition(), "LOAD", load(1), json!({}))
            .into_change()
            .unwrap()
        else {
            panic!("the change is not of a load")
        };
        assert_eq!((before, after), (Some(counts(1)), None));
    }

    #[test]
    fn tombstone_is_a_change_only_once() {
        let gone = json!({ "pk": { "S": partition() }, "sk": { "S": "GONE" } });
        let change = |old, new| {
            record(&partition(), "GONE", old, new)
                .into_change()
                .unwrap()
        };
        assert!(change(json!({}), gone.clone()).is_some());
        assert_eq!(change(gone.clone(), gone.clone()), None);
        assert_eq!(change(gone, json!({})), None);
    }

    #[test]
    fn record_of_another_item_is_not_parsed() {
        let anything = json!({ "x": { "BOOL": true } });
        for sk in ["ORG", "NAME#network operations", "NAMEHASH#00"] {
            assert_eq!(
                record("ORG#org", sk, anything.clone(), anything.clone())
                    .into_change()
                    .unwrap(),
                None
            );
        }
    }

    #[test]
    fn unreadable_record_is_an_error() {
        let foreign =
            json!({ "pk": { "S": partition() }, "sk": { "S": "LOAD" }, "turn": { "S": "seven" } });
        assert!(
            record(&partition(), "LOAD", load(1), foreign)
                .into_change()
                .is_err()
        );
        assert!(
            record(&partition(), "LOAD", json!({}), json!({}))
                .into_change()
                .is_err()
        );
    }
}
