//! The program `muster` as somebody runs it.

mod dev;
mod operator;
mod readme;
mod support;
mod tickets;
