//! Black-box tests of the program `muster`.

mod changes;
mod demo_route;
mod dev;
mod documents;
mod guard;
mod help;
mod jwks;
mod keys;
mod local;
mod output;
mod readme;
mod running;
mod support;
mod table;
mod tickets;
mod usage;
mod users;
