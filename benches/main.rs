//! The benchmarks, by `cargo bench`. docs/performance.md describes the method.
//!
//! A part measures on its own, and compares figures of one run only. Its module documents the
//! workload.

mod calibration;
mod cost;
mod drain;
mod events;
mod fixture;
mod growth;
mod handlers;
mod invocation;
mod report;
mod routing;
mod seed;

use std::{env, time::Instant};

use anyhow::bail;

use calibration::Calibration;
use report::{Figure, Section};

/// A part of the benchmarks.
struct Part {
    name: &'static str,
    summary: &'static str,
    run: fn(&Options) -> anyhow::Result<Vec<Figure>>,
}

/// The parts, in the order of a run.
const PARTS: [Part; 5] = [
    Part {
        name: "handlers",
        summary: "each endpoint's handler, beside its calls to the table alone",
        run: handlers::run,
    },
    Part {
        name: "routing",
        summary: "tickets per second through the planner, and through the function `assignment`",
        run: routing::run,
    },
    Part {
        name: "growth",
        summary: "requests while teams, members and tickets grow",
        run: growth::run,
    },
    Part {
        name: "cost",
        summary: "dollars for a million requests and tickets; docs/cost.md",
        run: cost::run,
    },
    Part {
        name: "drain",
        summary: "500 waiting tickets, 20 people become eligible",
        run: drain::run,
    },
];

/// The arguments of the command.
struct Options {
    parts: Vec<&'static Part>,
    /// Prints the names of the parts only.
    lists: bool,
    /// Writes docs/cost.md.
    writes: bool,
}

const HELP: &str = "\
Usage: cargo bench [-- [OPTIONS] [PART]...]

Runs the named parts, or all of them. Prints a table, and writes target/bench/muster.json.

Options:
  --list   Print the parts
  --write  Write docs/cost.md from the figures of the part `cost`
  --help   Print this help";

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self {
            parts: Vec::new(),
            lists: false,
            writes: false,
        };
        for argument in arguments {
            match &*argument {
                // Cargo adds this argument.
                "--bench" => {}
                "--list" => options.lists = true,
                "--write" => options.writes = true,
                name => match PARTS.iter().find(|part| part.name == name) {
                    Some(part) => options.parts.push(part),
                    None => bail!("unknown part or option `{name}`\n\n{HELP}"),
                },
            }
        }
        if options.parts.is_empty() {
            options.parts.extend(&PARTS);
        }
        Ok(options)
    }
}

fn main() -> anyhow::Result<()> {
    if env::args().any(|argument| argument == "--help") {
        println!("{HELP}");
        return Ok(());
    }
    let options = Options::parse(env::args().skip(1))?;
    if options.lists {
        for Part { name, summary, .. } in &PARTS {
            println!("{name:<10} {summary}");
        }
        return Ok(());
    }
    let mut sections = Vec::new();
    for &Part { name, run, .. } in &options.parts {
        let start = Instant::now();
        let calibration = Calibration::measure()?;
        let figures = run(&options)?;
        let section = Section {
            part: name,
            seconds: start.elapsed().as_secs_f64(),
            calibration,
            figures,
        };
        println!("{section}");
        sections.push(section);
    }
    let path = report::write_json(&sections)?;
    println!("wrote {}", path.display());
    Ok(())
}
