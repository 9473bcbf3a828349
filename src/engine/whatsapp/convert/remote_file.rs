//! A file that is still at the network: where it is, and what opens it.

use whatsapp_rust::download::{Downloadable, MediaType};

use crate::domain::media::MediaKind;

/// Where a file is, and what opens it. It is never shown: it holds the file's key.
#[derive(Clone, PartialEq, Eq)]
pub(in super::super) struct RemoteFile {
    /// As what it was sent.
    pub(in super::super) kind: MediaKind,
    /// What the sender calls it.
    pub(in super::super) filename: Option<String>,
    /// How large the sender says it is, in bytes.
    pub(in super::super) size: Option<u64>,
    /// Its path at the network's media hosts.
    pub(in super::super) path: Option<String>,
    /// What it is encrypted with; channels send files in the open.
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

/// What the network calls files of this kind; the encryption depends on it.
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
