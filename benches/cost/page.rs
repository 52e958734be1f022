//! docs/cost.md.

use std::fmt::Write;

use super::{
    Million,
    prices::{ALL, HANDLER_MS, LOOKED_UP, Price, ROUND_TRIP_MS},
};

/// Returns the text of the page.
pub fn render(requests: &[Million], tickets: &[Million]) -> String {
    let mut page = String::from(
        "\
# Cost

`cargo bench -- cost --write` generates this page from measured capacity and round trips. The embedded engine counts
capacity as DynamoDB does. Dollars are for a million, at the [list prices](#prices) below.

The **floor** has the same calls, without the guarantees of Muster: all reads are eventually consistent, no write is
part of a transaction, and everything takes one round trip. The difference is the price of the
[invariants](routing.md).

Not included: a connection's first request, the data transfer, [storage, logs and
monitoring](scaling.md#monitoring-costs).

## Requests

Requests of the ITSM contract to an organization of 16 teams. Each team has 5 members and 20 open tickets, and a page
has at most 20 elements. A function reads a key once a minute, and adds its requests to the rate limit once in ten
requests: 0.1 write units. A change is one record of the stream, and has at most one announcement.

",
    );
    table(&mut page, requests);
    page.push_str(
        "
## Tickets

A day of 200 tickets with about 3.9 events each, in teams of 8. Larger batches cost less, because a batch writes the
counters of a member and of a team once. A million tickets a day arrive in batches of 100, and 100 tickets a day in
batches of 1.

",
    );
    table(&mut page, tickets);
    let _ = write!(
        page,
        "
## Prices

List prices of us-east-1 in {LOOKED_UP}, on demand, without free tier. Look them up before you plan with them.

| unit | $ a million | page |
|---|---|---|
"
    );
    for Price {
        name,
        dollars,
        page: [title, address],
    } in ALL
    {
        let _ = writeln!(page, "| {name} | {dollars} | [*{title}*]({address}) |");
    }
    let _ = write!(
        page,
        "
The memory of a function is 256 MB. Its duration is an estimate: {ROUND_TRIP_MS} ms for each round trip, and
{HANDLER_MS} ms for each invocation.
"
    );
    page
}

fn table(page: &mut String, millions: &[Million]) {
    page.push_str(
        "\
| a million | round trips | read units | write units | $ | floor, $ | ratio |
|---|---|---|---|---|---|---|
",
    );
    for Million { name, usage, floor } in millions {
        let (dollars, least) = (usage.dollars(), floor.dollars());
        let _ = writeln!(
            page,
            "| {name} | {:.1} | {:.1} | {:.1} | {dollars:.2} | {least:.2} | {:.2} |",
            usage.round_trips,
            usage.read_units,
            usage.write_units,
            dollars / least,
        );
    }
}
