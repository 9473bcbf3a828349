//! Whether people are on the network, asked once in a while and remembered in between.
//!
//! To a number that is nobody's the library sends all the same, to the account's own phone alone, and reports
//! success; so it is asked before each message.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::boxed::erased;
use super::connection_context::Connected;
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
pub(super) struct Existence(Mutex<HashMap<Jid, (bool, Instant)>>);

impl Existence {
    fn known(&self, person: &Jid, now: Instant) -> Option<bool> {
        self.lock().get(person).filter(|(_, until)| *until > now).map(|(there, _)| *there)
    }

    fn remember(&self, person: &Jid, there: bool, now: Instant) {
        let mut people = self.lock();
        if people.len() >= MOST {
            people.clear();
        }
        people.insert(person.clone(), (there, now + if there { THERE } else { MISSING }));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Jid, (bool, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this person is on the network. Groups and hidden ids are: they come from the network itself.
///
/// # Errors
/// When the network could not be asked, or did not say.
pub(super) async fn is_on_network(connected: &Connected, person: &Jid) -> Result<bool, SessionError> {
    if person.kind() != JidKind::Person || connected.identities.is_me(person) {
        return Ok(true);
    }
    if let Some(known) = connected.exists.known(person, Instant::now()) {
        return Ok(known);
    }
    let asked = jid::to_network(person);
    let answer = erased(connected.client.contacts().is_on_whatsapp(std::slice::from_ref(&asked))).await;
    let found = answer.map_err(|_| match connected.client.is_connected() {
        true => SessionError::Refused("it could not say who is on it".to_owned()),
        false => SessionError::Offline,
    })?;
    let found = found
        .into_iter()
        .next()
        .ok_or_else(|| SessionError::Refused("it did not say whether this number is on it".to_owned()))?;
    connected.exists.remember(person, found.is_registered, Instant::now());
    let news = found.lid.as_ref().and_then(|lid| connected.identities.learn_pair(&asked, lid));
    if let Some(news) = news
        && let Err(error) = connected.tell(EngineEvent::Contacts(vec![news])).await
    {
        tracing::warn!(device = %connected.device, %error, "who a hidden id belongs to was not taken");
    }
    Ok(found.is_registered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_there_is_remembered_longer_than_who_is_not() {
        let (people, now) = (Existence::default(), Instant::now());
        let (anna, ben) = (Jid::person("15550100001").unwrap(), Jid::person("15550100002").unwrap());
        people.remember(&anna, true, now);
        people.remember(&ben, false, now);
        assert_eq!((people.known(&anna, now), people.known(&ben, now)), (Some(true), Some(false)));
        let later = now + MISSING;
        assert_eq!((people.known(&anna, later), people.known(&ben, later)), (Some(true), None));
        assert_eq!(people.known(&anna, now + THERE), None);
    }

    #[test]
    fn no_more_are_remembered_than_may_be() {
        let (people, now) = (Existence::default(), Instant::now());
        for n in 0..=MOST {
            people.remember(&Jid::person(&format!("1555{n:07}")).unwrap(), true, now);
        }
        assert_eq!(people.lock().len(), 1);
    }
}
