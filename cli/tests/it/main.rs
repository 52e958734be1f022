//! The program `muster` as somebody runs it.

mod dev;
mod documents;
mod guard;
mod operator;
mod output;
mod queues;
mod readme;
mod redrive;
mod support;
mod tickets;
