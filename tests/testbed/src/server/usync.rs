//! Answers `usync`: who is on the network, with which devices.

use wacore_binary::Node;

use super::dispatch::Session;
use super::iq::Answer;

/// Answers the IQ.
pub async fn answer(_session: &Session, _iq: &Node) -> Answer {
    Answer::empty()
}
