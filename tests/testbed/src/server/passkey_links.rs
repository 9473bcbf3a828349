//! Links a client of an account with a passkey. After the scan the server asks for a signature; client and phone
//! then exchange keys, and the phone gets the client's new secret (`wacore` 0.7.0, `shortcake.rs`).

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};
use wacore::shortcake::ShortcakeUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, SERVER_JID};
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::{KeyPair, PublicKey};
use waproto::buffa::Message as _;
use waproto::whatsapp::device_props::PlatformType;
use waproto::whatsapp::{
    CompanionEphemeralIdentity, EncryptedPairingRequest, PairingRequest, PrimaryEphemeralIdentity,
    ProloguePayload,
};

use super::World;
use super::pending_links::PendingLink;
use super::state::Account;
use crate::phone::keys;
use crate::phone::passkey::Passkey;
use crate::wire::nodes::{self, holding};

/// The attempt of a waiting client.
#[derive(Default)]
pub struct PasskeyState(Mutex<Option<Attempt>>);

struct Attempt {
    account: Arc<Account>,
    passkey: Passkey,
    challenge: [u8; 32],
    reference: Option<String>,
    exchange: Option<Exchange>,
    /// The code that the phone shows.
    code: Option<String>,
}

struct Exchange {
    identity: Vec<u8>,
    commitment: [u8; 32],
    companion: [u8; 32],
    platform: PlatformType,
    phone: KeyPair,
    phone_nonce: [u8; 32],
}

/// Asks a client that an account with a passkey scanned for a signature.
pub(super) async fn begin(pending: &PendingLink, account: &Arc<Account>, passkey: Passkey) {
    let challenge = keys::bytes();
    let options = passkey.options(&challenge).to_string();
    let attempt = Attempt {
        account: Arc::clone(account),
        passkey,
        challenge,
        reference: None,
        exchange: None,
        code: None,
    };
    *pending.passkey.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(attempt);
    let request = holding("passkey_request_options", options.into_bytes());
    pending.link.send(notification("passkey_prologue_request", request)).await;
}

/// The answer to an IQ of an attempt, and the stanzas that follow it; `None` if the IQ is about something else.
pub(super) fn answer(world: &Arc<World>, pending: &Arc<PendingLink>, iq: &Node) -> Option<Vec<Node>> {
    let parts = ["ref", "passkey_prologue", "companion_nonce", "encrypted_pairing_request"];
    let part = parts.into_iter().find_map(|tag| iq.get_optional_child(tag))?;
    let done = match part.tag.as_ref() {
        "ref" => pending.with_attempt(reference),
        "passkey_prologue" => pending.with_attempt(|attempt| prologue(attempt, part)),
        "companion_nonce" => pending.with_attempt(|attempt| nonce(attempt, part)),
        _ => pending.with_attempt(|attempt| pairing_request(pending, attempt, part)),
    };
    Some(match done {
        Ok(Done::Answer(children)) => vec![nodes::result(iq, children)],
        Ok(Done::Identity(identity)) => {
            let identity = holding("primary_ephemeral_identity", identity);
            vec![nodes::result(iq, Vec::new()), notification("crsc_continuation", identity)]
        }
        Ok(Done::Secret(account, secret)) => {
            let (world, pending) = (Arc::clone(world), Arc::clone(pending));
            world.clone().spawn(async move {
                if let Err(error) = world.complete(&pending, &account, &secret).await {
                    tracing::warn!(%error, "a link with a passkey failed");
                }
            });
            vec![nodes::result(iq, Vec::new())]
        }
        Err(error) => {
            tracing::debug!(%error, "rejected a step of a link with a passkey");
            vec![nodes::error(iq, 403, "forbidden")]
        }
    })
}

enum Done {
    /// The children of the answer.
    Answer(Vec<Node>),
    /// The phone's ephemeral identity follows the answer.
    Identity(Vec<u8>),
    /// The account, and the client's new secret.
    Secret(Arc<Account>, [u8; 32]),
}

impl PendingLink {
    fn with_attempt(&self, step: impl FnOnce(&mut Attempt) -> Result<Done>) -> Result<Done> {
        let mut attempt = self.passkey.0.lock().unwrap_or_else(PoisonError::into_inner);
        step(attempt.as_mut().context("no passkey was asked for")?)
    }
}

fn reference(attempt: &mut Attempt) -> Result<Done> {
    let reference = format!("2@{}", hex(&keys::bytes::<32>()));
    attempt.reference = Some(reference.clone());
    Ok(Done::Answer(vec![holding("ref", reference.into_bytes())]))
}

/// Verifies the signature and the commitment; the phone answers with its key.
fn prologue(attempt: &mut Attempt, part: &Node) -> Result<Done> {
    let credential = nodes::bytes(nodes::child(part, "credential_id")?);
    let assertion = nodes::bytes(nodes::child(part, "webauthn_assertion")?);
    attempt.passkey.verify(&attempt.challenge, credential, assertion)?;
    let payload = nodes::bytes(nodes::child(part, "prologue_payload")?);
    let payload = ProloguePayload::decode_from_slice(payload).context("the prologue")?;
    let identity = payload.companion_ephemeral_identity.context("no identity")?;
    let commitment = payload.commitment.into_option().and_then(|commitment| commitment.hash);
    let commitment = commitment.context("no commitment")?.try_into();
    let read = CompanionEphemeralIdentity::decode_from_slice(&identity).context("the identity")?;
    ensure!(read.r#ref.is_some() && read.r#ref == attempt.reference, "another reference");
    let companion = read.public_key.unwrap_or_default().try_into();
    let (phone, phone_nonce) = (keys::pair(), keys::bytes());
    let answer = PrimaryEphemeralIdentity {
        public_key: Some(keys::public(&phone).to_vec()),
        nonce: Some(phone_nonce.to_vec()),
    };
    attempt.exchange = Some(Exchange {
        identity,
        commitment: commitment.map_err(|_| anyhow::anyhow!("a commitment of another length"))?,
        companion: companion.map_err(|_| anyhow::anyhow!("a key of another length"))?,
        platform: read.device_type.context("no device type")?,
        phone,
        phone_nonce,
    });
    Ok(Done::Identity(answer.encode_to_vec()))
}

/// Checks the commitment; the phone shows the code from now on.
fn nonce(attempt: &mut Attempt, part: &Node) -> Result<Done> {
    let exchange = attempt.exchange.as_ref().context("no prologue")?;
    let nonce: [u8; 32] = nodes::bytes(part).try_into().context("a nonce of another length")?;
    let hash: [u8; 32] = Sha256::digest([&exchange.identity[..], &nonce].concat()).into();
    ensure!(hash == exchange.commitment, "the nonce is not the one of the commitment");
    let key = keys::public(&exchange.phone);
    let code = ShortcakeUtils::derive_verification_code(&nonce, &key, &exchange.phone_nonce);
    attempt.code = Some(code);
    Ok(Done::Answer(Vec::new()))
}

/// Decrypts the client's keys and its new secret.
fn pairing_request(pending: &PendingLink, attempt: &Attempt, part: &Node) -> Result<Done> {
    let (Some(exchange), Some(_)) = (&attempt.exchange, &attempt.code) else { bail!("no nonce") };
    let sealed = EncryptedPairingRequest::decode_from_slice(nodes::bytes(part)).context("the request")?;
    let shared = exchange
        .phone
        .private_key
        .calculate_agreement(&PublicKey::from_djb_public_key_bytes(&exchange.companion)?)?;
    let reference = attempt.reference.as_deref().context("no reference")?;
    let key =
        ShortcakeUtils::derive_encryption_key_from_shared_secret(&shared, exchange.platform, reference)?;
    let iv: [u8; 12] = sealed.iv.unwrap_or_default().try_into().ok().context("an IV of another length")?;
    let mut plain = Vec::new();
    aes_256_gcm_decrypt(&key, &iv, b"", &sealed.encrypted_payload.unwrap_or_default(), &mut plain)?;
    let request = PairingRequest::decode_from_slice(&plain).context("the decrypted request")?;
    ensure!(request.companion_public_key.as_deref() == Some(&pending.noise_key[..]), "another noise key");
    ensure!(request.companion_identity_key.as_deref() == Some(&pending.identity[..]), "another identity");
    let secret = request.adv_secret.unwrap_or_default().try_into();
    let secret = secret.map_err(|_| anyhow::anyhow!("a secret of another length"))?;
    Ok(Done::Secret(Arc::clone(&attempt.account), secret))
}

impl World {
    /// The code that the phone of this number shows while a client is linked with its passkey.
    #[must_use]
    pub fn passkey_code(&self, number: &str) -> Option<String> {
        self.pending_links.all().into_iter().find_map(|pending| {
            let attempt = pending.passkey.0.lock().unwrap_or_else(PoisonError::into_inner);
            attempt.as_ref().filter(|attempt| attempt.account.number == number)?.code.clone()
        })
    }

    /// Drops the connections of clients that wait for the passkey of this number.
    pub fn drop_pending(&self, number: &str) {
        for pending in self.pending_links.all() {
            let attempt = pending.passkey.0.lock().unwrap_or_else(PoisonError::into_inner);
            if attempt.as_ref().is_some_and(|attempt| attempt.account.number == number) {
                pending.link.drop_now();
            }
        }
    }
}

fn notification(kind: &'static str, child: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", SERVER_JID)
        .attr("type", kind)
        .attr("id", format!("{:016x}", u64::from_be_bytes(keys::bytes())))
        .attr("t", wacore::time::now_secs())
        .children([child])
        .build()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
