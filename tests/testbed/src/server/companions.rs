//! `md`: a companion unlinks itself.

use std::time::Duration;

use wacore_binary::Node;

use super::dispatch::Session;
use super::iq::Answer;
use crate::wire::nodes;

/// How long an unlinked companion may take to close its connection.
const HANG_UP: Duration = Duration::from_secs(1);

/// Answers the IQ; a companion can remove only itself.
pub async fn answer(session: &Session, iq: &Node) -> Answer {
    let Some(removal) = iq.get_optional_child("remove-companion-device") else {
        return Answer::empty();
    };
    if names_itself(session, removal) { Answer::empty() } else { Answer::Error(403, "forbidden") }
}

/// Unlinks the companion after its answer was sent.
pub async fn removed(session: &Session, iq: &Node) {
    let Some(removal) = iq.get_optional_child("remove-companion-device") else { return };
    if names_itself(session, removal) && session.account.forget(session.device).is_some() {
        let link = session.link.clone();
        session.world.spawn(async move {
            tokio::time::sleep(HANG_UP).await;
            link.drop_now();
        });
    }
}

fn names_itself(session: &Session, removal: &Node) -> bool {
    nodes::jid(removal, "jid")
        .is_some_and(|jid| jid.user_base() == session.account.number && jid.device == session.device)
}
