//! Serialization of wire types.

/// Serializes a wire type.
///
/// # Panics
/// Never for a wire type: its maps have text keys only.
pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("wire types are structs of text, numbers and lists")
}

/// Returns a list length as a JSON number.
pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
