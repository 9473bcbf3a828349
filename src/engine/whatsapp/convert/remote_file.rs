//! A file on the network's media hosts, and the key that decrypts it.

use serde::{Deserialize, Serialize};
use whatsapp_rust::download::{Downloadable, MediaType};

use crate::domain::media::MediaKind;

/// A file to download; stored in the vault until it is here. Never logged: it contains the file's key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct RemoteFile {
    pub(in super::super) kind: MediaKind,
    /// The sender's file name.
    pub(in super::super) filename: Option<String>,
    /// The size in bytes, as the sender claims.
    pub(in super::super) size: Option<u64>,
    /// The path on the network's media hosts.
    pub(in super::super) path: Option<String>,
    /// The decryption key; channels send files unencrypted.
    pub(in super::super) key: Option<Vec<u8>>,
    /// The hash of the encrypted bytes.
    pub(in super::super) encrypted_hash: Option<Vec<u8>>,
    /// The hash of the file.
    pub(in super::super) hash: Option<Vec<u8>>,
}

impl std::fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteFile")
            .field("kind", &self.kind)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// The network's type for this kind, which the encryption depends on.
pub(in super::super) fn media_type(kind: MediaKind) -> MediaType {
    match kind {
        MediaKind::Image => MediaType::Image,
        MediaKind::Video => MediaType::Video,
        MediaKind::Audio | MediaKind::Ptt => MediaType::Audio,
        MediaKind::Document => MediaType::Document,
        MediaKind::Sticker => MediaType::Sticker,
    }
}

impl Downloadable for RemoteFile {
    fn direct_path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    fn media_key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    fn file_enc_sha256(&self) -> Option<&[u8]> {
        self.encrypted_hash.as_deref()
    }

    fn file_sha256(&self) -> Option<&[u8]> {
        self.hash.as_deref()
    }

    fn file_length(&self) -> Option<u64> {
        self.size
    }

    fn app_info(&self) -> MediaType {
        media_type(self.kind)
    }
}
