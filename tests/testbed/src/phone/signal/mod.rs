//! A phone's Signal state: one-time keys, sessions and sender-key chains; independent of the server. The
//! Signal code is asynchronous, but a phone's stores never wait, so that each call here returns at once.

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
/// One-time key ids have three bytes.
const LAST_KEY: u32 = 0x00ff_ffff;

/// A device in Signal: the account's number, for either of its ids, and the device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    /// The account's phone number, digits only.
    pub number: String,
    /// 0 is the phone; linked devices follow.
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

/// The content of `<enc v="2">`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphertext {
    /// `pkmsg`, `msg` or `skmsg`.
    pub kind: &'static str,
    /// The encrypted bytes.
    pub bytes: Vec<u8>,
}

/// The public keys for starting a session, as the server returns them.
#[derive(Clone)]
pub struct Bundle {
    /// The device's registration id.
    pub registration: u32,
    /// The device's identity key.
    pub identity: [u8; 32],
    /// The device's signed prekey.
    pub signed: SignedPrekey,
    /// A one-time key, if the device has one left.
    pub one_time: Option<Prekey>,
}

/// A phone's Signal state.
pub struct Signal {
    identities: Identities,
    signed: SignedKey,
    one_time: OneTimeKeys,
    next_key: u32,
    sessions: Sessions,
    chains: Chains,
    /// Devices that have the phone's own chain of a group.
    chain_recipients: HashMap<String, HashSet<Device>>,
}

impl Signal {
    /// The state of the phone with these keys.
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

    /// A new one-time key: its id and 32 bytes.
    pub fn one_time_key(&mut self) -> (u32, [u8; 32]) {
        let key = keys::pair();
        let id = self.next_key;
        self.next_key = if id == LAST_KEY { FIRST_KEY } else { id + 1 };
        self.one_time.put(id.into(), PreKeyRecord::new(id.into(), &key));
        (id, keys::public(&key))
    }

    /// Whether there is a session with a device.
    pub fn has_session(&self, device: &Device) -> bool {
        self.sessions.has(&device.address())
    }

    /// Starts a session with a device; replaces an earlier one.
    ///
    /// # Errors
    /// If the bundle's keys or signature are wrong.
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

    /// Removes the session with a device, so that the next message starts a new one.
    pub fn forget(&mut self, device: &Device) {
        self.sessions.drop_one(&device.address());
    }

    /// Encrypts for a device.
    ///
    /// # Errors
    /// If there is no session.
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
            _ => Err(anyhow!("unexpected message kind of a session")),
        }
    }

    /// Encrypts with a session that the device does not have.
    ///
    /// # Errors
    /// If the bundle's keys are wrong.
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

    /// Decrypts a `pkmsg` or `msg` from a device.
    ///
    /// # Errors
    /// If it is not for this phone, was decrypted before or is not a message.
    pub fn decrypt(&mut self, device: &Device, kind: &str, bytes: &[u8]) -> Result<wa::Message> {
        let ciphertext = match kind {
            "pkmsg" => CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(bytes)?),
            "msg" => CiphertextMessage::SignalMessage(SignalMessage::try_from(bytes)?),
            other => return Err(anyhow!("expected pkmsg or msg, not {other}")),
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

    /// The phone's own chain of a group, for its members' devices; created if there is none.
    ///
    /// # Errors
    /// If the chain cannot be created.
    pub fn chain(&mut self, group: &str) -> Result<wa::message::SenderKeyDistributionMessage> {
        let name = own_chain(group);
        let distribution =
            ready(create_sender_key_distribution_message(&name, &mut self.chains, &mut keys::random()))??;
        Ok(wa::message::SenderKeyDistributionMessage {
            group_id: Some(group.to_owned()),
            axolotl_sender_key_distribution_message: Some(distribution.serialized().to_vec()),
        })
    }

    /// Marks a device as having the phone's chain of a group; `true` if it had not.
    pub fn mark_chain_sent(&mut self, group: &str, device: &Device) -> bool {
        self.chain_recipients.entry(group.to_owned()).or_default().insert(device.clone())
    }

    /// Marks a device as lacking the chain; the next message carries it again.
    pub fn forget_chain_recipient(&mut self, group: &str, device: &Device) {
        if let Some(chain_recipients) = self.chain_recipients.get_mut(group) {
            chain_recipients.remove(device);
        }
    }

    /// Encrypts for a group with the phone's chain.
    ///
    /// # Errors
    /// If there is no chain.
    pub fn encrypt_for_group(&mut self, group: &str, message: &wa::Message) -> Result<Ciphertext> {
        let name = own_chain(group);
        let padded = MessageUtils::encode_and_pad(message);
        let ciphertext = ready(group_encrypt(&mut self.chains, &name, &padded, &mut keys::random()))?
            .context("no chain in the group")?;
        Ok(Ciphertext { kind: "skmsg", bytes: ciphertext.serialized().to_vec() })
    }

    /// Stores a device's chain of a group.
    ///
    /// # Errors
    /// If it is not a chain.
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

    /// Decrypts a device's message to a group.
    ///
    /// # Errors
    /// If there is no chain, the message was decrypted before or is not a message.
    pub fn decrypt_from_group(&mut self, device: &Device, group: &str, bytes: &[u8]) -> Result<wa::Message> {
        let decrypted = ready(group_decrypt(bytes, &mut self.chains, &device.chain(group)))?
            .context("the group's message cannot be decrypted")?;
        read(&decrypted)
    }
}

/// The name of the phone's own chain.
fn own_chain(group: &str) -> SenderKeyName {
    SenderKeyName::from_parts(group, "me")
}

fn read(padded: &[u8]) -> Result<wa::Message> {
    wacore::messages::decode_plaintext(padded, 2).context("the decrypted bytes are not a message")
}

/// The result of Signal code, whose stores never wait.
fn ready<T>(answer: impl Future<Output = T>) -> Result<T> {
    answer.now_or_never().context("a store in memory waited")
}
