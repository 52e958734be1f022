//! The figures of a run: a table on stdout, and JSON in `target/bench/muster.json`.

use std::{env, fmt, fs, path::PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

use crate::calibration::{Calibration, Yardstick};

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    PerSecond,
    #[allow(dead_code, reason = "the part `start` measures sizes")]
    Bytes,
    /// A number of things, such as round trips, capacity units or tickets.
    Count,
    Dollars,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::PerSecond => "1/s",
            Self::Bytes => "bytes",
            Self::Count => "count",
            Self::Dollars => "USD",
        }
    }

    /// Formats a value with a prefix that suits its size.
    fn format(self, value: f64) -> String {
        match self {
            Self::Seconds if value < 1e-3 => format!("{:.1} us", value * 1e6),
            Self::Seconds if value < 1.0 => format!("{:.2} ms", value * 1e3),
            Self::Seconds => format!("{value:.2} s"),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Bytes if value >= 1e6 => format!("{:.2} MB", value / 1e6),
            Self::Bytes => format!("{:.1} kB", value / 1e3),
            Self::Count if value.fract() == 0.0 => format!("{value:.0}"),
            Self::Count => format!("{value:.2}"),
            Self::Dollars => format!("{value:.2} USD"),
        }
    }
}

/// The aim of a figure.
#[derive(Debug, Clone, Copy)]
pub enum Aim {
    AtMost(f64),
    AtLeast(f64),
    /// The figure is at most this multiple of its baseline.
    RatioAtMost(f64),
    /// The figure exceeds its baseline by at most this.
    #[allow(dead_code, reason = "the part `start` has such an aim")]
    AboveBaselineAtMost(f64),
}

/// A figure of the same run, with which another one is compared.
#[derive(Debug, Clone)]
struct Baseline {
    name: String,
    value: f64,
}

/// A measured value.
#[derive(Debug, Clone)]
pub struct Figure {
    name: String,
    value: f64,
    unit: Unit,
    baseline: Option<Baseline>,
    yardstick: Option<Yardstick>,
    aim: Option<Aim>,
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            baseline: None,
            yardstick: None,
            aim: None,
        }
    }

    /// Compares the figure with another one of the same run.
    pub fn beside(mut self, name: impl Into<String>, value: f64) -> Self {
        let name = name.into();
        self.baseline = Some(Baseline { name, value });
        self
    }

    /// Compares the figure, a duration or a rate, with a workload of the calibration.
    pub fn calibrated_by(mut self, yardstick: Yardstick) -> Self {
        self.yardstick = Some(yardstick);
        self
    }

    pub fn with_aim(mut self, aim: Aim) -> Self {
        self.aim = Some(aim);
        self
    }

    fn ratio(&self) -> Option<f64> {
        let baseline = self.baseline.as_ref()?;
        Some(self.value / baseline.value)
    }

    /// Returns a duration as a multiple of the yardstick, and a rate as a number in the time of
    /// the yardstick.
    fn calibrated(&self, calibration: &Calibration) -> Option<f64> {
        let seconds = calibration.seconds(self.yardstick?);
        match self.unit {
            Unit::Seconds => Some(self.value / seconds),
            Unit::PerSecond => Some(self.value * seconds),
            Unit::Bytes | Unit::Count | Unit::Dollars => None,
        }
    }

    /// Tells whether the aim is met. None without an aim.
    fn is_met(&self) -> Option<bool> {
        let baseline = self.baseline.as_ref().map_or(f64::NAN, |it| it.value);
        Some(match self.aim? {
            Aim::AtMost(most) => self.value <= most,
            Aim::AtLeast(least) => self.value >= least,
            Aim::RatioAtMost(most) => self.value <= baseline * most,
            Aim::AboveBaselineAtMost(most) => self.value <= baseline + most,
        })
    }

    fn aim_text(&self) -> String {
        match self.aim {
            None => String::new(),
            Some(Aim::AtMost(most)) => format!("<= {}", self.unit.format(most)),
            Some(Aim::AtLeast(least)) => format!(">= {}", self.unit.format(least)),
            Some(Aim::RatioAtMost(most)) => format!("<= {most:.2} x"),
            Some(Aim::AboveBaselineAtMost(most)) => format!("<= + {}", self.unit.format(most)),
        }
    }

    fn json(&self, calibration: &Calibration) -> Value {
        let Self {
            name,
            value,
            unit,
            baseline,
            yardstick,
            aim,
        } = self;
        let aim = aim.map(|aim| match aim {
            Aim::AtMost(most) => json!({ "at_most": most }),
            Aim::AtLeast(least) => json!({ "at_least": least }),
            Aim::RatioAtMost(most) => json!({ "ratio_at_most": most }),
            Aim::AboveBaselineAtMost(most) => json!({ "above_baseline_at_most": most }),
        });
        let baseline = baseline.as_ref().map(|Baseline { name, value }| {
            json!({ "name": name, "value": value, "ratio": self.ratio() })
        });
        let calibrated = yardstick.map(
            |yardstick| json!({ "by": yardstick.name(), "ratio": self.calibrated(calibration) }),
        );
        json!({
            "name": name,
            "value": value,
            "unit": unit.name(),
            "baseline": baseline,
            "calibrated": calibrated,
            "aim": aim,
            "met": self.is_met(),
        })
    }

    fn row(&self, calibration: &Calibration) -> [String; 7] {
        let baseline = self.baseline.as_ref();
        let calibrated = self.calibrated(calibration).zip(self.yardstick);
        let met = match self.is_met() {
            None => "",
            Some(true) => "met",
            Some(false) => "NOT MET",
        };
        [
            self.name.clone(),
            self.unit.format(self.value),
            baseline.map_or(String::new(), |it| {
                format!("{} ({})", self.unit.format(it.value), it.name)
            }),
            self.ratio().map_or(String::new(), |it| format!("{it:.2}")),
            calibrated.map_or(String::new(), |(ratio, yardstick)| {
                let unit = match yardstick {
                    Yardstick::Sha256 => "sha",
                    Yardstick::Allocations => "alloc",
                    Yardstick::RoundTrip => "rtt",
                };
                match self.unit {
                    Unit::PerSecond => format!("{ratio:.1} a {unit}"),
                    _ => format!("{ratio:.2} {unit}"),
                }
            }),
            self.aim_text(),
            met.to_owned(),
        ]
    }
}

/// The figures of one part, with the calibration that ran before it.
pub struct Section {
    pub part: &'static str,
    pub seconds: f64,
    pub calibration: Calibration,
    pub figures: Vec<Figure>,
}

const HEAD: [&str; 7] = [
    "figure",
    "value",
    "baseline",
    "ratio",
    "calibrated",
    "aim",
    "",
];

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} ({:.0} s)", self.part, self.seconds)?;
        for yardstick in Yardstick::ALL {
            let seconds = Unit::Seconds.format(self.calibration.seconds(yardstick));
            writeln!(f, "  calibration: {} {seconds}", yardstick.name())?;
        }
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(self.figures.iter().map(|it| it.row(&self.calibration)));
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: [usize; 7] = std::array::from_fn(width);
        for row in &rows {
            let cells = row.iter().zip(widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(f, "  {}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Writes the figures to `target/bench/muster.json`, and returns the path.
///
/// # Errors
/// The file cannot be written.
pub fn write_json(sections: &[Section]) -> anyhow::Result<PathBuf> {
    let parts: Vec<_> = sections
        .iter()
        .map(|section| {
            let calibration = Yardstick::ALL
                .map(|it| json!({ "name": it.name(), "seconds": section.calibration.seconds(it) }));
            let figures = section.figures.iter();
            json!({
                "part": section.part,
                "seconds": section.seconds,
                "calibration": calibration,
                "figures": figures.map(|it| it.json(&section.calibration)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let folder = target_folder()?.join("bench");
    fs::create_dir_all(&folder)?;
    let path = folder.join("muster.json");
    let document = serde_json::to_string_pretty(&json!({ "parts": parts }))?;
    fs::write(&path, document + "\n").with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Returns the target folder of this build. The program is in its `release/deps`.
///
/// # Errors
/// The path of the program is not known.
pub fn target_folder() -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?;
    let folder = program.ancestors().nth(3);
    Ok(folder.context("the program is not in a folder")?.to_owned())
}
