//! Checks whether people have an account on the network, with a cache. The library reports success for a message to
//! an unused number, which only the account's own phone receives; so it is checked before each message.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::convert::jid;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::{EngineEvent, SessionError};

/// Cached people; when it is full, the cache is cleared.
const MOST: usize = 10_000;
/// How long a positive answer is valid.
const THERE: Duration = Duration::from_secs(24 * 3_600);
/// How long a negative answer is valid; people may join at any time.
const MISSING: Duration = Duration::from_secs(300);

/// Cached answers with their expiry.
#[derive(Default)]
pub(super) struct OnNetworkCache(Mutex<HashMap<Jid, (bool, Instant)>>);

impl OnNetworkCache {
    fn lookup(&self, person: &Jid, now: Instant) -> Option<bool> {
        self.lock().get(person).filter(|(_, until)| *until > now).map(|(exists, _)| *exists)
    }

    fn record(&self, person: &Jid, exists: bool, now: Instant) {
        let mut people = self.lock();
        if people.len() >= MOST {
            people.clear();
        }
        people.insert(person.clone(), (exists, now + if exists { THERE } else { MISSING }));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Jid, (bool, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this person is on the network. Groups and hidden ids always are, because the network assigned them.
///
/// # Errors
/// If the network could not be asked, or did not answer.
pub(super) async fn is_on_network(context: &ConnectionContext, person: &Jid) -> Result<bool, SessionError> {
    if person.kind() != JidKind::Person || context.identities.is_me(person) {
        return Ok(true);
    }
    if let Some(lookup) = context.on_network.lookup(person, Instant::now()) {
        return Ok(lookup);
    }
    let asked = jid::to_network(person);
    let answer = boxed(context.client.contacts().is_on_whatsapp(std::slice::from_ref(&asked))).await;
    let answer = answer.map_err(|_| match context.client.is_connected() {
        true => SessionError::Refused("it could not say who is on it".to_owned()),
        false => SessionError::Offline,
    })?;
    let answer = answer
        .into_iter()
        .next()
        .ok_or_else(|| SessionError::Refused("it did not say whether this number is on it".to_owned()))?;
    context.on_network.record(person, answer.is_registered, Instant::now());
    let update = answer.lid.as_ref().and_then(|lid| context.identities.record_pair(&asked, lid));
    if let Some(update) = update
        && let Err(error) = context.deliver(EngineEvent::Contacts(vec![update])).await
    {
        tracing::warn!(device = %context.device, %error, "could not ingest the number of a hidden id");
    }
    Ok(answer.is_registered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positive_answers_are_cached_longer() {
        let (people, now) = (OnNetworkCache::default(), Instant::now());
        let (anna, ben) = (Jid::person("15550100001").unwrap(), Jid::person("15550100002").unwrap());
        people.record(&anna, true, now);
        people.record(&ben, false, now);
        assert_eq!((people.lookup(&anna, now), people.lookup(&ben, now)), (Some(true), Some(false)));
        let later = now + MISSING;
        assert_eq!((people.lookup(&anna, later), people.lookup(&ben, later)), (Some(true), None));
        assert_eq!(people.lookup(&anna, now + THERE), None);
    }

    #[test]
    fn full_cache_is_cleared() {
        let (people, now) = (OnNetworkCache::default(), Instant::now());
        for n in 0..=MOST {
            people.record(&Jid::person(&format!("1555{n:07}")).unwrap(), true, now);
        }
        assert_eq!(people.lock().len(), 1);
    }
}
