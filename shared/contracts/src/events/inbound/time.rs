//! The forms of time that the platforms write.

use serde_json::Value;
use time::{
    Date, Month, OffsetDateTime, PrimitiveDateTime, Time, format_description::well_known::Iso8601,
};

use muster_domain::Timestamp;

/// Parses RFC 3339, ISO 8601 or Unix seconds, to the millisecond. In ISO 8601, the default offset
/// is UTC and the default time is midnight. Only the years 0 to 9999 are accepted.
pub(super) fn parse(value: &Value) -> Option<Timestamp> {
    const YEAR_0: i64 = -62_167_219_200_000;
    const YEAR_9999: i64 = 253_402_300_799_999;
    let millis = match value {
        Value::Number(seconds) => match seconds.as_i64() {
            Some(seconds) => seconds.checked_mul(1000)?,
            None => fraction(seconds.as_f64()?)?,
        },
        Value::String(text) => {
            let text = text.trim();
            rfc3339(text).or_else(|| iso8601(text))?
        }
        _ => return None,
    };
    (YEAR_0..=YEAR_9999)
        .contains(&millis)
        .then(|| Timestamp::from_millis(millis))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "numbers out of range are rejected before"
)]
fn fraction(seconds: f64) -> Option<i64> {
    let millis = (seconds * 1000.0).round();
    (millis.abs() < 1e15).then_some(millis as i64)
}

/// Parses a `date-time` of RFC 3339, section 5.6: letters in either case, a space in place of `T`,
/// any fraction of a second, second 60. Returns milliseconds since the Unix epoch.
///
/// A leap second is the last millisecond of its minute, so that it precedes all later times. The
/// date is not compared with the list of leap seconds, because the list grows after a program is
/// built.
fn rfc3339(text: &str) -> Option<i64> {
    let (head, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T' | b't' | b' ',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
    ] = head
    else {
        return None;
    };
    let (fraction, offset) = match rest {
        [b'.', rest @ ..] => {
            rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count())
        }
        offset => (&b"0"[..], offset),
    };
    if fraction.is_empty() {
        return None;
    }
    let digit = |at: usize| fraction.get(at).map_or(0, |digit| u16::from(digit - b'0'));
    let millis = digit(0) * 100 + digit(1) * 10 + digit(2);
    let (second, millis) = match two_digits(s1, s2)? {
        60 => (59, 999),
        second => (second, millis),
    };
    let offset = match *offset {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two_digits(h1, h2)?, two_digits(m1, m2)?);
            let minutes = i64::from(hours) * 60 + i64::from(minutes);
            (hours < 24 && two_digits(m1, m2)? < 60).then_some(if sign == b'-' {
                -minutes
            } else {
                minutes
            })?
        }
        _ => return None,
    };
    let year = i32::from(two_digits(y1, y2)?) * 100 + i32::from(two_digits(y3, y4)?);
    let date = Date::from_calendar_date(
        year,
        Month::try_from(two_digits(m1, m2)?).ok()?,
        two_digits(d1, d2)?,
    )
    .ok()?;
    let time =
        Time::from_hms_milli(two_digits(h1, h2)?, two_digits(n1, n2)?, second, millis).ok()?;
    let local = date.with_time(time).assume_utc();
    Some(local.unix_timestamp() * 1000 + i64::from(millis) - offset * 60_000)
}

fn two_digits(tens: u8, units: u8) -> Option<u8> {
    (tens.is_ascii_digit() && units.is_ascii_digit()).then(|| (tens - b'0') * 10 + units - b'0')
}

fn iso8601(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Iso8601::DEFAULT).ok();
    let moment = moment.or_else(|| {
        PrimitiveDateTime::parse(text, &Iso8601::DEFAULT)
            .ok()
            .map(PrimitiveDateTime::assume_utc)
    });
    let moment = moment.or_else(|| {
        Date::parse(text, &Iso8601::DEFAULT)
            .ok()
            .map(|date| date.midnight().assume_utc())
    });
    i64::try_from(moment?.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use time::{UtcOffset, format_description::well_known::Rfc3339};

    use super::*;

    #[test]
    fn times_of_both_platforms_are_read() {
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

    #[test]
    fn all_forms_of_rfc_3339_are_read() {
        for (text, expected) in [
            ("2025-01-05t08:00:00z", Some(1_736_064_000_000)),
            ("2025-01-05 08:00:00Z", Some(1_736_064_000_000)),
            (
                "2025-01-05 19:00:00.123456789123+11:00",
                Some(1_736_064_000_123),
            ),
            ("2025-01-05T13:30:00.5+05:30", Some(1_736_064_000_500)),
            ("2025-01-05T08:00:00-00:00", Some(1_736_064_000_000)),
            ("1990-12-31T23:59:60Z", Some(662_687_999_999)),
            ("1990-12-31T15:59:60.7-08:00", Some(662_687_999_999)),
            ("1969-12-31T23:59:59.9999Z", Some(-1)),
            ("2025-01-05T08:00:61Z", None),
            ("2025-01-05T08:60:00Z", None),
            ("2025-01-05T24:00:00Z", None),
            ("2025-02-29T08:00:00Z", None),
            ("2025-01-05T08:00:00.Z", None),
            ("2025-01-05T08:00:00+24:00", None),
            ("2025-01-05T08:00:00+01:60", None),
            ("2025-01-05_08:00:00Z", None),
            ("2020-04-02 14:03:31", None),
        ] {
            assert_eq!(rfc3339(text), expected, "{text}");
        }
        assert_eq!(
            parse(&json!(" 2025-01-05 08:00:00z ")),
            Some(Timestamp::from_millis(1_736_064_000_000))
        );
        assert_eq!(
            parse(&json!("2020-04-02 14:03:31")),
            None,
            "without an offset it may be in any zone"
        );
    }

    proptest! {
        #[test]
        fn any_written_time_is_read(
            seconds in -62_135_000_000_i64..253_402_000_000,
            fraction in "(\\.[0-9]{1,12})?",
            separator in "[Tt ]",
            offset in prop_oneof![Just(None), (-1_439..1_440_i32).prop_map(Some)],
            lower in any::<bool>(),
        ) {
            let zone = UtcOffset::from_whole_seconds(offset.unwrap_or_default() * 60).unwrap();
            let local = OffsetDateTime::from_unix_timestamp(seconds).unwrap().to_offset(zone);
            let written = match offset {
                None if lower => "z".to_owned(),
                None => "Z".to_owned(),
                Some(minutes) => {
                    let sign = if minutes < 0 { '-' } else { '+' };
                    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
                }
            };
            let (year, month, day) = local.to_calendar_date();
            let (hour, minute, second) = local.to_hms();
            let text = format!(
                "{year:04}-{:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}{fraction}{written}",
                u8::from(month),
            );
            let digits: String = fraction.chars().skip(1).chain("000".chars()).take(3).collect();
            let expected = seconds * 1000 + digits.parse::<i64>().unwrap();
            prop_assert_eq!(parse(&json!(text)), Some(Timestamp::from_millis(expected)), "{}", text);
        }

        /// Texts in the form of the grammar, many of them invalid dates or times. The reference
        /// implementation accepts the same texts.
        #[test]
        fn times_agree_with_the_reference(
            text in "[12][0-9]{3}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-5][0-9](\\.[0-9]{0,9})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])?",
        ) {
            let upper = text.to_uppercase().replace(' ', "T");
            let reference = OffsetDateTime::parse(&upper, &Rfc3339).ok();
            let reference = reference.map(|moment| moment.unix_timestamp_nanos().div_euclid(1_000_000));
            prop_assert_eq!(rfc3339(&text).map(i128::from), reference, "{}", text);
        }

        #[test]
        fn any_text_is_read_or_rejected(text in "\\PC{0,40}|[0-9TtZz:.+ -]{0,40}") {
            let _ = parse(&json!(text));
        }
    }
}
