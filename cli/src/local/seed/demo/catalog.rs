//! The users, teams and memberships of the demo organization.
//!
//! Their ids, names and descriptions are those of the examples in `openapi/examples`, which come
//! from the two contracts' own documents. Each example that removes an item has an item of its own
//! here, so that the examples succeed in any order.

use muster_domain::UserStatus;

/// The organization of the ITSM contract's document.
pub(super) const ORGANIZATION: &str = "org_9f8e7d6c5b4a";

pub(super) const ALEX: &str = "f6e5d4c3-b2a1-0987-fedc-ba9876543210";
const JESSICA: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
const SAM: &str = "d4e5f6a7-b890-1234-abcd-ef5678901234";
const ALICE: &str = "123e4567-e89b-12d3-a456-426614174000";
const BOB: &str = "234f5678-e90c-12d3-b456-526714174111";
const GRACE: &str = "e5f6a7b8-c901-4345-8bcd-f67890123456";

pub(super) const NETWORK_OPERATIONS: &str = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
pub(super) const FACILITIES: &str = "f7a8b9c0-d1e2-4345-bfac-456789012346";

/// A user of the organization.
pub(super) struct UserSeed {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) email: &'static str,
    pub(super) status: UserStatus,
}

/// Six active users, an inactive and a suspended one.
pub(super) const USERS: [UserSeed; 8] = [
    UserSeed::active(ALEX, "Alex Rivera", "arivera@acme.com"),
    UserSeed::active(JESSICA, "Jessica Chen", "jchen@acme.com"),
    UserSeed::active(SAM, "Sam Patel", "spatel@acme.com"),
    UserSeed::active(ALICE, "Alice Johnson", "agent1@company.com"),
    UserSeed::active(BOB, "Bob Smith", "agent2@company.com"),
    UserSeed::active(GRACE, "Grace Kim", "gkim@acme.com"),
    UserSeed {
        id: "f6a7b8c9-d012-4456-9cde-078901234567",
        name: "Dana Whitfield",
        email: "dwhitfield@acme.com",
        status: UserStatus::Inactive,
    },
    UserSeed {
        id: "a7b8c9d0-e123-4567-8def-189012345678",
        name: "Victor Moreau",
        email: "vmoreau@acme.com",
        status: UserStatus::Suspended,
    },
];

impl UserSeed {
    const fn active(id: &'static str, name: &'static str, email: &'static str) -> Self {
        Self {
            id,
            name,
            email,
            status: UserStatus::Active,
        }
    }

    /// Returns the URL of the user's picture.
    pub(super) fn avatar_url(&self) -> String {
        let handle = self.email.split('@').next().unwrap_or_default();
        format!("https://cdn.example.com/avatars/{handle}.jpg")
    }
}

/// A team of the organization. Times are in seconds since 1970.
pub(super) struct TeamSeed {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) description: Option<&'static str>,
    pub(super) lead_id: Option<&'static str>,
    pub(super) queue_strategy: &'static str,
    pub(super) specializations: &'static [&'static str],
    pub(super) created_at: i64,
    pub(super) members: &'static [MemberSeed],
}

/// A member of a team.
pub(super) struct MemberSeed {
    pub(super) user_id: &'static str,
    pub(super) skills: &'static [&'static str],
    pub(super) added_at: i64,
}

const fn member(
    user_id: &'static str,
    skills: &'static [&'static str],
    added_at: i64,
) -> MemberSeed {
    MemberSeed {
        user_id,
        skills,
        added_at,
    }
}

/// The teams, in the order of their creation.
pub(super) const TEAMS: [TeamSeed; 7] = [
    TeamSeed {
        id: FACILITIES,
        name: "Facilities",
        description: None,
        lead_id: None,
        queue_strategy: "round_robin",
        specializations: &[],
        created_at: 1_708_351_200,
        // Its tickets wait.
        members: &[],
    },
    TeamSeed {
        id: "b2c3d4e5-f6a7-8901-bcde-f12345678901",
        name: "Desktop Support",
        description: Some("Workstations, peripherals and the software on them."),
        lead_id: Some(JESSICA),
        queue_strategy: "round_robin",
        specializations: &["Hardware", "Software"],
        created_at: 1_708_696_800,
        members: &[
            member(JESSICA, &["macOS"], 1_708_696_800),
            // The ITSM example of a removal removes Sam Patel.
            member(SAM, &["Windows"], 1_708_696_800),
        ],
    },
    TeamSeed {
        id: NETWORK_OPERATIONS,
        name: "Network Operations",
        description: Some(
            "Handles all network infrastructure incidents including VPN, DNS, firewall, and WAN/LAN issues.",
        ),
        lead_id: Some(ALEX),
        queue_strategy: "least_busy",
        specializations: &["VPN", "Firewall", "DNS", "WAN", "LAN"],
        created_at: 1_708_783_200,
        members: &[
            member(ALEX, &["VPN", "Firewall", "Cisco"], 1_708_783_200),
            member(JESSICA, &["DNS", "WAN", "LAN"], 1_708_784_100),
        ],
    },
    // The ITSM example of a deletion deletes this team.
    TeamSeed {
        id: "c3d4e5f6-a7b8-9012-cdef-123456789012",
        name: "Mainframe Operations",
        description: Some("To be deleted: the mainframe is switched off."),
        lead_id: None,
        queue_strategy: "round_robin",
        specializations: &[],
        created_at: 1_708_790_400,
        members: &[],
    },
    TeamSeed {
        id: "550e8400-e29b-41d4-a716-446655440000",
        name: "Technical Support",
        description: Some("Handles technical issues"),
        lead_id: Some(ALICE),
        queue_strategy: "skill_based",
        specializations: &["Application", "Bug", "Email"],
        created_at: 1_736_064_000,
        members: &[
            member(ALICE, &["VPN", "Cisco"], 1_736_064_000),
            member(BOB, &[], 1_736_519_400),
        ],
    },
    TeamSeed {
        id: "661f9511-f30c-52e5-b827-557766551111",
        name: "Billing Support",
        description: Some("Handles billing inquiries"),
        lead_id: Some(GRACE),
        queue_strategy: "round_robin",
        specializations: &["Billing", "Invoice"],
        created_at: 1_736_067_600,
        members: &[
            member(GRACE, &["Invoice"], 1_736_067_600),
            // The TopTickets example of a removal removes Alice Johnson.
            member(ALICE, &[], 1_736_068_200),
        ],
    },
    // The TopTickets example of a deletion deletes this team.
    TeamSeed {
        id: "772a0622-041d-43f6-8938-668877662222",
        name: "Seasonal Support",
        description: Some("To be deleted: the season is over"),
        lead_id: None,
        queue_strategy: "round_robin",
        specializations: &[],
        created_at: 1_736_071_200,
        members: &[],
    },
];
