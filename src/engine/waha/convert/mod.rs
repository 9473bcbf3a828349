//! Conversions between WAHA's format and ours: pure functions, named by direction.
//!
//! Sources: the upstream contract, and WAHA's published definitions of requests, answers and events.
//! The server's engines differ: a field that is missing or of another type reads as absent, and never
//! drops a message.

pub(super) mod content_out;
pub(super) mod event_in;
pub(super) mod group_in;
pub(super) mod ids;
pub(super) mod message_in;
pub(super) mod status_in;
