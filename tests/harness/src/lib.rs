//! The functions in process: requests as API Gateway forwards them, and a record of the calls to
//! the table. The tests and the benchmarks share it.

pub mod calls;
pub mod gateway;
