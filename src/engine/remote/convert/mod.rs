//! Between the upstream's words and ours. Pure; one file for each direction and thing.

pub(super) mod chat_in;
pub(super) mod event_in;
pub(super) mod group_in;
pub(super) mod ids;
pub(super) mod message_in;
pub(super) mod message_out;
pub(super) mod state_in;
pub(super) mod static_codes;
pub(super) mod wire;
