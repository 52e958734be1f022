//! Serialization of wire types.

/// Serializes a wire type.
///
/// # Panics
/// Never for a wire type: it has text keys and no maps of anything else.
pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("wire types are structs of text, numbers and lists")
}

/// A list length as JSON can carry it.
pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
