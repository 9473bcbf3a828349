//! Encrypts files before an upload and decrypts them after a download, like a phone.

use std::io::Cursor;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use wacore::download::{DownloadUtils, MediaType};
use wacore::upload::encrypt_media;

use super::MediaStore;

/// An encrypted file in the store, with the fields of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The path on any host of the store.
    pub direct_path: String,
    /// The key from which its keys are derived.
    pub media_key: Vec<u8>,
    /// The hash of the file.
    pub file_sha256: Vec<u8>,
    /// The hash of the encrypted bytes.
    pub file_enc_sha256: Vec<u8>,
    /// The file's size in bytes.
    pub file_length: u64,
}

/// Encrypts and uploads a file.
///
/// # Errors
/// If the file is too large for the store.
pub fn seal(store: &MediaStore, plain: &[u8], kind: MediaType) -> anyhow::Result<Sealed> {
    let sealed = encrypt_media(plain, kind)?;
    let token = store.put(Bytes::from(sealed.data_to_upload))?;
    Ok(Sealed {
        direct_path: path_of(kind.mms_type(), &token),
        media_key: sealed.media_key.to_vec(),
        file_sha256: sealed.file_sha256.to_vec(),
        file_enc_sha256: sealed.file_enc_sha256.to_vec(),
        file_length: u64::try_from(plain.len())?,
    })
}

/// Downloads, verifies and decrypts a file that a message describes.
///
/// # Errors
/// If it is not in the store, or differs from the description.
pub fn open(store: &MediaStore, file: &Sealed, kind: MediaType) -> anyhow::Result<Vec<u8>> {
    let token = token_in(&file.direct_path).context("the direct path names no file of this store")?;
    let bytes = store.get(token).context("the store has no such file")?;
    let hash = Sha256::digest(&bytes);
    ensure!(hash.as_slice() == file.file_enc_sha256, "the encrypted bytes are not those of the message");
    let plain = DownloadUtils::decrypt_stream(Cursor::new(bytes), &file.media_key, kind)?;
    let hash = Sha256::digest(&plain);
    ensure!(hash.as_slice() == file.file_sha256, "the file is not the one of the message");
    ensure!(u64::try_from(plain.len())? == file.file_length, "the message gives another length");
    Ok(plain)
}

/// The path of a file on any host of the store.
#[must_use]
pub fn path_of(kind: &str, token: &str) -> String {
    format!("/media/{kind}/{token}")
}

pub(crate) fn token_in(path: &str) -> Option<&str> {
    path.split('?').next()?.strip_prefix("/media/")?.split('/').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encrypted_file_round_trips() {
        let store = MediaStore::new("secret");
        for len in [0, 1, 15, 16, 17, 100_000] {
            let plain: Vec<u8> = (0..len).map(|at: usize| at.to_le_bytes()[0]).collect();
            let sealed = seal(&store, &plain, MediaType::Image).unwrap();
            assert_eq!(open(&store, &sealed, MediaType::Image).unwrap(), plain);
        }
    }

    #[test]
    fn file_must_match_its_message() {
        let store = MediaStore::new("secret");
        let sealed = seal(&store, b"a picture", MediaType::Image).unwrap();
        assert!(open(&store, &sealed, MediaType::Video).is_err());
        let longer = Sealed { file_length: 10, ..sealed.clone() };
        assert!(open(&store, &longer, MediaType::Image).is_err());
        let other = Sealed { file_sha256: vec![0; 32], ..sealed.clone() };
        assert!(open(&store, &other, MediaType::Image).is_err());
        let elsewhere = Sealed { direct_path: "/media/image/unknown".to_owned(), ..sealed };
        assert!(open(&store, &elsewhere, MediaType::Image).is_err());
    }
}
