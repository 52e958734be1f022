//! The faults of an event: each names a field and the rule that it breaks.

use std::fmt;

/// A fault of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault(String);

impl Fault {
    /// Makes a fault of a field from the rule that it breaks.
    pub(super) fn new(path: &str, rule: impl fmt::Display) -> Self {
        Self(format!("{path}: {rule}"))
    }

    /// Makes a fault of the whole message.
    pub(super) fn general(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Collects the faults while an event is parsed, in the order of its fields.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Returns a value without which the event has no meaning; adds its fault otherwise.
    pub(super) fn required<T>(&mut self, read: Result<T, Fault>) -> Option<T> {
        read.map_err(|fault| self.add(fault)).ok()
    }

    /// Returns an optional value; adds its fault and returns the default otherwise.
    pub(super) fn optional<T: Default>(&mut self, read: Result<T, Fault>) -> T {
        self.required(read).unwrap_or_default()
    }

    /// Ends the parsing of an event.
    ///
    /// # Errors
    /// There are faults.
    ///
    /// # Panics
    /// There is neither a value nor a fault: a parser returned `None` without adding the reason.
    pub(super) fn result<T>(self, parsed: Option<T>) -> Result<T, Poison> {
        match parsed {
            Some(parsed) if self.0.is_empty() => Ok(parsed),
            _ => {
                assert!(!self.0.is_empty(), "an event without faults has a value");
                Err(Poison(self.0))
            }
        }
    }
}

/// The reason why a message can never succeed: its faults, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison(Vec<Fault>);

impl Poison {
    /// The maximum number of faults that the text of the reason names.
    pub const MAX_NAMED: usize = 10;

    /// Makes the reason for an event of an organization without a key and without an imported user.
    #[must_use]
    pub fn unknown_organization() -> Self {
        Fault::new("data.organization_id", "there is no such organization").into()
    }

    /// Returns the text of every fault.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.0.iter().map(Fault::to_string).collect()
    }
}

impl From<Fault> for Poison {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Poison {
    /// Writes up to [`MAX_NAMED`](Self::MAX_NAMED) faults and the number of the others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().take(Self::MAX_NAMED).enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        match self.0.len().checked_sub(Self::MAX_NAMED) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Poison {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_names_ten_faults_and_counts_the_rest() {
        let reason = |count: usize| {
            let mut faults = Faults::default();
            for n in 0..count {
                faults.add(Fault::new(&format!("f{n}"), "is required"));
            }
            faults.result(None::<()>).unwrap_err()
        };
        assert_eq!(reason(2).to_string(), "f0: is required; f1: is required");
        assert!(reason(10).to_string().ends_with("; f9: is required"));
        assert!(
            reason(13)
                .to_string()
                .ends_with("; f9: is required; and 3 more")
        );
        assert_eq!(reason(13).faults().len(), 13);
    }

    #[test]
    fn value_with_a_fault_of_another_field_is_rejected() {
        let mut faults = Faults::default();
        let read: Option<u8> = faults.optional(Err(Fault::new("a", "must be a number")));
        assert_eq!(read, None);
        assert!(faults.result(Some(1)).is_err());
        assert_eq!(Faults::default().result(Some(1)), Ok(1));
    }
}
