//! The domain of Muster: identifiers, text rules, teams, members, users, tickets, workload, and
//! [`routing`]. The crate has no I/O and does not depend on AWS, HTTP or a wire format.
//!
//! A value with a rule has private fields and a `parse` that enforces the rule, so every value is
//! valid. A record that groups such values has public fields. A conversion destructures all of
//! them, so a new field fails to compile until the conversion handles it.

mod change;
mod credential;
mod decision;
mod error;
mod event;
mod fold;
mod hex;
mod idempotency;
mod ids;
mod issuer;
mod list;
mod member;
mod merge;
mod pass;
mod ring;
pub mod routing;
mod team;
mod text;
mod ticket;
mod ticket_list;
mod time;
mod user;
mod version;
mod word;
mod workload;

pub use change::{Change, ChangeKind};
pub use credential::{ApiKey, Contract, KeyEnd, KeyHash, KeyKind, Scope, SecretKey, Subject};
pub use decision::{Candidate, Decision, PassOverReason, Reason};
pub use error::{Error, UserField};
pub use event::{TicketEvent, TicketEventKind, TicketSnapshot};
pub use fold::ignorable_ranges;
pub use hex::hex;
pub use idempotency::{Fingerprint, Idempotency, IdempotencyKey, IdempotencyKeyError};
pub use ids::{OrganizationId, ParseIdError, TeamId, UserId};
pub use issuer::{RsaKeyError, RsaPublicKey, TokenIssuer, TokenKey, TokenKeys, TokenKeysError};
pub use list::{
    ListTeams, ListTickets, ListedState, ListedTeam, Order, PageRange, SortBy, TeamPage, TicketPage,
};
pub use member::{MAX_MEMBERS, Member, MemberChanges, MemberRole, NewMember, PastCounters, Roster};
pub use merge::Merge;
pub use pass::{PassTopics, RoutingPass, TopicFilter, TopicHash};
pub use ring::RingPlace;
pub use team::{IfVersion, Load, NewTeam, QueueStrategy, Team, TeamChanges};
pub(crate) use text::Comparable;
pub use text::{Description, Folded, Tags, TagsError, TeamName, TextError};
pub use ticket::{
    Credit, LoadDelta, MemberDelta, Priority, Ticket, TicketId, TicketState, TicketStatus, Topics,
};
pub use ticket_list::{FindTickets, FoundTickets, TicketPosition, TicketSelection};
pub use time::{Clock, Timestamp};
pub use user::{FieldVersions, Profile, User, UserEvent, UserSnapshot, UserStatus};
pub use version::{EventVersion, FieldUpdate, TicketVersions};
pub use workload::{Resolved, Workload};
