//! The operator's guide, compared with the template and the program.

use std::collections::BTreeSet;

use clap::Parser;
use muster_cli::commands::Cli;
use serde_yaml_ng::Value;

const GUIDE: &str = include_str!("../../../docs/operations.md");

#[test]
fn alarm_rows_of_the_guide_match_the_template() {
    let template: Value =
        serde_yaml_ng::from_str(include_str!("../../../template.yaml")).expect("YAML");
    let resources = template["Resources"].as_mapping().expect("resources");
    let is_alarm = |resource: &Value| resource["Type"] == "AWS::CloudWatch::Alarm";
    let alarms: BTreeSet<_> = resources
        .iter()
        .filter(|(_, resource)| is_alarm(resource))
        .filter_map(|(name, _)| name.as_str())
        .collect();
    let named: BTreeSet<_> = GUIDE
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.ends_with("Alarm"))
        .collect();
    assert!(!alarms.is_empty());
    assert_eq!(
        named, alarms,
        "the rows of docs/operations.md, and the alarms of template.yaml"
    );
}

/// Splits a line of shell into words, as far as the guide uses shell: quotes, and variables of a
/// stack.
fn words(line: &str) -> Vec<String> {
    const URL: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/queue";
    let line = line.split(" #").next().unwrap_or_default();
    let line = line
        .split(" | ")
        .next()
        .unwrap_or_default()
        .split(" > ")
        .next()
        .unwrap_or_default();
    let line = line
        .replace("$DEAD", URL)
        .replace("$STACK", "muster-prod")
        .replace("$FAILED", "muster-failed")
        .replace("$(output TableName)", "muster-prod-table");
    // Of `$(output TicketsQueueUrl)` only the output is a word.
    let mut plain = String::new();
    for (at, piece) in line.split("$(").enumerate() {
        let rest = if at == 0 {
            piece
        } else {
            piece.split_once(')').expect("it is closed").1
        };
        plain += if at == 0 { "" } else { URL };
        plain += rest;
    }
    let (mut words, mut quote) = (vec![String::new()], None);
    for c in plain.trim().chars() {
        match quote {
            Some(mark) if c == mark => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == ' ' => words.push(String::new()),
            _ => words.last_mut().expect("there is one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn commands_of_the_guide_parse() {
    let mut inside = false;
    let mut commands = 0;
    for line in GUIDE.lines().map(str::trim) {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside && line.starts_with("muster ") {
            let parsed = Cli::try_parse_from(words(line));
            assert!(
                parsed.is_ok(),
                "{line}\n{}",
                parsed
                    .err()
                    .map(|error| error.to_string())
                    .unwrap_or_default()
            );
            commands += 1;
        }
    }
    assert!(commands > 8, "the commands are there: {commands}");
}
