//! Dependencies point down: between the crates, and between the modules of each crate.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
};

use crate::{
    allowed,
    modules::{self, Crate, Names},
    tree,
};

/// The crates of `shared`, and the modules of each one from top to bottom. A module may use those
/// below it. The modules that a list does not name are below all others.
const LAYERS: [(&str, &str, &[&str]); 3] = [
    ("muster_domain", "shared/domain", &["routing"]),
    (
        "muster_contracts",
        "shared/contracts",
        &["openapi", "jobs", "events", "itsm", "toptickets"],
    ),
    (
        "muster_service",
        "shared/service",
        &[
            "http",
            "lambda",
            "assignment",
            "jobs",
            "auth",
            "rate_limit",
            "store",
            "aws",
            "telemetry",
        ],
    ),
];

/// The crates of the workspace that each crate of `shared` may depend on.
const CRATES: [(&str, &[&str]); 3] = [
    ("shared/domain", &[]),
    ("shared/contracts", &["muster-domain"]),
    ("shared/service", &["muster-contracts", "muster-domain"]),
];

/// The beginnings of the names of packages that the domain must not depend on.
const NOT_IN_DOMAIN: [&str; 4] = ["aws", "lambda", "serde", "tokio"];

/// A dependency between two modules that have the same parent.
#[derive(Debug)]
struct Arrow {
    from: String,
    to: String,
    /// The file's module, and the path in it.
    example: String,
}

/// Returns the arrows between the children of each module, by the path of the parent.
fn arrows(of: &Crate) -> BTreeMap<Names, Vec<Arrow>> {
    let mut arrows: BTreeMap<Names, Vec<Arrow>> = BTreeMap::new();
    for module in of.modules.keys() {
        for (used, path) in of.uses(module) {
            let common = module.iter().zip(&used).take_while(|(a, b)| a == b).count();
            if let (Some(from), Some(to)) = (module.get(common), used.get(common)) {
                arrows
                    .entry(module[..common].to_vec())
                    .or_default()
                    .push(Arrow {
                        from: from.clone(),
                        to: to.clone(),
                        example: format!("{}::{} uses {path}", of.name, module.join("::")),
                    });
            }
        }
    }
    arrows
}

/// Returns the arrows that are part of a circle: their target leads back to their source.
fn circular(arrows: &[Arrow]) -> Vec<&Arrow> {
    let leads = |start: &str, goal: &str| {
        let mut seen = BTreeSet::from([start]);
        let mut next = vec![start];
        while let Some(at) = next.pop() {
            if at == goal {
                return true;
            }
            let targets = arrows.iter().filter(|arrow| arrow.from == at);
            next.extend(targets.map(|arrow| &*arrow.to).filter(|to| seen.insert(to)));
        }
        false
    };
    arrows
        .iter()
        .filter(|arrow| leads(&arrow.to, &arrow.from))
        .collect()
}

/// Returns the arrows between the top modules of a crate that do not point down.
fn upward<'a>(arrows: &'a [Arrow], order: &[&str]) -> Vec<&'a Arrow> {
    let level = |module: &str| {
        order
            .iter()
            .position(|it| *it == module)
            .unwrap_or(order.len())
    };
    arrows
        .iter()
        .filter(|arrow| level(&arrow.from) > level(&arrow.to))
        .collect()
}

fn listed(arrows: &[&Arrow]) -> String {
    let lines = arrows.iter().map(|arrow| {
        let Arrow { from, to, example } = arrow;
        format!("\n  {from} -> {to}: {example}")
    });
    lines.collect()
}

#[test]
fn modules_have_no_circle() {
    let mut violations = BTreeMap::new();
    for (name, folder, _) in LAYERS {
        let circles: String = arrows(&modules::read(name, folder))
            .values()
            .map(|arrows| listed(&circular(arrows)))
            .collect();
        if !circles.is_empty() {
            violations.insert(folder.to_owned(), circles);
        }
    }
    allowed::check("module-circles", &violations);
}

#[test]
fn modules_use_lower_modules_only() {
    let mut violations = BTreeMap::new();
    for (name, folder, order) in LAYERS {
        let read = modules::read(name, folder);
        for module in order {
            let is_there = read.modules.contains_key(&vec![(*module).to_owned()]);
            assert!(
                is_there,
                "{name} has no module {module}; correct its layers"
            );
        }
        let upward = arrows(&read)
            .get(&Names::new())
            .map(|arrows| listed(&upward(arrows, order)))
            .unwrap_or_default();
        if !upward.is_empty() {
            violations.insert(folder.to_owned(), upward);
        }
    }
    allowed::check("module-order", &violations);
}

#[test]
fn crates_depend_on_lower_crates_only() {
    for (folder, lower) in CRATES {
        let manifest = tree::read(&format!("{folder}/Cargo.toml"));
        let dependencies = manifest
            .lines()
            .skip_while(|line| *line != "[dependencies]")
            .skip(1)
            .take_while(|line| !line.starts_with('['));
        let found: BTreeSet<_> = dependencies
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|name| name.starts_with("muster"))
            .collect();
        assert_eq!(found, lower.iter().copied().collect(), "{folder}");
    }
}

#[test]
fn domain_has_no_io_and_no_serialization() {
    for features in [None, Some("--all-features")] {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--edges", "normal", "--package", "muster-domain"])
            .args([
                "--prefix",
                "none",
                "--format",
                "{p}",
                "--locked",
                "--offline",
            ])
            .args(features)
            // With it, the tree is that of the whole workspace.
            .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
            .current_dir(tree::root())
            .output()
            .expect("cargo runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo tree failed: {errors}");
        let packages = String::from_utf8(output.stdout).expect("names are in UTF-8");
        assert!(
            packages.contains("uuid "),
            "the tree lists dependencies:\n{packages}"
        );
        let found: BTreeSet<_> = packages
            .lines()
            .filter(|package| NOT_IN_DOMAIN.iter().any(|name| package.starts_with(name)))
            .collect();
        assert!(found.is_empty(), "muster-domain depends on {found:?}");
    }
}

#[test]
fn circles_and_upward_arrows_are_found() {
    let arrows: Vec<_> = [("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")]
        .into_iter()
        .map(|(from, to)| Arrow {
            from: from.to_owned(),
            to: to.to_owned(),
            example: String::new(),
        })
        .collect();
    let pairs = |arrows: Vec<&Arrow>| -> Vec<String> {
        let pair = |arrow: &&Arrow| format!("{}{}", arrow.from, arrow.to);
        arrows.iter().map(pair).collect()
    };
    assert_eq!(pairs(circular(&arrows)), ["bc", "cb"]);
    assert_eq!(pairs(upward(&arrows, &["a", "b"])), ["cb", "da"]);
}
