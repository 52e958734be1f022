//! Tickets: what is known of one, where it is, and what it adds to the counters of its team and its
//! assignee.

use std::{collections::HashSet, fmt};

use super::{
    Decision, Folded, ParseIdError, Tags, TeamId, TicketVersions, Timestamp, UserId,
    ids::parse_opaque, word,
};

/// A ticket's identifier, given by the platform that keeps the tickets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketId(String);

impl TicketId {
    /// Parses 1 to 128 characters of `[A-Za-z0-9_.:-]`.
    ///
    /// # Errors
    /// Any other text. The alphabet leaves out `#`, which separates the parts of a key in the
    /// table.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        parse_opaque(text, 128, "_.:-").map(Self)
    }

    /// The text.
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

/// Where a ticket is in its life, as its platform says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
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

    /// The status as the platforms, the table and the contracts write it.
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

    /// Parses what [`as_str`](Self::as_str) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Parses a platform's word for a status, without regard to case and separators.
    #[must_use]
    pub fn parse_reported(text: &str) -> Option<Self> {
        Self::parse(&word::canonical(text))
    }

    /// Whether somebody still has to do something about the ticket.
    #[must_use]
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Closed | Self::Cancelled)
    }

    /// Whether the ticket ended with an answer: a cancelled one did not.
    #[must_use]
    pub fn is_resolved(self) -> bool {
        matches!(self, Self::Resolved | Self::Closed)
    }
}

/// How much a ticket matters; the most urgent first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it all")]
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

    /// The priority as the table writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    /// Parses the output of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.as_str() == text)
    }

    /// Parses a platform's word for a priority, without regard to case and separators. `urgent` is
    /// another word for critical.
    #[must_use]
    pub fn parse_reported(text: &str) -> Option<Self> {
        match word::canonical(text).as_str() {
            "urgent" => Some(Self::Critical),
            word => Self::parse(word),
        }
    }

    /// 0 for the most urgent, 3 for the least.
    #[must_use]
    pub fn rank(self) -> u8 {
        self as u8
    }
}

/// What a ticket is about: its category, subcategory and tags, folded. Compared with what teams and
/// members know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topics(Vec<Folded>);

impl Topics {
    /// The most topics that are kept of a ticket.
    pub const MAX: usize = 100;
    /// The most bytes that they take together. A category and a subcategory take at most 4,608
    /// bytes each, so the topics of 100 tickets take less than 3.4 MB of the 4 MB that a
    /// transaction may have.
    const MAX_BYTES: usize = 24 * 1024;

    /// Folds the texts, the first different ones up to [`MAX`](Self::MAX) and 24 KiB. Leaves out a
    /// text that no tag can match: an empty one, and one of more than [`Tags::MAX_FOLDED_CHARS`]
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

    /// Folds one text. Returns `None` for an empty text and for one that is too long to equal a
    /// specialization or a skill.
    #[must_use]
    pub fn topic(text: &str) -> Option<Folded> {
        let topic = Folded::of(text);
        (1..=Tags::MAX_FOLDED_CHARS)
            .contains(&topic.as_str().chars().count())
            .then_some(topic)
    }

    /// The topics.
    #[must_use]
    pub fn as_slice(&self) -> &[Folded] {
        &self.0
    }

    /// How many of these folded tags the ticket is about.
    #[must_use]
    pub fn matched(&self, tags: &[Folded]) -> usize {
        tags.iter().filter(|tag| self.0.contains(tag)).count()
    }
}

/// Where a ticket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketState {
    /// Open, and somebody's.
    Assigned,
    /// Open, with a team in which nobody is eligible.
    Waiting,
    /// Open, without a team.
    Unrouted,
    /// Not open any more.
    Closed,
    /// Gone for good; what is left keeps late events from bringing it back.
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

    /// The state as the table and the contracts write it.
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

    /// Parses what [`as_str`](Self::as_str) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What a team and an assignee are credited with for a ticket that they resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Milliseconds from creation to resolution.
    pub resolution_ms: u64,
    /// Whether it was resolved by its due date, if it had one.
    pub in_time: Option<bool>,
}

/// A ticket: the fields that its platform reports, each with a version of its own, and the place
/// that Muster gives it.
///
/// A snapshot need not mention every field. An event therefore sets each field that no newer event
/// has mentioned, even if it is not the newest event of the ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Which ticket.
    pub id: TicketId,
    /// Grows with every write.
    pub rev: u64,
    /// The version of each field.
    pub versions: TicketVersions,
    /// Where it is in its life.
    pub status: TicketStatus,
    /// How much it matters.
    pub priority: Priority,
    /// The category, folded.
    pub category: Option<Folded>,
    /// The subcategory, folded.
    pub subcategory: Option<Folded>,
    /// The tags, folded.
    pub tags: Topics,
    /// The creation time; the earliest time of any event as long as the platform does not report
    /// one.
    pub created_at: Timestamp,
    /// The resolution time that the platform reports.
    pub resolved_at: Option<Timestamp>,
    /// The time of the first event since the ticket was last open that resolved or closed it.
    pub closed_at: Option<Timestamp>,
    /// When it has to be resolved.
    pub due_at: Option<Timestamp>,
    /// Whose queue it is in.
    pub team_id: Option<TeamId>,
    /// Whose it is; of a closed ticket, whose it was.
    pub assignee_id: Option<UserId>,
    /// Where it is.
    pub state: TicketState,
    /// Why it is where it is.
    pub decision: Decision,
}

/// By how much a team's counters move.
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

/// By how much a member's counters move.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberDelta {
    /// Open tickets.
    pub open: i64,
    /// The part of them that is being worked on.
    pub in_progress: i64,
    /// Resolved tickets.
    pub resolved: i64,
    /// Milliseconds to their resolution.
    pub resolved_ms: i64,
}

impl LoadDelta {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            open: self.open + other.open,
            waiting: self.waiting + other.waiting,
            sla_met: self.sla_met + other.sla_met,
            sla_due: self.sla_due + other.sla_due,
        }
    }

    /// The other way.
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
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            open: self.open + other.open,
            in_progress: self.in_progress + other.in_progress,
            resolved: self.resolved + other.resolved,
            resolved_ms: self.resolved_ms + other.resolved_ms,
        }
    }

    /// The other way.
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
    /// Returns the category, the subcategory and the tags, the different ones of them within the
    /// limits of [`Topics`].
    #[must_use]
    pub fn topics(&self) -> Topics {
        let fields = self
            .category
            .iter()
            .chain(&self.subcategory)
            .chain(self.tags.as_slice());
        Topics::of(fields.map(Folded::as_str))
    }

    /// Returns the credit of the team and the assignee for a resolved or closed ticket. The
    /// resolution time counts, else the time of the first close.
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

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(
            self.state,
            TicketState::Assigned | TicketState::Waiting | TicketState::Unrouted
        )
    }

    /// What it adds to its team's counters.
    ///
    /// The counters of a team are the sum of this over its tickets: a change of a ticket moves them
    /// by what it adds after, less what it added before, and nothing else moves them.
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

    /// What it adds to its assignee's counters in its team, by the same rule.
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
    fn a_ticket_id_is_opaque_and_plain() {
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
    fn topics_match_whatever_the_letter_case() {
        let topics = Topics::of([
            "Network",
            "vpn",
            "VPN ",
            "",
            "\u{200b}",
            &"x".repeat(18 * 64 + 1),
        ]);
        assert_eq!(topics.as_slice().len(), 2);
        assert_eq!(
            topics.matched(&["VPN", "DNS", "NETWORK"].map(Folded::of)),
            2
        );
    }

    #[test]
    fn topic_that_folds_to_18_times_its_length_matches() {
        let tag = "\u{fdfa}".repeat(Tags::MAX_CHARS);
        assert_eq!(Topics::of([&tag]).matched(&[Folded::of(&tag)]), 1);
    }

    #[test]
    fn topics_leave_room_for_a_hundred_tickets_in_one_transaction() {
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
