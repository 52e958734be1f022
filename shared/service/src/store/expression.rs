//! Update, condition and projection expressions.
//!
//! An expression writes every attribute as `#name`, even if DynamoDB does not reserve the word. So
//! the map of attribute names follows from the text of the expression.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// The values of an expression, by placeholder.
pub(super) type Values = HashMap<String, AttributeValue>;

/// Returns the attribute names of expressions: `#status` stands for the attribute `status`. `None`
/// if there are none, since DynamoDB rejects an empty map.
pub(super) fn names<'e>(
    expressions: impl IntoIterator<Item = &'e str>,
) -> Option<HashMap<String, String>> {
    let mut names = HashMap::new();
    for expression in expressions {
        for used in expression.split('#').skip(1) {
            let end = used
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(used.len());
            names.insert(format!("#{}", &used[..end]), used[..end].to_owned());
        }
    }
    (!names.is_empty()).then_some(names)
}

/// Returns the values of an expression, by placeholder.
pub(super) fn values<const N: usize>(values: [(&str, AttributeValue); N]) -> Values {
    values
        .map(|(placeholder, value)| (placeholder.to_owned(), value))
        .into()
}

/// Returns a string value.
pub(super) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// Returns a number value.
pub(super) fn n(number: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

/// Returns a list of string values.
pub(super) fn l(texts: &[String]) -> AttributeValue {
    AttributeValue::L(texts.iter().map(s).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_expressions() {
        let found = names([
            "SET #version = #version + :one",
            "attribute_exists(#pk) AND #lead_id <> :u",
        ])
        .unwrap();
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort();
        let expected = [
            ("#lead_id", "lead_id"),
            ("#pk", "pk"),
            ("#version", "version"),
        ];
        assert_eq!(
            found,
            expected.map(|(name, attribute)| (name.to_owned(), attribute.to_owned()))
        );
        assert_eq!(names(["attribute_exists(pk)"]), None);
    }
}
