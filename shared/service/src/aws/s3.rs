//! Objects of an S3 bucket: put, list, get and delete.
//!
//! Four calls do not justify `aws-sdk-s3`, which is larger than all other clients together. The
//! changes function would pay for it at every cold start. The requests are signed and sent by the
//! crates that the other clients link already.

use std::{convert::Infallible, fmt, time::SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        http::SharedHttpClient,
        identity::Identity,
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        stalled_stream_protection::StalledStreamProtectionConfig,
    },
};
use aws_smithy_types::body::SdkBody;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::time::Instant;

use crate::{aws::backoff::Backoff, telemetry::Calls};

/// The characters that Signature Version 4 escapes in a query: all but the unreserved ones.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The characters that it escapes in a path.
const IN_PATH: &AsciiSet = &IN_QUERY.remove(b'/');

/// An S3 bucket, by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    http: SharedHttpClient,
    credentials: SharedCredentialsProvider,
    region: String,
    /// Scheme, host and port.
    origin: String,
    /// The path prefix of the bucket, if the host does not name the bucket.
    root: String,
    name: String,
}

/// A page of a bucket's keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// The keys, in lexicographic order.
    pub keys: Vec<String>,
    /// The token of the next page, if there is one.
    pub next: Option<String>,
}

/// The failure of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Error {
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    cause: String,
}

impl Error {
    fn unsent(cause: impl fmt::Display) -> Self {
        Self {
            status: None,
            cause: cause.to_string(),
        }
    }

    /// Parses an error response, which is XML with a code and a message.
    fn of(status: u16, body: &str) -> Self {
        let code = element(body, "Code").unwrap_or("no code");
        let message = element(body, "Message").unwrap_or("no message");
        Self {
            status: Some(status),
            cause: format!("S3 responded with {status}, {code}: {message}"),
        }
    }

    /// Returns whether a retry can succeed.
    fn is_transient(&self) -> bool {
        self.status
            .is_none_or(|status| status == 429 || status >= 500)
    }
}

/// A request before it is signed.
struct S3Call<'c> {
    operation: &'static str,
    method: &'static str,
    key: &'c str,
    /// Parameters in the order of their names, escaped.
    query: String,
    body: Vec<u8>,
}

impl Bucket {
    /// Returns the bucket with a name, in the region of the configuration.
    ///
    /// # Errors
    /// The configuration has no region, no credentials or no HTTP client.
    pub fn new(config: &SdkConfig, name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let missing = |part| Error::unsent(format!("the AWS configuration has no {part}"));
        let region = config
            .region()
            .ok_or_else(|| missing("region"))?
            .to_string();
        let (origin, root) = if let Some(url) = config.endpoint_url() {
            // An emulator has no host for each bucket.
            (url.trim_end_matches('/').to_owned(), format!("/{name}"))
        } else {
            // AWS: "Virtual hosting of general purpose buckets",
            // https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
            let suffix = if region.starts_with("cn-") {
                "amazonaws.com.cn"
            } else {
                "amazonaws.com"
            };
            (
                format!("https://{name}.s3.{region}.{suffix}"),
                String::new(),
            )
        };
        Ok(Self {
            http: config.http_client().ok_or_else(|| missing("HTTP client"))?,
            credentials: config
                .credentials_provider()
                .ok_or_else(|| missing("credentials"))?,
            region,
            origin,
            root,
            name,
        })
    }

    /// Returns the bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes an object, which replaces an object with the same key. Costs one call, and retries
    /// until the deadline.
    ///
    /// # Errors
    /// S3 rejects the object, or did not accept it by the deadline.
    pub async fn put(&self, key: &str, body: Vec<u8>, deadline: Instant) -> Result<(), Error> {
        let mut backoff = Backoff::until(deadline);
        loop {
            let (operation, method) = ("PutObject", "PUT");
            let call = S3Call {
                operation,
                method,
                key,
                query: String::new(),
                body: body.clone(),
            };
            let put = tokio::time::timeout_at(deadline, self.send(call)).await;
            match put.unwrap_or_else(|_| Err(Error::unsent("S3 did not respond in time"))) {
                Ok(_) => return Ok(()),
                Err(error) if error.is_transient() && backoff.pause().await => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads an object. `None` if the key does not exist. Costs one call.
    ///
    /// # Errors
    /// S3 rejects the call or did not respond.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let (operation, method) = ("GetObject", "GET");
        match self
            .send(S3Call {
                operation,
                method,
                key,
                query: String::new(),
                body: Vec::new(),
            })
            .await
        {
            Ok(body) => Ok(Some(body)),
            Err(error) if error.status == Some(404) && error.cause.contains("NoSuchKey") => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes an object, if it exists. Costs one call.
    ///
    /// # Errors
    /// S3 rejects the call or did not respond.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let (operation, method) = ("DeleteObject", "DELETE");
        self.send(S3Call {
            operation,
            method,
            key,
            query: String::new(),
            body: Vec::new(),
        })
        .await
        .map(drop)
    }

    /// Lists a page of up to 1,000 keys with a prefix. Costs one call.
    ///
    /// # Errors
    /// S3 rejects the call or did not respond.
    pub async fn list(&self, prefix: &str, token: Option<&str>) -> Result<Keys, Error> {
        let escaped = |text| utf8_percent_encode(text, IN_QUERY);
        let mut query = String::new();
        if let Some(token) = token {
            query = format!("continuation-token={}&", escaped(token));
        }
        query.push_str("encoding-type=url&list-type=2&prefix=");
        query.extend(escaped(prefix));
        let (operation, method) = ("ListObjectsV2", "GET");
        let body = self
            .send(S3Call {
                operation,
                method,
                key: "",
                query,
                body: Vec::new(),
            })
            .await?;
        Ok(keys(&String::from_utf8_lossy(&body)))
    }

    /// Signs and sends a request. Returns the body of a successful response.
    async fn send(&self, call: S3Call<'_>) -> Result<Vec<u8>, Error> {
        let (operation, is_put) = (call.operation, call.method == "PUT");
        let request = self.signed(call).await.map_err(Error::unsent)?;
        let operation = Operation::builder()
            .service_name("S3")
            .operation_name(operation)
            .http_client(self.http.clone())
            .endpoint_url(&self.origin)
            .no_auth()
            .no_retry()
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(Calls::to_any())
            .serializer(Signed::into_request)
            .deserializer(move |response: &HttpResponse| {
                let body = if is_put && response.status().is_success() {
                    Vec::new()
                } else {
                    response.body().bytes().unwrap_or_default().to_vec()
                };
                Ok::<_, OrchestratorError<Infallible>>((response.status().as_u16(), body))
            })
            .build();
        let response = operation.invoke(request).await;
        let (status, body) = response
            .map_err(|error| Error::unsent(aws_sdk_sqs::error::DisplayErrorContext(error)))?;
        if (200..300).contains(&status) {
            Ok(body)
        } else {
            Err(Error::of(status, &String::from_utf8_lossy(&body)))
        }
    }

    /// Returns a request with the headers that Signature Version 4 adds.
    ///
    /// AWS: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)",
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>.
    async fn signed(&self, call: S3Call<'_>) -> Result<Signed, BoxError> {
        let S3Call {
            operation: _,
            method,
            key,
            query,
            body,
        } = call;
        let mut path = format!("{}/{}", self.root, utf8_percent_encode(key, IN_PATH));
        if !query.is_empty() {
            path.push('?');
            path.push_str(&query);
        }
        let identity = Identity::from(self.credentials.provide_credentials().await?);
        let mut settings = SigningSettings::default();
        // S3 signs the path as it is sent, and requires the hash of the body in a header.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()?
            .into();
        let uri = format!("{}{path}", self.origin);
        let signable = SignableRequest::new(
            method,
            &*uri,
            std::iter::empty(),
            SignableBody::Bytes(&body),
        )?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        let headers = instructions
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Ok(Signed {
            method,
            path,
            headers,
            body,
        })
    }
}

/// A request with its signature.
struct Signed {
    method: &'static str,
    /// The path with the query.
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl fmt::Debug for Signed {
    /// Leaves out the headers, which have the credentials' signature, and the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Signed {
    fn into_request(self) -> Result<HttpRequest, BoxError> {
        let Self {
            method,
            path,
            headers,
            body,
        } = self;
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method)?;
        request.set_uri(path)?;
        for (name, value) in headers {
            request.headers_mut().try_insert(name, value)?;
        }
        Ok(request)
    }
}

/// Parses the keys of a response to `ListObjectsV2`, with URL encoding (`encoding-type=url`).
fn keys(xml: &str) -> Keys {
    let mut found = Vec::new();
    let mut rest = xml;
    while let Some(key) = element(rest, "Key") {
        found.push(
            percent_decode_str(&key.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned(),
        );
        let end = rest.find("</Key>").expect("the element was found") + "</Key>".len();
        rest = &rest[end..];
    }
    let is_truncated = element(xml, "IsTruncated") == Some("true");
    let next = element(xml, "NextContinuationToken")
        .filter(|_| is_truncated)
        .map(str::to_owned);
    Keys { keys: found, next }
}

/// Returns the text of the first XML element with a name.
fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_keys_are_decoded_until_the_last_page() {
        let xml = "<ListBucketResult><IsTruncated>true</IsTruncated>\
                   <Contents><Key>aws/lambda/a%3Ab+c</Key><Size>1</Size></Contents>\
                   <Contents><Key>changes/1.json</Key></Contents>\
                   <NextContinuationToken>1/x+y=</NextContinuationToken></ListBucketResult>";
        let keys_of_first = ["aws/lambda/a:b c".to_owned(), "changes/1.json".to_owned()];
        assert_eq!(
            keys(xml),
            Keys {
                keys: keys_of_first.into(),
                next: Some("1/x+y=".to_owned())
            }
        );
        assert_eq!(
            keys("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"),
            Keys::default()
        );
    }

    #[test]
    fn error_names_status_code_and_message() {
        let error = Error::of(
            403,
            "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
        );
        assert_eq!(
            error.to_string(),
            "S3 responded with 403, AccessDenied: Access Denied"
        );
        assert!(!error.is_transient());
        assert!(Error::of(503, "").is_transient());
        assert!(Error::unsent("no connection").is_transient());
    }
}
