//! The operations of the embedded DynamoDB-compatible engine, by name and in JSON.
//!
//! The crate is separate so that development builds optimize it: an operation spends most of its
//! time in JSON.

pub use dynoxide::{Database, DynoxideError, auth_material, storage::Storage};
use serde::{Serialize, de::DeserializeOwned};

/// Runs an operation on a request in JSON, on the calling thread, and returns the response in JSON.
///
/// # Errors
/// Returns the engine's error, or the error of a request that cannot be parsed.
pub type Operation = fn(&Database, &[u8]) -> Result<String, DynoxideError>;

/// Returns the engine's operation with this name of DynamoDB or DynamoDB Streams.
#[must_use]
pub fn operation(name: &str) -> Option<Operation> {
    macro_rules! operations {
        ($($name:literal => $method:ident,)*) => {
            match name {
                $($name => |database, body| run(body, |request| database.$method(request)),)*
                _ => return None,
            }
        };
    }
    Some(operations! {
        "BatchExecuteStatement" => batch_execute_statement,
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "CreateTable" => create_table,
        "DeleteItem" => delete_item,
        "DeleteTable" => delete_table,
        "DescribeStream" => describe_stream,
        "DescribeTable" => describe_table,
        "DescribeTimeToLive" => describe_time_to_live,
        "ExecuteStatement" => execute_statement,
        "ExecuteTransaction" => execute_transaction,
        "GetItem" => get_item,
        "GetRecords" => get_records,
        "GetShardIterator" => get_shard_iterator,
        "ListStreams" => list_streams,
        "ListTables" => list_tables,
        "ListTagsOfResource" => list_tags_of_resource,
        "PutItem" => put_item,
        "Query" => query,
        "Scan" => scan,
        "SearchVectors" => search_vectors,
        "TagResource" => tag_resource,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "UntagResource" => untag_resource,
        "UpdateItem" => update_item,
        "UpdateTable" => update_table,
        "UpdateTimeToLive" => update_time_to_live,
    })
}

fn run<Q: DeserializeOwned, R: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<R, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    let response = operation(request)?;
    serde_json::to_string(&response)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Returns the error of a request that cannot be parsed. If DynamoDB has a rule for a value, the
/// engine's types put the kind of the error before its message. A missing member, or a value
/// without a type, violates a rule too.
fn malformed(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    match text.split_once(':') {
        Some((kind, message)) if kind.starts_with("VALIDATION") => {
            DynoxideError::ValidationException(message.trim_start().to_owned())
        }
        Some((kind, message)) if kind.starts_with("SERIALIZATION") => {
            DynoxideError::SerializationException(message.trim_start().to_owned())
        }
        _ if text.starts_with("missing field") || text.contains("AttributeValue") => {
            DynoxideError::ValidationException(text)
        }
        _ => DynoxideError::SerializationException(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(database: &Database, operation: &str, body: &str) -> &'static str {
        let operation = super::operation(operation).expect("the engine has it");
        operation(database, body.as_bytes())
            .expect_err("it is refused")
            .error_type()
    }

    #[test]
    fn malformed_request_gets_the_error_of_dynamodb() {
        let database = Database::memory().unwrap();
        for (operation, body, expected) in [
            ("GetItem", "", "SerializationException"),
            ("GetItem", "{", "SerializationException"),
            (
                "GetItem",
                r#"{"TableName": 7, "Key": {}}"#,
                "SerializationException",
            ),
            (
                "GetItem",
                r#"{"TableName": "muster"}"#,
                "ValidationException",
            ),
            (
                "PutItem",
                r#"{"TableName": "muster", "Item": {"pk": {"N": "x"}}}"#,
                "ValidationException",
            ),
            (
                "PutItem",
                r#"{"TableName": "muster", "Item": {"pk": {}}}"#,
                "ValidationException",
            ),
            (
                "GetItem",
                r#"{"TableName": "muster", "Key": {"pk": {"S": "x"}}}"#,
                "ResourceNotFoundException",
            ),
        ] {
            let kind = kind(&database, operation, body);
            assert_eq!(
                kind.split_once('#').unwrap().1,
                expected,
                "{operation} {body}"
            );
        }
    }

    #[test]
    fn unknown_operation_is_none() {
        for name in ["", "getItem", "GetItem ", "CreateBackup"] {
            assert!(super::operation(name).is_none(), "{name}");
        }
    }
}
