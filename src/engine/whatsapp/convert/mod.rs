//! Converts between the network's types and ours; all functions are pure.
//!
//! Files are named by direction: `content_in` and `content_out` convert messages (`message_parts`,
//! `unwrap` and `remote_file` belong to `content_in`), `chat_in` changes by other devices,
//! `history_in` the history sync, `group_in`, `call_in` and `receipt_in` their events. `message_key`,
//! `identities` and `jid` convert ids.

pub(super) mod call_in;
pub(super) mod chat_in;
pub(super) mod content_in;
pub(super) mod content_out;
pub(super) mod group_in;
pub(super) mod history_in;
pub(super) mod identities;
pub(super) mod jid;
pub(super) mod message_key;
mod message_parts;
pub(super) mod receipt_in;
pub(super) mod remote_file;
#[cfg(test)]
mod tests;
mod unwrap;
