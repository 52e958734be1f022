//! The indexes of the table.

/// An index of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// `gsi1`.
    First,
    /// `gsi2`, for items that need a second list.
    Second,
}

/// The names of an index and of its key attributes.
pub(super) struct IndexNames {
    pub(super) index: &'static str,
    pub(super) pk: &'static str,
    pub(super) sk: &'static str,
}

impl Index {
    /// Returns the names of the index and of its key attributes.
    pub(super) fn names(self) -> IndexNames {
        let (index, pk, sk) = match self {
            Self::First => ("gsi1", "gsi1pk", "gsi1sk"),
            Self::Second => ("gsi2", "gsi2pk", "gsi2sk"),
        };
        IndexNames { index, pk, sk }
    }
}
