//! Pure conversions between the upstream's JSON and our types, named by direction.

pub(super) mod chat_in;
pub(super) mod event_in;
pub(super) mod ids;
pub(super) mod message_in;
pub(super) mod message_out;
pub(super) mod state_in;
pub(super) mod static_codes;
pub(super) mod wire;
