//! Similar words: the specializations that a ticket's topics resemble.

use muster_domain::{Folded, Team, TeamId};

/// The lowest similarity of a topic and a specialization that are shown.
const LEAST: f64 = 0.6;

/// The fewest letters of a word that two texts have in common.
const SHORTEST_WORD: usize = 4;

/// A specialization that resembles a topic, and its team.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarTeam {
    /// The team.
    pub team: TeamId,
    /// The topic of the ticket.
    pub topic: String,
    /// The specialization of the team, as it is shown.
    pub specialization: String,
    /// The similarity, from 0 to 1.
    score: f64,
}

/// Returns the teams with a specialization that resembles a topic but does not equal it, the most
/// similar first, each team once, at most `limit`.
#[must_use]
pub fn similar_teams<'t>(
    topics: &[&Folded],
    teams: impl IntoIterator<Item = &'t Team>,
    limit: usize,
) -> Vec<SimilarTeam> {
    let mut found: Vec<_> = teams
        .into_iter()
        .filter_map(|team| most_similar(topics, team))
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.team.cmp(&b.team)));
    found.truncate(limit);
    found
}

fn most_similar(topics: &[&Folded], team: &Team) -> Option<SimilarTeam> {
    let specializations = team.specializations.as_slice();
    let pairs = topics.iter().flat_map(|topic| {
        specializations.iter().map(move |specialization| {
            let folded = Folded::of(specialization);
            let score = similarity(topic.as_str(), folded.as_str());
            (topic, specialization, score)
        })
    });
    let (topic, specialization, score) = pairs.max_by(|(.., a), (.., b)| a.total_cmp(b))?;
    (LEAST..1.0).contains(&score).then(|| SimilarTeam {
        team: team.id,
        topic: topic.as_str().to_owned(),
        specialization: specialization.clone(),
        score,
    })
}

/// Returns the similarity of two folded texts: 1 for equal texts, 0.9 if one contains the other,
/// 0.8 if they have a word in common, else their share of equal letters by the edit distance.
fn similarity(a: &str, b: &str) -> f64 {
    let shortest = a.chars().count().min(b.chars().count());
    if a == b {
        1.0
    } else if shortest >= SHORTEST_WORD && (a.contains(b) || b.contains(a)) {
        0.9
    } else if words(a).any(|word| words(b).any(|other| word == other)) {
        0.8
    } else {
        strsim::normalized_damerau_levenshtein(a, b)
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() >= SHORTEST_WORD)
}

#[cfg(test)]
mod tests {
    use muster_domain::{NewTeam, OrganizationId, QueueStrategy, Tags, TeamName, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn team(number: u128, specializations: &[&str]) -> Team {
        let new = NewTeam {
            name: TeamName::parse(&format!("Team {number}")).unwrap(),
            description: None,
            lead_id: None,
            queue_strategy: QueueStrategy::RoundRobin,
            specializations: Tags::parse(specializations).unwrap(),
        };
        let id = TeamId::parse(&Uuid::from_u128(number).to_string()).unwrap();
        let organization = OrganizationId::parse("acme").unwrap();
        Team::create(id, organization, new, Timestamp::from_secs(1))
    }

    fn similar<const N: usize>(topics: [&str; N], teams: &[Team], max: usize) -> Vec<SimilarTeam> {
        let topics = topics.map(Folded::of);
        similar_teams(&topics.each_ref(), teams, max)
    }

    #[test]
    fn similar_specializations_come_in_order_of_similarity() {
        let teams = [
            team(1, &["Payroll"]),
            team(2, &["Netwrok", "Billing"]),
            team(3, &["Network access"]),
            team(4, &["Wireless network gear", "VPN"]),
        ];
        let found = similar(["network", "Office printers"], &teams, 5);
        let shown: Vec<_> = found
            .iter()
            .map(|near| (near.team, near.topic.as_str(), near.specialization.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (teams[2].id, "network", "Network access"),
                (teams[3].id, "network", "Wireless network gear"),
                (teams[1].id, "network", "Netwrok"),
            ]
        );
        assert_eq!(similar(["network"], &teams, 1).len(), 1);
    }

    #[test]
    fn equal_or_unlike_specializations_are_left_out() {
        let teams = [team(1, &["VPN"]), team(2, &["DNS"])];
        assert_eq!(similar(["vpn"], &teams, 5), []);
        assert_eq!(similar([], &teams, 5), []);
        let words = [team(3, &["office chairs"])];
        let found = similar(["Office Printers"], &words, 5);
        assert_eq!(found[0].specialization, "office chairs");
    }
}
