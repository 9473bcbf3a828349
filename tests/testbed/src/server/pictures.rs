//! Answers `w:profile:picture`: pictures of people and groups, from the scene's settings or set later.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::dispatch::Session;
use super::iq::Answer;
use super::notifications;
use crate::media::cipher::path_of;
use crate::scene::PersonRef;
use crate::wire::nodes;

/// The largest picture in bytes.
const MAX_PICTURE: usize = 1 << 20;
/// The kind of pictures in the media store.
const KIND: &str = "pictures";

/// Answers the IQ.
pub async fn answer(session: &Session, iq: &Node) -> Answer {
    let target = nodes::jid(iq, "target");
    if nodes::attr(iq, "type") == "set" { set(session, iq, target).await } else { get(session, iq, target) }
}

fn get(session: &Session, iq: &Node, target: Option<Jid>) -> Answer {
    let owner = target.and_then(|jid| name_of(session, &jid)).unwrap_or_default();
    let Some(id) = id_of(session, &owner) else {
        let error = NodeBuilder::new("error").attr("code", 404_u32).attr("text", "item-not-found").build();
        return Answer::Result(vec![NodeBuilder::new("picture").children([error]).build()]);
    };
    let cached = iq.get_optional_child("picture").map(|picture| nodes::attr(picture, "id"));
    let picture = NodeBuilder::new("picture").attr("id", id.clone());
    if cached.as_ref() == Some(&id) {
        return Answer::Result(vec![picture.build()]);
    }
    let given = session.account.lock().scene.picture_address(&owner).map(str::to_owned);
    let path = path_of(KIND, &id);
    let url = given.unwrap_or_else(|| format!("http://{}{path}", session.world.address));
    Answer::Result(vec![picture.attr("url", url).attr("direct_path", path).attr("type", "image").build()])
}

async fn set(session: &Session, iq: &Node, target: Option<Jid>) -> Answer {
    let target = target.unwrap_or_else(|| session.account.jid(0));
    let Some(owner) = name_of(session, &target) else { return Answer::Error(404, "item-not-found") };
    let group = owner.ends_with("@g.us");
    let allowed = if group {
        session
            .world
            .groups
            .find(&session.account.number, &owner)
            .is_some_and(|group_state| group_state.is_admin(&session.account.number))
    } else {
        owner == session.account.number
    };
    if !allowed {
        return Answer::Error(403, "forbidden");
    }
    let bytes = iq.get_optional_child("picture").map(nodes::bytes).unwrap_or_default();
    if bytes.len() > MAX_PICTURE {
        return Answer::Error(406, "not-acceptable");
    }
    let id = (!bytes.is_empty()).then(|| number_of(bytes));
    if let Some(id) = &id {
        session.world.media.put_picture(id, Bytes::copy_from_slice(bytes));
    }
    session.account.lock().scene.set_picture(&owner, id.clone());
    let author = session.account.jid(0);
    let about = match &id {
        Some(id) => NodeBuilder::new("set").attr("jid", target.clone()).attr("id", id.clone()),
        None => NodeBuilder::new("delete").attr("jid", target.clone()),
    };
    let notification =
        notifications::notification("picture", &target, about.attr("author", author).build()).build();
    notifications::send(&session.account, &notification, Some(session.device)).await;
    Answer::Result(id.map(|id| NodeBuilder::new("picture").attr("id", id).build()).into_iter().collect())
}

/// The picture id of a person (by number) or group, as the account sees it.
#[must_use]
pub fn id_of(session: &Session, owner: &str) -> Option<String> {
    let state = session.account.lock();
    if let Some(id) = state.scene.picture_id(owner) {
        return Some(id.to_owned());
    }
    state.scene.picture_address(owner).map(|address| number_of(address.as_bytes()))
}

fn name_of(session: &Session, jid: &Jid) -> Option<String> {
    if jid.to_string().ends_with("@g.us") {
        return Some(jid.to_string());
    }
    let account = session.world.directory.resolve(&PersonRef::of_jid(jid)?)?;
    Some(account.number.clone())
}

/// Picture ids are numbers.
fn number_of(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().take(4).fold(1_u64, |sum, byte| sum << 8 | u64::from(*byte)).to_string()
}
