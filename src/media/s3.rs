//! The storage backend in S3 or a server with the same protocol. Uploads hold one part in memory.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Place;
use object_store::{
    ClientOptions, Error, GetOptions, GetRange, MultipartUpload, ObjectStore as _, ObjectStoreExt as _,
    RetryConfig,
};
use tokio::io::AsyncReadExt as _;

use super::backend::{Backend, BackendEntry, Key, hash_of};
use super::{ByteStream, MediaError};
use crate::domain::clock::Millis;

/// Bytes of a part of an upload, which is in memory. S3 requires at least 5 MiB.
const PART_BYTES: u64 = 8 * 1024 * 1024;
const CONNECTING: Duration = Duration::from_secs(5);
/// Time limit between two pieces; a whole file may take longer.
const READING: Duration = Duration::from_secs(20);
const RETRYING: Duration = Duration::from_secs(30);
const RETRIES: usize = 3;

/// The location and credentials of a bucket.
pub struct Bucket {
    /// The bucket's name.
    pub name: String,
    /// The server's URL; that of the region if empty.
    pub endpoint: String,
    /// The region.
    pub region: String,
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
}

/// A bucket of files.
pub struct S3 {
    store: Arc<AmazonS3>,
}

impl S3 {
    /// Creates a client of a bucket; it sends no request yet.
    ///
    /// # Errors
    /// If the settings are invalid.
    pub fn new(bucket: &Bucket) -> io::Result<Self> {
        static PROVIDER: Once = Once::new();
        // An error means that a provider is installed already.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let client = ClientOptions::new()
            .with_allow_http(true)
            .with_timeout_disabled()
            .with_connect_timeout(CONNECTING)
            .with_read_timeout(READING);
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRYING, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_client_options(client)
            .with_retry(retry)
            .with_bucket_name(&bucket.name)
            .with_region(&bucket.region)
            .with_access_key_id(&bucket.access_key_id)
            .with_secret_access_key(&bucket.secret_access_key);
        if !bucket.endpoint.is_empty() {
            builder = builder.with_endpoint(bucket.endpoint.trim_end_matches('/'));
        }
        Ok(Self { store: Arc::new(builder.build().map_err(io::Error::other)?) })
    }
}

fn place(key: Key<'_>) -> Place {
    Place::from(format!("files/{}", key.path()))
}

fn failed(error: Error) -> MediaError {
    match error {
        Error::NotFound { .. } => MediaError::Gone,
        error => {
            tracing::warn!(error = &error as &dyn std::error::Error, "media bucket failed");
            MediaError::Unavailable(io::Error::other(error))
        }
    }
}

#[async_trait]
impl Backend for S3 {
    async fn put(&self, key: Key<'_>, staged: &Path) -> Result<(), MediaError> {
        let mut file = tokio::fs::File::open(staged).await?;
        let first = part(&mut file).await?;
        if (first.len() as u64) < PART_BYTES {
            self.store.put(&place(key), first.into()).await.map_err(failed)?;
            return Ok(());
        }
        let mut upload = self.store.put_multipart(&place(key)).await.map_err(failed)?;
        let sent = send_parts(&mut *upload, first, &mut file).await;
        if sent.is_err() {
            // An upload that is not aborted uses space until the bucket's own rules remove it.
            let _ = upload.abort().await;
        }
        sent
    }

    async fn read(&self, key: Key<'_>, range: Range<u64>) -> Result<ByteStream, MediaError> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.store.get_opts(&place(key), options).await.map_err(failed)?;
        Ok(found.into_stream().map_err(io::Error::other).boxed())
    }

    async fn remove(&self, key: Key<'_>) -> Result<(), MediaError> {
        match self.store.delete(&place(key)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn list(&self, shard: u8) -> Result<Vec<BackendEntry>, MediaError> {
        let folder = Place::from(format!("files/{shard:02x}"));
        let found = self.store.list(Some(&folder)).try_filter_map(async |object| {
            let hash = object.location.filename().and_then(hash_of);
            Ok(hash.map(|hash| BackendEntry { hash, at: Millis(object.last_modified.timestamp_millis()) }))
        });
        found.try_collect().await.map_err(failed)
    }
}

async fn part(file: &mut tokio::fs::File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(PART_BYTES).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

async fn send_parts(
    upload: &mut dyn MultipartUpload,
    first: Vec<u8>,
    file: &mut tokio::fs::File,
) -> Result<(), MediaError> {
    let mut next = first;
    while !next.is_empty() {
        upload.put_part(next.into()).await.map_err(failed)?;
        next = part(file).await?;
    }
    upload.complete().await.map_err(failed)?;
    Ok(())
}
