//! `muster tickets`.

mod destination;
mod generate;
mod lines;
mod send;

pub use generate::generate;
pub use send::send;
