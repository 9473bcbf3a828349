//! The browser extension that signs for a link with a passkey, as a ZIP file. It is part of the binary.

use std::io::{Cursor, Write as _};

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::Embed;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::ApiState;
use super::error::ApiError;
use super::request_labels::LabelledRoute;

/// The files of the extension.
#[derive(Embed)]
#[folder = "assets/passkey-extension/"]
struct Files;

/// `/passkey-extension.zip`.
pub fn routes() -> Router<ApiState> {
    Router::new().route("/passkey-extension.zip", get(|_: LabelledRoute| async { file() }))
}

fn file() -> Result<Response, ApiError> {
    let bytes = packed().map_err(|error| {
        tracing::error!(%error, "the extension for passkeys cannot be packed");
        ApiError::Internal
    })?;
    let headers = [
        (CONTENT_TYPE, "application/zip"),
        (CONTENT_DISPOSITION, "attachment; filename=\"wharf-passkey-extension.zip\""),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, bytes).into_response())
}

/// The files in a fixed order and with a fixed time, so that equal files give equal bytes.
fn packed() -> Result<Vec<u8>, ZipError> {
    let mut names: Vec<_> = Files::iter().collect();
    names.sort();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        let Some(file) = Files::get(&name) else { continue };
        zip.start_file(&*name, options)?;
        zip.write_all(&file.data)?;
    }
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn packed_extension_has_its_manifest() {
        let bytes = packed().unwrap();
        assert_eq!(bytes, packed().unwrap());
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut text = String::new();
        zip.by_name("manifest.json").unwrap().read_to_string(&mut text).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(manifest["manifest_version"], 3);
    }
}
