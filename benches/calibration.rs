//! The speed of the machine: three workloads that do not depend on Muster. Figures of different
//! runs and machines compare by their ratio to one of them.

use std::{
    hint::black_box,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Instant,
};

use ring::digest::{SHA256, digest};

/// A workload of the calibration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Yardstick {
    /// SHA-256 of 1 MiB, for figures that need the processor.
    Sha256,
    /// 10,000 allocations of 16 to 527 bytes, and their release.
    Allocations,
    /// 64 bytes to a thread over TCP on the loopback interface, and back, for figures with calls
    /// to an engine.
    RoundTrip,
}

impl Yardstick {
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Allocations, Self::RoundTrip];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256 of 1 MiB",
            Self::Allocations => "10,000 allocations",
            Self::RoundTrip => "loopback round trip",
        }
    }
}

/// The median durations of the workloads, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Calibration {
    sha256: f64,
    allocations: f64,
    round_trip: f64,
}

impl Calibration {
    /// Runs the workloads, for about 0.3 seconds.
    ///
    /// # Errors
    /// The loopback interface is not available.
    pub fn measure() -> anyhow::Result<Self> {
        let bytes = vec![7; 1 << 20];
        Ok(Self {
            sha256: median_of(101, || {
                black_box(digest(&SHA256, black_box(&bytes)));
                Ok(())
            })?,
            allocations: median_of(101, || {
                allocate();
                Ok(())
            })?,
            round_trip: round_trip()?,
        })
    }

    /// Returns the duration of a workload, in seconds.
    pub fn seconds(&self, yardstick: Yardstick) -> f64 {
        match yardstick {
            Yardstick::Sha256 => self.sha256,
            Yardstick::Allocations => self.allocations,
            Yardstick::RoundTrip => self.round_trip,
        }
    }
}

fn allocate() {
    let held: Vec<Vec<u8>> = (0..10_000)
        .map(|at| Vec::with_capacity(16 + at % 512))
        .collect();
    black_box(held);
}

fn round_trip() -> anyhow::Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    client.set_nodelay(true)?;
    let (mut server, _) = listener.accept()?;
    server.set_nodelay(true)?;
    // The thread ends when the client closes its connection.
    thread::spawn(move || {
        let mut message = [0; 64];
        while server.read_exact(&mut message).is_ok() && server.write_all(&message).is_ok() {}
    });
    let mut message = [1; 64];
    median_of(1_001, || {
        client.write_all(&message)?;
        client.read_exact(&mut message)?;
        Ok(())
    })
}

/// Returns the median duration of `runs` runs, in seconds.
fn median_of(runs: usize, mut workload: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let mut durations = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        workload()?;
        durations.push(start.elapsed().as_secs_f64());
    }
    Ok(median(durations))
}

/// Returns the median of figures, or NaN for no figure.
pub fn median(figures: Vec<f64>) -> f64 {
    quantile(figures, 0.5)
}

/// Returns a quantile of figures, such as 0.99, or NaN for no figure.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a position in a list of a few thousand"
)]
pub fn quantile(mut figures: Vec<f64>, at: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    let position = (last as f64 * at).round() as usize;
    figures.get(position).copied().unwrap_or(f64::NAN)
}
