//! Signed URLs of files, which need no header, so that a page can show them.
//!
//! A URL is signed with a secret of its device over the message's id. It is valid as long as the file and the secret
//! exist, and it permits reading this file only.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::media;
use crate::domain::message::Message;
use crate::domain::operator_chat::ids::ChatFileId;
use crate::service::{MediaService, ServiceError};
use crate::store::chat_files::UploadedChatFile;
use crate::store::{Reader, StoreError};

/// Bytes of a device's secret.
pub(in crate::service) const SECRET_BYTES: usize = 32;
/// The path of the files of operator chat, before their id.
pub(in crate::service) const CHAT_FILES: &str = "/api/chat/files/";
/// Bytes of a signature in a URL.
const SIGNATURE_BYTES: usize = 16;

/// The prefix of URLs: the public URL, or nothing.
#[derive(Debug, Clone)]
pub(in crate::service) struct LinkBase(pub(in crate::service) Arc<str>);

impl LinkBase {
    /// Adds the URLs to messages of a device. Its secret is read only if one of them has a file.
    pub(in crate::service) fn attach_all<'m>(
        &self,
        store: &Reader<'_>,
        device: &DeviceId,
        messages: impl IntoIterator<Item = &'m mut Message>,
    ) -> Result<(), StoreError> {
        let mut links = None;
        for message in messages.into_iter().filter(|message| shows_file(message)) {
            let links = match &mut links {
                Some(links) => links,
                none => none.insert(MediaLinks::of(store, device, self)?),
            };
            links.attach(message);
        }
        Ok(())
    }
}

impl LinkBase {
    /// The URL of an uploaded file of operator chat.
    pub(in crate::service) fn of_chat_file(&self, id: ChatFileId, secret: &[u8]) -> Option<String> {
        let signature = signature(secret, &id.to_string())?;
        Some(format!("{}{CHAT_FILES}{id}?signature={signature}", self.0))
    }

    /// The uploaded file of operator chat behind a URL. `None` if the URL is not of such a file; an inner `None` if
    /// the file does not exist or the signature is not valid.
    pub(in crate::service) fn chat_file_at(
        &self,
        store: &Reader<'_>,
        url: &str,
    ) -> Result<Option<Option<UploadedChatFile>>, StoreError> {
        let own = url.strip_prefix(&*self.0).unwrap_or(url);
        let Some(rest) = own.strip_prefix(CHAT_FILES) else { return Ok(None) };
        let Some((id, signature)) = rest.split_once("?signature=") else { return Ok(Some(None)) };
        let Ok(id) = id.parse() else { return Ok(Some(None)) };
        signed_chat_file(store, id, signature).map(Some)
    }
}

/// An uploaded file of operator chat, if the signature is valid.
pub(super) fn signed_chat_file(
    store: &Reader<'_>,
    id: ChatFileId,
    signed: &str,
) -> Result<Option<UploadedChatFile>, StoreError> {
    let is_signed = |found: &UploadedChatFile| {
        let expected = signature(&found.secret, &id.to_string());
        expected.is_some_and(|expected| expected.as_bytes().ct_eq(signed.as_bytes()).into())
    };
    Ok(store.chat_file(id)?.filter(is_signed))
}

fn signature(secret: &[u8], subject: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(subject.as_bytes());
    let tag = mac.finalize().into_bytes();
    Some(URL_SAFE_NO_PAD.encode(&tag[..SIGNATURE_BYTES]))
}

fn shows_file(message: &Message) -> bool {
    message.media.is_some() || message.quoted_message.as_deref().is_some_and(shows_file)
}

/// Signs and verifies the URLs of one device's files.
pub(in crate::service) struct MediaLinks {
    base: LinkBase,
    device: DeviceId,
    secret: Option<Vec<u8>>,
}

impl MediaLinks {
    pub(super) fn of(store: &Reader<'_>, device: &DeviceId, base: &LinkBase) -> Result<Self, StoreError> {
        Ok(Self { base: base.clone(), device: device.clone(), secret: store.media_secret(device)? })
    }

    /// Adds the URLs to a message and to the message that it quotes.
    pub(in crate::service) fn attach(&self, message: &mut Message) {
        if let Some(media) = &mut message.media
            && media.available
        {
            media.links = self.links(&message.id, media.file.has_thumbnail);
        }
        if let Some(quoted) = &mut message.quoted_message {
            self.attach(quoted);
        }
    }

    /// Whether the signature is valid.
    pub(in crate::service) fn verify(&self, message: &MessageId, signature: &str) -> bool {
        let Some(expected) = self.sign(message) else { return false };
        expected.as_bytes().ct_eq(signature.as_bytes()).into()
    }

    fn links(&self, message: &MessageId, has_thumbnail: bool) -> Option<media::MediaLinks> {
        let signature = self.sign(message)?;
        let (base, device) = (&self.base.0, &self.device);
        // Of the characters of an id only `@` and `:` are special, and a path may contain both.
        let at = |what: &str| {
            format!(
                "{base}/api/v1/devices/{device}/messages/{}/media/{what}?signature={signature}",
                in_path(message)
            )
        };
        Some(media::MediaLinks {
            download: at("download"),
            thumbnail: has_thumbnail.then(|| at("thumbnail")),
        })
    }

    fn sign(&self, message: &MessageId) -> Option<String> {
        signature(self.secret.as_deref()?, &message.to_string())
    }
}

/// A message id as a path segment: network ids may contain any visible character.
fn in_path(id: &MessageId) -> String {
    use std::fmt::Write as _;
    let mut path = String::new();
    for byte in id.to_string().bytes() {
        if byte.is_ascii_alphanumeric() || b"@._-~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

impl MediaService {
    pub(in crate::service) fn link_base(&self) -> LinkBase {
        LinkBase(self.public_url.clone())
    }

    /// A new secret for the URLs of a device.
    pub(in crate::service) fn new_media_secret(&self) -> [u8; SECRET_BYTES] {
        let mut secret = [0; SECRET_BYTES];
        self.random.fill(&mut secret);
        secret
    }

    /// Creates the missing secrets of devices from versions without signed URLs.
    pub(in crate::service) async fn sign_media_of_older_devices(&self) -> Result<(), ServiceError> {
        let devices = self.store.read(|store| store.devices_without_media_secret()).await?;
        let secrets: Vec<_> = devices.into_iter().map(|id| (id, self.new_media_secret())).collect();
        if secrets.is_empty() {
            return Ok(());
        }
        self.store
            .write_patiently(move |tx| {
                secrets.iter().try_for_each(|(device, secret)| tx.set_media_secret(device, secret))
            })
            .await
            .map_err(|error: StoreError| error.into())
    }
}
