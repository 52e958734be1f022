//! Times as platforms write them.

use serde_json::Value;
use time::{Date, OffsetDateTime, PrimitiveDateTime, format_description::well_known::Iso8601};

use crate::domain::Timestamp;

/// Parses ISO 8601 (in UTC where it names no offset, midnight where it names no time) or Unix seconds, to the millisecond.
/// Only the years 0 to 9999 are moments that a ticket can have.
pub(super) fn parse(value: &Value) -> Option<Timestamp> {
    const YEAR_0: i64 = -62_167_219_200_000;
    const YEAR_9999: i64 = 253_402_300_799_999;
    let millis = match value {
        Value::Number(seconds) => match seconds.as_i64() {
            Some(seconds) => seconds.checked_mul(1000)?,
            None => fraction(seconds.as_f64()?)?,
        },
        Value::String(text) => iso8601(text)?,
        _ => return None,
    };
    (YEAR_0..=YEAR_9999).contains(&millis).then(|| Timestamp::from_millis(millis))
}

#[expect(clippy::cast_possible_truncation, reason = "what is out of range is refused before")]
fn fraction(seconds: f64) -> Option<i64> {
    let millis = (seconds * 1000.0).round();
    (millis.abs() < 1e15).then_some(millis as i64)
}

fn iso8601(text: &str) -> Option<i64> {
    let text = text.trim();
    let moment = OffsetDateTime::parse(text, &Iso8601::DEFAULT).ok();
    let moment =
        moment.or_else(|| PrimitiveDateTime::parse(text, &Iso8601::DEFAULT).ok().map(PrimitiveDateTime::assume_utc));
    let moment = moment.or_else(|| Date::parse(text, &Iso8601::DEFAULT).ok().map(|date| date.midnight().assume_utc()));
    i64::try_from(moment?.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_platforms_times_are_read() {
        let at = |millis| Some(Timestamp::from_millis(millis));
        for (value, expected) in [
            (json!("2025-01-05T08:00:00Z"), at(1_736_064_000_000)),
            (json!("2025-01-05T09:00:00+01:00"), at(1_736_064_000_000)),
            (json!("2025-01-05T08:00:00.123456Z"), at(1_736_064_000_123)),
            (json!("2025-01-05T08:00:00"), at(1_736_064_000_000)),
            (json!("2025-01-05"), at(1_736_035_200_000)),
            (json!("20250105T080000Z"), at(1_736_064_000_000)),
            (json!(1_736_064_000), at(1_736_064_000_000)),
            (json!(1_736_064_000.25), at(1_736_064_000_250)),
            (json!("1736064000"), None),
            (json!("yesterday"), None),
            (json!(""), None),
            (json!(true), None),
            (json!(1_736_064_000_000_i64), None),
            (json!(1e300), None),
            (json!(i64::MAX), None),
        ] {
            assert_eq!(parse(&value), expected, "{value}");
        }
    }
}
