//! Query strings.

use std::collections::HashMap;

use percent_encoding::percent_decode;

use super::violation::{FieldRejected, FieldRule, InvalidRequest, Location, Violation};

/// The parameters of a query string, and the violations found so far.
#[derive(Debug)]
pub struct Query {
    parameters: HashMap<String, Option<String>>,
    violations: Vec<Violation>,
}

impl Query {
    /// Decodes a raw query string as a form: `+` is a space, and the last of duplicates counts. A
    /// `%` that begins no escape stays as it is. A value that is not UTF-8 is an error when it is
    /// read.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let decode = |text: &str| {
            let bytes: Vec<u8> = text
                .bytes()
                .map(|byte| if byte == b'+' { b' ' } else { byte })
                .collect();
            String::from_utf8(percent_decode(&bytes).collect()).ok()
        };
        let parameters = raw
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter_map(|(name, value)| Some((decode(name)?, decode(value))))
            .collect();
        Self {
            parameters,
            violations: Vec::new(),
        }
    }

    /// Returns whether the query has a parameter.
    #[must_use]
    pub fn has(&self, parameter: &str) -> bool {
        self.parameters.contains_key(parameter)
    }

    /// Reads an integer within bounds, of any number of digits.
    ///
    /// # Errors
    /// The value breaks a rule.
    pub fn integer(
        &mut self,
        parameter: &'static str,
        default: i64,
        min: i64,
        max: i64,
    ) -> Result<usize, FieldRejected> {
        let number = match self.parameters.get(parameter) {
            None => Ok(default),
            Some(text) => text
                .as_deref()
                .and_then(parse_integer)
                .ok_or(FieldRule::NotInteger),
        };
        number
            .and_then(|number| match number {
                number if number < min => Err(FieldRule::TooSmall(min)),
                number if number > max => Err(FieldRule::TooLarge(max)),
                number => usize::try_from(number).map_err(|_| FieldRule::TooLarge(max)),
            })
            .map_err(|rule| self.reject(parameter, rule))
    }

    /// Reads a text; an absent parameter is the empty text.
    ///
    /// # Errors
    /// The value breaks a rule.
    pub fn text(&mut self, parameter: &'static str) -> Result<String, FieldRejected> {
        match self.parameters.get(parameter) {
            None => Ok(String::new()),
            Some(Some(text)) => Ok(text.clone()),
            Some(None) => Err(self.reject(parameter, FieldRule::NotString)),
        }
    }

    /// Reads a parameter with a fixed set of values.
    ///
    /// # Errors
    /// The value breaks a rule.
    pub fn one_of<T: Copy>(
        &mut self,
        parameter: &'static str,
        words: &'static [&'static str],
        values: &[T],
        default: T,
    ) -> Result<T, FieldRejected> {
        let Some(text) = self.parameters.get(parameter) else {
            return Ok(default);
        };
        let found = words
            .iter()
            .zip(values)
            .find(|(word, _)| text.as_deref() == Some(**word));
        match found {
            Some((_, value)) => Ok(*value),
            None => Err(self.reject(parameter, FieldRule::NotOneOf(words))),
        }
    }

    /// Reads a required parameter with a fixed set of values.
    ///
    /// # Errors
    /// The parameter is absent or breaks a rule.
    pub fn required_one_of<T: Copy>(
        &mut self,
        parameter: &'static str,
        words: &'static [&'static str],
        values: &[T],
    ) -> Result<T, FieldRejected> {
        if !self.has(parameter) {
            return Err(self.missing(parameter));
        }
        let values: Vec<_> = values.iter().copied().map(Some).collect();
        self.one_of(parameter, words, &values, None)
            .and_then(|value| value.ok_or(FieldRejected))
    }

    /// Reads a parameter with a parser; `None` if it is absent.
    ///
    /// # Errors
    /// The value breaks a rule.
    pub fn optional<T>(
        &mut self,
        parameter: &'static str,
        parse: impl FnOnce(&str) -> Result<T, FieldRule>,
    ) -> Result<Option<T>, FieldRejected> {
        let parsed = match self.parameters.get(parameter) {
            None => return Ok(None),
            // A text that is not UTF-8 breaks the same rule as every other wrong text.
            Some(text) => parse(text.as_deref().unwrap_or("\u{fffd}")),
        };
        parsed
            .map(Some)
            .map_err(|rule| self.reject(parameter, rule))
    }

    /// Rejects the absence of a required parameter.
    pub fn missing(&mut self, parameter: &'static str) -> FieldRejected {
        self.reject(parameter, FieldRule::Missing)
    }

    /// Rejects a parameter that does not apply to the chosen state.
    ///
    /// # Errors
    /// The query has the parameter.
    pub fn unsupported_with_state(&mut self, parameter: &'static str) -> Result<(), FieldRejected> {
        if self.has(parameter) {
            Err(self.reject(parameter, FieldRule::UnsupportedWithState))
        } else {
            Ok(())
        }
    }

    /// Rejects a parameter instead of ignoring it, because a client that sends it depends on its
    /// effect.
    ///
    /// # Errors
    /// The query has the parameter.
    pub fn unsupported(&mut self, parameter: &'static str) -> Result<(), FieldRejected> {
        if self.has(parameter) {
            Err(self.reject(parameter, FieldRule::Unsupported))
        } else {
            Ok(())
        }
    }

    /// Returns the violations, after a parameter was [`FieldRejected`].
    #[must_use]
    pub fn invalid(self) -> InvalidRequest {
        InvalidRequest::Violations(self.violations)
    }

    fn reject(&mut self, parameter: &'static str, rule: FieldRule) -> FieldRejected {
        self.violations.push(Violation {
            location: Location::Query,
            field: Some(parameter.into()),
            rule,
        });
        FieldRejected
    }
}

/// Parses an optional sign and any number of decimal digits. A number out of the range of `i64`
/// becomes the nearest number of the range.
fn parse_integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append = |number: i64, digit: &u8| {
        number
            .saturating_mul(10)
            .saturating_add(sign * i64::from(digit - b'0'))
    };
    Some(digits.iter().fold(0, append))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn query_is_decoded_as_a_form() {
        let mut query =
            Query::parse("search=a+b%2Bc%zz&&search=caf%C3%A9+%26&empty=&bare&bad=%ff&%ff=1");
        assert_eq!(query.text("search").unwrap(), "café &");
        assert_eq!(query.text("empty").unwrap(), "");
        assert_eq!(query.text("bare").unwrap(), "");
        assert!(query.text("bad").is_err());
        assert_eq!(
            Query::parse("a=1+b%2Bc%zz%4").text("a").unwrap(),
            "1 b+c%zz%4"
        );
    }

    #[test]
    fn integer_has_bounds_and_any_length() {
        let read = |text: &str| {
            let mut query = Query::parse(&format!("n={text}"));
            query
                .integer("n", 7, 1, 100)
                .map_err(|_| query.violations[0].rule)
        };
        assert_eq!(read("1"), Ok(1));
        assert_eq!(read("00000000000000000000000000100"), Ok(100));
        assert_eq!(read("%2B5"), Ok(5));
        assert_eq!(read(&"9".repeat(400)), Err(FieldRule::TooLarge(100)));
        assert_eq!(
            read(&format!("-{}", "9".repeat(400))),
            Err(FieldRule::TooSmall(1))
        );
        for no_number in [
            "", "x", "1.0", "1e2", "+5", "%205", "-", "--1", "٣", "%ff", "0x10",
        ] {
            assert_eq!(read(no_number), Err(FieldRule::NotInteger), "{no_number:?}");
        }
        assert_eq!(Query::parse("").integer("n", 7, 1, 100).unwrap(), 7);
    }

    proptest! {
        #[test]
        fn any_query_decodes(raw in "\\PC{0,100}") {
            let _ = Query::parse(&raw).text("search");
        }

        #[test]
        fn form_encoded_value_is_decoded(value in "\\PC{0,60}") {
            let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            let query = Query::parse(&format!("a=1&search={encoded}")).text("search").unwrap();
            prop_assert_eq!(query, value);
        }

        #[test]
        fn printed_integer_is_parsed(number in -1_000_000_i64..1_000_000) {
            prop_assert_eq!(parse_integer(&number.to_string()), Some(number));
        }
    }
}
