//! Clients that wait to be linked, with the references that they show. The first code is valid for 60 s, the
//! next five for 20 s each; the client rotates them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use tokio::sync::oneshot;
use tokio::time::Instant;
use wacore_binary::Node;
use waproto::buffa::Message as _;
use waproto::whatsapp::DeviceProps;
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;

use super::offline::Queue;
use super::pairing::LinkError;
use super::passkey_links::PasskeyState;
use super::prekeys;
use super::state::{Companion, SignedPrekey};
use super::typed_codes::PairingCodeState;
use crate::phone::keys;
use crate::wire::connection::Link;
use crate::wire::nodes;

/// References for each client.
const CODES: u32 = 6;
/// How long the first code is valid, and each of the others.
const FIRST: Duration = Duration::from_secs(60);
const OTHERS: Duration = Duration::from_secs(20);
/// How much later than the server a client may start its timer.
const LATE: Duration = Duration::from_secs(2);
/// How long a client may take to answer `<pair-success>`.
const ANSWER: Duration = Duration::from_secs(20);

/// All waiting clients.
#[derive(Default)]
pub struct PendingLinks {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    by_reference: HashMap<String, Arc<PendingLink>>,
    /// By the phone number of a pairing code; the last client that requested one.
    by_number: HashMap<String, Arc<PendingLink>>,
}

/// A waiting client.
pub struct PendingLink {
    pub(super) link: Link,
    pub(super) noise_key: [u8; 32],
    pub(super) identity: [u8; 32],
    registration_id: u32,
    signed_prekey: SignedPrekey,
    pub(super) client_name: String,
    references: Vec<String>,
    since: Instant,
    /// The pending request `<pair-success>`: its id and receiver.
    answer: Mutex<Option<(String, oneshot::Sender<Node>)>>,
    pub(super) typed: PairingCodeState,
    pub(super) passkey: PasskeyState,
}

impl PendingLinks {
    pub(super) fn add(&self, pending: &Arc<PendingLink>) {
        let mut waiting = self.lock();
        for reference in &pending.references {
            waiting.by_reference.insert(reference.clone(), Arc::clone(pending));
        }
    }

    pub(super) fn remove(&self, pending: &Arc<PendingLink>) {
        let mut waiting = self.lock();
        waiting.by_reference.retain(|_, other| !Arc::ptr_eq(other, pending));
        waiting.by_number.retain(|_, other| !Arc::ptr_eq(other, pending));
    }

    pub(super) fn set_number(&self, number: String, pending: &Arc<PendingLink>) {
        self.lock().by_number.insert(number, Arc::clone(pending));
    }

    pub(super) fn by_number(&self, number: &str) -> Option<Arc<PendingLink>> {
        self.lock().by_number.get(number).map(Arc::clone)
    }

    /// All waiting clients; each is listed once for each of its references.
    pub(super) fn all(&self) -> Vec<Arc<PendingLink>> {
        self.lock().by_reference.values().map(Arc::clone).collect()
    }

    pub(super) fn by_reference(&self, reference: &str) -> Option<Arc<PendingLink>> {
        self.lock().by_reference.get(reference).map(Arc::clone)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingLink {
    pub(super) fn read(
        data: &DevicePairingRegistrationData,
        noise_key: [u8; 32],
        link: Link,
    ) -> Result<Self> {
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
            typed: PairingCodeState::default(),
            passkey: PasskeyState::default(),
        })
    }

    /// Whether the client shows this reference now.
    pub(super) fn is_current(&self, reference: &str) -> bool {
        let Some(place) = self.references.iter().position(|other| other == reference) else { return false };
        self.since.elapsed() < valid_until(place) + LATE
    }

    /// The references in the order in which they are shown.
    pub(super) fn references(&self) -> &[String] {
        &self.references
    }

    /// Sends an IQ and waits for its answer.
    pub(super) async fn request(&self, (id, request): (String, Node)) -> Result<Node, LinkError> {
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

    pub(super) fn resolve(&self, answer: Node) {
        let mut waiting = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, sender)) = waiting.take_if(|(id, _)| *id == nodes::attr(&answer, "id")) {
            // The phone may have given up.
            let _ = sender.send(answer);
        }
    }

    pub(super) fn companion(&self, device: u16, device_identity: Vec<u8>) -> Companion {
        Companion {
            device,
            key_index: u32::from(device),
            noise_key: self.noise_key,
            identity: self.identity,
            registration_id: self.registration_id,
            signed_prekey: self.signed_prekey.clone(),
            prekeys: VecDeque::new(),
            device_identity,
            has_state_key: false,
            client_name: self.client_name.clone(),
            link: None,
            active: false,
            queue: Queue::default(),
            logins: VecDeque::new(),
        }
    }
}

/// The end of a code's validity, from when the first was shown.
fn valid_until(place: usize) -> Duration {
    FIRST + OTHERS * u32::try_from(place).unwrap_or(CODES)
}

fn exactly<const N: usize>(bytes: Option<&[u8]>, name: &str) -> Result<[u8; N]> {
    bytes.unwrap_or_default().try_into().with_context(|| format!("{name} is not {N} bytes"))
}

fn big_endian(bytes: Option<&[u8]>) -> u32 {
    bytes.unwrap_or_default().iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn client_name(props: &[u8]) -> String {
    let props = DeviceProps::decode_from_slice(props);
    props.ok().and_then(|props| props.os).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_valid_for_60_and_then_20_seconds() {
        let held: Vec<_> = (0..6).map(|place| valid_until(place).as_secs()).collect();
        assert_eq!(held, [60, 80, 100, 120, 140, 160]);
    }
}
