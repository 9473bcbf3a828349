//! Signs a companion's identity with the phone's key and verifies the companion's counter-signature.
//! Prefixes, order and wrapping are those of `wacore::pair`, the other side.

use anyhow::{Context as _, Result, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use waproto::buffa::Message as _;
use waproto::codec;
use waproto::whatsapp::{ADVDeviceIdentity, ADVSignedDeviceIdentity, ADVSignedDeviceIdentityHMAC};

use super::{Phone, keys};

/// Prefix of the bytes that the phone signs.
const ACCOUNT: &[u8] = &[6, 0];
/// Prefix of the bytes that the companion signs.
const DEVICE: &[u8] = &[6, 1];

/// A signed companion identity.
pub struct Vouched {
    /// The `ADVSignedDeviceIdentityHMAC` of `<pair-success>`.
    pub container: Vec<u8>,
    /// The `ADVDeviceIdentity` inside.
    pub details: Vec<u8>,
}

/// Signs a companion's identity, with a MAC by the secret of its QR or pairing code.
///
/// # Errors
/// If the phone's key cannot sign.
pub fn vouch(phone: &Phone, companion: &[u8; 32], secret: &[u8; 32], index: u32) -> Result<Vouched> {
    let details = ADVDeviceIdentity {
        raw_id: Some(phone.raw_id),
        timestamp: Some(u64::try_from(wacore::time::now_secs())?),
        key_index: Some(index),
        ..Default::default()
    }
    .encode_to_vec();
    let signed = ADVSignedDeviceIdentity {
        details: Some(details.clone()),
        account_signature_key: Some(phone.public_identity().to_vec()),
        account_signature: Some(keys::sign(&phone.identity, &[ACCOUNT, &details, companion].concat())?),
        ..Default::default()
    }
    .encode_to_vec();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret)?;
    mac.update(&signed);
    let container = ADVSignedDeviceIdentityHMAC {
        hmac: Some(mac.finalize().into_bytes().to_vec()),
        details: Some(signed),
        ..Default::default()
    }
    .encode_to_vec();
    Ok(Vouched { container, details })
}

/// Verifies the companion's answer: the same details and phone signature, and its own signature.
///
/// # Errors
/// If a part is missing, changed or wrongly signed.
pub fn verify(answer: &[u8], phone: &Phone, companion: &[u8; 32], details: &[u8]) -> Result<()> {
    let signed = codec::adv_signed_device_identity_decode(answer).context("the signed identity")?;
    ensure!(signed.details.as_deref() == Some(details), "the details were changed");
    let account = phone.public_identity();
    let account_signature = signed.account_signature.as_deref().unwrap_or_default();
    ensure!(
        keys::signed_by(&account, &[ACCOUNT, details, companion].concat(), account_signature),
        "the phone's signature was changed"
    );
    let device_signature = signed.device_signature.as_deref().unwrap_or_default();
    ensure!(
        keys::signed_by(companion, &[DEVICE, details, companion, &account].concat(), device_signature),
        "the companion's signature is not its own"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use wacore::pair::{DeviceState, PairUtils};

    use super::*;

    fn companion() -> DeviceState {
        DeviceState { identity_key: keys::pair(), noise_key: keys::pair(), adv_secret_key: keys::bytes() }
    }

    #[test]
    fn phone_and_companion_accept_each_other() {
        let (phone, device) = (Phone::generate().expect("a phone"), companion());
        let identity = keys::public(&device.identity_key);
        let vouched = vouch(&phone, &identity, &device.adv_secret_key, 3).expect("vouched");
        let (answer, index) = PairUtils::do_pair_crypto(&device, &vouched.container).expect("accepted");
        assert_eq!(index, 3);
        verify(&answer, &phone, &identity, &vouched.details).expect("verified");
    }

    #[test]
    fn foreign_companion_signature_is_rejected() {
        let (phone, device) = (Phone::generate().expect("a phone"), companion());
        let identity = keys::public(&device.identity_key);
        let vouched = vouch(&phone, &identity, &device.adv_secret_key, 3).expect("vouched");
        let (answer, _) = PairUtils::do_pair_crypto(&device, &vouched.container).expect("accepted");
        let mut forged = codec::adv_signed_device_identity_decode(&answer).expect("decodes");
        forged.device_signature = Some(keys::sign(&keys::pair(), &vouched.details).expect("signs"));
        assert!(verify(&forged.encode_to_vec(), &phone, &identity, &vouched.details).is_err());
        assert!(verify(&answer, &phone, &keys::public(&keys::pair()), &vouched.details).is_err());
        assert!(verify(&answer, &phone, &identity, b"other details").is_err());
    }

    #[test]
    fn companion_rejects_wrong_secret() {
        let (phone, device) = (Phone::generate().expect("a phone"), companion());
        let identity = keys::public(&device.identity_key);
        let vouched = vouch(&phone, &identity, &keys::bytes(), 3).expect("vouched");
        assert_eq!(PairUtils::do_pair_crypto(&device, &vouched.container).expect_err("refused").code, 401);
    }
}
