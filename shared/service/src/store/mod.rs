//! The DynamoDB table: every item, and every access to it.
//!
//! One file per group of accesses. `keys` builds every key, `items` converts every item. An
//! invariant that spans items is a `transaction` with conditions that state it. Transient failures
//! (conflicts, throttling, faults of the service or of the network) are retried with full-jitter
//! backoff until the deadline; see [`Table::until`].
//!
//! `docs/data-model.md` lists the items and the cost of every access pattern.

mod access;
mod api_keys;
mod decisions;
mod error;
mod expression;
mod idempotency;
mod index;
mod items;
mod keys;
mod leads;
mod lists;
mod members;
mod organizations;
mod passes;
mod pending_work;
mod profile_copies;
mod rates;
mod records;
mod retry;
mod specialists;
mod specializations;
mod stock_marks;
mod stream;
mod table;
mod team_partition;
mod teams;
mod ticket_lists;
mod tickets;
mod token_issuers;
mod transaction;
mod unrouted_stock;
mod users;

pub(crate) use error::CommitError;
pub use error::Error;
pub use members::OnLead;
pub use passes::{Lease, Released};
pub use pending_work::{IndexPage, PendingItem, PendingWork, TicketList};
pub use profile_copies::CopiedPage;
pub use records::{DeletedTeam, RenderedResponse};
pub use stream::{StreamRecord, organization_of};
pub use table::{Store, Table};
pub use teams::OnOpenTickets;
pub use tickets::TicketsRead;
pub use unrouted_stock::UnroutedCount;
