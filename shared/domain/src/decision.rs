//! Decisions: the reason for the state of a ticket, stored with the ticket and shown by the
//! contracts.

use super::{QueueStrategy, Timestamp, UserId, UserStatus};

/// The reason for the state of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The team's strategy selected the assignee.
    Strategy,
    /// An event named the assignee: a person or the platform assigned the ticket.
    Adopted,
    /// The ticket was reopened and returned to its previous assignee.
    Reopened,
    /// No member of the team is eligible.
    NoEligibleMember,
    /// No team has a matching specialization.
    NoTeamMatches,
    /// The events name a team that does not exist, and no team has a matching specialization.
    TeamMissing,
    /// The team was deleted.
    TeamDeleted,
    /// The ticket was already closed in its first event.
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

    /// Returns the stored text. It never changes: the table and the contracts have it.
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

    /// Parses the text of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// The reason for which a member was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassOverReason {
    /// The member has this status, and is not eligible.
    Status(UserStatus),
    /// The ticket was just taken from this active member. In the fairness bound, such a member is
    /// not eligible for the decision.
    PreviousAssignee,
}

impl PassOverReason {
    /// Returns the text in the table and in the contracts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status(status) => status.shown(),
            Self::PreviousAssignee => "previous_assignee",
        }
    }

    /// Parses the text of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == Self::PreviousAssignee.as_str() {
            Some(Self::PreviousAssignee)
        } else {
            UserStatus::parse(text).map(Self::Status)
        }
    }
}

/// A member that a decision compared, with the figures before the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The user.
    pub user_id: UserId,
    /// The member's open tickets in the team.
    pub open_tickets: u64,
    /// The team's turn at the member's latest decision before this one.
    pub last_turn: u64,
    /// The number of the member's skills that are topics of the ticket.
    pub matched_skills: u64,
    /// The reason for which the member was passed over, if so.
    pub pass_over_reason: Option<PassOverReason>,
}

impl Candidate {
    /// Returns whether the ticket could be assigned to the member. The previous assignee counts as
    /// eligible here: it is selected if no other member is.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        !matches!(self.pass_over_reason, Some(PassOverReason::Status(_)))
    }
}

/// The result for a ticket, with the reason and the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The reason.
    pub reason: Reason,
    /// The team's strategy, if it decided.
    pub strategy: Option<QueueStrategy>,
    /// The team's turn that the decision took, if it took one.
    pub turn: Option<u64>,
    /// The strategy that decided in place of the team's, because no member had a matching skill.
    pub fallback: Option<QueueStrategy>,
    /// The number of members that were compared.
    pub considered: u64,
    /// The number of eligible ones among them.
    pub eligible: u64,
    /// The first members in the order of the strategy, at most
    /// [`MAX_CANDIDATES`](Self::MAX_CANDIDATES).
    pub candidates: Vec<Candidate>,
    /// Whether the events name a team that does not exist, and this team was matched by its
    /// specializations instead.
    pub replaces_missing_team: bool,
    /// The time of the decision.
    pub decided_at: Timestamp,
}

impl Decision {
    /// The maximum number of stored candidates.
    pub const MAX_CANDIDATES: usize = 3;

    /// Returns a decision without a strategy.
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

    /// Returns the reason in one sentence for people. If the ticket names a team that does not
    /// exist, a sentence about that comes first.
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
