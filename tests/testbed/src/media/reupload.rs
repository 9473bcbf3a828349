//! A phone uploads an expired file again, when a companion asks with `<receipt type="server-error">`.

use anyhow::{Context as _, Result, anyhow};
use wacore::libsignal::crypto::aes_256_gcm_encrypt;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;
use waproto::whatsapp::media_retry_notification::ResultType;

use super::cipher::token_in;
use crate::phone::keys;
use crate::server::dispatch::Session;
use crate::wire::nodes;

/// A file of a message, as its phone has it.
#[derive(Debug, Clone)]
pub struct PhoneFile {
    /// The network id of the message.
    pub message: String,
    /// The path on the network's media hosts.
    pub direct_path: String,
    /// The key from which its keys are derived.
    pub media_key: Vec<u8>,
}

/// The file of a message, if it has one.
#[must_use]
pub fn file_of(id: &str, message: &wa::Message) -> Option<PhoneFile> {
    macro_rules! first {
        ($($field:ident),*) => {
            None$(.or_else(|| {
                let file = message.$field.as_option()?;
                Some((file.direct_path.clone()?, file.media_key.as_ref()?.to_vec()))
            }))*
        };
    }
    let (direct_path, media_key) =
        first!(image_message, video_message, audio_message, document_message, sticker_message)?;
    Some(PhoneFile { message: id.to_owned(), direct_path, media_key })
}

/// Answers the request. A phone that is offline does not.
///
/// # Errors
/// If the message has no file.
pub async fn answer(session: &Session, receipt: &Node) -> Result<()> {
    let id = nodes::attr(receipt, "id");
    let file = {
        let state = session.account.lock();
        if state.faults.are_phones_off() {
            return Ok(());
        }
        state.phone_files.iter().rev().find(|file| file.message == id).cloned()
    };
    let file = file.context("the phone has no such file")?;
    let found = token_in(&file.direct_path).is_some_and(|token| session.world.media.upload_again(token));
    let notification = wa::MediaRetryNotification {
        stanza_id: Some(id.clone()),
        direct_path: found.then(|| file.direct_path.clone()),
        result: Some(if found { ResultType::SUCCESS } else { ResultType::NOT_FOUND }),
        ..Default::default()
    };
    let (iv, mut key, mut sealed) = (keys::bytes::<12>(), [0_u8; 32], Vec::new());
    wacore::crypto::hkdf_sha256_into(&file.media_key, None, b"WhatsApp Media Retry Notification", &mut key)
        .map_err(|_| anyhow!("the key cannot be derived"))?;
    aes_256_gcm_encrypt(&key, &iv, id.as_bytes(), &notification.encode_to_vec(), &mut sealed)
        .map_err(|_| anyhow!("the answer cannot be encrypted"))?;
    let encrypt = NodeBuilder::new("encrypt").children([
        NodeBuilder::new("enc_p").bytes(sealed).build(),
        NodeBuilder::new("enc_iv").bytes(iv.to_vec()).build(),
    ]);
    let notification = NodeBuilder::new("notification")
        .attr("type", "mediaretry")
        .attr("from", nodes::attr(receipt, "to"))
        .attr("id", id)
        .attr("t", wacore::time::now_secs())
        .children([encrypt.build()]);
    session.send(notification.build()).await;
    Ok(())
}
