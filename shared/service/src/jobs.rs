//! Sending jobs to their queues.

use std::time::Duration;

use muster_contracts::{
    jobs::{Job, JobMessage, Lane},
    json,
};
use tokio::time::Instant;

use crate::aws::sqs_send::{Message, Queue, SendError};

/// The message group of jobs that belong to no organization. `#` occurs in no organization id.
const NO_ORGANIZATION: &str = "#schedule";

/// The queue of each lane. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JobQueues {
    /// The queue of [`Lane::Urgent`].
    pub urgent: Queue,
    /// The queue of [`Lane::Long`].
    pub long: Queue,
}

/// A message for a job queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobToSend {
    /// The queue that the message is for.
    pub lane: Lane,
    /// The message, with its group.
    pub message: Message,
}

impl JobQueues {
    /// Sends jobs to their queues, to both concurrently, until the deadline.
    ///
    /// # Errors
    /// The positions of the jobs that SQS did not accept by the deadline, or never accepts.
    pub async fn send(&self, jobs: &[JobToSend], deadline: Instant) -> Result<(), SendError> {
        let send = async |lane, queue: &Queue| {
            let of_lane = jobs.iter().enumerate().filter(|(_, job)| job.lane == lane);
            let (positions, messages): (Vec<_>, Vec<_>) =
                of_lane.map(|(at, job)| (at, job.message.clone())).unzip();
            queue
                .send(&messages, deadline)
                .await
                .map_err(|error| error.at(&positions))
        };
        match tokio::join!(
            send(Lane::Urgent, &self.urgent),
            send(Lane::Long, &self.long)
        ) {
            (Err(urgent), Err(long)) => Err(urgent.and(long)),
            (urgent, long) => urgent.and(long),
        }
    }
}

impl JobToSend {
    /// Returns the message that starts a chain with `job`.
    #[must_use]
    pub fn first(job: Job) -> Self {
        Self::delayed(&JobMessage::first(job), Duration::ZERO)
    }

    /// Returns the message for its queue, invisible for `delay`.
    #[must_use]
    pub fn delayed(message: &JobMessage, delay: Duration) -> Self {
        let group = message
            .job
            .organization_id()
            .unwrap_or(NO_ORGANIZATION)
            .to_owned();
        Self {
            lane: message.lane(),
            message: Message {
                delay,
                group: Some(group),
                ..Message::new(json(message))
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_domain::OrganizationId;

    use super::*;

    #[test]
    fn job_message_names_its_queue_and_its_group() {
        let drain = Job::DrainTeam {
            organization_id: "org".to_owned(),
            team_id: "t".to_owned(),
            empty_reads: 0,
        };
        let sweep = Job::SweepTeam {
            organization_id: "org".to_owned(),
            team_id: "t".to_owned(),
            empty_reads: 3,
        };
        let restart = Job::RestartPendingWork {
            after: None,
            waiting: None,
            unrouted: None,
        };
        for (job, is_rest, lane, group) in [
            (drain.clone(), false, Lane::Urgent, "org"),
            (drain, true, Lane::Long, "org"),
            (sweep, false, Lane::Long, "org"),
            (restart, false, Lane::Long, "#schedule"),
        ] {
            let message = JobMessage {
                is_rest,
                ..JobMessage::first(job)
            };
            let sent = JobToSend::delayed(&message, Duration::from_secs(9));
            assert_eq!(
                (sent.lane, sent.message.group.as_deref()),
                (lane, Some(group)),
                "{}",
                sent.message.body
            );
            assert_eq!(sent.message.delay, Duration::from_secs(9));
        }
        assert!(
            OrganizationId::parse(NO_ORGANIZATION).is_err(),
            "no organization has this group"
        );
    }
}
