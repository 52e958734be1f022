//! The cost of calls to the table: sequential round trips, and the capacity that the table reports.

use muster_harness::calls::Recorder;

/// The calls by round trip. Calls of one round trip run concurrently.
#[derive(Debug)]
pub struct ObservedCost {
    pub steps: Vec<Vec<String>>,
    /// Read units.
    pub read: f64,
    /// Write units.
    pub written: f64,
}

/// Measures the calls of a client that has [`CostMeter::recorder`] as an interceptor.
#[derive(Debug, Clone, Default)]
pub struct CostMeter(Recorder);

impl CostMeter {
    pub fn recorder(&self) -> Recorder {
        self.0.clone()
    }

    /// Returns the calls since the last reset, and resets the record.
    pub fn take(&self) -> ObservedCost {
        let recorded = self.0.take();
        ObservedCost {
            steps: recorded.names(),
            read: recorded.read_units,
            written: recorded.write_units,
        }
    }
}
