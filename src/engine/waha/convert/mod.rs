//! Conversions between WAHA's words and ours: pure, named by direction.
//!
//! Sources: the upstream contract, and WAHA's published definitions of requests, answers and events. Its engines differ
//! in what they say; what is missing or of another shape is read as absent, never as a reason to drop a message.

pub(super) mod content_out;
pub(super) mod event_in;
pub(super) mod group_in;
pub(super) mod ids;
pub(super) mod likeness;
pub(super) mod message_in;
pub(super) mod status_in;
