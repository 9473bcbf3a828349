//! Messages, chats, contacts and groups of a device. Every change and its events are one transaction.

pub(super) mod changes;
pub(super) mod chat_changes;
pub(super) mod chat_updates;
pub(super) mod chats;
pub(super) mod clear_chat;
pub(super) mod contacts;
pub(super) mod group_changes;
pub(super) mod groups;
pub(super) mod identity;
pub(super) mod ingest;
pub(super) mod ingest_calls;
pub(super) mod mark_read;
pub(super) mod messages;
pub(super) mod outbox;
pub(super) mod own_changes;
pub(super) mod pending_sync;
pub(super) mod send;
pub(super) mod typing;
