//! Imports the files of versions up to 0.1, which had a journal in the place of the vault and the ledger.
//!
//! The journal becomes the ledger at the first start. Undelivered messages, their files and changed
//! groups of a linked device go into the vault and the media store when the device is first used; its
//! files are then removed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};

use super::attachment;
use super::group_rules::SimulatedGroup;
use super::ledger::{self, each_line, label};
use super::network_message::NetworkMessage;
use super::storage::Storage;
use crate::domain::ids::DeviceId;
use crate::engine::{ByteStream, MediaStore, VaultError};

const JOURNAL: &str = "network.jsonl";
const OLDER_JOURNAL: &str = "network.1.jsonl";
/// Changed groups, a file for each device.
const GROUPS: &str = "groups";
/// Undelivered messages, a file for each device, made from the journal.
const UNDELIVERED: &str = "undelivered";
/// Files of undelivered messages.
const FILES: &str = "files";

/// Whether a device may still have files to import. Removes empty folders of finished imports. Blocks.
pub(super) fn is_pending(dir: &Path) -> bool {
    let folders = [GROUPS, UNDELIVERED].map(|name| dir.join(name));
    let is_pending = folders.iter().any(|folder| fs::remove_dir(folder).is_err() && folder.exists());
    if !is_pending {
        let _ = fs::remove_dir_all(dir.join(FILES));
    }
    is_pending
}

fn groups_path(dir: &Path, device: &str) -> PathBuf {
    dir.join(GROUPS).join(format!("{device}.json"))
}

fn messages_path(dir: &Path, device: &str) -> PathBuf {
    dir.join(UNDELIVERED).join(format!("{device}.jsonl"))
}

/// Renames a journal to the ledger, after its undelivered messages were written to a file for each device.
/// Blocks.
pub(super) fn convert(dir: &Path) -> io::Result<()> {
    if !dir.join(JOURNAL).exists() {
        return Ok(());
    }
    let mut undelivered: BTreeMap<u64, (String, Vec<u8>)> = BTreeMap::new();
    for name in [OLDER_JOURNAL, JOURNAL] {
        match File::open(dir.join(name)) {
            Ok(file) => each_line(file, |line| apply(&mut undelivered, line))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let mut by_device: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (device, line) in undelivered.into_values() {
        by_device.entry(device).or_default().extend(line);
    }
    fs::create_dir_all(dir.join(UNDELIVERED))?;
    for (device, lines) in by_device {
        let mut file = File::create(messages_path(dir, &device))?;
        file.write_all(&lines)?;
        file.sync_all()?;
    }
    if dir.join(OLDER_JOURNAL).exists() {
        fs::rename(dir.join(OLDER_JOURNAL), dir.join(ledger::PREVIOUS))?;
    }
    fs::rename(dir.join(JOURNAL), dir.join(ledger::CURRENT))?;
    File::open(dir)?.sync_all()
}

fn apply(undelivered: &mut BTreeMap<u64, (String, Vec<u8>)>, line: &[u8]) {
    let Some((device, kind)) = label(line) else { return };
    let entry = || serde_json::from_slice::<Value>(line).unwrap_or_default();
    match kind {
        "incoming" if device.parse::<DeviceId>().is_ok() => {
            if let Some(number) = entry()["no"].as_u64() {
                undelivered.insert(number, (device.to_owned(), line.to_vec()));
            }
        }
        "acknowledged" => {
            if let Some(number) = entry()["no"].as_u64() {
                undelivered.remove(&number);
            }
        }
        "unlinked" => undelivered.retain(|_, (other, _)| other != device),
        "forgotten" if entry()["everything"] == true => {
            undelivered.retain(|_, (other, _)| other != device);
        }
        _ => {}
    }
}

/// Stores the groups and undelivered messages of a linked device; those of an unlinked one are dropped.
pub(super) async fn import(
    dir: &Path,
    device: &DeviceId,
    storage: &Storage,
    media: &dyn MediaStore,
) -> Result<(), VaultError> {
    let groups = read(groups_path(dir, device.as_str())).await?;
    let messages = read(messages_path(dir, device.as_str())).await?;
    if groups.is_none() && messages.is_none() {
        return Ok(());
    }
    if storage.credentials().await?.is_some() {
        let groups: Vec<SimulatedGroup> =
            groups.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let mut converted = Vec::new();
        for line in messages.unwrap_or_default().split(|byte| *byte == b'\n') {
            if let Ok(entry) = serde_json::from_slice::<Map<String, Value>>(line) {
                converted.extend(convert_message(dir, entry, media).await);
            }
        }
        storage.import(&groups, &converted).await?;
    }
    discard(dir, device).await;
    Ok(())
}

/// Removes the files of a device.
pub(super) async fn discard(dir: &Path, device: &DeviceId) {
    for path in [groups_path(dir, device.as_str()), messages_path(dir, device.as_str())] {
        let _ = tokio::fs::remove_file(path).await;
    }
}

async fn read(path: PathBuf) -> Result<Option<Vec<u8>>, VaultError> {
    match tokio::fs::read(path).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(VaultError(Box::new(error))),
    }
}

/// A message as the vault stores it; `None` for a line that is not one.
async fn convert_message(
    dir: &Path,
    mut entry: Map<String, Value>,
    media: &dyn MediaStore,
) -> Option<(u64, NetworkMessage)> {
    let number = entry.get("no")?.as_u64()?;
    let attachment = entry.remove("file");
    // The journal omitted empty fields.
    let mut fields = json!({ "fromMe": false, "content": "text", "mentions": [], "forwarded": false });
    fields.as_object_mut()?.extend(entry);
    let mut message: NetworkMessage = serde_json::from_value(fields).ok()?;
    let Some(Value::Object(mut attachment)) = attachment else { return Some((number, message)) };
    let Some(Value::Object(bytes)) = attachment.remove("bytes") else { return Some((number, message)) };
    if bytes.get("from").is_some_and(|from| from == "made_up") {
        attachment.extend(bytes);
        message.file = serde_json::from_value(attachment.into()).ok();
        return Some((number, message));
    }
    let kind = attachment.remove("kind").and_then(|kind| serde_json::from_value(kind).ok());
    let filename = attachment.get("filename").and_then(Value::as_str).map(str::to_owned);
    let path = dir.join(FILES).join(format!("{:016x}", bytes.get("file")?.as_u64()?));
    let stored = attachment::save(media, file_stream(path), kind, filename).await;
    message.message.content = stored.unwrap_or_else(|_| attachment::without_file(kind));
    Some((number, message))
}

fn file_stream(path: PathBuf) -> ByteStream {
    stream::once(async move { tokio::fs::read(path).await.map(bytes::Bytes::from) }).boxed()
}
