//! The Signal part of a phone: one-time keys, ratchets and chains of its own.
//!
//! Nothing here knows the server. The Signal code is written for stores that may have to wait; the ones of
//! a phone never do, so that every call here answers at once.

use std::collections::{HashMap, HashSet};
use std::future::Future;

use anyhow::{Context as _, Result, anyhow};
use futures_util::FutureExt as _;
use wacore::messages::MessageUtils;
use wacore_libsignal::protocol::{
    CiphertextMessage, DeviceId, GenericSignedPreKey as _, IdentityKeyPair, KeyPair, PreKeyBundle,
    PreKeyRecord, PreKeySignalMessage, ProtocolAddress, PublicKey, SenderKeyDistributionMessage,
    SenderKeyName, SignalMessage, SignedPreKeyRecord, Timestamp, UsePQRatchet,
    create_sender_key_distribution_message, group_decrypt, group_encrypt, message_decrypt, message_encrypt,
    process_prekey_bundle, process_sender_key_distribution_message,
};
use waproto::whatsapp as wa;

mod store;
#[cfg(test)]
mod tests;

use super::{SignedPrekeyPair, keys};
use crate::server::state::{Prekey, SignedPrekey};
use store::{Chains, Identities, OneTimeKeys, Sessions, SignedKey};

const FIRST_KEY: u32 = 1;
/// Ids of one-time keys have three bytes.
const LAST_KEY: u32 = 0x00ff_ffff;

/// A device in Signal's terms: the account's number, whichever of its ids was used, and the device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    /// The account's phone number, digits only.
    pub number: String,
    /// 0 is the phone, the linked devices follow.
    pub device: u16,
}

impl Device {
    /// A device of the account with this number.
    pub fn new(number: impl Into<String>, device: u16) -> Self {
        Self { number: number.into(), device }
    }

    fn address(&self) -> ProtocolAddress {
        ProtocolAddress::new(&self.number, DeviceId::from(u32::from(self.device)))
    }

    fn chain(&self, group: &str) -> SenderKeyName {
        SenderKeyName::from_parts(group, self.address().as_str())
    }
}

/// An encrypted message: what stands in `<enc v="2">`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphertext {
    /// `pkmsg`, `msg` or `skmsg`.
    pub kind: &'static str,
    /// The cipher text.
    pub bytes: Vec<u8>,
}

/// The public keys with which others begin a session, as the server hands them out.
#[derive(Clone)]
pub struct Bundle {
    /// The device's registration id.
    pub registration: u32,
    /// Its identity.
    pub identity: [u8; 32],
    /// Its signed key.
    pub signed: SignedPrekey,
    /// A one-time key; a device that ran out of them has none.
    pub one_time: Option<Prekey>,
}

/// See the module.
pub struct Signal {
    identities: Identities,
    signed: SignedKey,
    one_time: OneTimeKeys,
    next_key: u32,
    sessions: Sessions,
    chains: Chains,
    /// Which devices were told the phone's own chain of a group.
    chain_recipients: HashMap<String, HashSet<Device>>,
}

impl Signal {
    /// Of the phone with these keys.
    #[must_use]
    pub fn new(identity: &KeyPair, registration: u32, signed: &SignedPrekeyPair) -> Self {
        let own = IdentityKeyPair::new(identity.public_key.into(), identity.private_key.clone());
        let made = Timestamp::from_epoch_millis(0);
        let signed = SignedPreKeyRecord::new(signed.id.into(), made, &signed.pair, &signed.signature);
        Self {
            identities: Identities::new(own, registration),
            signed: SignedKey(signed),
            one_time: OneTimeKeys::default(),
            next_key: FIRST_KEY,
            sessions: Sessions::default(),
            chains: Chains::default(),
            chain_recipients: HashMap::new(),
        }
    }

    /// A new key for one more who wants to write to this phone: its id and 32 bytes.
    pub fn one_time_key(&mut self) -> (u32, [u8; 32]) {
        let key = keys::pair();
        let id = self.next_key;
        self.next_key = if id == LAST_KEY { FIRST_KEY } else { id + 1 };
        self.one_time.put(id.into(), PreKeyRecord::new(id.into(), &key));
        (id, keys::public(&key))
    }

    /// Whether the phone can encrypt for a device already.
    pub fn has_session(&self, device: &Device) -> bool {
        self.sessions.has(&device.address())
    }

    /// Begins a new session with a device, in place of an older one.
    ///
    /// # Errors
    /// When the bundle's keys or its signature are wrong.
    pub fn establish(&mut self, device: &Device, bundle: &Bundle) -> Result<()> {
        let address = device.address();
        let one_time = match &bundle.one_time {
            Some(key) => Some((key.id.into(), PublicKey::from_djb_public_key_bytes(&key.public)?)),
            None => None,
        };
        let keys = PreKeyBundle::new(
            bundle.registration,
            DeviceId::from(u32::from(device.device)),
            one_time,
            bundle.signed.id.into(),
            PublicKey::from_djb_public_key_bytes(&bundle.signed.public)?,
            bundle.signed.signature.to_vec(),
            PublicKey::from_djb_public_key_bytes(&bundle.identity)?.into(),
        )?;
        ready(process_prekey_bundle(
            &address,
            &mut self.sessions,
            &mut self.identities,
            &keys,
            &mut keys::random(),
            UsePQRatchet::No,
        ))?
        .context("the device's keys do not fit together")?;
        Ok(())
    }

    /// Forgets the session with a device, so that the next message has to begin a new one.
    pub fn forget(&mut self, device: &Device) {
        self.sessions.drop_one(&device.address());
    }

    /// Encrypts for one device, with which there is a session.
    ///
    /// # Errors
    /// When there is no session.
    pub fn encrypt(&mut self, device: &Device, message: &wa::Message) -> Result<Ciphertext> {
        let padded = MessageUtils::encode_and_pad(message);
        let ciphertext =
            ready(message_encrypt(&padded, &device.address(), &mut self.sessions, &mut self.identities))?
                .context("no session with the device")?;
        match ciphertext {
            CiphertextMessage::SignalMessage(ciphertext) => {
                Ok(Ciphertext { kind: "msg", bytes: ciphertext.serialized().to_vec() })
            }
            CiphertextMessage::PreKeySignalMessage(ciphertext) => {
                Ok(Ciphertext { kind: "pkmsg", bytes: ciphertext.serialized().to_vec() })
            }
            _ => Err(anyhow!("a session never makes this kind of message")),
        }
    }

    /// Encrypts so that the device cannot decrypt it: in a session that it never heard of.
    ///
    /// # Errors
    /// When the bundle's keys are wrong.
    pub fn encrypt_undecryptable(
        &mut self,
        device: &Device,
        bundle: &Bundle,
        message: &wa::Message,
    ) -> Result<Ciphertext> {
        self.forget(device);
        self.establish(device, bundle)?;
        let ciphertext = self.encrypt(device, message)?;
        let ciphertext = PreKeySignalMessage::try_from(ciphertext.bytes.as_slice())?;
        Ok(Ciphertext { kind: "msg", bytes: ciphertext.message().serialized().to_vec() })
    }

    /// Decrypts what a device sent to this phone: `pkmsg` or `msg`.
    ///
    /// # Errors
    /// When it is not for this phone, was decrypted before or is no message.
    pub fn decrypt(&mut self, device: &Device, kind: &str, bytes: &[u8]) -> Result<wa::Message> {
        let ciphertext = match kind {
            "pkmsg" => CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(bytes)?),
            "msg" => CiphertextMessage::SignalMessage(SignalMessage::try_from(bytes)?),
            other => return Err(anyhow!("a phone knows pkmsg and msg, not {other}")),
        };
        let decrypted = ready(message_decrypt(
            &ciphertext,
            &device.address(),
            &mut self.sessions,
            &mut self.identities,
            &mut self.one_time,
            &self.signed,
            &mut keys::random(),
            UsePQRatchet::No,
        ))?
        .context("the message cannot be decrypted")?;
        if let Some(id) = decrypted.consumed_prekey_id {
            self.one_time.spend(id);
        }
        read(&decrypted.plaintext)
    }

    /// The phone's own chain of a group, as it tells each member's devices; made when there is none.
    ///
    /// # Errors
    /// When the chain cannot be made.
    pub fn chain(&mut self, group: &str) -> Result<wa::message::SenderKeyDistributionMessage> {
        let name = own_chain(group);
        let distribution =
            ready(create_sender_key_distribution_message(&name, &mut self.chains, &mut keys::random()))??;
        Ok(wa::message::SenderKeyDistributionMessage {
            group_id: Some(group.to_owned()),
            axolotl_sender_key_distribution_message: Some(distribution.serialized().to_vec()),
        })
    }

    /// Begins a new chain of a group with the next message: a member left, or somebody could not decrypt.
    pub fn break_chain(&mut self, group: &str) {
        self.chains.drop_one(&own_chain(group));
        self.chain_recipients.remove(group);
    }

    /// Whether a device has to be told the phone's chain of a group yet; from now on it counts as told.
    pub fn mark_chain_sent(&mut self, group: &str, device: &Device) -> bool {
        self.chain_recipients.entry(group.to_owned()).or_default().insert(device.clone())
    }

    /// A device lost the phone's chain of a group: it is told again with the next message.
    pub fn forget_chain_recipient(&mut self, group: &str, device: &Device) {
        if let Some(chain_recipients) = self.chain_recipients.get_mut(group) {
            chain_recipients.remove(device);
        }
    }

    /// Encrypts for a group, with the chain that its members were told.
    ///
    /// # Errors
    /// When there is no chain.
    pub fn encrypt_for_group(&mut self, group: &str, message: &wa::Message) -> Result<Ciphertext> {
        let name = own_chain(group);
        let padded = MessageUtils::encode_and_pad(message);
        let ciphertext = ready(group_encrypt(&mut self.chains, &name, &padded, &mut keys::random()))?
            .context("no chain in the group")?;
        Ok(Ciphertext { kind: "skmsg", bytes: ciphertext.serialized().to_vec() })
    }

    /// Takes a device's chain of a group, which came in a message of its own.
    ///
    /// # Errors
    /// When it is no chain.
    pub fn store_chain(
        &mut self,
        device: &Device,
        distribution: &wa::message::SenderKeyDistributionMessage,
    ) -> Result<()> {
        let group = distribution.group_id.as_deref().context("a chain without its group")?;
        let bytes = distribution
            .axolotl_sender_key_distribution_message
            .as_deref()
            .context("a chain without its key")?;
        let distribution = SenderKeyDistributionMessage::try_from(bytes)?;
        ready(process_sender_key_distribution_message(
            &device.chain(group),
            &distribution,
            &mut self.chains,
        ))??;
        Ok(())
    }

    /// Decrypts what a device sent to a group.
    ///
    /// # Errors
    /// When the device's chain is not known, the message was decrypted before or is none.
    pub fn decrypt_from_group(&mut self, device: &Device, group: &str, bytes: &[u8]) -> Result<wa::Message> {
        let decrypted = ready(group_decrypt(bytes, &mut self.chains, &device.chain(group)))?
            .context("the group's message cannot be decrypted")?;
        read(&decrypted)
    }
}

/// The name of a phone's own chain.
fn own_chain(group: &str) -> SenderKeyName {
    SenderKeyName::from_parts(group, "me")
}

fn read(padded: &[u8]) -> Result<wa::Message> {
    wacore::messages::decode_plaintext(padded, 2).context("what was decrypted is no message")
}

/// The answer of Signal code whose stores never wait.
fn ready<T>(answer: impl Future<Output = T>) -> Result<T> {
    answer.now_or_never().context("a store in memory waited")
}
