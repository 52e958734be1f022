//! The local stack that a command uses if it names no other place.

use std::{env, ffi::OsStr};

use anyhow::{Context, bail};

use crate::{
    output,
    running::{self, RunningStack},
};

/// The variables that select a table or an account of AWS. A command never uses the running stack
/// while one of them is set.
const SELECTING_VARIABLES: [&str; 3] = ["TABLE_NAME", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"];

/// Returns the running `muster dev`, and notes on standard error that the command uses it.
///
/// The error names `alternatives` as other ways to run the command.
///
/// # Errors
/// No local stack runs, or the environment selects a table or an account.
pub(super) async fn running_stack(alternatives: &str) -> anyhow::Result<RunningStack> {
    if let Some(name) = selecting_variable(env::var_os) {
        bail!("{name} is set, so the local stack is not used: {alternatives}");
    }
    let stack = running::find().await.with_context(|| {
        format!("there is no running local stack: start `muster dev`, or {alternatives}")
    })?;
    output::note(format_args!(
        "using the local stack at {} (process {})",
        stack.url.origin().ascii_serialization(),
        stack.pid
    ));
    Ok(stack)
}

/// Returns the first variable that is set and selects a table or an account.
fn selecting_variable<V: AsRef<OsStr>>(
    value: impl Fn(&'static str) -> Option<V>,
) -> Option<&'static str> {
    SELECTING_VARIABLES
        .into_iter()
        .find(|name| value(name).is_some_and(|value| !value.as_ref().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_that_selects_an_account_is_found() {
        let found = |set: &str, value: &'static str| {
            selecting_variable(|name| (name == set).then_some(value))
        };
        for name in SELECTING_VARIABLES {
            assert_eq!(found(name, "x"), Some(name));
            assert_eq!(found(name, ""), None);
        }
        assert_eq!(found("AWS_REGION", "eu-west-1"), None);
    }
}
