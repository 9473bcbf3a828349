//! What a phone does to files before they go up, and after they came down.

use std::io::Cursor;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use wacore::download::{DownloadUtils, MediaType};
use wacore::upload::encrypt_media;

use super::MediaStore;

/// A file in the store, with what a message must say of it for others to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Where it lies on any host of the store.
    pub direct_path: String,
    /// What its keys are derived from.
    pub media_key: Vec<u8>,
    /// The hash of the file.
    pub file_sha256: Vec<u8>,
    /// The hash of what was uploaded.
    pub file_enc_sha256: Vec<u8>,
    /// The file's size in bytes.
    pub file_length: u64,
}

/// Encrypts a file and uploads it.
///
/// # Errors
/// When the file is too large for the store.
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

/// Downloads a file that a message describes, checks everything that the message says of it, and decrypts it.
///
/// # Errors
/// When it is not in the store, or not what the message says.
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

/// Where a file lies on any host of the store.
#[must_use]
pub fn path_of(kind: &str, token: &str) -> String {
    format!("/media/{kind}/{token}")
}

fn token_in(path: &str) -> Option<&str> {
    path.split('?').next()?.strip_prefix("/media/")?.split('/').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_opens_to_the_same_bytes() {
        let store = MediaStore::new("secret");
        for len in [0, 1, 15, 16, 17, 100_000] {
            let plain: Vec<u8> = (0..len).map(|at: usize| at.to_le_bytes()[0]).collect();
            let sealed = seal(&store, &plain, MediaType::Image).unwrap();
            assert_eq!(open(&store, &sealed, MediaType::Image).unwrap(), plain);
        }
    }

    #[test]
    fn a_file_opens_only_as_what_the_message_says() {
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
