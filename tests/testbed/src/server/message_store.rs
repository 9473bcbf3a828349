//! What is remembered of messages that others may refer to later: what they said, and the secrets of polls.

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};
use wacore::poll;
use waproto::whatsapp as wa;

use super::state::{Account, AccountState};
use crate::id::Id;
use crate::phone::inbound;

/// Polls that one phone remembers.
const MOST: usize = 500;
/// Letters to one account that are remembered.
const MOST_LETTERS: usize = 2_000;

/// The polls that a phone saw, the newest last.
#[derive(Debug, Default)]
pub struct Polls(VecDeque<Poll>);

#[derive(Debug)]
struct Poll {
    id: String,
    options: Vec<String>,
    secret: Vec<u8>,
    /// Every id that its author may be named by.
    authors: Vec<String>,
}

/// What was written to an account lately, the newest last, for those who quote it.
#[derive(Debug, Default)]
pub struct RecentMessages(VecDeque<RecentMessage>);

/// A message that was written to an account.
#[derive(Debug, Clone)]
pub struct RecentMessage {
    /// Its id.
    pub id: String,
    /// Where.
    pub chat: Id,
    /// By whom.
    pub author: Id,
    /// What it said.
    pub body: String,
}

impl RecentMessages {
    /// Remembers one.
    pub fn remember(&mut self, written: RecentMessage) {
        if self.0.len() >= MOST_LETTERS {
            self.0.pop_front();
        }
        self.0.push_back(written);
    }

    /// The newest with this id.
    #[must_use]
    pub fn find(&self, chat: &Id, id: &str) -> Option<&RecentMessage> {
        self.0.iter().rev().find(|written| written.chat == *chat && written.id == id)
    }
}

impl AccountState {
    /// Remembers a message where it may be referred to.
    pub fn remember(&mut self, id: &str, message: &wa::Message, number: &str, lid: &str) {
        let secret = wacore::reporting_token::extract_message_secret(message);
        let Some((options, secret)) = inbound::options(message).zip(secret) else { return };
        if self.polls.0.len() >= MOST {
            self.polls.0.pop_front();
        }
        let authors = names(number, lid);
        self.polls.0.push_back(Poll { id: id.to_owned(), options, secret: secret.to_vec(), authors });
    }

    /// The choice of somebody in a poll that this phone saw, encrypted: payload and initialisation vector.
    #[must_use]
    pub fn vote(&self, id: &str, voter: &Account, options: &[String]) -> Option<(Vec<u8>, Vec<u8>)> {
        let asked = self.polls.0.iter().rev().find(|poll| poll.id == id)?;
        let hashes: Vec<Vec<u8>> =
            options.iter().map(|option| Sha256::digest(option.as_bytes()).to_vec()).collect();
        let (author, voter) = (asked.authors.first()?, format!("{}@s.whatsapp.net", voter.number));
        let sealed = poll::encrypt_poll_vote_with_secret(&hashes, &asked.secret, id, author, &voter).ok()?;
        Some((sealed.0, sealed.1.to_vec()))
    }

    /// What somebody chose; nothing when it cannot be decrypted.
    #[must_use]
    pub fn choice(&self, voter: &Account, id: &str, payload: &[u8], iv: &[u8]) -> Option<Vec<String>> {
        let asked = self.polls.0.iter().rev().find(|poll| poll.id == id)?;
        let voters = names(&voter.number, &voter.lid);
        let mut pairs =
            asked.authors.iter().flat_map(|author| voters.iter().map(move |voter| (author, voter)));
        let hashes = pairs.find_map(|(author, voter)| {
            let key = poll::derive_vote_encryption_key(&asked.secret, id, author, voter).ok()?;
            poll::decrypt_poll_vote(payload, iv, &key, id, voter).ok()
        })?;
        let chosen = |option: &&String| {
            let hash = Sha256::digest(option.as_bytes());
            hashes.iter().any(|chosen| chosen.as_slice() == hash.as_slice())
        };
        Some(asked.options.iter().filter(chosen).cloned().collect())
    }
}

fn names(number: &str, lid: &str) -> Vec<String> {
    vec![format!("{number}@s.whatsapp.net"), format!("{lid}@lid")]
}
