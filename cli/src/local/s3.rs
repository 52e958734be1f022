//! The bucket of failed records: the operations of S3 that Muster uses, in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Bytes,
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The bucket's name.
pub(super) const BUCKET: &str = "failed-records";

/// The maximum number of keys in a page.
const PAGE: usize = 1000;

/// The objects of the bucket, by key, in memory. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct BucketObjects(Arc<Mutex<BTreeMap<String, Bytes>>>);

impl BucketObjects {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an object.
    pub(super) fn put(&self, key: String, body: Bytes) {
        self.objects().insert(key, body);
    }

    /// Returns the keys in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.objects().keys().cloned().collect()
    }

    /// Returns an object as text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        self.objects()
            .get(key)
            .map(|body| String::from_utf8_lossy(body).into_owned())
    }

    /// Handles a request of S3's REST protocol, with the bucket in the path.
    pub(super) fn handle(&self, method: &Method, uri: &Uri, body: Bytes) -> Response {
        let path = percent_decode_str(uri.path())
            .decode_utf8_lossy()
            .into_owned();
        let Some((BUCKET, key)) = path.trim_start_matches('/').split_once('/') else {
            return error_response(
                StatusCode::NOT_FOUND,
                "NoSuchBucket",
                "The specified bucket does not exist",
            );
        };
        match (method.as_str(), key) {
            ("GET", "") => self.list(uri.query().unwrap_or_default()),
            ("GET", key) => match self.objects().get(key) {
                Some(body) => body.clone().into_response(),
                None => error_response(
                    StatusCode::NOT_FOUND,
                    "NoSuchKey",
                    "The specified key does not exist.",
                ),
            },
            ("PUT", key) if !key.is_empty() => {
                self.put(key.to_owned(), body);
                StatusCode::OK.into_response()
            }
            ("DELETE", key) if !key.is_empty() => {
                self.objects().remove(key);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => error_response(
                StatusCode::NOT_IMPLEMENTED,
                "NotImplemented",
                "the local bucket has no such operation",
            ),
        }
    }

    /// Returns a page of `ListObjectsV2`. Its token is its last key.
    fn list(&self, query: &str) -> Response {
        let parameter = |name: &str| {
            let found =
                url::form_urlencoded::parse(query.as_bytes()).find(|(other, _)| other == name);
            found.map(|(_, value)| value.into_owned())
        };
        let (prefix, token) = (
            parameter("prefix").unwrap_or_default(),
            parameter("continuation-token"),
        );
        let objects = self.objects();
        let after = |key: &&String| token.as_ref().is_none_or(|token| *key > token);
        let mut keys: Vec<&String> = objects
            .keys()
            .filter(|key| key.starts_with(&prefix))
            .filter(after)
            .take(PAGE + 1)
            .collect();
        let is_truncated = keys.len() > PAGE;
        keys.truncate(PAGE);
        let escaped = |key: &str| utf8_percent_encode(key, NON_ALPHANUMERIC).to_string();
        let contents: Vec<_> = keys
            .iter()
            .map(|key| format!("<Contents><Key>{}</Key></Contents>", escaped(key)))
            .collect();
        let contents = contents.concat();
        let next = keys.last().filter(|_| is_truncated);
        let next = next
            .map(|key| format!("<NextContinuationToken>{key}</NextContinuationToken>"))
            .unwrap_or_default();
        let list = format!(
            "<ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>{next}{contents}</ListBucketResult>"
        );
        ([(header::CONTENT_TYPE, "application/xml")], list).into_response()
    }
}

/// Returns an error in S3's XML.
fn error_response(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

#[cfg(test)]
mod tests {
    use muster_service::aws::s3::{Bucket, Keys};
    use tokio::time::{Duration, Instant};

    use super::*;
    use crate::emulator;

    /// Serves a bucket over HTTP, and returns a client for the name.
    async fn served(name: &str) -> (BucketObjects, Bucket) {
        let objects = BucketObjects::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = objects.clone();
        let app =
            axum::Router::new().fallback(|method: Method, uri: Uri, body: Bytes| async move {
                serving.handle(&method, &uri, body)
            });
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        (
            objects,
            Bucket::new(&emulator::sdk_config(&url), name).unwrap(),
        )
    }

    #[tokio::test]
    async fn object_is_put_listed_read_and_deleted() {
        let (objects, bucket) = served(BUCKET).await;
        let soon = Instant::now() + Duration::from_secs(20);
        for key in [
            "changes/1.json",
            "aws/lambda/f/shard-1/2026-01-01T00:00:00Z é+",
        ] {
            bucket
                .put(key, key.as_bytes().to_vec(), soon)
                .await
                .unwrap();
            assert_eq!(
                bucket.get(key).await.unwrap().as_deref(),
                Some(key.as_bytes())
            );
        }
        assert_eq!(bucket.list("", None).await.unwrap().keys, objects.keys());
        let listed = bucket.list("changes/", None).await.unwrap();
        assert_eq!(
            listed,
            Keys {
                keys: vec!["changes/1.json".to_owned()],
                next: None
            }
        );
        bucket.delete("changes/1.json").await.unwrap();
        assert_eq!(bucket.get("changes/1.json").await.unwrap(), None);
        assert_eq!(objects.keys().len(), 1);
    }

    #[tokio::test]
    async fn list_of_1001_objects_has_two_pages() {
        let (objects, bucket) = served(BUCKET).await;
        (0..=PAGE).for_each(|n| objects.put(format!("{n:05}"), Bytes::new()));
        let first = bucket.list("", None).await.unwrap();
        assert_eq!(first.keys.len(), PAGE);
        let second = bucket.list("", first.next.as_deref()).await.unwrap();
        assert_eq!(
            second,
            Keys {
                keys: vec![format!("{PAGE:05}")],
                next: None
            }
        );
    }

    #[tokio::test]
    async fn bucket_that_does_not_exist_is_an_error() {
        let (_, bucket) = served("other").await;
        let error = bucket.list("", None).await.unwrap_err();
        assert_eq!(error.status, Some(404));
        assert!(error.to_string().contains("NoSuchBucket"), "{error}");
    }
}
