//! Conversions between the Graph API's format and ours: pure functions, named by direction.

pub(super) mod ids;
pub(super) mod message_in;
pub(super) mod message_out;
pub(super) mod status_in;
pub(super) mod vcards;
pub(super) mod wire;

#[cfg(test)]
mod tests;
