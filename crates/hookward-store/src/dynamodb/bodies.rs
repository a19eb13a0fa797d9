//! Bodies that are too large for an item: in a bucket, under the digest of their bytes.
//!
//! An object is written before the item that names it, and again for each event that has the same bytes: its age, by which
//! the bucket's lifecycle rule deletes it, is that of the last of them.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Builder, StalledStreamProtectionConfig,
        retry::{RetryConfig, RetryPartition, TokenBucket},
        timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::get_object::GetObjectError,
    primitives::ByteStream,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hookward_core::EventParts;
use sha2::{Digest as _, Sha256};

use super::{
    dictionary::Dictionary,
    item::{
        Attributes, Item, billed_bytes,
        body::{Place, Stored},
    },
    options::Patience,
    size::ITEM_BYTES_MAX,
    trouble::{Trouble, chain},
};
use crate::StoreError;

/// Hexadecimal digits of a SHA-256.
const DIGEST_CHARS: usize = 64;

/// How many retries may be on their way before further failures are not tried again. An object is seldom.
const RETRY_TOKENS: usize = 200;

/// Where bodies are kept that are too large for an item.
#[async_trait]
pub trait Bodies: fmt::Debug + Send + Sync {
    /// Keeps bytes under a key, whatever was there: durable when this returns.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Unreachable>;

    /// The bytes under a key; `None` when there are none, and never for having been refused.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, Unreachable>;
}

/// A bucket did not do what it was asked to; a little later it may.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{call}: {why}")]
pub struct Unreachable {
    call: &'static str,
    why: String,
}

impl Unreachable {
    /// What was called, and what went wrong with it.
    pub fn new(call: &'static str, why: impl Into<String>) -> Self {
        Self { call, why: why.into() }
    }

    fn of<E>(call: &'static str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let why = match (error.code(), error.message()) {
            (Some("AccessDenied"), _) => {
                "S3 refuses: these credentials may not, or what is asked for is not there and they may not list the bucket"
                    .to_owned()
            }
            (Some(code), message) => format!("S3 failed: {code}: {}", message.unwrap_or_default()),
            (None, _) => format!("S3 cannot be reached: {}", chain(error)),
        };
        Self::new(call, why)
    }

    fn timed_out(call: &'static str) -> Self {
        Self::new(call, "S3 did not answer in time")
    }
}

/// A bucket in Amazon S3, or in what speaks its language.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
    patience: Duration,
}

impl Bucket {
    /// A bucket that is asked with a store's patience. `connection` says where and as whom.
    pub fn new(connection: Builder, name: impl Into<String>, patience: &Patience) -> Self {
        let Patience { connect, operation, attempts, first_backoff, .. } = *patience;
        let retry =
            RetryConfig::standard().with_max_attempts(attempts).with_initial_backoff(first_backoff);
        // How long an attempt takes depends on the body: one may have all the time that there is.
        let timeout = TimeoutConfig::builder()
            .connect_timeout(connect)
            .operation_attempt_timeout(operation)
            .operation_timeout(operation)
            .build();
        let partition = RetryPartition::custom("hookward-bodies")
            .token_bucket(TokenBucket::new(RETRY_TOKENS))
            .build();
        let config = connection
            .behavior_version(BehaviorVersion::v2026_01_12())
            .retry_config(retry)
            .retry_partition(partition)
            .timeout_config(timeout)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self { client: Client::from_conf(config), name: name.into(), patience: operation }
    }
}

#[async_trait]
impl Bodies for Bucket {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Unreachable> {
        // S3 compares it with what arrived.
        let digest = STANDARD.encode(Sha256::digest(&bytes));
        let put = self.client.put_object().bucket(&self.name).key(key).checksum_sha256(digest);
        let put = put.content_type("application/zstd").body(ByteStream::from(bytes)).send();
        put.await.map(drop).map_err(|error| Unreachable::of("PutObject", &error))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Unreachable> {
        const CALL: &str = "GetObject";
        let read = async {
            match self.client.get_object().bucket(&self.name).key(key).send().await {
                Ok(found) => {
                    let read = found.body.collect().await;
                    let broken = |error: aws_sdk_s3::primitives::ByteStreamError| {
                        Unreachable::new(CALL, format!("S3 broke off: {}", chain(&error)))
                    };
                    read.map(|read| Some(read.into_bytes())).map_err(broken)
                }
                Err(error)
                    if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) =>
                {
                    Ok(None)
                }
                Err(error) => Err(Unreachable::of(CALL, &error)),
            }
        };
        // The SDK's own time ends when the answer begins.
        let read = tokio::time::timeout(self.patience, read).await;
        read.unwrap_or_else(|_| Err(Unreachable::timed_out(CALL)))
    }
}

/// Bodies, and how their keys begin.
#[derive(Clone, Debug)]
pub struct LargeBodies {
    /// Where they are kept.
    pub bodies: Arc<dyn Bodies>,
    /// What each key begins with.
    pub prefix: String,
}

impl LargeBodies {
    /// The key of these bytes.
    pub(super) fn key_of(&self, bytes: &[u8]) -> String {
        format!("{}{}", self.prefix, digest_of(bytes))
    }
}

fn digest_of(bytes: &[u8]) -> String {
    use fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(DIGEST_CHARS), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes whatever is written to it");
        text
    })
}

/// Whether these bytes are what the key was made from.
fn is_of(key: &str, bytes: &[u8]) -> bool {
    key.len().checked_sub(DIGEST_CHARS).and_then(|at| key.get(at..)) == Some(&*digest_of(bytes))
}

/// From this size on, a body is compressed where it holds up nobody else.
const LARGE_BODY_BYTES: usize = 64 * 1024;

/// A body as it is stored, in the item or in an object.
pub(super) async fn packed(body: &Bytes, dictionary: Option<Arc<Dictionary>>) -> Stored {
    if body.len() < LARGE_BODY_BYTES {
        return Stored::pack(body, dictionary.as_deref());
    }
    let large = body.clone();
    let packing = tokio::task::spawn_blocking(move || Stored::pack(&large, dictionary.as_deref()));
    // The task does not panic; if it was cancelled, the body is stored as it is.
    packing.await.unwrap_or_else(|_| Stored::plain(body.clone()))
}

/// A body as it fits into an item: in it, or in an object that is durable when this returns.
pub(super) async fn fitting(
    large: Option<&LargeBodies>,
    event: &EventParts,
    stored: Stored,
    encode: impl Fn(Stored) -> Item,
) -> Result<Stored, StoreError> {
    let item = encode(stored.clone());
    if !is_too_large(&item) {
        return Ok(stored);
    }
    match moved(large, event, &item).await? {
        Some(stored) if !is_too_large(&encode(stored.clone())) => Ok(stored),
        Some(_) | None => Err(StoreError::TooLarge { max: ITEM_BYTES_MAX }),
    }
}

/// A body that does not fit into an item, in an object: durable when this returns. `None` where there is nothing for it.
async fn moved(
    large: Option<&LargeBodies>,
    event: &EventParts,
    item: &Item,
) -> Result<Option<Stored>, StoreError> {
    let Some(large) = large.cloned() else { return Ok(None) };
    let stored = Stored::read(Attributes(item))?;
    let (body, keys) = (event.body.clone(), large.clone());
    let moving =
        tokio::task::spawn_blocking(move || stored.moved(&body, |bytes| keys.key_of(bytes)));
    let moved = moving.await.map_err(|error| StoreError::Unavailable(Arc::new(error)))?;
    let Some((stored, bytes)) = moved else { return Ok(None) };
    if let Place::Object(key) = &stored.place {
        let kept = large.bodies.put(key, bytes).await;
        kept.map_err(|error| StoreError::Unavailable(Arc::new(error)))?;
    }
    Ok(Some(stored))
}

fn is_too_large(item: &Item) -> bool {
    billed_bytes(item) > ITEM_BYTES_MAX
}

/// The bytes of an object that an item names.
pub(super) async fn object(large: Option<&LargeBodies>, key: &str) -> Result<Bytes, StoreError> {
    let Some(large) = large else {
        return Err(Trouble::not_tried(
            "this event's body is in a bucket, and this store was opened without one",
        )
        .into());
    };
    let damaged = |what| StoreError::Damaged { place: format!("object {key}: {what}") };
    let found = large.bodies.get(key).await;
    let found = found.map_err(|error| StoreError::Unavailable(Arc::new(error)))?;
    let bytes = found.ok_or_else(|| damaged("a body was kept there, and it is not there"))?;
    if is_of(key, &bytes) { Ok(bytes) } else { Err(damaged("it is not what its key says")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_that_of_its_bytes_and_of_no_others() {
        let key = format!("hookward/{}", digest_of(b"abc"));
        assert!(key.ends_with("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
        assert!(is_of(&key, b"abc"));
        assert!(!is_of(&key, b"abd"));
        assert!(!is_of("abc", b"abc"));
        assert!(!is_of("", b""));
    }
}
