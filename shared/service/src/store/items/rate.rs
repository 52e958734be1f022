//! The item of a request count.

use serde::Deserialize;

use super::{Item, from_item};
use crate::store::Error;

/// `KEY#<sha256>`, `RATE#<minute>`.
#[derive(Deserialize)]
struct RateItem {
    requests: u64,
}

/// Returns the number of requests in a minute.
pub(in crate::store) fn request_count(item: Item) -> Result<u64, Error> {
    let RateItem { requests } = from_item(item)?;
    Ok(requests)
}
