//! The topics, priorities and arrival times of tickets, in the proportions of a help desk.

use std::time::Duration;

use muster_domain::Priority;
use rand::Rng;

/// The topic of a ticket. Categories, subcategories and tags are possible specializations of teams.
#[derive(Debug)]
pub(super) struct Topic {
    pub category: &'static str,
    pub subcategory: &'static str,
    pub tags: &'static [&'static str],
}

/// The topics, each with its percentage of the tickets.
pub(super) const TOPICS: [(u32, Topic); 24] = [
    (
        13,
        topic("Access", "Password Reset", &["password", "account"]),
    ),
    (5, topic("Access", "MFA", &["mfa", "account"])),
    (5, topic("Access", "Permissions", &["permissions"])),
    (9, topic("Network", "VPN", &["vpn", "remote"])),
    (5, topic("Network", "Wi-Fi", &["wifi"])),
    (2, topic("Network", "DNS", &["dns"])),
    (1, topic("Network", "Firewall", &["firewall", "cisco"])),
    (7, topic("Email", "Outlook", &["email", "outlook"])),
    (3, topic("Email", "Mailing List", &["email"])),
    (2, topic("Email", "Spam", &["email", "spam"])),
    (7, topic("Hardware", "Laptop", &["laptop"])),
    (5, topic("Hardware", "Printer", &["printer"])),
    (3, topic("Hardware", "Monitor", &["monitor"])),
    (2, topic("Hardware", "Phone", &["phone", "mobile"])),
    (7, topic("Software", "Installation", &["installation"])),
    (4, topic("Software", "License", &["license"])),
    (4, topic("Software", "Crash", &["crash"])),
    (5, topic("Billing", "Invoice", &["billing", "invoice"])),
    (2, topic("Billing", "Refund", &["billing", "refund"])),
    (2, topic("Billing", "Subscription", &["billing"])),
    (2, topic("Security", "Phishing", &["security", "email"])),
    (1, topic("Security", "Malware", &["security", "laptop"])),
    (
        3,
        topic(
            "Onboarding",
            "New Employee",
            &["onboarding", "laptop", "account"],
        ),
    ),
    (1, topic("Other", "Question", &[])),
];

const fn topic(
    category: &'static str,
    subcategory: &'static str,
    tags: &'static [&'static str],
) -> Topic {
    Topic {
        category,
        subcategory,
        tags,
    }
}

/// The priorities, each with its percentage of the tickets.
pub(super) const PRIORITIES: [(u32, Priority); 4] = [
    (5, Priority::Critical),
    (20, Priority::High),
    (55, Priority::Medium),
    (20, Priority::Low),
];

/// Returns the time from the creation of a ticket to its due date.
pub(super) const fn due_within(priority: Priority) -> Duration {
    Duration::from_hours(match priority {
        Priority::Critical => 4,
        Priority::High => 8,
        Priority::Medium => 24,
        Priority::Low => 72,
    })
}

/// Returns the median and the deviation of the logarithm of the resolution time, which is
/// log-normal. More than nine in ten tickets are resolved by their due date.
pub(super) const fn resolution(priority: Priority) -> (Duration, f64) {
    match priority {
        Priority::Critical => (Duration::from_mins(75), 0.8),
        Priority::High => (Duration::from_mins(150), 0.9),
        Priority::Medium => (Duration::from_hours(5), 1.0),
        Priority::Low => (Duration::from_hours(10), 1.1),
    }
}

/// The relative number of tickets in each hour, in UTC: a quiet night, a peak in the morning, a dip
/// at lunch.
const HOURLY_WEIGHTS: [u64; 24] = [
    1, 1, 1, 1, 1, 2, 4, 9, 16, 18, 17, 14, 9, 12, 15, 14, 12, 9, 5, 3, 2, 2, 1, 1,
];
const HOUR_MILLIS: u64 = 3_600_000;
/// The total of a day, in weights times milliseconds.
const TOTAL_WEIGHT: u64 = weight_before(HOURLY_WEIGHTS.len() as u64 * HOUR_MILLIS);

/// Returns the weight before a time of the day, which is in milliseconds.
const fn weight_before(moment: u64) -> u64 {
    let mut weight = 0;
    let mut hour = 0;
    while hour < HOURLY_WEIGHTS.len() {
        let into = moment.saturating_sub(hour as u64 * HOUR_MILLIS);
        weight += HOURLY_WEIGHTS[hour]
            * if into < HOUR_MILLIS {
                into
            } else {
                HOUR_MILLIS
            };
        hour += 1;
    }
    weight
}

/// Returns the arrival of the `index`th ticket, as the time after the start of the day.
/// `start_second` is the second of the UTC day at which the day starts.
///
/// The day is divided into one section of equal weight per ticket, and each ticket arrives at a
/// random time of its section. So tickets are in order, and a day with few tickets has its night
/// and its morning too.
pub(super) fn arrival(
    index: u32,
    tickets: u32,
    start_second: u64,
    random: &mut impl Rng,
) -> Duration {
    let start = start_second * 1000;
    let within = (u64::from(index) * TOTAL_WEIGHT + random.random_range(0..TOTAL_WEIGHT))
        / u64::from(tickets);
    let mut left = (weight_before(start) + within) % TOTAL_WEIGHT;
    let mut moment = 0;
    for weight in HOURLY_WEIGHTS {
        if left < weight * HOUR_MILLIS {
            moment += left / weight;
            break;
        }
        left -= weight * HOUR_MILLIS;
        moment += HOUR_MILLIS;
    }
    let day = HOURLY_WEIGHTS.len() as u64 * HOUR_MILLIS;
    Duration::from_millis((moment + day - start) % day)
}

/// Returns one of the options, at random by weight.
pub(super) fn pick<'o, T>(options: &'o [(u32, T)], random: &mut impl Rng) -> &'o T {
    let mut at = random.random_range(0..options.iter().map(|(weight, _)| weight).sum());
    for (weight, option) in options {
        match at.checked_sub(*weight) {
            Some(left) => at = left,
            None => return option,
        }
    }
    unreachable!("the position is below the sum of the weights")
}

#[cfg(test)]
mod tests {
    use muster_domain::Tags;

    use super::*;

    #[test]
    fn weights_sum_to_a_hundred() {
        assert_eq!(TOPICS.iter().map(|(weight, _)| weight).sum::<u32>(), 100);
        assert_eq!(
            PRIORITIES.iter().map(|(weight, _)| weight).sum::<u32>(),
            100
        );
    }

    #[test]
    fn topics_are_valid_specializations() {
        for (
            _,
            Topic {
                category,
                subcategory,
                tags,
            },
        ) in &TOPICS
        {
            let words: Vec<_> = [*category, *subcategory]
                .iter()
                .chain(*tags)
                .map(ToString::to_string)
                .collect();
            assert!(Tags::parse(words).is_ok(), "{category}, {subcategory}");
        }
    }
}
