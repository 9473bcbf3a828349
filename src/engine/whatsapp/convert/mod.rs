//! Between the network's words and ours. Everything here is pure.

pub(super) mod content_in;
pub(super) mod content_out;
pub(super) mod identities;
pub(super) mod jid;
pub(super) mod receipt;
