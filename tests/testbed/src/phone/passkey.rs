//! A passkey of an account: signs WebAuthn challenges as a browser does, and verifies such signatures as the
//! server does. Source of the formats: WebAuthn Level 3, sections 5.8.1, 6.1 and 7.2.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::keys;

/// The relying party of the network.
pub const RP_ID: &str = "whatsapp.com";
/// The page on which a browser signs.
pub const PAGE: &str = "https://web.whatsapp.com";
/// Flags of the authenticator data: the user is present, and was verified.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;

/// An ES256 credential.
#[derive(Clone)]
pub struct Passkey {
    id: [u8; 16],
    key: SigningKey,
}

impl Passkey {
    /// A new credential.
    ///
    /// # Errors
    /// If the random bytes are no key, which practically never happens.
    pub fn generate() -> Result<Self> {
        let key = SigningKey::from_slice(&keys::bytes::<32>()).context("the key of a passkey")?;
        Ok(Self { id: keys::bytes(), key })
    }

    /// The `PublicKeyCredentialRequestOptions` of the server.
    #[must_use]
    pub fn options(&self, challenge: &[u8; 32]) -> Value {
        json!({
            "challenge": BASE64.encode(challenge),
            "rpId": RP_ID,
            "timeout": 300_000,
            "userVerification": "required",
            "allowCredentials": [{ "type": "public-key", "id": BASE64.encode(self.id) }],
        })
    }

    /// A browser's response to options, as `PublicKeyCredential.toJSON()` gives it.
    #[must_use]
    pub fn sign(&self, options: &Value) -> Value {
        let data = json!({
            "type": "webauthn.get", "challenge": options["challenge"], "origin": PAGE, "crossOrigin": false,
        })
        .to_string();
        let authenticator = [&Sha256::digest(RP_ID)[..], &[PRESENT | VERIFIED], &[0; 4]].concat();
        let signed = [&authenticator[..], &Sha256::digest(&data)[..]].concat();
        let signature: Signature = self.key.sign(&signed);
        let id = BASE64.encode(self.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": BASE64.encode(data),
                "authenticatorData": BASE64.encode(authenticator),
                "signature": BASE64.encode(signature.to_der()),
                "userHandle": null,
            },
        })
    }

    /// Verifies a response with the credential's id.
    ///
    /// # Errors
    /// The first part that is wrong.
    pub fn verify(&self, challenge: &[u8; 32], credential: &[u8], response: &[u8]) -> Result<()> {
        ensure!(credential == self.id, "another credential");
        let response: Value = serde_json::from_slice(response).context("the assertion is not JSON")?;
        ensure!(response["type"] == "public-key", "another type of credential");
        ensure!(response["rawId"] == BASE64.encode(self.id), "another rawId");
        let part = |name: &str| -> Result<Vec<u8>> {
            let text = response["response"][name].as_str().with_context(|| format!("no {name}"))?;
            BASE64.decode(text).with_context(|| format!("{name} is not base64url"))
        };
        let (data, authenticator) = (part("clientDataJSON")?, part("authenticatorData")?);
        let client: Value = serde_json::from_slice(&data).context("clientDataJSON is not JSON")?;
        ensure!(client["type"] == "webauthn.get", "another type of client data");
        ensure!(client["challenge"] == BASE64.encode(challenge), "another challenge");
        ensure!(client["origin"] == PAGE, "another origin");
        let (rp_id, flags) = authenticator.split_first_chunk::<32>().context("short authenticator data")?;
        ensure!(rp_id[..] == Sha256::digest(RP_ID)[..], "another relying party");
        let flags = *flags.first().context("no flags")?;
        ensure!(flags & PRESENT != 0 && flags & VERIFIED != 0, "the user was not verified");
        let signature = Signature::from_der(&part("signature")?).context("the signature is not DER")?;
        let signed = [&authenticator[..], &Sha256::digest(&data)[..]].concat();
        VerifyingKey::from(&self.key).verify(&signed, &signature).context("the signature is wrong")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_signature_is_accepted_and_changed_ones_are_not() {
        let (passkey, challenge) = (Passkey::generate().expect("a passkey"), keys::bytes());
        let options = passkey.options(&challenge);
        let right = passkey.sign(&options);
        let check =
            |response: &Value| passkey.verify(&challenge, &passkey.id, response.to_string().as_bytes());
        check(&right).expect("accepted");
        let other = Passkey { key: Passkey::generate().expect("a passkey").key, ..passkey.clone() };
        assert!(check(&other.sign(&options)).is_err());
        assert!(check(&passkey.sign(&passkey.options(&keys::bytes()))).is_err());
        let mut unverified = right.clone();
        let data = [&Sha256::digest(RP_ID)[..], &[PRESENT], &[0; 4]].concat();
        unverified["response"]["authenticatorData"] = BASE64.encode(data).into();
        assert!(check(&unverified).is_err());
        assert!(passkey.verify(&challenge, b"other", right.to_string().as_bytes()).is_err());
    }
}
