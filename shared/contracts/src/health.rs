//! The response of `GET /health`.

use serde::Serialize;

use crate::json;

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    version: &'a str,
    commit: &'a str,
}

/// Renders the response of a running version, which was built from a commit.
#[must_use]
pub fn health(version: &str, commit: &str) -> String {
    json(&Health {
        status: "ok",
        version,
        commit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_names_the_version_and_the_commit() {
        assert_eq!(
            health("0.1.0", "a1b2\"c3"),
            r#"{"status":"ok","version":"0.1.0","commit":"a1b2\"c3"}"#
        );
    }
}
