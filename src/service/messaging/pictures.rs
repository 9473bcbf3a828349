//! The pictures of people and groups. The daemon fetches them, so that a page loads nothing from other hosts.
//!
//! Invariants: an address is fetched through the guarded client only; a picture is a raster image by its content;
//! the cache is bounded in number and bytes, and empty until a picture is requested.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::service::{Messaging, Picture, ServiceError};

/// Bytes of the largest picture.
const MAX_BYTES: usize = 256 * 1024;
/// Bytes of all cached pictures.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
/// Cached answers, those without a picture included.
const CACHE_ENTRIES: usize = 1_000;
/// How long a picture is served from the cache.
const FRESH: Duration = Duration::from_secs(3_600);
/// How long the absence of a picture is believed.
const ABSENT: Duration = Duration::from_secs(300);
/// Pictures that are fetched at the same time; further requests wait.
const MAX_FETCHES: usize = 8;

/// Fetched pictures.
pub(super) struct Pictures {
    cached: Mutex<PictureCache>,
    fetches: Semaphore,
}

impl Default for Pictures {
    fn default() -> Self {
        Self { cached: Mutex::default(), fetches: Semaphore::new(MAX_FETCHES) }
    }
}

/// Cached answers; when they are too many or too large, the oldest are evicted.
#[derive(Default)]
struct PictureCache {
    entries: HashMap<(DeviceId, Jid), (Instant, Option<Picture>)>,
    bytes: usize,
}

impl PictureCache {
    fn lookup(&self, key: &(DeviceId, Jid), now: Instant) -> Option<Option<Picture>> {
        self.entries.get(key).filter(|(until, _)| *until > now).map(|(_, picture)| picture.clone())
    }

    fn record(&mut self, key: (DeviceId, Jid), picture: Option<Picture>, now: Instant) {
        self.remove(&key);
        let size = picture.as_ref().map_or(0, |picture| picture.bytes.len());
        while self.entries.len() >= CACHE_ENTRIES || self.bytes + size > CACHE_BYTES {
            let oldest = self.entries.iter().min_by_key(|(_, (until, _))| *until).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
        let until = now + if picture.is_some() { FRESH } else { ABSENT };
        self.bytes += size;
        self.entries.insert(key, (until, picture));
    }

    fn remove(&mut self, key: &(DeviceId, Jid)) {
        if let Some((_, Some(picture))) = self.entries.remove(key) {
            self.bytes -= picture.bytes.len();
        }
    }
}

impl Messaging {
    /// The picture of a person or group.
    ///
    /// # Errors
    /// When there is no such device or no picture, the device is not connected, its engine does not support the
    /// query, or the picture cannot be fetched.
    pub async fn picture(&self, device: &DeviceId, chat: &Jid) -> Result<Picture, ServiceError> {
        if !self.registry.device_exists(device) {
            return Err(ServiceError::DeviceNotFound);
        }
        let key = (device.clone(), self.canonical_chat(device, chat).await?);
        let known = self.pictures.cached.lock().lookup(&key, Instant::now());
        if let Some(known) = known {
            return known.ok_or(ServiceError::NoPicture);
        }
        let pictures = Arc::clone(&self.pictures);
        let _permit = pictures.fetches.acquire().await.map_err(|_| ServiceError::ShuttingDown)?;
        let picture = match self.profile_picture(device, &key.1).await? {
            Some(address) => Some(self.media.fetch_picture(&address, MAX_BYTES).await?),
            None => None,
        };
        self.pictures.cached.lock().record(key, picture.clone(), Instant::now());
        picture.ok_or(ServiceError::NoPicture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> (DeviceId, Jid) {
        ("shop".parse().unwrap(), Jid::person(&format!("1555{n:07}")).unwrap())
    }

    fn picture(size: usize) -> Option<Picture> {
        Some(Picture { mimetype: "image/png", bytes: vec![0; size].into() })
    }

    #[test]
    fn cached_pictures_expire() {
        let (mut cache, now) = (PictureCache::default(), Instant::now());
        cache.record(key(1), picture(10), now);
        cache.record(key(2), None, now);
        assert!(cache.lookup(&key(1), now).unwrap().is_some());
        assert!(cache.lookup(&key(2), now).unwrap().is_none());
        assert!(cache.lookup(&key(2), now + ABSENT).is_none());
        assert!(cache.lookup(&key(1), now + FRESH).is_none());
    }

    #[test]
    fn cached_pictures_are_bounded() {
        let (mut cache, now) = (PictureCache::default(), Instant::now());
        for n in 0..40 {
            cache.record(key(n), picture(MAX_BYTES), now + Duration::from_secs(n as u64));
        }
        assert_eq!((cache.entries.len(), cache.bytes), (CACHE_BYTES / MAX_BYTES, CACHE_BYTES));
        assert!(cache.entries.contains_key(&key(39)) && !cache.entries.contains_key(&key(0)));
        for n in 0..2 * CACHE_ENTRIES {
            cache.record(key(n), None, now + Duration::from_secs(100));
        }
        assert_eq!((cache.entries.len(), cache.bytes), (CACHE_ENTRIES, 0));
    }
}
