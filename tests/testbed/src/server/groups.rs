//! Answers `w:g2`.

use wacore_binary::Node;

use super::dispatch::Session;
use super::iq::Answer;

/// The groups.
#[derive(Default)]
pub struct Groups {}
/// Answers the IQ.
pub async fn answer(_session: &Session, _iq: &Node) -> Answer {
    Answer::empty()
}
