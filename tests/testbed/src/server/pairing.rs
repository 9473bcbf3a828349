//! Links clients. A new client gets six references, shows them as QR codes, and waits until a phone scans one
//! or types its code. A companion is added to an account only after all keys and signatures of both sides
//! were verified.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, SERVER_JID};

use super::pending_links::PendingLink;
use super::state::Account;
use super::streams::{self, Refusal};
use super::{World, passkey_links, typed_codes};
use crate::phone::{adv, keys};
use crate::wire::connection::{Arrival, Inbound};
use crate::wire::nodes::{self, holding};

/// Delay before 515; an immediate one makes the client drop its next connection.
const BEFORE_RECONNECT: Duration = Duration::from_millis(60);

/// Why linking failed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No client shows this code.
    #[error("no client shows this QR code: scan the one that is shown now")]
    UnknownQr,
    /// The code was replaced by a newer one.
    #[error("this QR code has expired: scan the one that is shown now")]
    ExpiredQr,
    /// No client requested a code for this number.
    #[error("no client waits for a code from this number: ask for one first")]
    UnknownCode,
    /// The typed code is wrong.
    #[error("the code is not the one that the client shows")]
    WrongCode,
    /// The number is not registered.
    #[error("this number is not on WhatsApp: numbers are digits, and those that start with {prefix} are unregistered", prefix = super::directory::UNREGISTERED_PREFIX)]
    Nobody,
    /// The client rejected the phone's signatures.
    #[error("the client refused the phone's signatures: {0}")]
    Refused(String),
    /// The client's keys or signatures are wrong.
    #[error("the client's keys or signatures are wrong")]
    Forged(#[source] anyhow::Error),
    /// The client closed the connection or did not answer.
    #[error("the client did not answer in time")]
    NoAnswer,
}

impl LinkError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownQr => "qr_unknown",
            Self::ExpiredQr => "qr_expired",
            Self::UnknownCode => "pairing_code_unknown",
            Self::WrongCode => "pairing_code_wrong",
            Self::Nobody => "phone_number_unknown",
            Self::Refused(_) => "link_refused",
            Self::Forged(_) => "link_forged",
            Self::NoAnswer => "link_unanswered",
        }
    }
}

/// A newly linked companion.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Linked {
    /// The phone's number.
    pub number: String,
    /// The user part of its LID.
    pub lid: String,
    /// The companion's device number.
    pub device: u16,
    /// The client's name.
    pub client_name: String,
}

/// Registers a client until its connection ends.
pub async fn register(world: &Arc<World>, arrival: Arrival) {
    let Arrival { client_key, payload, link, inbound, .. } = arrival;
    let pending = payload
        .device_pairing_data
        .into_option()
        .context("neither a username nor pairing data")
        .and_then(|data| PendingLink::read(&data, client_key, link.clone()));
    let pending = match pending {
        Ok(pending) => Arc::new(pending),
        Err(error) => {
            tracing::debug!(%error, "rejected a registration");
            link.finish(Refusal::BadRequest.node()).await;
            return;
        }
    };
    world.pending_links.add(&pending);
    pending.link.send(pair_device(&pending)).await;
    wait(world, &pending, inbound).await;
    world.pending_links.remove(&pending);
}

async fn wait(world: &Arc<World>, pending: &Arc<PendingLink>, mut inbound: Inbound) {
    while let Some(stanza) = inbound.next().await {
        if stanza.tag.as_ref() != "iq" {
            continue;
        }
        match nodes::attr(&stanza, "type").as_str() {
            "result" | "error" => pending.resolve(stanza),
            _ => {
                let of_passkey = passkey_links::answer(world, pending, &stanza);
                for node in of_passkey.unwrap_or_else(|| vec![typed_codes::answer(world, pending, &stanza)]) {
                    pending.link.send(node).await;
                }
            }
        }
    }
}

impl World {
    /// Scans a QR code with the phone of this number, which is created if needed.
    ///
    /// # Errors
    /// If the code is not current, or client and phone do not accept each other.
    pub async fn scan(self: &Arc<Self>, qr: &str, number: &str) -> Result<Linked, LinkError> {
        let scanned = Scanned::read(qr).ok_or(LinkError::UnknownQr)?;
        let pending = self.pending_links.by_reference(&scanned.reference).ok_or(LinkError::UnknownQr)?;
        if pending.noise_key != scanned.noise_key || pending.identity != scanned.identity {
            return Err(LinkError::UnknownQr);
        }
        if !pending.is_current(&scanned.reference) {
            return Err(LinkError::ExpiredQr);
        }
        self.link(&pending, number, &scanned.secret).await
    }

    /// Links a client by the secret of its code.
    pub(super) async fn link(
        self: &Arc<Self>,
        pending: &Arc<PendingLink>,
        number: &str,
        secret: &[u8; 32],
    ) -> Result<Linked, LinkError> {
        let account = self.directory.get_or_create(number).ok_or(LinkError::Nobody)?;
        let passkey = account.lock().passkey.clone();
        if let Some(passkey) = passkey {
            passkey_links::begin(pending, &account, passkey).await;
            let (number, lid) = (account.number.clone(), account.lid.clone());
            // The device gets its number when it is linked.
            return Ok(Linked { number, lid, device: 0, client_name: pending.client_name.clone() });
        }
        self.complete(pending, &account, secret).await
    }

    /// Adds a client to an account, by the secret that both have.
    pub(super) async fn complete(
        self: &Arc<Self>,
        pending: &Arc<PendingLink>,
        account: &Arc<Account>,
        secret: &[u8; 32],
    ) -> Result<Linked, LinkError> {
        let device = account.reserve_device();
        let index = u32::from(device);
        let vouched =
            adv::vouch(&account.phone, &pending.identity, secret, index).map_err(LinkError::Forged)?;
        let answer = pending.request(pair_success(account, device, vouched.container)).await?;
        if account.loses_signature() {
            pending.link.drop_now();
            return Err(LinkError::NoAnswer);
        }
        let signed = signed_identity(&answer, index)?;
        adv::verify(&signed, &account.phone, &pending.identity, &vouched.details)
            .map_err(LinkError::Forged)?;
        account.lock().companions.insert(device, pending.companion(device, signed));
        self.pending_links.remove(pending);
        let link = pending.link.clone();
        self.spawn(async move {
            tokio::time::sleep(BEFORE_RECONNECT).await;
            link.finish(streams::error(515)).await;
        });
        Ok(Linked {
            number: account.number.clone(),
            lid: account.lid.clone(),
            device,
            client_name: pending.client_name.clone(),
        })
    }
}

/// The content of a QR code.
struct Scanned {
    reference: String,
    noise_key: [u8; 32],
    identity: [u8; 32],
    secret: [u8; 32],
}

impl Scanned {
    fn read(qr: &str) -> Option<Self> {
        let mut fields = qr.rsplit('#').next()?.split(',');
        Some(Self {
            reference: fields.next()?.to_owned(),
            noise_key: key(fields.next()?)?,
            identity: key(fields.next()?)?,
            secret: key(fields.next()?)?,
        })
    }
}

fn key(field: &str) -> Option<[u8; 32]> {
    BASE64.decode(field).ok()?.try_into().ok()
}

fn pair_device(pending: &PendingLink) -> Node {
    let references = pending.references().iter().map(|reference| holding("ref", reference.as_bytes()));
    request("md", NodeBuilder::new("pair-device").children(references).build()).1
}

fn pair_success(account: &Account, device: u16, container: Vec<u8>) -> (String, Node) {
    let children = [
        holding("device-identity", container),
        NodeBuilder::new("biz").attr("name", account.lock().push_name.clone()).build(),
        NodeBuilder::new("platform").attr("name", "android").build(),
        NodeBuilder::new("device")
            .attr("jid", account.jid(device))
            .attr("lid", account.lid_jid(device))
            .build(),
    ];
    request("md", NodeBuilder::new("pair-success").children(children).build())
}

/// The client's answer in `<pair-device-sign>`.
fn signed_identity(answer: &Node, index: u32) -> Result<Vec<u8>, LinkError> {
    if let Some(error) = answer.get_optional_child("error") {
        return Err(LinkError::Refused(nodes::attr(error, "text")));
    }
    let read = || {
        let identity = nodes::child(nodes::child(answer, "pair-device-sign")?, "device-identity")?;
        ensure!(nodes::attr(identity, "key-index") == index.to_string(), "another key-index");
        Ok(nodes::bytes(identity).to_vec())
    };
    read().map_err(LinkError::Forged)
}

/// An IQ of the server, and its id.
fn request(namespace: &'static str, child: Node) -> (String, Node) {
    let id = format!("tb-{:016x}", u64::from_be_bytes(keys::bytes()));
    let node = NodeBuilder::new("iq")
        .attr("from", SERVER_JID)
        .attr("type", "set")
        .attr("xmlns", namespace)
        .attr("id", id.as_str())
        .attr("t", wacore::time::now_secs())
        .children([child])
        .build();
    (id, node)
}
