//! The list prices of AWS in us-east-1, on demand and without free tier.

/// The month in which the prices were looked up.
pub const LOOKED_UP: &str = "November 2026";

/// A billed unit.
pub struct Price {
    pub name: &'static str,
    /// US dollars for a million units.
    pub dollars: f64,
    /// The title and the address of the page.
    pub page: [&'static str; 2],
}

pub const READ_UNIT: Price = Price {
    name: "DynamoDB read request unit",
    dollars: 0.125,
    page: [
        "Pricing for On-Demand Capacity",
        "https://aws.amazon.com/dynamodb/pricing/on-demand/",
    ],
};
pub const WRITE_UNIT: Price = Price {
    name: "DynamoDB write request unit",
    dollars: 0.625,
    page: READ_UNIT.page,
};
pub const GATEWAY_CALL: Price = Price {
    name: "call of an HTTP API",
    dollars: 1.0,
    page: [
        "Amazon API Gateway pricing",
        "https://aws.amazon.com/api-gateway/pricing/",
    ],
};
pub const INVOCATION: Price = Price {
    name: "Lambda invocation",
    dollars: 0.2,
    page: [
        "AWS Lambda pricing",
        "https://aws.amazon.com/lambda/pricing/",
    ],
};
pub const GIGABYTE_SECOND: Price = Price {
    name: "Lambda gigabyte-second, arm64",
    dollars: 13.333_4,
    page: INVOCATION.page,
};
pub const QUEUE_CALL: Price = Price {
    name: "call of a standard SQS queue",
    dollars: 0.4,
    page: ["Amazon SQS pricing", "https://aws.amazon.com/sqs/pricing/"],
};
pub const ANNOUNCEMENT: Price = Price {
    name: "custom event of EventBridge",
    dollars: 1.0,
    page: [
        "Amazon EventBridge pricing",
        "https://aws.amazon.com/eventbridge/pricing/",
    ],
};

pub const ALL: [Price; 7] = [
    READ_UNIT,
    WRITE_UNIT,
    GATEWAY_CALL,
    INVOCATION,
    GIGABYTE_SECOND,
    QUEUE_CALL,
    ANNOUNCEMENT,
];

/// The memory of a function in the template, in gigabytes.
const GIGABYTES: f64 = 0.25;
/// The assumed duration of a call to DynamoDB, in milliseconds: an upper bound of "single-digit
/// milliseconds" (AWS, "What is Amazon DynamoDB?",
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html>).
pub const ROUND_TRIP_MS: f64 = 5.0;
/// The assumed duration of a handler without its calls, in milliseconds.
pub const HANDLER_MS: f64 = 1.0;

/// The usage of one request or ticket.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub read_units: f64,
    pub write_units: f64,
    pub round_trips: f64,
    pub gateway_calls: f64,
    pub invocations: f64,
    pub queue_calls: f64,
    pub announcements: f64,
}

impl Usage {
    /// Returns the dollars for a million.
    pub fn dollars(&self) -> f64 {
        self.read_units * READ_UNIT.dollars
            + self.write_units * WRITE_UNIT.dollars
            + self.gateway_calls * GATEWAY_CALL.dollars
            + self.invocations * INVOCATION.dollars
            + self.gigabyte_seconds() * GIGABYTE_SECOND.dollars
            + self.queue_calls * QUEUE_CALL.dollars
            + self.announcements * ANNOUNCEMENT.dollars
    }

    fn gigabyte_seconds(&self) -> f64 {
        let millis = self.round_trips * ROUND_TRIP_MS + self.invocations * HANDLER_MS;
        millis / 1_000.0 * GIGABYTES
    }
}
