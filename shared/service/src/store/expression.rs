//! Expressions. Every attribute is written `#name`, whether DynamoDB reserves the word or not, so
//! that the map of names follows from the text.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// The names that the expressions use: `#status` stands for the attribute `status`.
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

/// The values that the expressions use, by placeholder.
pub(super) fn values<const N: usize>(
    values: [(&str, AttributeValue); N],
) -> HashMap<String, AttributeValue> {
    values
        .map(|(placeholder, value)| (placeholder.to_owned(), value))
        .into()
}

/// A text.
pub(super) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number.
pub(super) fn n(number: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

/// A list of texts.
pub(super) fn l(texts: &[String]) -> AttributeValue {
    AttributeValue::L(texts.iter().map(s).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_text() {
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
