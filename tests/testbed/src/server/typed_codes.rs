//! Links by a code that is typed on the phone (`link_code_companion_reg`).
//!
//! The client shows the code and sends its ephemeral key, encrypted with the code. The phone decrypts it with
//! the typed code and answers with its own key. The client returns a bundle that only the right code
//! decrypts. The resulting shared secret protects `<pair-success>` like that of a QR code.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::sync::oneshot;
use tokio::time::Instant;
use wacore::crypto::hkdf_sha256_into;
use wacore::pair_code::PairCodeUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, SERVER_JID};
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::{KeyPair, PublicKey};

use super::World;
use super::pairing::{LinkError, Linked};
use super::pending_links::PendingLink;
use crate::phone::{Phone, keys};
use crate::wire::nodes::{self, holding};

/// How long a code is valid.
const VALID: Duration = Duration::from_secs(180);
/// How long the client may take to answer the phone.
const ANSWER: Duration = Duration::from_secs(30);
const BUNDLE_INFO: &[u8] = b"link_code_pairing_key_bundle_encryption_key";
const SECRET_INFO: &[u8] = b"adv_secret";

/// The state of a client's pairing code.
#[derive(Default)]
pub struct PairingCodeState {
    hello: Mutex<Option<Hello>>,
    finish: Mutex<Option<oneshot::Sender<Finish>>>,
}

#[derive(Clone)]
struct Hello {
    reference: [u8; 32],
    number: String,
    /// The client's ephemeral key, encrypted with the code.
    wrapped: [u8; 80],
    since: Instant,
}

struct Finish {
    bundle: Vec<u8>,
    identity: [u8; 32],
}

/// Answers an IQ of a client that is not linked yet.
pub(super) fn answer(world: &Arc<World>, pending: &Arc<PendingLink>, iq: &Node) -> Node {
    let Some(registration) = iq.get_optional_child("link_code_companion_reg") else {
        return nodes::result(iq, Vec::new());
    };
    let answer = match nodes::attr(registration, "stage").as_str() {
        "companion_hello" => hello(world, pending, registration),
        "companion_finish" => finish(pending, registration),
        _ => Err(anyhow::anyhow!("an unknown stage")),
    };
    match answer {
        Ok(children) => nodes::result(iq, children),
        Err(error) => {
            tracing::debug!(%error, "rejected an invalid request for a pairing code");
            nodes::error(iq, 400, "bad-request")
        }
    }
}

fn hello(world: &World, pending: &Arc<PendingLink>, registration: &Node) -> Result<Vec<Node>> {
    let key: [u8; 32] = nodes::exactly(registration, "companion_server_auth_key_pub")?;
    ensure!(key == pending.noise_key, "another noise key than the connection's");
    let number = nodes::jid(registration, "jid").context("no jid")?.user_base().to_owned();
    world.directory.get_or_create(&number).context("the number is not registered")?;
    let hello = Hello {
        reference: keys::bytes(),
        number: number.clone(),
        wrapped: nodes::exactly(registration, "link_code_pairing_wrapped_companion_ephemeral_pub")?,
        since: Instant::now(),
    };
    let reference = holding("link_code_pairing_ref", hello.reference);
    *pending.typed.hello.lock().unwrap_or_else(PoisonError::into_inner) = Some(hello);
    world.pending_links.set_number(number, pending);
    Ok(vec![
        NodeBuilder::new("link_code_companion_reg")
            .attr("stage", "companion_hello")
            .children([reference])
            .build(),
    ])
}

fn finish(pending: &PendingLink, registration: &Node) -> Result<Vec<Node>> {
    let hello = pending.typed.hello().context("no code was asked for")?;
    let reference: [u8; 32] = nodes::exactly(registration, "link_code_pairing_ref")?;
    ensure!(reference == hello.reference, "another reference");
    let finish = Finish {
        bundle: nodes::bytes(nodes::child(registration, "link_code_pairing_wrapped_key_bundle")?).to_vec(),
        identity: nodes::exactly(registration, "companion_identity_public")?,
    };
    let waiting = pending.typed.finish.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(waiting) = waiting {
        // The phone may have given up.
        let _ = waiting.send(finish);
    }
    Ok(Vec::new())
}

impl PairingCodeState {
    fn hello(&self) -> Option<Hello> {
        self.hello.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn expect(&self) -> oneshot::Receiver<Finish> {
        let (sender, receiver) = oneshot::channel();
        *self.finish.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }
}

impl World {
    /// Types a code on the phone of this number.
    ///
    /// # Errors
    /// If no client waits for a code of this number, the code is wrong, or client and phone do not accept
    /// each other.
    pub async fn type_code(self: &Arc<Self>, number: &str, code: &str) -> Result<Linked, LinkError> {
        let pending = self.pending_links.by_number(number).ok_or(LinkError::UnknownCode)?;
        let hello =
            pending.typed.hello().filter(|hello| hello.number == number && hello.since.elapsed() < VALID);
        let hello = hello.ok_or(LinkError::UnknownCode)?;
        let account = self.directory.get_or_create(number).ok_or(LinkError::Nobody)?;
        let code: String =
            code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase();
        let ephemeral = keys::pair();
        let (client, wrapped) = exchange(hello.wrapped, keys::public(&ephemeral), code).await?;
        let answer = pending.typed.expect();
        pending.link.send(primary_hello(&hello.reference, wrapped, &account.phone)).await;
        let finish = tokio::select! {
            () = pending.link.closed() => return Err(LinkError::NoAnswer),
            finish = tokio::time::timeout(ANSWER, answer) => finish.ok().and_then(Result::ok),
        };
        let finish = finish.ok_or(LinkError::NoAnswer)?;
        if finish.identity != pending.identity {
            return Err(LinkError::Forged(anyhow::anyhow!("another identity than the registration's")));
        }
        // With a wrong code the bundle cannot be decrypted.
        let secret = open(&finish, &client, &ephemeral, &account.phone).map_err(|_| LinkError::WrongCode)?;
        self.link(&pending, number, &secret).await
    }
}

/// Decrypts the client's ephemeral key and encrypts the phone's, both with the code. Deliberately slow, so it
/// runs on its own thread.
async fn exchange(
    client: [u8; 80],
    phone: [u8; 32],
    code: String,
) -> Result<([u8; 32], [u8; 80]), LinkError> {
    let exchange = tokio::task::spawn_blocking(move || {
        let client = PairCodeUtils::decrypt_primary_ephemeral_pub(&client, &code)?;
        anyhow::Ok((client, PairCodeUtils::encrypt_ephemeral_pub(&phone, &code)))
    });
    match exchange.await {
        Ok(exchanged) => exchanged.map_err(LinkError::Forged),
        Err(error) => Err(LinkError::Forged(error.into())),
    }
}

fn primary_hello(reference: &[u8], wrapped: [u8; 80], phone: &Phone) -> Node {
    let registration = NodeBuilder::new("link_code_companion_reg").attr("stage", "primary_hello").children([
        holding("link_code_pairing_wrapped_primary_ephemeral_pub", wrapped),
        holding("primary_identity_pub", phone.public_identity()),
        holding("link_code_pairing_ref", reference),
    ]);
    NodeBuilder::new("notification")
        .attr("from", SERVER_JID)
        .attr("type", "link_code_companion_reg")
        .attr("id", format!("{:016x}", u64::from_be_bytes(keys::bytes())))
        .attr("t", wacore::time::now_secs())
        .children([registration.build()])
        .build()
}

/// Decrypts the bundle (salt, nonce, ciphertext) and derives the secret.
fn open(finish: &Finish, client: &[u8; 32], ephemeral: &KeyPair, phone: &Phone) -> Result<[u8; 32]> {
    let client = PublicKey::from_djb_public_key_bytes(client)?;
    let identity = PublicKey::from_djb_public_key_bytes(&finish.identity)?;
    let shared = ephemeral.private_key.calculate_agreement(&client)?;
    let (salt, rest) = finish.bundle.split_first_chunk::<32>().context("a short bundle")?;
    let (nonce, sealed) = rest.split_first_chunk::<12>().context("a short bundle")?;
    let mut key = [0; 32];
    hkdf_sha256_into(&shared, Some(salt), BUNDLE_INFO, &mut key)?;
    let mut bundle = Vec::new();
    aes_256_gcm_decrypt(&key, nonce, b"", sealed, &mut bundle)?;
    let expected = [finish.identity, phone.public_identity()].concat();
    let random = bundle.strip_prefix(expected.as_slice()).context("other identities in the bundle")?;
    ensure!(random.len() == 32, "a bundle of another length");
    let identities = phone.identity.private_key.calculate_agreement(&identity)?;
    let mut secret = [0; 32];
    hkdf_sha256_into(&[&shared, &identities, random].concat(), None, SECRET_INFO, &mut secret)?;
    Ok(secret)
}
