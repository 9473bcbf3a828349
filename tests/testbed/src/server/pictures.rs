//! Answers `w:profile:picture`.

use wacore_binary::Node;

use super::dispatch::Session;
use super::iq::Answer;

/// Answers the IQ.
pub async fn answer(_session: &Session, _iq: &Node) -> Answer {
    Answer::empty()
}
