//! Answers `w:sync:app:state`: the collections that all devices of an account share.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::oneshot;
use wacore::download::MediaType;
use wacore_appstate::decode::Mutation;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;

use super::collections::{Behind, NAMES, PatchError};
use super::dispatch::Session;
use super::iq::Answer;
use super::notifications;
use super::state::Account;
use super::state_changes;
use crate::media::{MediaStore, cipher};
use crate::phone::app_state::{PhoneAction, SyncKey};
use crate::wire::nodes;

/// Answers the IQ.
pub async fn answer(session: &Session, iq: &Node) -> Answer {
    let Some(sync) = iq.get_optional_child("sync") else { return Answer::Error(400, "bad-request") };
    let mut answers = Vec::new();
    for asked in sync.get_children_by_tag("collection") {
        answers.push(collection(session, asked).await);
    }
    Answer::Result(vec![NodeBuilder::new("sync").children(answers).build()])
}

async fn collection(session: &Session, asked: &Node) -> Node {
    let name = nodes::attr(asked, "name");
    if !NAMES.contains(&name.as_str()) {
        return refused(&name, 404, "item-not-found", Vec::new());
    }
    let version: u64 = nodes::attr(asked, "version").parse().unwrap_or(0);
    let Some(patch) = asked.get_optional_child("patch") else {
        let snapshot = nodes::attr(asked, "return_snapshot") == "true";
        return behind(session, &name, version, snapshot);
    };
    match take(&session.account, &name, nodes::bytes(patch), version) {
        Ok(Taken::Yes(version, mutations)) => {
            state_changes::record(session, &mutations);
            announce(&session.account, &name, version, Some(session.device)).await;
            found(&name, version, Vec::new())
        }
        Ok(Taken::TooLate(missing)) => refused(&name, 409, "conflict", missing),
        Err(error) => {
            tracing::warn!(collection = name, %error, "rejected a patch");
            refused(&name, 400, "bad-request", Vec::new())
        }
    }
}

enum Taken {
    /// The new version, and the mutations of the patch.
    Yes(u64, Vec<Mutation>),
    /// The patches that were applied first.
    TooLate(Vec<Node>),
}

/// Verifies and applies a companion's patch.
fn take(account: &Account, name: &str, bytes: &[u8], base: u64) -> Result<Taken> {
    let patch = wa::SyncdPatch::decode_from_slice(bytes)?;
    let key = SyncKey::of(account);
    let mut state = account.lock();
    let collection = state.collections.entry(name.to_owned()).or_default();
    if base != collection.version() {
        return Ok(Taken::TooLate(vec![patches(match collection.since(base, false) {
            Behind::Patches(missing) => missing,
            Behind::Snapshot(_) => Vec::new(),
        })]));
    }
    let (mutations, hash) = key.read(name, collection, &patch)?;
    match collection.take(patch, base, hash) {
        Ok(version) => Ok(Taken::Yes(version, mutations)),
        Err(error @ (PatchError::Conflict | PatchError::Full)) => Err(error.into()),
    }
}

fn behind(session: &Session, name: &str, version: u64, snapshot: bool) -> Node {
    let (newest, behind) = {
        let mut state = session.account.lock();
        let collection = state.collections.entry(name.to_owned()).or_default();
        (collection.version(), collection.since(version, snapshot))
    };
    match behind {
        Behind::Patches(missing) if missing.is_empty() => found(name, newest, Vec::new()),
        Behind::Patches(missing) => found(name, newest, vec![patches(missing)]),
        Behind::Snapshot(all) => match uploaded(&session.world.media, &all) {
            Ok(reference) => found(name, newest, vec![nodes::holding("snapshot", reference)]),
            Err(error) => {
                tracing::warn!(collection = name, %error, "could not store a snapshot");
                refused(name, 500, "internal-server-error", Vec::new())
            }
        },
    }
}

/// Stores a snapshot in the media store; returns its reference.
fn uploaded(store: &MediaStore, snapshot: &wa::SyncdSnapshot) -> Result<Vec<u8>> {
    let sealed = cipher::seal(store, &snapshot.encode_to_vec(), MediaType::AppState)?;
    let reference = wa::ExternalBlobReference {
        media_key: Some(sealed.media_key),
        direct_path: Some(sealed.direct_path),
        file_size_bytes: Some(sealed.file_length),
        file_sha256: Some(sealed.file_sha256),
        file_enc_sha256: Some(sealed.file_enc_sha256),
        ..wa::ExternalBlobReference::default()
    };
    Ok(reference.encode_to_vec())
}

fn patches(patches: Vec<wa::SyncdPatch>) -> Node {
    let patches = patches.into_iter().map(|patch| nodes::holding("patch", patch.encode_to_vec()));
    NodeBuilder::new("patches").children(patches).build()
}

fn found(name: &str, version: u64, children: Vec<Node>) -> Node {
    NodeBuilder::new("collection")
        .attr("name", name)
        .attr("type", "result")
        .attr("version", version)
        .attr("has_more_patches", "false")
        .children(children)
        .build()
}

fn refused(name: &str, code: u32, text: &'static str, children: Vec<Node>) -> Node {
    let error = NodeBuilder::new("error").attr("code", code).attr("text", text).build();
    NodeBuilder::new("collection")
        .attr("name", name)
        .attr("type", "error")
        .attr("has_more_patches", "false")
        .children(std::iter::once(error).chain(children))
        .build()
}

/// Applies actions of the phone's owner and announces the patches to all companions. Each returned receiver
/// completes when a companion has confirmed.
///
/// # Errors
/// If the collection is full.
pub async fn apply_on_phone(
    account: &Arc<Account>,
    actions: &[PhoneAction],
) -> Result<Vec<oneshot::Receiver<()>>> {
    let mut receivers = Vec::new();
    for (name, version) in write(account, actions)? {
        receivers.extend(announce(account, name, version, None).await);
    }
    Ok(receivers)
}

/// Writes a patch for each collection that the actions change; returns the new versions.
///
/// # Errors
/// If a collection is full.
pub fn write(account: &Account, actions: &[PhoneAction]) -> Result<Vec<(&'static str, u64)>> {
    let key = SyncKey::of(account);
    let mut state = account.lock();
    let mut versions = Vec::new();
    for name in NAMES {
        let actions: Vec<PhoneAction> =
            actions.iter().filter(|phone_action| phone_action.collection() == name).cloned().collect();
        if actions.is_empty() {
            continue;
        }
        let collection = state.collections.entry(name.to_owned()).or_default();
        let (patch, hash) = key.patch(name, collection, &actions, wacore::time::now_millis())?;
        versions.push((name, collection.take(patch, collection.version(), hash)?));
    }
    Ok(versions)
}

async fn announce(
    account: &Arc<Account>,
    name: &str,
    version: u64,
    but_for: Option<u16>,
) -> Vec<oneshot::Receiver<()>> {
    let about = NodeBuilder::new("collection").attr("name", name).attr("version", version).build();
    let from: Jid = account.jid(0);
    let receivers = notifications::notification("server_sync", &from, about).build();
    notifications::send(account, &receivers, but_for).await
}
