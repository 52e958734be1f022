//! An error with its causes, for the log.

use std::error::Error;

/// Returns an error and its causes in one line, separated by colons. Leaves out a cause that the
/// text before it ends with.
///
/// `Display` of an error prints one level only. The place that logs an error prints the whole
/// chain, once.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// An error with a text and an optional cause.
    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn error_chain_has_each_cause_once() {
        let leaf = Link("connection refused", None);
        let middle = Link("no response: connection refused", Some(Box::new(leaf)));
        let top = Link("the table is unavailable", Some(Box::new(middle)));
        assert_eq!(
            error_chain(&top),
            "the table is unavailable: no response: connection refused"
        );
    }
}
