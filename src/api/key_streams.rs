//! The open event streams and Socket.IO sessions of each API key. At the limit of a key a further one is refused.
//!
//! Invariants: a session counts once, however many namespaces it joined; a key without open streams has no entry.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The open streams and sessions of all keys.
#[derive(Debug)]
pub struct KeyStreams {
    max_per_key: usize,
    keys: Mutex<HashMap<String, OpenStreams>>,
}

#[derive(Debug, Default)]
struct OpenStreams {
    streams: usize,
    /// Joined namespaces by the id of the session.
    sessions: HashMap<String, usize>,
}

/// A stream or a namespace of a session, counted until this is dropped.
#[derive(Debug)]
pub struct StreamPermit {
    streams: Arc<KeyStreams>,
    key_id: String,
    session: Option<String>,
}

/// The limit of streams and sessions of one key is reached.
#[derive(Debug, PartialEq, Eq)]
pub struct TooManyStreams(pub usize);

impl KeyStreams {
    /// Creates the counter with the maximum of one key.
    #[must_use]
    pub fn new(max_per_key: usize) -> Arc<Self> {
        Arc::new(Self { max_per_key, keys: Mutex::default() })
    }

    /// Admits a stream of a key, or a namespace of one of its sessions.
    ///
    /// # Errors
    /// [`TooManyStreams`] at the limit of the key.
    pub fn admit(
        self: &Arc<Self>,
        key_id: &str,
        session: Option<String>,
    ) -> Result<StreamPermit, TooManyStreams> {
        let mut keys = self.keys.lock();
        let open = keys.get(key_id).map_or(0, |open| open.streams + open.sessions.len());
        let has_session = session
            .as_ref()
            .is_some_and(|id| keys.get(key_id).is_some_and(|open| open.sessions.contains_key(id)));
        if open >= self.max_per_key && !has_session {
            return Err(TooManyStreams(self.max_per_key));
        }
        let entry = keys.entry(key_id.to_owned()).or_default();
        match &session {
            Some(id) => *entry.sessions.entry(id.clone()).or_default() += 1,
            None => entry.streams += 1,
        }
        Ok(StreamPermit { streams: Arc::clone(self), key_id: key_id.to_owned(), session })
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut keys = self.streams.keys.lock();
        let Some(open) = keys.get_mut(&self.key_id) else { return };
        match &self.session {
            None => open.streams = open.streams.saturating_sub(1),
            Some(id) => {
                if let Some(namespaces) = open.sessions.get_mut(id) {
                    *namespaces = namespaces.saturating_sub(1);
                    if *namespaces == 0 {
                        open.sessions.remove(id);
                    }
                }
            }
        }
        if open.streams == 0 && open.sessions.is_empty() {
            keys.remove(&self.key_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_sessions_of_a_key_are_limited() {
        let all = KeyStreams::new(2);
        let session = |id: &str| Some(id.to_owned());
        let stream = all.admit("a", None).unwrap();
        let one = all.admit("a", session("s1")).unwrap();
        assert_eq!(all.admit("a", None).unwrap_err(), TooManyStreams(2));
        assert_eq!(all.admit("a", session("s2")).unwrap_err(), TooManyStreams(2));
        let other = all.admit("b", session("s3")).unwrap();
        let again = all.admit("a", session("s1")).unwrap();
        drop(one);
        assert!(all.admit("a", None).is_err(), "the session still has a namespace");
        drop(again);
        let second = all.admit("a", None).unwrap();
        drop((stream, second, other));
        assert!(all.keys.lock().is_empty());
    }
}
