//! The program `muster` as somebody runs it.

mod dev;
mod documents;
mod operator;
mod queues;
mod readme;
mod redrive;
mod support;
mod tickets;
