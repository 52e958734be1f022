//! The data that the files in `events/` refer to: fixed keys and teams, for a table in memory.

use muster_contracts::request::OnUnknownField;
use muster_domain::{ApiKey, Contract, OrganizationId, Scope, SecretKey, Team, TeamId, Timestamp};
use muster_service::store::{RenderedResponse, Store};
use serde_json::{Value, json};
use uuid::Uuid;

use super::organizations::DemoOrganization;

/// A key for each contract. The keys are published, so no table that outlives the process may have
/// them.
const KEYS: [&str; 2] = [
    "tt_admin_EverybodyKnowsThisKeyItOpensNothingButSamples",
    "itsm_EverybodyKnowsThisKeyItOpensNothingButSamples",
];

/// The first team's id. The other ids follow it.
const FIRST_TEAM: u128 = 0x2000_0000_0000_4000_8000_0000_0000_0001;

/// The teams in the fields of the ITSM contract, each with its number of members. The second is for
/// the deletion sample.
fn teams() -> [(Value, usize); 2] {
    let network = json!({
        "name": "Network",
        "description": "Whatever has a cable",
        "queue_strategy": "least_busy",
        "specializations": ["VPN", "DNS"],
    });
    [(network, 3), (json!({ "name": "Fax" }), 1)]
}

/// Creates the samples in an organization that has only its users.
pub(in crate::local) async fn seed_samples(
    store: &Store,
    DemoOrganization {
        organization_id,
        users,
        ..
    }: &DemoOrganization,
) -> anyhow::Result<()> {
    const RULES: &str = "the samples keep the rules";
    let org = OrganizationId::parse(organization_id)?;
    let now = Timestamp::now();
    for key in KEYS {
        let secret = SecretKey::parse(key).expect(RULES);
        let key = ApiKey {
            hash: secret.hash(),
            kind: secret.kind(),
            organization_id: org.clone(),
            scopes: Scope::ALL.to_vec(),
            allowed_networks: Vec::new(),
            name: Some("events/".to_owned()),
            created_at: now,
            expires_at: None,
            revoked_at: None,
        };
        store.put_api_key(&key).await?;
    }
    let response = || RenderedResponse::created(String::new(), None);
    for (id, (team, members)) in (FIRST_TEAM..).zip(teams()) {
        let id = TeamId::new(Uuid::from_u128(id));
        let team = team.to_string();
        let new =
            muster_contracts::create_team(Contract::Itsm, team.as_bytes(), OnUnknownField::Reject)
                .expect(RULES);
        store
            .create_team(&Team::create(id, org.clone(), new, now), &response(), None)
            .await?;
        for user in &users[..members] {
            let member = json!({ "user_id": user.id, "skills": ["VPN"] });
            let new = muster_contracts::add_member(
                Contract::Itsm,
                member.to_string().as_bytes(),
                OnUnknownField::Reject,
            )
            .expect(RULES);
            store
                .add_member(&org, id, &new, |_, _| response(), None, now)
                .await?;
        }
    }
    Ok(())
}
