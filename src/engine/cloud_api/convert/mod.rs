//! What turns Meta's words into ours and ours into Meta's: pure, named by direction.

pub(super) mod vcards;
pub(super) mod message_in;
pub(super) mod message_out;
pub(super) mod ids;
pub(super) mod status_in;
pub(super) mod wire;

#[cfg(test)]
mod tests;
