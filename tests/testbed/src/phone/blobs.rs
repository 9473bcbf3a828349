//! History blobs: protobuf, deflated, encrypted, stored in the media store, and each announced by a message.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use wacore::download::MediaType;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;
use waproto::whatsapp::history_sync::HistorySyncType;
use waproto::whatsapp::message::protocol_message::Type;

use crate::media::{MediaStore, cipher};

/// Uploads a blob; returns the message that announces it.
///
/// # Errors
/// If the blob is too large for the store.
pub fn announce(store: &MediaStore, blob: &wa::HistorySync) -> Result<wa::Message> {
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(&blob.encode_to_vec())?;
    let sealed = cipher::seal(store, &deflate.finish()?, MediaType::History)?;
    let kind = match blob.sync_type {
        HistorySyncType::INITIAL_BOOTSTRAP => wa::message::HistorySyncType::INITIAL_BOOTSTRAP,
        HistorySyncType::PUSH_NAME => wa::message::HistorySyncType::PUSH_NAME,
        _ => wa::message::HistorySyncType::RECENT,
    };
    let notification = wa::message::HistorySyncNotification {
        file_sha256: Some(sealed.file_sha256),
        file_length: Some(sealed.file_length),
        media_key: Some(sealed.media_key),
        file_enc_sha256: Some(sealed.file_enc_sha256),
        direct_path: Some(sealed.direct_path),
        sync_type: Some(kind),
        chunk_order: blob.chunk_order,
        progress: blob.progress,
        ..wa::message::HistorySyncNotification::default()
    };
    let protocol_message = MessageField::some(wa::message::ProtocolMessage {
        r#type: Some(Type::HISTORY_SYNC_NOTIFICATION),
        history_sync_notification: MessageField::some(notification),
        ..wa::message::ProtocolMessage::default()
    });
    Ok(wa::Message { protocol_message, ..wa::Message::default() })
}

/// Downloads an announced blob, like a device.
///
/// # Errors
/// If the store no longer has it, or it cannot be parsed.
pub fn fetch(store: &MediaStore, announced: &wa::Message) -> Result<wa::HistorySync> {
    let notification = announced.protocol_message.as_option().context("announces nothing")?;
    let notification = notification.history_sync_notification.as_option().context("announces no history")?;
    let sealed = cipher::Sealed {
        direct_path: notification.direct_path.clone().unwrap_or_default(),
        media_key: notification.media_key.clone().unwrap_or_default(),
        file_sha256: notification.file_sha256.clone().unwrap_or_default(),
        file_enc_sha256: notification.file_enc_sha256.clone().unwrap_or_default(),
        file_length: notification.file_length.unwrap_or_default(),
    };
    let deflated = cipher::open(store, &sealed, MediaType::History)?;
    let mut inflate = flate2::write::ZlibDecoder::new(Vec::new());
    inflate.write_all(&deflated)?;
    Ok(wa::HistorySync::decode_from_slice(&inflate.finish()?)?)
}
