//! `muster tickets`.

mod check;
mod destination;
mod generate;
mod lines;
mod redrive;
mod send;

pub use check::check;
pub use generate::generate;
pub use redrive::redrive;
pub use send::send;
