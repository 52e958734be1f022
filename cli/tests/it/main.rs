//! The program `muster` as somebody runs it.

mod changes;
mod dev;
mod documents;
mod guard;
mod operator;
mod output;
mod queues;
mod readme;
mod redrive;
#[cfg(unix)]
mod redrive_edit;
mod support;
mod tickets;
