//! The program `muster` as somebody runs it.

mod dev;
mod operator;
mod queues;
mod readme;
mod support;
mod tickets;
