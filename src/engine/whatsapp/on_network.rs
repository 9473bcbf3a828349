//! Who is on the network: asked once, and believed for a while.
//!
//! To a number that is nobody's the library sends all the same, to the account's own phone alone, and reports
//! success; so it is asked before each message.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::connected::Connected;
use super::convert::jid::to_network;
use crate::domain::clock::Millis;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::{EngineEvent, SessionError};

/// Answers that are kept; beyond it all are forgotten and asked for again.
const MOST: usize = 10_000;
/// How long it is believed that somebody is there, in milliseconds.
const THERE_MS: i64 = 24 * 3_600_000;
/// How long it is believed that nobody is.
const NOBODY_MS: i64 = 10 * 60_000;

/// What was answered.
#[derive(Default)]
pub(super) struct OnNetwork(Mutex<HashMap<Jid, (bool, Millis)>>);

impl OnNetwork {
    fn known(&self, person: &Jid, now: Millis) -> Option<bool> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(person).copied();
        let (there, at) = kept?;
        let fresh = if there { THERE_MS } else { NOBODY_MS };
        (0..fresh).contains(&now.since(at)).then_some(there)
    }

    /// Remembers that somebody is there, or that nobody is.
    pub(super) fn note(&self, person: &Jid, there: bool, now: Millis) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST && !kept.contains_key(person) {
            kept.clear();
        }
        kept.insert(person.clone(), (there, now));
    }
}

/// Whether somebody is on the network, by their number or their hidden id.
///
/// # Errors
/// When the network does not say.
pub(super) async fn is_there(connected: &Connected, person: &Jid) -> Result<bool, SessionError> {
    if !matches!(person.kind(), JidKind::Person | JidKind::Lid) {
        return Ok(false);
    }
    if connected.identities.is_me(person) {
        return Ok(true);
    }
    let now = connected.clock.now();
    if let Some(there) = connected.on_network.known(person, now) {
        return Ok(there);
    }
    let asked = to_network(person);
    let answers = connected.client.contacts().is_on_whatsapp(std::slice::from_ref(&asked)).await;
    let answers = answers.map_err(|_| match connected.client.is_connected() {
        true => SessionError::Refused("the network did not say who is on it".to_owned()),
        false => SessionError::Offline,
    })?;
    if answers.is_empty() {
        return Err(SessionError::Refused("the network did not say who is on it".to_owned()));
    }
    let there = answers.iter().any(|answer| answer.is_registered);
    connected.on_network.note(person, there, now);
    let lids = answers.iter().filter_map(|answer| answer.lid.as_ref());
    let news: Vec<_> = lids.filter_map(|lid| connected.identities.learn_pair(&asked, lid)).collect();
    if !news.is_empty()
        && let Err(error) = connected.tell(EngineEvent::Contacts(news)).await
    {
        tracing::warn!(device = %connected.device, %error, "whose a hidden id is was not taken");
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_believed_for_a_while_and_no_longer() {
        let (answers, person) = (OnNetwork::default(), "15550100001@c.us".parse().unwrap());
        assert_eq!(answers.known(&person, Millis(0)), None);
        for (there, fresh) in [(true, THERE_MS), (false, NOBODY_MS)] {
            answers.note(&person, there, Millis(0));
            assert_eq!(answers.known(&person, Millis(fresh - 1)), Some(there));
            assert_eq!(answers.known(&person, Millis(fresh)), None);
            assert_eq!(answers.known(&person, Millis(-1)), None, "the clock was set back");
        }
    }

    #[test]
    fn no_more_answers_are_kept_than_may_be() {
        let answers = OnNetwork::default();
        for at in 0..=MOST {
            answers.note(&Jid::person(&format!("1555{at:07}")).unwrap(), true, Millis(0));
        }
        assert!(answers.0.lock().unwrap().len() <= MOST);
    }
}
