//! What turns Meta's words into ours and ours into Meta's: pure, named by direction.

pub(super) mod cards;
pub(super) mod lenient;
pub(super) mod message_in;
pub(super) mod message_out;
pub(super) mod people;
pub(super) mod status_in;
pub(super) mod wire;

#[cfg(test)]
mod tests;
