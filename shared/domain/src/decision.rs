//! Decisions: why a ticket is where it is, kept with the ticket and told to whoever asks.

use super::{QueueStrategy, Timestamp, UserId, UserStatus};

/// Why a ticket is where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The team's strategy chose the assignee.
    Strategy,
    /// A snapshot named the assignee: a person, or the platform itself, assigned it.
    Adopted,
    /// It was reopened, and went back to whoever had it.
    Reopened,
    /// Nobody in the team is eligible.
    NoEligibleMember,
    /// No team knows what it is about.
    NoTeamMatches,
    /// The team that it names does not exist, and no team knows what it is about.
    TeamMissing,
    /// Its team was deleted.
    TeamDeleted,
    /// It was over when it was first heard of.
    SeenClosed,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Strategy,
        Self::Adopted,
        Self::Reopened,
        Self::NoEligibleMember,
        Self::NoTeamMatches,
        Self::TeamMissing,
        Self::TeamDeleted,
        Self::SeenClosed,
    ];

    /// The reason as the table writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strategy => "strategy",
            Self::Adopted => "adopted",
            Self::Reopened => "reopened",
            Self::NoEligibleMember => "nobody_eligible",
            Self::NoTeamMatches => "no_team_matches",
            Self::TeamMissing => "team_missing",
            Self::TeamDeleted => "team_deleted",
            Self::SeenClosed => "seen_closed",
        }
    }

    /// Parses what [`as_str`](Self::as_str) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// Why somebody was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassOverReason {
    /// Not eligible, for the user's status is this.
    Status(UserStatus),
    /// Active, but the ticket was just taken from this member. The bound of round robin counts a
    /// member that is passed over for this reason as not eligible for the decision.
    PreviousAssignee,
}

impl PassOverReason {
    /// The reason as the table and the contracts write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status(status) => status.shown(),
            Self::PreviousAssignee => "previous_assignee",
        }
    }

    /// Parses what [`as_str`](Self::as_str) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == Self::PreviousAssignee.as_str() {
            Some(Self::PreviousAssignee)
        } else {
            UserStatus::parse(text).map(Self::Status)
        }
    }
}

/// Somebody whom a decision considered, with the figures it looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub user_id: UserId,
    /// Their open tickets in the team, before the decision.
    pub open_tickets: u64,
    /// The team's turn at their latest decision before this one.
    pub last_turn: u64,
    /// How many of their skills the ticket is about.
    pub matched_skills: u64,
    /// Why they could not, or should not, have it.
    pub pass_over_reason: Option<PassOverReason>,
}

impl Candidate {
    /// Whether they could have been given the ticket.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        !matches!(self.pass_over_reason, Some(PassOverReason::Status(_)))
    }
}

/// How it was decided where a ticket belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Why.
    pub reason: Reason,
    /// The team's strategy, where one was asked.
    pub strategy: Option<QueueStrategy>,
    /// The team's turn that the decision took, where it took one.
    pub turn: Option<u64>,
    /// The strategy that decided in place of the team's, which found nobody.
    pub fallback: Option<QueueStrategy>,
    /// How many members were considered.
    pub considered: u64,
    /// How many of them were eligible.
    pub eligible: u64,
    /// The best of them, at most [`MAX_CANDIDATES`](Self::MAX_CANDIDATES), the best first.
    pub candidates: Vec<Candidate>,
    /// Whether the ticket names a team that does not exist, and this team was matched by its
    /// specializations instead.
    pub replaces_missing_team: bool,
    /// When it was decided.
    pub decided_at: Timestamp,
}

impl Decision {
    /// The most candidates that are kept.
    pub const MAX_CANDIDATES: usize = 3;

    /// A decision that asked no strategy.
    #[must_use]
    pub fn without_strategy(reason: Reason, decided_at: Timestamp) -> Self {
        Self {
            reason,
            strategy: None,
            turn: None,
            fallback: None,
            considered: 0,
            eligible: 0,
            candidates: Vec::new(),
            replaces_missing_team: false,
            decided_at,
        }
    }

    /// The reason in one sentence, after another one where the ticket names a team that does not
    /// exist.
    #[must_use]
    pub fn explanation(&self) -> String {
        let sentence = self.reason_explanation();
        if self.replaces_missing_team {
            format!("The team that it names does not exist; matched by specializations. {sentence}")
        } else {
            sentence
        }
    }

    fn reason_explanation(&self) -> String {
        let Self {
            reason,
            strategy,
            fallback,
            considered,
            eligible,
            candidates,
            ..
        } = self;
        match reason {
            Reason::Strategy => {
                let of = format!(
                    "of {eligible} eligible {}",
                    if *eligible == 1 { "member" } else { "members" }
                );
                let Some(best) = candidates.first() else {
                    return format!("Chosen {of}.");
                };
                let Candidate {
                    open_tickets,
                    last_turn,
                    matched_skills,
                    ..
                } = best;
                if *eligible == 1 {
                    return format!("The only eligible member of {considered}.");
                }
                match (strategy, fallback) {
                    (_, Some(_)) => {
                        format!(
                            "No skill matches; fewest open tickets ({open_tickets}) {of}, then the longest wait."
                        )
                    }
                    (Some(QueueStrategy::SkillBased), None) => format!(
                        "Most matching skills ({matched_skills}) {of}, then fewest open tickets ({open_tickets})."
                    ),
                    (Some(QueueStrategy::LeastBusy), None) => {
                        format!(
                            "Fewest open tickets ({open_tickets}) {of}, then the longest wait for a turn."
                        )
                    }
                    _ => format!("Longest wait for a turn (since turn {last_turn}) {of}."),
                }
            }
            Reason::Adopted => "Assigned outside of Muster.".to_owned(),
            Reason::Reopened => "Reopened, and back with its previous assignee.".to_owned(),
            Reason::NoEligibleMember if *considered == 0 => "The team has no members.".to_owned(),
            Reason::NoEligibleMember => format!("None of {considered} members is eligible."),
            Reason::NoTeamMatches => {
                "No team's specializations match its category, subcategory or tags.".to_owned()
            }
            Reason::TeamMissing => "The team that it names does not exist.".to_owned(),
            Reason::TeamDeleted => "Its team was deleted.".to_owned(),
            Reason::SeenClosed => "It was closed before it was ever seen open.".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        for pass_over_reason in [
            PassOverReason::PreviousAssignee,
            PassOverReason::Status(UserStatus::Inactive),
        ] {
            assert_eq!(
                PassOverReason::parse(pass_over_reason.as_str()),
                Some(pass_over_reason)
            );
        }
    }
}
