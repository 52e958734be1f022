//! Tickets: their fields, their state, and their contribution to the counters of the team and the
//! assignee.

use std::{collections::HashSet, fmt, sync::Arc};

use super::{
    Decision, Folded, ParseIdError, Tags, TeamId, TicketVersions, Timestamp, UserId,
    ids::parse_opaque, word,
};

/// A ticket's identifier, assigned by the platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketId(Arc<str>);

impl TicketId {
    /// Parses 1 to 128 characters of `[A-Za-z0-9_.:-]`.
    ///
    /// # Errors
    /// Any other text. The alphabet excludes `#`, which separates the parts of a key in the table.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        parse_opaque(text, 128, "_.:-").map(|id| Self(id.into()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The status of a ticket on its platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documented words")]
pub enum TicketStatus {
    New,
    Open,
    InProgress,
    Pending,
    OnHold,
    Resolved,
    Closed,
    Cancelled,
}

impl TicketStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::New,
        Self::Open,
        Self::InProgress,
        Self::Pending,
        Self::OnHold,
        Self::Resolved,
        Self::Closed,
        Self::Cancelled,
    ];

    /// Returns the text in the table and in the contracts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Pending => "pending",
            Self::OnHold => "on_hold",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Parses the text of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Parses a platform's spelling of a status: case and separators do not count.
    #[must_use]
    pub fn parse_reported(text: &str) -> Option<Self> {
        Self::parse(&word::canonical(text))
    }

    /// Returns whether the ticket still needs work.
    #[must_use]
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Closed | Self::Cancelled)
    }

    /// Returns whether the ticket earns a credit: it is resolved or closed, and not cancelled.
    #[must_use]
    pub fn is_resolved(self) -> bool {
        matches!(self, Self::Resolved | Self::Closed)
    }
}

/// The priority of a ticket, in the order of urgency: the most urgent first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the documented words")]
pub enum Priority {
    Critical,
    High,
    #[default]
    Medium,
    Low,
}

impl Priority {
    /// Every priority, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// Returns the stored text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    /// Parses the text of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.as_str() == text)
    }

    /// Parses a platform's spelling of a priority: case and separators do not count. `urgent` is a
    /// synonym of critical.
    #[must_use]
    pub fn parse_reported(text: &str) -> Option<Self> {
        match word::canonical(text).as_str() {
            "urgent" => Some(Self::Critical),
            word => Self::parse(word),
        }
    }

    /// Returns the position in the order of urgency: 0 for critical, 3 for low.
    #[must_use]
    pub fn rank(self) -> u8 {
        self as u8
    }
}

/// The topics of a ticket: its category, subcategory and tags, folded. They are compared with the
/// specializations of teams and the skills of members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topics(Vec<Folded>);

impl Topics {
    /// The maximum number of topics of a ticket.
    pub const MAX: usize = 100;
    /// The maximum number of bytes of all topics. A category and a subcategory take at most 4,608
    /// bytes each, so the topics of 100 tickets take less than 3.4 MB of the 4 MB that a
    /// transaction may have (AWS: *Amazon DynamoDB Transactions: How it works*,
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>).
    const MAX_BYTES: usize = 24 * 1024;

    /// Folds the texts and drops duplicates, up to [`MAX`](Self::MAX) topics and 24 KiB. Drops
    /// texts that no tag can match: empty ones, and those with more than [`Tags::MAX_FOLDED_CHARS`]
    /// characters.
    #[must_use]
    pub fn of<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Self {
        let mut seen = HashSet::new();
        let mut bytes = 0;
        let mut fits = |topic: &Folded| {
            bytes += topic.as_str().len();
            bytes <= Self::MAX_BYTES
        };
        let folded = texts
            .into_iter()
            .filter_map(|text| Self::topic(text.as_ref()));
        let different = folded
            .filter(|topic| seen.insert(topic.clone()))
            .take(Self::MAX);
        Self(different.take_while(|topic| fits(topic)).collect())
    }

    /// Folds one text. Returns `None` if it is empty, or too long to equal a specialization or a
    /// skill.
    #[must_use]
    pub fn topic(text: &str) -> Option<Folded> {
        Some(Folded::of(text)).filter(Self::is_topic)
    }

    /// Returns whether a folded text can equal a specialization or a skill.
    fn is_topic(text: &Folded) -> bool {
        let text = text.as_str();
        // Most texts are short, so their characters need not be counted.
        let fits = text.len() <= Tags::MAX_FOLDED_CHARS
            || text.chars().nth(Tags::MAX_FOLDED_CHARS).is_none();
        !text.is_empty() && fits
    }

    /// Returns the topics.
    #[must_use]
    pub fn as_slice(&self) -> &[Folded] {
        &self.0
    }
}

impl FromIterator<Folded> for Topics {
    /// Collects topics that [`of`](Self::of) or [`Ticket::topics`] returned.
    fn from_iter<I: IntoIterator<Item = Folded>>(topics: I) -> Self {
        Self(topics.into_iter().collect())
    }
}

impl PartialEq<[&Folded]> for Topics {
    fn eq(&self, other: &[&Folded]) -> bool {
        self.0.iter().eq(other.iter().copied())
    }
}

/// The state of a ticket in routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketState {
    /// Open, with an assignee.
    Assigned,
    /// Open, with a team that has no eligible member.
    Waiting,
    /// Open, without a team.
    Unrouted,
    /// Resolved, closed or cancelled.
    Closed,
    /// Deleted. The tombstone ignores late events, so the ticket does not return.
    Deleted,
}

impl TicketState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Assigned,
        Self::Waiting,
        Self::Unrouted,
        Self::Closed,
        Self::Deleted,
    ];

    /// Returns the text in the table and in the contracts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Waiting => "waiting",
            Self::Unrouted => "unrouted",
            Self::Closed => "closed",
            Self::Deleted => "deleted",
        }
    }

    /// Parses the text of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// The credit of a team and an assignee for a resolved ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Milliseconds from creation to resolution.
    pub resolution_ms: u64,
    /// Whether the ticket was resolved by its due date, inclusive; `None` without a due date.
    pub in_time: Option<bool>,
}

/// A ticket: the fields that its platform reports, each with a version of its own, and the state
/// and decision of Muster.
///
/// A snapshot need not mention every field. An event therefore sets each field that no newer event
/// has mentioned, even if it is not the newest event of the ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The ticket's id.
    pub id: TicketId,
    /// The revision: the number of writes. A write is conditional on the revision that was read.
    pub rev: u64,
    /// The version of each field.
    pub versions: TicketVersions,
    /// The status on the platform.
    pub status: TicketStatus,
    /// The priority.
    pub priority: Priority,
    /// The category, folded.
    pub category: Option<Folded>,
    /// The subcategory, folded.
    pub subcategory: Option<Folded>,
    /// The tags, folded.
    pub tags: Topics,
    /// The creation time. Until the platform reports one, the earliest time of any event.
    pub created_at: Timestamp,
    /// The resolution time that the platform reports.
    pub resolved_at: Option<Timestamp>,
    /// The time of the first event since the ticket was last open that resolved or closed it.
    pub closed_at: Option<Timestamp>,
    /// The time by which the ticket has to be resolved.
    pub due_at: Option<Timestamp>,
    /// The team.
    pub team_id: Option<TeamId>,
    /// The assignee; of a closed ticket, the last one.
    pub assignee_id: Option<UserId>,
    /// The state in routing.
    pub state: TicketState,
    /// The latest decision.
    pub decision: Decision,
}

/// A change of a team's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadDelta {
    /// Open tickets, the waiting ones included.
    pub open: i64,
    /// Waiting tickets.
    pub waiting: i64,
    /// Tickets resolved by their due date.
    pub sla_met: i64,
    /// Tickets resolved that had a due date.
    pub sla_due: i64,
}

/// A change of a member's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberDelta {
    /// Open tickets.
    pub open: i64,
    /// Open tickets with status `in_progress`.
    pub in_progress: i64,
    /// Resolved tickets.
    pub resolved: i64,
    /// Milliseconds from creation to resolution.
    pub resolved_ms: i64,
}

impl LoadDelta {
    /// Returns the sum of both changes.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            open: self.open + other.open,
            waiting: self.waiting + other.waiting,
            sla_met: self.sla_met + other.sla_met,
            sla_due: self.sla_due + other.sla_due,
        }
    }

    /// Returns the opposite change.
    #[must_use]
    pub fn negated(self) -> Self {
        let Self {
            open,
            waiting,
            sla_met,
            sla_due,
        } = self;
        Self {
            open: -open,
            waiting: -waiting,
            sla_met: -sla_met,
            sla_due: -sla_due,
        }
    }
}

impl MemberDelta {
    /// Returns the sum of both changes.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            open: self.open + other.open,
            in_progress: self.in_progress + other.in_progress,
            resolved: self.resolved + other.resolved,
            resolved_ms: self.resolved_ms + other.resolved_ms,
        }
    }

    /// Returns the opposite change.
    #[must_use]
    pub fn negated(self) -> Self {
        let Self {
            open,
            in_progress,
            resolved,
            resolved_ms,
        } = self;
        Self {
            open: -open,
            in_progress: -in_progress,
            resolved: -resolved,
            resolved_ms: -resolved_ms,
        }
    }
}

impl Ticket {
    /// Returns the category, the subcategory and the tags, without duplicates and within the limits
    /// of [`Topics`].
    #[must_use]
    pub fn topics(&self) -> Vec<&Folded> {
        let tags = self.tags.as_slice();
        let mut topics = Vec::with_capacity(tags.len() + 2);
        let mut bytes = 0;
        for topic in self.category.iter().chain(&self.subcategory).chain(tags) {
            if !Topics::is_topic(topic) || topics.contains(&topic) {
                continue;
            }
            bytes += topic.as_str().len();
            if topics.len() == Topics::MAX || bytes > Topics::MAX_BYTES {
                break;
            }
            topics.push(topic);
        }
        topics
    }

    /// Returns the credit of the team and the assignee for a resolved or closed ticket. It ends at
    /// the resolution time, else at the time of the first close.
    #[must_use]
    pub fn credit(&self) -> Option<Credit> {
        if self.state == TicketState::Deleted || !self.status.is_resolved() {
            return None;
        }
        let resolved_at = self.resolved_at.or(self.closed_at)?;
        let resolution = resolved_at.since(self.created_at);
        Some(Credit {
            resolution_ms: u64::try_from(resolution.as_millis()).unwrap_or(u64::MAX),
            in_time: self.due_at.map(|due| resolved_at <= due),
        })
    }

    /// Returns whether the ticket is open by its state.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(
            self.state,
            TicketState::Assigned | TicketState::Waiting | TicketState::Unrouted
        )
    }

    /// Returns the contribution of the ticket to its team's counters.
    ///
    /// The counters of a team are the sum of the contributions of its tickets. A change of a ticket
    /// moves them by its contribution after, less that before, and no other write moves them.
    #[must_use]
    pub fn adds_to_team(&self) -> Option<(TeamId, LoadDelta)> {
        let open = i64::from(self.is_open());
        let waiting = i64::from(self.state == TicketState::Waiting);
        let in_time = self.credit().and_then(|credit| credit.in_time);
        let delta = LoadDelta {
            open,
            waiting,
            sla_met: i64::from(in_time == Some(true)),
            sla_due: i64::from(in_time.is_some()),
        };
        let team = self
            .team_id
            .filter(|_| self.state != TicketState::Deleted)?;
        (delta != LoadDelta::default()).then_some((team, delta))
    }

    /// Returns the contribution of the ticket to its assignee's counters in its team, by the same
    /// rule.
    #[must_use]
    pub fn adds_to_member(&self) -> Option<(TeamId, UserId, MemberDelta)> {
        let assigned = self.state == TicketState::Assigned;
        let credit = self.credit();
        let delta = MemberDelta {
            open: i64::from(assigned),
            in_progress: i64::from(assigned && self.status == TicketStatus::InProgress),
            resolved: i64::from(credit.is_some()),
            resolved_ms: credit.map_or(0, |credit| {
                i64::try_from(credit.resolution_ms).unwrap_or(i64::MAX)
            }),
        };
        let (team, user) = self
            .team_id
            .zip(self.assignee_id)
            .filter(|_| self.state != TicketState::Deleted)?;
        (delta != MemberDelta::default()).then_some((team, user, delta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticket_id_outside_its_alphabet_is_rejected() {
        for good in ["1", "TKT-2024_001", "a.b:c", &"x".repeat(128)] {
            assert!(TicketId::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a b", "a#b", "a/b", "é", &"x".repeat(129)] {
            assert!(TicketId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn urgent_is_critical_and_other_words_are_unknown() {
        for (text, priority) in [
            ("critical", Some(Priority::Critical)),
            ("URGENT", Some(Priority::Critical)),
            ("Low", Some(Priority::Low)),
            ("", None),
            ("p1", None),
        ] {
            assert_eq!(Priority::parse_reported(text), priority, "{text:?}");
        }
        assert_eq!(
            Priority::parse("urgent"),
            None,
            "the table has one word for each"
        );
    }

    #[test]
    fn topics_match_in_any_letter_case() {
        let topics = Topics::of([
            "Network",
            "vpn",
            "VPN ",
            "",
            "\u{200b}",
            &"x".repeat(18 * 64 + 1),
        ]);
        assert_eq!(topics.as_slice().len(), 2);
        let is_topic = |tag: &str| topics.as_slice().contains(&Folded::of(tag));
        assert_eq!(["VPN", "DNS", "NETWORK"].map(is_topic), [true, false, true]);
    }

    #[test]
    fn topic_that_folds_to_18_times_its_length_matches() {
        let tag = "\u{fdfa}".repeat(Tags::MAX_CHARS);
        assert_eq!(Topics::of([&tag]).as_slice(), [Folded::of(&tag)]);
    }

    #[test]
    fn topics_of_100_tickets_fit_one_transaction() {
        let crabs = |n: usize| format!("{n}{}", "🦀".repeat(Tags::MAX_FOLDED_CHARS - 3));
        let topics = Topics::of((100..200).map(crabs));
        let bytes: usize = topics
            .as_slice()
            .iter()
            .map(|topic| topic.as_str().len())
            .sum();
        assert!((20_000..=24 * 1024).contains(&bytes), "{bytes}");
        assert_eq!(
            Topics::of((100..200).map(|n| n.to_string()))
                .as_slice()
                .len(),
            Topics::MAX
        );
    }

    #[test]
    fn words_round_trip() {
        for status in TicketStatus::ALL {
            assert_eq!(TicketStatus::parse(status.as_str()), Some(status));
            assert_eq!(
                TicketStatus::parse_reported(&status.as_str().to_uppercase().replace('_', " ")),
                Some(status)
            );
        }
        for state in TicketState::ALL {
            assert_eq!(TicketState::parse(state.as_str()), Some(state));
        }
        for priority in Priority::ALL {
            assert_eq!(Priority::parse(priority.as_str()), Some(priority));
        }
    }
}
