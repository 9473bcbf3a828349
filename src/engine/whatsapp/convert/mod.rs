//! Between the network's words and ours. Everything here is pure.
//!
//! Named by direction: `content_in` and `content_out` for messages (`parts` and `unwrap` for what is in those that
//! come in, `remote` for their files), `key` for which message is meant, `chat_in` for what was done to chats on
//! another device, `past` for history, `group`, `call` and `receipt` for those, `identities` and `jid` for ids.

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
