//! Stores parts of messages that later messages refer to: quoted texts, and the secrets of polls.

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};
use wacore::poll;
use waproto::whatsapp as wa;

use super::state::{Account, AccountState};
use crate::id::Id;
use crate::phone::inbound;

/// The most polls of a phone.
const MOST: usize = 500;
/// The most recent messages of an account.
const MOST_LETTERS: usize = 2_000;

/// The polls that a phone received, newest last.
#[derive(Debug, Default)]
pub struct Polls(VecDeque<Poll>);

#[derive(Debug)]
struct Poll {
    id: String,
    options: Vec<String>,
    secret: Vec<u8>,
    /// All ids of its author.
    authors: Vec<String>,
}

/// Recent messages to an account, newest last.
#[derive(Debug, Default)]
pub struct RecentMessages(VecDeque<RecentMessage>);

/// A recent message to an account.
#[derive(Debug, Clone)]
pub struct RecentMessage {
    /// The network id.
    pub id: String,
    /// The message's chat.
    pub chat: Id,
    /// The message's author.
    pub author: Id,
    /// The message's text.
    pub body: String,
}

impl RecentMessages {
    /// Adds a message.
    pub fn remember(&mut self, written: RecentMessage) {
        if self.0.len() >= MOST_LETTERS {
            self.0.pop_front();
        }
        self.0.push_back(written);
    }

    /// The newest message with this id.
    #[must_use]
    pub fn find(&self, chat: &Id, id: &str) -> Option<&RecentMessage> {
        self.0.iter().rev().find(|written| written.chat == *chat && written.id == id)
    }
}

impl AccountState {
    /// Stores a poll's options and secret; ignores other messages.
    pub fn remember(&mut self, id: &str, message: &wa::Message, number: &str, lid: &str) {
        let secret = wacore::reporting_token::extract_message_secret(message);
        let Some((options, secret)) = inbound::options(message).zip(secret) else { return };
        if self.polls.0.len() >= MOST {
            self.polls.0.pop_front();
        }
        let authors = names(number, lid);
        self.polls.0.push_back(Poll { id: id.to_owned(), options, secret: secret.to_vec(), authors });
    }

    /// An encrypted vote: payload and initialisation vector. `None` if the phone does not have the poll.
    #[must_use]
    pub fn vote(&self, id: &str, voter: &Account, options: &[String]) -> Option<(Vec<u8>, Vec<u8>)> {
        let asked = self.polls.0.iter().rev().find(|poll| poll.id == id)?;
        let hashes: Vec<Vec<u8>> =
            options.iter().map(|option| Sha256::digest(option.as_bytes()).to_vec()).collect();
        let (author, voter) = (asked.authors.first()?, format!("{}@s.whatsapp.net", voter.number));
        let sealed = poll::encrypt_poll_vote_with_secret(&hashes, &asked.secret, id, author, &voter).ok()?;
        Some((sealed.0, sealed.1.to_vec()))
    }

    /// The options of a vote; `None` if it cannot be decrypted.
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
