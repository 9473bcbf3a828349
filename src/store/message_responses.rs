//! Reactions and the votes of polls, read for whole pages of messages.
//!
//! A page costs a constant number of statements, of one length, so that each is prepared once.

use std::collections::HashMap;

use rusqlite::{ParamsFromIter, Row, params_from_iter};

use super::column_codec::{from_json, parsed, text};
use super::error::StoreError;
use super::messages::Pk;
use super::tx::Reader;
use crate::domain::clock::Millis;
use crate::domain::content::PollVote;
use crate::domain::message::{Message, Reaction};

/// Messages that one statement covers.
const CHUNK: usize = 64;

impl Reader<'_> {
    /// Reads reactions, and the votes of polls, into their messages.
    pub(super) fn attach_responses(&self, messages: &mut [(Pk, &mut Message)]) -> Result<(), StoreError> {
        let places: HashMap<Pk, usize> = messages.iter().enumerate().map(|(at, (pk, _))| (*pk, at)).collect();
        let all: Vec<Pk> = messages.iter().map(|(pk, _)| *pk).collect();
        let polls = messages.iter().filter(|(_, message)| message.poll.is_some());
        let polls: Vec<Pk> = polls.map(|(pk, _)| *pk).collect();
        for (pk, reaction) in self.responses(REACTIONS, &all, reaction)? {
            if let Some((_, message)) = places.get(&pk).and_then(|at| messages.get_mut(*at)) {
                message.reactions.push(reaction);
            }
        }
        for (pk, vote) in self.responses(VOTES, &polls, vote)? {
            let message = places.get(&pk).and_then(|at| messages.get_mut(*at));
            if let Some(poll) = message.and_then(|(_, message)| message.poll.as_mut()) {
                poll.votes.push(vote);
            }
        }
        Ok(())
    }

    /// The rows of `query` for these messages.
    fn responses<T>(
        &self,
        query: [&str; 2],
        pks: &[Pk],
        read: fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let sql = format!("{}{}{}", query[0], chunk_params(), query[1]);
        let mut found = Vec::new();
        for chunk in chunks(pks) {
            found.extend(self.all(&sql, chunk, read)?);
        }
        Ok(found)
    }
}

/// The text of a query before and after its list of messages.
const REACTIONS: [&str; 2] = [
    "SELECT message_pk, emoji, sender, from_me FROM reactions WHERE message_pk IN (",
    ") AND emoji <> '' ORDER BY message_pk, at, sender",
];
const VOTES: [&str; 2] = [
    "SELECT message_pk, voter, options, at FROM poll_votes WHERE message_pk IN (",
    ") AND options <> '[]' ORDER BY message_pk, at, voter",
];

fn reaction(row: &Row<'_>) -> Result<(Pk, Reaction), StoreError> {
    let (from, from_me) = (parsed(row, 2, "reaction")?, row.get(3)?);
    Ok((row.get(0)?, Reaction { emoji: row.get(1)?, from, from_me }))
}

fn vote(row: &Row<'_>) -> Result<(Pk, PollVote), StoreError> {
    let options = from_json(text(row, 2)?, "poll votes")?;
    let (voter, timestamp) = (parsed(row, 1, "poll votes")?, Millis(row.get(3)?));
    Ok((row.get(0)?, PollVote { voter, options, timestamp }))
}

/// The parameters of one chunk.
pub(super) fn chunk_params() -> String {
    vec!["?"; CHUNK].join(", ")
}

/// Chunks of these places, filled with a place that no message has.
pub(super) fn chunks(pks: &[Pk]) -> impl Iterator<Item = ParamsFromIter<[Pk; CHUNK]>> {
    pks.chunks(CHUNK).map(|chunk| {
        let mut filled = [-1; CHUNK];
        filled[..chunk.len()].copy_from_slice(chunk);
        params_from_iter(filled)
    })
}
