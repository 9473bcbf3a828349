//! The push address of a browser, and the encryption for it.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use p256::PublicKey;
use url::{Host, Url};
use web_push_native::Auth;

use crate::effects::EffectError;

/// Browsers omit padding, but some libraries add it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The push address of a browser with its keys.
#[derive(Clone)]
pub struct PushTarget {
    /// The endpoint at the push service; secret, because it permits pushes.
    pub endpoint: Url,
    /// The browser's public key: 65 bytes in base64url.
    pub p256dh: String,
    /// The browser's secret: 16 bytes in base64url.
    pub auth: String,
}

impl std::fmt::Debug for PushTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushTarget").field("host", &self.endpoint.host_str()).finish_non_exhaustive()
    }
}

impl PushTarget {
    /// The endpoint must use TLS; plain HTTP is allowed on this machine, for tests.
    pub(super) fn check_scheme(&self) -> Result<(), EffectError> {
        let local = match self.endpoint.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(_)) | None => false,
        };
        match self.endpoint.scheme() {
            "https" => Ok(()),
            "http" if local => Ok(()),
            _ => Err(EffectError::Invalid("the endpoint must begin with https://".to_owned())),
        }
    }

    pub(super) fn keys(&self) -> Result<(PublicKey, Auth), EffectError> {
        let invalid = |what: &str| EffectError::Invalid(what.to_owned());
        let no_key = || invalid("p256dh must be a P-256 public key: 65 bytes in base64url");
        let point = BASE64.decode(&self.p256dh).map_err(|_| no_key())?;
        let public = PublicKey::from_sec1_bytes(&point).map_err(|_| no_key())?;
        let auth = BASE64.decode(&self.auth).ok().and_then(|auth| <[u8; 16]>::try_from(auth).ok());
        let auth = auth.ok_or_else(|| invalid("auth must be 16 bytes in base64url"))?;
        Ok((public, Auth::from(auth)))
    }

    pub(super) fn encrypt(&self, payload: &[u8]) -> Result<Vec<u8>, EffectError> {
        let (public, auth) = self.keys()?;
        let encrypted = web_push_native::encrypt(payload.to_vec(), &public, &auth);
        encrypted.map_err(|_| EffectError::Invalid("the payload cannot be encrypted".to_owned()))
    }
}
