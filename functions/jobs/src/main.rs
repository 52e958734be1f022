//! The function's entry point: wiring only.

fn main() {}
