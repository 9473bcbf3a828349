//! Linking: a client that is nobody's yet is given six references, shows them as QR codes, and waits
//! in the lobby until a phone scans one, or has its code typed in.
//!
//! A code holds for 60 s, the next five for 20 s each; the client rotates them by itself. Invariant: a
//! companion is only added to an account once all keys and signatures were verified, both ways.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use tokio::sync::oneshot;
use tokio::time::Instant;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, SERVER_JID};
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;

use super::state::{Account, Companion, SignedPrekey};
use super::streams::{self, Refusal};
use super::{World, prekeys, typed_codes};
use crate::phone::{self, adv, keys};
use crate::wire::connection::{Arrival, Inbound, Link};
use crate::wire::nodes::{self, holding};

/// Codes that a client is given.
const CODES: u32 = 6;
/// How long the first of them holds, and each of the others.
const FIRST: Duration = Duration::from_secs(60);
const OTHERS: Duration = Duration::from_secs(20);
/// A client begins to count later than the server, by as much as this.
const LATE: Duration = Duration::from_secs(2);
/// How long a client is given to answer `<pair-success>`.
const ANSWER: Duration = Duration::from_secs(20);
/// Before 515: a client that is told at once drops its next connection by mistake.
const BEFORE_RECONNECT: Duration = Duration::from_millis(60);

/// Why linking failed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No client shows this code.
    #[error("no client shows this QR code: scan the one that is shown now")]
    UnknownQr,
    /// The code was current once.
    #[error("this QR code has expired: scan the one that is shown now")]
    ExpiredQr,
    /// Nobody asked for a code for this number.
    #[error("no client waits for a code from this number: ask for one first")]
    UnknownCode,
    /// The typed code is not the one the client shows.
    #[error("the code is not the one that the client shows")]
    WrongCode,
    /// The number is nobody's.
    #[error("this number is not on WhatsApp: numbers are digits, and those from {nobody} on are nobody's", nobody = super::directory::NOBODY)]
    Nobody,
    /// The client did not accept the phone's word.
    #[error("the client refused the phone's signatures: {0}")]
    Refused(String),
    /// The client's keys or signatures are not right.
    #[error("the client's keys or signatures are wrong")]
    Forged(#[source] anyhow::Error),
    /// The client went away, or did not answer.
    #[error("the client did not answer in time")]
    NoAnswer,
}

impl LinkError {
    /// A stable name for it.
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

/// A companion that was just linked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Linked {
    /// To whose phone.
    pub number: String,
    /// The user part of its LID.
    pub lid: String,
    /// The companion's number in the account's JIDs.
    pub device: u16,
    /// What the client calls itself.
    pub client_name: String,
}

/// Clients that wait to be linked.
#[derive(Default)]
pub struct Lobby {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    by_reference: HashMap<String, Arc<Applicant>>,
    /// By the phone number that a typed code was asked for; the last to ask.
    by_number: HashMap<String, Arc<Applicant>>,
}

/// One client that waits.
pub struct Applicant {
    pub(super) link: Link,
    pub(super) noise_key: [u8; 32],
    pub(super) identity: [u8; 32],
    registration_id: u32,
    signed_prekey: SignedPrekey,
    client_name: String,
    references: Vec<String>,
    since: Instant,
    /// Where the answer to `<pair-success>` goes, with the id it was sent under.
    answer: Mutex<Option<(String, oneshot::Sender<Node>)>>,
    pub(super) typed: typed_codes::Typed,
}

/// Keeps a client in the lobby until its connection ends.
pub async fn register(world: &Arc<World>, arrival: Arrival) {
    let Arrival { client_key, payload, link, inbound, .. } = arrival;
    let applicant = payload
        .device_pairing_data
        .into_option()
        .context("neither a username nor pairing data")
        .and_then(|data| Applicant::read(&data, client_key, link.clone()));
    let applicant = match applicant {
        Ok(applicant) => Arc::new(applicant),
        Err(error) => {
            tracing::debug!(%error, "a registration that cannot be accepted");
            link.finish(Refusal::BadRequest.node()).await;
            return;
        }
    };
    world.lobby.enter(&applicant);
    applicant.link.send(applicant.pair_device()).await;
    wait(world, &applicant, inbound).await;
    world.lobby.leave(&applicant);
}

async fn wait(world: &Arc<World>, applicant: &Arc<Applicant>, mut inbound: Inbound) {
    while let Some(stanza) = inbound.next().await {
        if stanza.tag.as_ref() != "iq" {
            continue;
        }
        match nodes::attr(&stanza, "type").as_str() {
            "result" | "error" => applicant.answered(stanza),
            _ => {
                let answer = typed_codes::answer(world, applicant, &stanza);
                applicant.link.send(answer).await;
            }
        }
    }
}

impl World {
    /// A phone scans a QR code. The phone is made if it is absent.
    ///
    /// # Errors
    /// When the code is not the current one of a client, or the client and the phone do not accept
    /// each other.
    pub async fn scan(self: &Arc<Self>, qr: &str, number: &str) -> Result<Linked, LinkError> {
        let scanned = Scanned::read(qr).ok_or(LinkError::UnknownQr)?;
        let applicant = self.lobby.by_reference(&scanned.reference).ok_or(LinkError::UnknownQr)?;
        if applicant.noise_key != scanned.noise_key || applicant.identity != scanned.identity {
            return Err(LinkError::UnknownQr);
        }
        if !applicant.shows(&scanned.reference) {
            return Err(LinkError::ExpiredQr);
        }
        self.link(&applicant, number, &scanned.secret).await
    }

    /// Links a client whose secret the phone has learnt.
    pub(super) async fn link(
        self: &Arc<Self>,
        applicant: &Arc<Applicant>,
        number: &str,
        secret: &[u8; 32],
    ) -> Result<Linked, LinkError> {
        let account = self.directory.somebody(number).ok_or(LinkError::Nobody)?;
        let device = account.reserve_device();
        let index = u32::from(device);
        let vouched =
            adv::vouch(&account.phone, &applicant.identity, secret, index).map_err(LinkError::Forged)?;
        let answer = applicant.ask(pair_success(&account, device, vouched.container)).await?;
        let signed = signed_identity(&answer, index)?;
        adv::verify(&signed, &account.phone, &applicant.identity, &vouched.details)
            .map_err(LinkError::Forged)?;
        account.lock().companions.insert(device, applicant.companion(device, signed));
        self.lobby.leave(applicant);
        phone::linked(&account, device);
        let link = applicant.link.clone();
        self.spawn(async move {
            tokio::time::sleep(BEFORE_RECONNECT).await;
            link.finish(streams::error(515)).await;
        });
        Ok(Linked {
            number: account.number.clone(),
            lid: account.lid.clone(),
            device,
            client_name: applicant.client_name.clone(),
        })
    }
}

impl Lobby {
    fn enter(&self, applicant: &Arc<Applicant>) {
        let mut waiting = self.lock();
        for reference in &applicant.references {
            waiting.by_reference.insert(reference.clone(), Arc::clone(applicant));
        }
    }

    fn leave(&self, applicant: &Arc<Applicant>) {
        let mut waiting = self.lock();
        waiting.by_reference.retain(|_, other| !Arc::ptr_eq(other, applicant));
        waiting.by_number.retain(|_, other| !Arc::ptr_eq(other, applicant));
    }

    pub(super) fn expects(&self, number: String, applicant: &Arc<Applicant>) {
        self.lock().by_number.insert(number, Arc::clone(applicant));
    }

    pub(super) fn by_number(&self, number: &str) -> Option<Arc<Applicant>> {
        self.lock().by_number.get(number).map(Arc::clone)
    }

    fn by_reference(&self, reference: &str) -> Option<Arc<Applicant>> {
        self.lock().by_reference.get(reference).map(Arc::clone)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Applicant {
    fn read(data: &DevicePairingRegistrationData, noise_key: [u8; 32], link: Link) -> Result<Self> {
        let identity = exactly(data.e_ident.as_deref(), "e_ident")?;
        let id = big_endian(data.e_skey_id.as_deref());
        let public = exactly(data.e_skey_val.as_deref(), "e_skey_val")?;
        let signature = exactly(data.e_skey_sig.as_deref(), "e_skey_sig")?;
        let props = data.device_props.as_deref().unwrap_or_default();
        Ok(Self {
            link,
            noise_key,
            identity,
            registration_id: big_endian(data.e_regid.as_deref()),
            signed_prekey: prekeys::signed_prekey(id, public, signature, &identity)?,
            client_name: client_name(props),
            references: (0..CODES).map(|_| format!("2@{}", BASE64.encode(keys::bytes::<32>()))).collect(),
            since: Instant::now(),
            answer: Mutex::default(),
            typed: typed_codes::Typed::default(),
        })
    }

    /// Whether this reference is the one that the client shows now.
    fn shows(&self, reference: &str) -> bool {
        let Some(place) = self.references.iter().position(|other| other == reference) else { return false };
        let until = FIRST + OTHERS * u32::try_from(place).unwrap_or(CODES);
        self.since.elapsed() < until + LATE
    }

    fn pair_device(&self) -> Node {
        let references = self.references.iter().map(|reference| holding("ref", reference.as_bytes()));
        let pair_device = NodeBuilder::new("pair-device").children(references).build();
        request("md", pair_device).1
    }

    /// Sends an IQ and waits for its answer.
    async fn ask(&self, (id, request): (String, Node)) -> Result<Node, LinkError> {
        let (sender, receiver) = oneshot::channel();
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, sender));
        self.link.send(request).await;
        tokio::select! {
            () = self.link.closed() => Err(LinkError::NoAnswer),
            answer = tokio::time::timeout(ANSWER, receiver) => match answer {
                Ok(Ok(answer)) => Ok(answer),
                _ => Err(LinkError::NoAnswer),
            },
        }
    }

    fn answered(&self, answer: Node) {
        let mut waiting = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, sender)) = waiting.take_if(|(id, _)| *id == nodes::attr(&answer, "id")) {
            // Nobody waits when the phone gave up.
            let _ = sender.send(answer);
        }
    }

    fn companion(&self, device: u16, device_identity: Vec<u8>) -> Companion {
        Companion {
            device,
            key_index: u32::from(device),
            noise_key: self.noise_key,
            identity: self.identity,
            registration_id: self.registration_id,
            signed_prekey: self.signed_prekey.clone(),
            prekeys: std::collections::VecDeque::new(),
            device_identity,
            client_name: self.client_name.clone(),
            link: None,
            active: false,
            queue: super::offline::Queue::default(),
            logins: std::collections::VecDeque::new(),
        }
    }
}

/// What a QR code says.
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

/// What the client returned under `<pair-device-sign>`.
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

/// A request of the server's, and its id.
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

fn exactly<const N: usize>(bytes: Option<&[u8]>, name: &str) -> Result<[u8; N]> {
    bytes.unwrap_or_default().try_into().with_context(|| format!("{name} is not {N} bytes"))
}

fn big_endian(bytes: Option<&[u8]>) -> u32 {
    bytes.unwrap_or_default().iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn client_name(props: &[u8]) -> String {
    use waproto::buffa::Message as _;
    let props = waproto::whatsapp::DeviceProps::decode_from_slice(props);
    props.ok().and_then(|props| props.os).unwrap_or_default()
}
