//! Session cookies as proofs of users: signed JSON Web Tokens, or the encrypted tokens of Auth.js 5 and NextAuth 4.
//!
//! Invariants: the authentication tag is verified, in constant time, before anything is decrypted; a token without an
//! expiry is refused; no cookie, key or claim is logged.

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use crate::domain::clock::Millis;
use crate::domain::operator_chat::session_cookie::{SESSION_COOKIE_MAX_BYTES, SessionCookie};
use crate::service::access::tokens::{AccessTokenError, VerifiedClaims, valid_until};

/// Maximum bytes of the cookies of one request.
const MAX_KEPT_BYTES: usize = 2 * SESSION_COOKIE_MAX_BYTES;
/// Bytes of an initialization vector of AES-CBC.
const CBC_IV_BYTES: usize = 16;
/// Bytes of each half of the key of `A256CBC-HS512`, and of its tag.
const CBC_HALF_BYTES: usize = 32;
/// Bytes of an initialization vector of AES-GCM.
const GCM_IV_BYTES: usize = 12;
/// Bytes of a tag of AES-GCM.
const GCM_TAG_BYTES: usize = 16;

/// The session cookies of a request. `Debug` shows their names only.
#[derive(Debug, Clone, Default)]
pub struct SessionCookies(pub(super) Vec<SessionCookie>);

impl SessionCookies {
    /// Keeps the first cookies up to a size: a socket keeps them as long as it is open.
    pub(super) fn bounded(cookies: impl Iterator<Item = SessionCookie>) -> Self {
        let mut bytes = 0;
        let kept = cookies.take_while(|cookie| {
            bytes += cookie.name.len() + cookie.value.len();
            bytes <= MAX_KEPT_BYTES
        });
        Self(kept.collect())
    }

    /// Whether the request has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The secret of an application that uses Auth.js, and the claims that its tokens must have.
pub struct AuthjsKey {
    /// The application's secret, from which the key of each cookie is derived.
    pub secret: String,
    /// The required issuer; not checked if absent.
    pub issuer: Option<String>,
    /// The required audience; not checked if absent.
    pub audience: Option<String>,
}

impl AuthjsKey {
    /// The claims of an encrypted session cookie.
    ///
    /// # Errors
    /// [`AccessTokenError::Invalid`] if it was not encrypted with this secret for a cookie of its name, or is not valid
    /// now.
    pub fn verify(&self, cookie: &SessionCookie, now: Millis) -> Result<VerifiedClaims, AccessTokenError> {
        self.claims(cookie, now).ok_or(AccessTokenError::Invalid)
    }

    fn claims(&self, cookie: &SessionCookie, now: Millis) -> Option<VerifiedClaims> {
        let text = decrypt(self.secret.as_bytes(), &cookie.name, &cookie.value)?;
        let claims: Map<String, Json> = serde_json::from_slice(&text).ok()?;
        let expires_at = valid_until(&claims, now)?;
        let has_issuer = self.issuer.as_ref().is_none_or(|issuer| contains(claims.get("iss"), issuer));
        let has_audience =
            self.audience.as_ref().is_none_or(|audience| contains(claims.get("aud"), audience));
        (has_issuer && has_audience).then_some(VerifiedClaims { claims, expires_at })
    }
}

/// Whether a claim is this text, or a list with it (RFC 7519, 4.1.3).
fn contains(claim: Option<&Json>, required: &str) -> bool {
    match claim {
        Some(Json::String(text)) => text == required,
        Some(Json::Array(items)) => items.iter().any(|item| item.as_str() == Some(required)),
        _ => false,
    }
}

/// The protected header of a token. Auth.js neither compresses nor uses extensions.
#[derive(Deserialize)]
struct JweHeader {
    alg: String,
    enc: String,
    #[serde(default)]
    zip: Option<Json>,
    #[serde(default)]
    crit: Option<Json>,
}

/// The parts of a token in the compact serialization (RFC 7516, 7.1) with `alg: dir`.
struct Jwe<'t> {
    /// The header as it is in the token, which the tag covers.
    header: &'t str,
    iv: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

fn decrypt(secret: &[u8], cookie_name: &str, token: &str) -> Option<Vec<u8>> {
    if token.len() > SESSION_COOKIE_MAX_BYTES {
        return None;
    }
    let mut parts = token.split('.');
    let [Some(header), Some(""), Some(iv), Some(ciphertext), Some(tag), None] =
        [(); 6].map(|()| parts.next())
    else {
        return None;
    };
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let fields: JweHeader = serde_json::from_slice(&decoded(header)?).ok()?;
    if fields.alg != "dir" || fields.zip.is_some() || fields.crit.is_some() {
        return None;
    }
    let jwe = Jwe { header, iv: decoded(iv)?, ciphertext: decoded(ciphertext)?, tag: decoded(tag)? };
    match fields.enc.as_str() {
        "A256CBC-HS512" => {
            let info = format!("Auth.js Generated Encryption Key ({cookie_name})");
            jwe.open_cbc_hs512(&derive(secret, cookie_name, &info)?)
        }
        "A256GCM" => jwe.open_gcm(&derive(secret, "", "NextAuth.js Generated Encryption Key")?),
        _ => None,
    }
}

/// The key for a use of the secret. Source: HKDF, RFC 5869.
fn derive<const BYTES: usize>(secret: &[u8], salt: &str, info: &str) -> Option<[u8; BYTES]> {
    let mut key = [0; BYTES];
    Hkdf::<Sha256>::new(Some(salt.as_bytes()), secret).expand(info.as_bytes(), &mut key).ok()?;
    Some(key)
}

impl Jwe<'_> {
    /// Source: RFC 7518, 5.2.2 and 5.2.5.
    fn open_cbc_hs512(&self, key: &[u8; 2 * CBC_HALF_BYTES]) -> Option<Vec<u8>> {
        let (mac_key, encryption_key) = key.split_at(CBC_HALF_BYTES);
        if self.iv.len() != CBC_IV_BYTES || self.tag.len() != CBC_HALF_BYTES {
            return None;
        }
        let header_bits = u64::try_from(self.header.len()).ok()?.checked_mul(8)?;
        let mut mac = <Hmac<Sha512> as hmac::KeyInit>::new_from_slice(mac_key).ok()?;
        mac.update(self.header.as_bytes());
        mac.update(&self.iv);
        mac.update(&self.ciphertext);
        mac.update(&header_bits.to_be_bytes());
        let expected = mac.finalize().into_bytes();
        if !bool::from(expected[..CBC_HALF_BYTES].ct_eq(&self.tag)) {
            return None;
        }
        let cipher = cbc::Decryptor::<Aes256>::new_from_slices(encryption_key, &self.iv).ok()?;
        cipher.decrypt_padded_vec::<Pkcs7>(&self.ciphertext).ok()
    }

    /// The cipher compares the tag before it decrypts. Source: RFC 7518, 5.3.
    fn open_gcm(&self, key: &[u8; CBC_HALF_BYTES]) -> Option<Vec<u8>> {
        if self.iv.len() != GCM_IV_BYTES || self.tag.len() != GCM_TAG_BYTES {
            return None;
        }
        let nonce = self.iv.as_slice().try_into().ok()?;
        let message = [self.ciphertext.as_slice(), &self.tag].concat();
        let payload = Payload { msg: &message, aad: self.header.as_bytes() };
        Aes256Gcm::new_from_slice(key).ok()?.decrypt(nonce, payload).ok()
    }
}

#[cfg(test)]
mod tests;
