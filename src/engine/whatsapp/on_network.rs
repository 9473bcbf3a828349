//! Whether people are on the network, asked once in a while and remembered in between.
//!
//! To a number that is nobody's the library sends all the same, to the account's own phone alone, and reports
//! success; so it is asked before each message.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::convert::jid;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::{EngineEvent, SessionError};

/// People that are remembered; beyond it all are forgotten and asked for again.
const MOST: usize = 10_000;
/// For how long somebody is taken to be there still.
const THERE: Duration = Duration::from_secs(24 * 3_600);
/// For how long somebody is taken to be still missing: they may join any moment.
const MISSING: Duration = Duration::from_secs(300);

/// Who is there.
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

/// Whether this person is on the network. Groups and hidden ids are: they come from the network itself.
///
/// # Errors
/// When the network could not be asked, or did not say.
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
        tracing::warn!(device = %context.device, %error, "who a hidden id belongs to was not taken");
    }
    Ok(answer.is_registered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_there_is_remembered_longer_than_who_is_not() {
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
    fn no_more_are_remembered_than_may_be() {
        let (people, now) = (OnNetworkCache::default(), Instant::now());
        for n in 0..=MOST {
            people.record(&Jid::person(&format!("1555{n:07}")).unwrap(), true, now);
        }
        assert_eq!(people.lock().len(), 1);
    }
}
