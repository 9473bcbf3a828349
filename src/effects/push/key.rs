//! VAPID keys and signatures of pushes (RFC 8292).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::json;
use url::Url;

use crate::domain::clock::{Millis, Random};
use crate::effects::EffectError;

/// Validity of a signature in seconds; push services reject more than a day.
const VALID_S: i64 = 12 * 3_600;
/// Attempts to generate a key; fewer than one in 2^32 random values is invalid.
const TRIES: usize = 8;

/// The VAPID key: a P-256 key pair that signs pushes.
#[derive(Clone)]
pub struct VapidKey(SigningKey);

impl std::fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("VapidKey").field(&self.public_key()).finish()
    }
}

impl VapidKey {
    /// Generates a key.
    ///
    /// # Errors
    /// [`EffectError::Invalid`] when the random source is broken and yields no valid key.
    pub fn generate(random: &dyn Random) -> Result<Self, EffectError> {
        let mut bytes = [0; 32];
        for _ in 0..TRIES {
            random.fill(&mut bytes);
            if let Ok(key) = Self::from_bytes(&bytes) {
                return Ok(key);
            }
        }
        Err(EffectError::Invalid("the random source yielded no valid key".to_owned()))
    }

    /// Restores a key from [`VapidKey::to_bytes`].
    ///
    /// # Errors
    /// [`EffectError::Invalid`] when the bytes are not a valid key of 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EffectError> {
        let no_key = || EffectError::Invalid("these are not the 32 bytes of a P-256 key".to_owned());
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| no_key())?;
        SigningKey::from_bytes(&bytes.into()).map(Self).map_err(|_| no_key())
    }

    /// The private key for storage; secret.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes().into()
    }

    /// The public key for browsers (`applicationServerKey`): 65 bytes in base64url without padding.
    #[must_use]
    pub fn public_key(&self) -> String {
        BASE64.encode(self.0.verifying_key().to_encoded_point(false))
    }

    /// The header `Authorization` for a push to an endpoint.
    pub(super) fn authorization(&self, endpoint: &Url, contact: &str, now: Millis) -> String {
        let mut claims = json!({
            "aud": endpoint.origin().ascii_serialization(),
            "exp": now.0 / 1000 + VALID_S,
        });
        if !contact.is_empty() {
            claims["sub"] = contact.into();
        }
        let header = BASE64.encode(r#"{"typ":"JWT","alg":"ES256"}"#);
        let signed = format!("{header}.{}", BASE64.encode(claims.to_string()));
        let signature: Signature = self.0.sign(signed.as_bytes());
        format!("vapid t={signed}.{}, k={}", BASE64.encode(signature.to_bytes()), self.public_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;
    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    struct Nothing;
    impl Random for Nothing {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn push_key_round_trips() {
        let key = VapidKey::generate(&Sevens).unwrap();
        assert_eq!(VapidKey::from_bytes(&key.to_bytes()).unwrap().public_key(), key.public_key());
        let public = BASE64.decode(key.public_key()).unwrap();
        assert_eq!((public.len(), public[0]), (65, 4));
        assert!(!format!("{key:?}").contains(&BASE64.encode(key.to_bytes())));
    }

    #[test]
    fn invalid_push_key_is_rejected() {
        assert!(VapidKey::from_bytes(&[1; 31]).is_err() && VapidKey::from_bytes(&[0; 32]).is_err());
        assert!(VapidKey::generate(&Nothing).is_err());
    }

    #[test]
    fn push_signature_verifies() {
        let key = VapidKey::generate(&Sevens).unwrap();
        let endpoint: Url = "https://push.example.org:8443/send/secret?x=1".parse().unwrap();
        let header = key.authorization(&endpoint, "mailto:ops@example.org", Millis(1_700_000_000_000));
        let (token, public) = header.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        let point = BASE64.decode(public).unwrap();
        let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
        let known = jsonwebtoken::DecodingKey::from_ec_components(&x, &y).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
        rules.set_audience(&["https://push.example.org:8443"]);
        rules.validate_exp = false;
        let claims = jsonwebtoken::decode::<serde_json::Value>(token, &known, &rules).unwrap().claims;
        assert_eq!(claims["sub"], "mailto:ops@example.org");
        assert_eq!(claims["exp"], 1_700_000_000 + VALID_S);
    }
}
