//! Garbage collection of files: unreferenced, expired, over quota, and left by a crash.
//!
//! The file of a queued message is never removed. A message whose file was removed keeps the description of the file.

use crate::domain::clock::Millis;
use crate::domain::media::MediaHash;
use crate::service::{MediaService, ServiceError};
use crate::store::StoreError;
use crate::store::media::MediaUsage;

/// Rows of one read or write.
const BATCH: i64 = 200;
/// After this number of entries the search for unreferenced files continues with the next sweep.
const ENTRIES: usize = 10_000;
/// Time after which an unsent upload expires, in milliseconds.
const UPLOADS_MS: i64 = 86_400_000;
/// Minimum age of a file that is removed, in milliseconds: a newer one may belong to a message that is not stored
/// yet. A reservation ([`super::file_store::MediaFileStore::reserve`]) protects a file longer.
const GRACE_MS: i64 = 600_000;

impl MediaService {
    /// Removes a file in the background if nothing refers to it, after one reference was removed.
    pub(in crate::service) fn media_released(&self, hash: MediaHash) {
        let media = self.clone();
        self.tasks.spawn("media release", async move {
            if let Err(error) = media.remove_if_unused(&hash).await {
                tracing::warn!(%error, "unreferenced file not removed; the next sweep retries");
            }
        });
    }

    /// One sweep.
    pub(in crate::service) async fn sweep_media(&self) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let cutoff = now.plus(-UPLOADS_MS);
        while self.store.write_patiently(move |tx| tx.prune_uploads(cutoff, BATCH)).await? {}
        while self.store.write_patiently(move |tx| tx.prune_chat_files(cutoff, BATCH)).await? {}
        self.remove_unused(now.plus(-GRACE_MS)).await?;
        let limits = self.limits.media;
        if limits.keep_ms > 0 {
            self.evict_over_quota(now.plus(-limits.keep_ms), u64::MAX).await?;
        }
        if limits.max_total_bytes > 0 {
            let total = self.store.read(|store| store.media_bytes()).await?;
            self.evict_over_quota(now.plus(-GRACE_MS), total.saturating_sub(limits.max_total_bytes)).await?;
        }
        self.remove_stray_files().await
    }

    /// Removes unreferenced files that were stored before `cutoff`.
    pub(in crate::service) async fn remove_unused(&self, cutoff: Millis) -> Result<(), ServiceError> {
        let mut after: Option<MediaHash> = None;
        loop {
            let from = after.clone();
            let found =
                self.store.read(move |store| store.unused_media(cutoff, from.as_ref(), BATCH)).await?;
            let Some(last) = found.last() else { return Ok(()) };
            after = Some(last.clone());
            for hash in &found {
                self.remove_if_unused(hash).await?;
            }
        }
    }

    /// Removes files without a row, such as after a crash between both. Each sweep checks a part of a large store.
    pub(in crate::service) async fn remove_stray_files(&self) -> Result<(), ServiceError> {
        let cutoff = self.clock.now().plus(-GRACE_MS);
        let mut checked = 0;
        for _ in 0..=u8::MAX {
            let entries = self.files.files.list(self.files.next_shard()).await?;
            checked += entries.len();
            for entry in entries.iter().filter(|entry| entry.at < cutoff) {
                self.remove_if_stray(&entry.hash).await?;
            }
            if checked >= ENTRIES || self.tasks.soft().is_cancelled() {
                break;
            }
        }
        Ok(())
    }

    pub(super) async fn remove_if_stray(&self, hash: &MediaHash) -> Result<(), ServiceError> {
        if self.is_referenced(hash).await? {
            return Ok(());
        }
        let _order = self.files.removing(hash).await;
        if !self.is_referenced(hash).await? {
            self.files.files.remove(hash).await?;
            tracing::info!("file without a row removed");
        }
        Ok(())
    }

    async fn is_referenced(&self, hash: &MediaHash) -> Result<bool, ServiceError> {
        let hash = hash.clone();
        self.store.read(move |store| Ok(store.media(&hash)?.is_some())).await
    }

    async fn remove_if_unused(&self, hash: &MediaHash) -> Result<bool, ServiceError> {
        let _order = self.files.removing(hash).await;
        self.remove_now(hash).await
    }

    /// The caller holds the lock of the file.
    async fn remove_now(&self, hash: &MediaHash) -> Result<bool, ServiceError> {
        if self.files.is_promised(hash, self.clock.now()) {
            return Ok(false);
        }
        let of = hash.clone();
        let forgotten: Result<bool, StoreError> =
            self.store.write_patiently(move |tx| tx.forget_media(&of)).await;
        if forgotten? {
            self.files.files.remove(hash).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Removes the oldest files that arrived before `cutoff`, until this number of bytes is free.
    async fn evict_over_quota(&self, cutoff: Millis, mut bytes: u64) -> Result<(), ServiceError> {
        let mut after: Option<MediaUsage> = None;
        while bytes > 0 && !self.tasks.soft().is_cancelled() {
            let from = after.clone();
            let found = self.store.read(move |store| store.old_media(cutoff, from.as_ref(), BATCH)).await?;
            let Some(last) = found.last() else { break };
            after = Some(last.clone());
            for place in found {
                if bytes > 0 && self.delete_file(&place.hash).await? {
                    bytes = bytes.saturating_sub(place.filesize);
                }
            }
        }
        Ok(())
    }

    async fn delete_file(&self, hash: &MediaHash) -> Result<bool, ServiceError> {
        let _order = self.files.removing(hash).await;
        if self.files.is_promised(hash, self.clock.now()) {
            return Ok(false);
        }
        loop {
            let of = hash.clone();
            let more: Result<bool, StoreError> =
                self.store.write_patiently(move |tx| tx.detach_media(&of, BATCH)).await;
            if !more? {
                return self.remove_now(hash).await;
            }
        }
    }
}
