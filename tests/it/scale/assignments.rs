//! The list of a team's open tickets.

use std::{num::NonZeroUsize, sync::Arc};

use aws_sdk_dynamodb::Client;
use futures_util::{StreamExt, stream};
use muster_domain::{SecretKey, Subject, Timestamp};
use muster_service::{http::Deps, rate_limit::RateLimits};
use reqwest::Method;

use crate::support::{
    Organization, Stack,
    cost_meter::{CostMeter, ObservedCost},
    invoke,
    invoke::TestInvocation,
    n,
    ticket_items::{assigned, waiting},
};

/// Creates a team with 30 assigned tickets and this many waiting ones.
async fn team_of(org: &Organization, waiting_tickets: u64) -> String {
    let team = org.team(&format!("Team of {waiting_tickets}")).await;
    let assigned = (0..30).map(|number| (number, assigned(&team, &org.users[0], number)));
    let waiting = (0..waiting_tickets).map(|number| {
        (
            30 + i64::try_from(number).expect("a few"),
            waiting(&team, 1),
        )
    });
    let tickets: Vec<_> = assigned.chain(waiting).collect();
    let put = |(number, ticket)| {
        let id = format!("{waiting_tickets}-{number:05}");
        async move { org.put_ticket(&id, &ticket).await }
    };
    stream::iter(tickets)
        .map(put)
        .buffer_unordered(16)
        .collect::<()>()
        .await;
    org.set_load(
        &team,
        &[
            ("open_tickets", n(30 + waiting_tickets)),
            ("waiting_tickets", n(waiting_tickets)),
        ],
    )
    .await;
    team
}

/// The metered list under the ITSM contract.
struct MeteredList {
    org: Organization,
    meter: CostMeter,
    deps: Deps,
}

impl MeteredList {
    async fn start() -> Self {
        let stack = Stack::shared();
        let org = stack.organization().await;
        let meter = CostMeter::default();
        let config = invoke::client_config(&stack)
            .interceptor(meter.recorder())
            .build();
        let mut deps = invoke::deps(&stack, Client::from_conf(config));
        deps.clock = Arc::new(|| Timestamp::from_millis(1_736_064_000_123));
        let mut list = Self { org, meter, deps };
        // Reads the API key into memory.
        list.invoke("/v1/teams?limit=1").await;
        list
    }

    async fn invoke(&mut self, target: &str) -> ObservedCost {
        // The first request of a key in a minute sends a report, and then every tenth.
        let limits = RateLimits::new(NonZeroUsize::MIN);
        let key = SecretKey::parse(self.org.itsm.token()).expect("a key");
        limits
            .admit(Subject::of_key(key.hash()), u32::MAX, (self.deps.clock)())
            .expect("the request is below the limit");
        self.deps.rates = Arc::new(limits);
        self.meter.take();
        let response = TestInvocation::new(self.org.itsm.token(), Method::GET, target, None)
            .call(&self.deps)
            .await;
        assert!(response.status.is_success(), "{target}: {response}");
        self.meter.take()
    }

    /// Returns the cost of a page: the calls of each round trip, and the read units.
    async fn cost(&mut self, team: &str, query: &str) -> (Vec<Vec<String>>, f64) {
        let ObservedCost {
            mut steps, read, ..
        } = self
            .invoke(&format!("/v1/teams/{team}/assignments?{query}"))
            .await;
        for step in &mut steps {
            step.sort();
        }
        (steps, read)
    }
}

#[tokio::test]
async fn first_page_of_any_team_costs_one_page() {
    let mut list = MeteredList::start().await;
    let (small, large) = (
        team_of(&list.org, 100).await,
        team_of(&list.org, 1_000).await,
    );
    for query in [
        "limit=1",
        "limit=20",
        "limit=20&state=assigned",
        "limit=20&state=waiting",
        "limit=50",
    ] {
        let cost = list.cost(&small, query).await;
        assert_eq!(list.cost(&large, query).await, cost, "{query}");
        assert_eq!(cost.0.len(), 2, "{query}: {cost:?}");
        let limit: f64 = query
            .split('&')
            .next()
            .and_then(|limit| limit.strip_prefix("limit="))
            .expect("a limit")
            .parse()
            .expect("a number");
        // One unit for the load, one for each ticket, and half of one for each 4 KB of index
        // entries.
        assert!(cost.1 <= 1.0 + limit + 4.0, "{query}: {cost:?}");
    }
}

#[tokio::test]
async fn later_page_reads_the_keys_before_it() {
    let mut list = MeteredList::start().await;
    let (small, large) = (
        team_of(&list.org, 100).await,
        team_of(&list.org, 1_000).await,
    );
    // Up to the same position, the rest of the team adds no cost.
    for query in [
        "limit=20&page=2",
        "limit=20&page=4",
        "limit=20&page=3&state=waiting",
    ] {
        let cost = list.cost(&small, query).await;
        assert_eq!(list.cost(&large, query).await, cost, "{query}");
        assert_eq!(cost.0.len(), 3, "{query}: {cost:?}");
    }
    let (steps, read) = list.cost(&large, "limit=10&page=100&state=waiting").await;
    assert_eq!(steps, [["GetItem"], ["Query"], ["BatchGetItem(10)"]]);
    // At least 40 of the 1,000 entries per unit, and only the ten tickets of the page.
    assert!(read <= 1.0 + 1_000.0 / 40.0 + 10.0, "{read}");
    assert_eq!(
        list.cost(&large, "limit=10&page=104").await,
        (vec![vec!["GetItem".to_owned()]], 1.0)
    );
}
