//! The server's side of the noise handshake: XX, IK, and XXfallback if the client has another server key.
//! Pure; the order of each step is that of `wacore_noise`'s initiator.

use anyhow::{Context as _, Result, bail};
use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK, WA_CONN_HEADER};
use wacore_libsignal::protocol::KeyPair;
use wacore_noise::{NoiseCipher, NoiseHandshake};
use waproto::buffa::{Message as _, MessageField};
use waproto::codec;
use waproto::whatsapp::cert_chain::NoiseCertificate;
use waproto::whatsapp::cert_chain::noise_certificate::Details;
use waproto::whatsapp::handshake_message::{ClientHello, ServerHello};
use waproto::whatsapp::{CertChain, ClientPayload, HandshakeMessage};

use crate::phone::keys;

/// The validity of the server's certificates; clients use IK only within it.
const CERTIFICATE_FROM: u64 = 1_700_000_000;
const CERTIFICATE_UNTIL: u64 = 4_000_000_000;

/// The server's long-lived key and its certificate.
pub struct ServerKeys {
    key: KeyPair,
    certificate: Vec<u8>,
}

/// A handshake pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pattern {
    /// The full handshake, of a client without a server key.
    Xx,
    /// The short handshake, of a client with our server key.
    Ik,
    /// Started as IK with another server key.
    XxFallback,
}

/// A completed handshake.
pub struct Agreed {
    /// The pattern that was used.
    pub pattern: Pattern,
    /// The client's long-lived noise key.
    pub client_key: [u8; 32],
    /// The client's login or registration data.
    pub payload: ClientPayload,
    /// Decrypts the client's frames.
    pub read: NoiseCipher,
    /// Encrypts the server's frames.
    pub write: NoiseCipher,
}

/// The step after the client's first message.
pub enum Step {
    /// Send these bytes, then wait for the client's last message.
    Continue(Box<Finishing>, Vec<u8>),
    /// Send these bytes; the handshake is complete.
    Done(Box<Agreed>, Vec<u8>),
}

/// An XX handshake before the client's last message.
pub struct Finishing {
    noise: NoiseHandshake,
    pattern: Pattern,
    ephemeral: KeyPair,
}

impl ServerKeys {
    /// New keys with an unsigned certificate.
    #[must_use]
    pub fn generate() -> Self {
        let key = keys::pair();
        let certificate = certificate(key.public_key.public_key_bytes());
        Self { key, certificate }
    }

    /// Reads the client's first message and builds the answer.
    ///
    /// # Errors
    /// If it is not a client hello, or cannot be decrypted.
    pub fn answer(&self, first: &[u8]) -> Result<Step> {
        let message = codec::handshake_message_decode(first).context("the first message")?;
        let hello = message.client_hello.into_option().context("no client hello")?;
        let ephemeral = hello.ephemeral.clone().context("a client hello with no key")?;
        if hello.r#static.is_none() {
            return self.full(NOISE_PATTERN_XX, Pattern::Xx, &ephemeral);
        }
        match self.short(&hello, &ephemeral) {
            Ok(step) => Ok(step),
            Err(_) => self.full(NOISE_PATTERN_XXFALLBACK, Pattern::XxFallback, &ephemeral),
        }
    }

    fn full(&self, name: &str, pattern: Pattern, client: &[u8]) -> Result<Step> {
        let mut noise = NoiseHandshake::new(name, &WA_CONN_HEADER)?;
        let ephemeral = keys::pair();
        noise.authenticate(client);
        noise.authenticate(ephemeral.public_key.public_key_bytes());
        noise.mix_shared_secret(ephemeral.private_key.serialize(), client)?;
        let sealed = noise.encrypt(self.key.public_key.public_key_bytes())?;
        noise.mix_shared_secret(self.key.private_key.serialize(), client)?;
        let certificate = noise.encrypt(&self.certificate)?;
        let reply = reply(&ephemeral, Some(sealed), certificate);
        Ok(Step::Continue(Box::new(Finishing { noise, pattern, ephemeral }), reply))
    }

    fn short(&self, hello: &ClientHello, client: &[u8]) -> Result<Step> {
        let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, &WA_CONN_HEADER)?;
        noise.authenticate(self.key.public_key.public_key_bytes());
        noise.authenticate(client);
        noise.mix_shared_secret(self.key.private_key.serialize(), client)?;
        let client_key = noise.decrypt(hello.r#static.as_deref().unwrap_or_default())?;
        noise.mix_shared_secret(self.key.private_key.serialize(), &client_key)?;
        let payload = noise.decrypt(hello.payload.as_deref().unwrap_or_default())?;
        let ephemeral = keys::pair();
        noise.authenticate(ephemeral.public_key.public_key_bytes());
        noise.mix_shared_secret(ephemeral.private_key.serialize(), client)?;
        noise.mix_shared_secret(ephemeral.private_key.serialize(), &client_key)?;
        let certificate = noise.encrypt(&self.certificate)?;
        let reply = reply(&ephemeral, None, certificate);
        Ok(Step::Done(Box::new(agreed(noise, Pattern::Ik, &client_key, &payload)?), reply))
    }
}

impl Finishing {
    /// Reads the client's last message.
    ///
    /// # Errors
    /// If it is not a client finish, or cannot be decrypted.
    pub fn finish(mut self, last: &[u8]) -> Result<Agreed> {
        let message = codec::handshake_message_decode(last).context("the last message")?;
        let Some(finish) = message.client_finish.into_option() else { bail!("no client finish") };
        let client_key = self.noise.decrypt(finish.r#static.as_deref().unwrap_or_default())?;
        self.noise.mix_shared_secret(self.ephemeral.private_key.serialize(), &client_key)?;
        let payload = self.noise.decrypt(finish.payload.as_deref().unwrap_or_default())?;
        agreed(self.noise, self.pattern, &client_key, &payload)
    }
}

fn agreed(noise: NoiseHandshake, pattern: Pattern, client_key: &[u8], payload: &[u8]) -> Result<Agreed> {
    let payload = ClientPayload::decode_from_slice(payload).context("the client's payload")?;
    let client_key = client_key.try_into().context("a noise key is 32 bytes")?;
    // The initiator writes with the first key.
    let (read, write) = noise.finish()?;
    Ok(Agreed { pattern, client_key, payload, read, write })
}

fn reply(ephemeral: &KeyPair, sealed: Option<Vec<u8>>, certificate: Vec<u8>) -> Vec<u8> {
    codec::handshake_message_to_vec(&HandshakeMessage {
        server_hello: MessageField::some(ServerHello {
            ephemeral: Some(ephemeral.public_key.public_key_bytes().to_vec()),
            r#static: sealed,
            payload: Some(certificate),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn certificate(server: &[u8]) -> Vec<u8> {
    CertChain {
        intermediate: MessageField::some(unsigned_certificate(1, 0, &[0; 32])),
        leaf: MessageField::some(unsigned_certificate(2, 1, server)),
    }
    .encode_to_vec()
}

fn unsigned_certificate(serial: u32, issuer: u32, key: &[u8]) -> NoiseCertificate {
    let details = Details {
        serial: Some(serial),
        issuer_serial: Some(issuer),
        key: Some(key.to_vec()),
        not_before: Some(CERTIFICATE_FROM),
        not_after: Some(CERTIFICATE_UNTIL),
    };
    NoiseCertificate { details: Some(details.encode_to_vec()), signature: Some(vec![0; 64]) }
}

#[cfg(test)]
mod tests {
    use wacore_noise::{IkHandshakeState, IkServerHelloOutcome, XxFallbackHandshakeState, XxHandshakeState};

    use super::*;

    fn payload() -> Vec<u8> {
        ClientPayload { username: Some(15_550_100_001), ..Default::default() }.encode_to_vec()
    }

    fn both_ways(agreed: &Agreed, read: &NoiseCipher, write: &NoiseCipher) {
        assert_eq!(agreed.payload.username, Some(15_550_100_001));
        let mut up = write.encrypt_with_counter(0, b"up").expect("encrypts");
        agreed.read.decrypt_in_place_with_counter(0, &mut up).expect("the server reads the client");
        let mut down = agreed.write.encrypt_with_counter(0, b"down").expect("encrypts");
        read.decrypt_in_place_with_counter(0, &mut down).expect("the client reads the server");
        assert_eq!((up.as_slice(), down.as_slice()), (b"up".as_slice(), b"down".as_slice()));
    }

    #[test]
    fn client_without_server_key_uses_xx() {
        let server = ServerKeys::generate();
        let mut client = XxHandshakeState::new(keys::pair(), payload(), &WA_CONN_HEADER).expect("a client");
        let hello = client.build_client_hello().expect("a hello");
        let Step::Continue(finishing, reply) = server.answer(&hello).expect("an answer") else {
            panic!("XX takes three messages")
        };
        let last = client.read_server_hello_and_build_client_finish(&reply).expect("a finish");
        let agreed = finishing.finish(&last).expect("agreed");
        let client = client.finish().expect("agreed");
        assert_eq!(agreed.pattern, Pattern::Xx);
        both_ways(&agreed, &client.read_cipher, &client.write_cipher);
    }

    #[test]
    fn client_with_server_key_uses_ik() {
        let server = ServerKeys::generate();
        let server_key = server.key.public_key.public_key_bytes().try_into().expect("32 bytes");
        let mut client =
            IkHandshakeState::new(keys::pair(), server_key, payload(), &WA_CONN_HEADER).expect("a client");
        let hello = client.build_client_hello().expect("a hello");
        let Step::Done(agreed, reply) = server.answer(&hello).expect("an answer") else {
            panic!("IK takes two messages")
        };
        let Ok(IkServerHelloOutcome::Continue(client)) = client.read_server_hello(&reply) else {
            panic!("the client accepts")
        };
        assert_eq!(agreed.pattern, Pattern::Ik);
        both_ways(&agreed, &client.read_cipher, &client.write_cipher);
    }

    #[test]
    fn client_with_stale_server_key_falls_back_to_xx() {
        let server = ServerKeys::generate();
        let stale = keys::pair().public_key.public_key_bytes().try_into().expect("32 bytes");
        let mut client =
            IkHandshakeState::new(keys::pair(), stale, payload(), &WA_CONN_HEADER).expect("a client");
        let hello = client.build_client_hello().expect("a hello");
        let Step::Continue(finishing, reply) = server.answer(&hello).expect("an answer") else {
            panic!("a fallback takes three messages")
        };
        let Ok(IkServerHelloOutcome::Fallback(inputs)) = client.read_server_hello(&reply) else {
            panic!("the client falls back")
        };
        let mut client =
            XxFallbackHandshakeState::from_ik_failure(*inputs, &WA_CONN_HEADER).expect("a client");
        let last = client.build_client_finish().expect("a finish");
        let agreed = finishing.finish(&last).expect("agreed");
        let client = client.finish().expect("agreed");
        assert_eq!(agreed.pattern, Pattern::XxFallback);
        both_ways(&agreed, &client.read_cipher, &client.write_cipher);
    }
}
