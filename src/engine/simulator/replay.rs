//! Reads the journal back at start: what was not acknowledged. `view` reads it on demand.
//!
//! Lines that cannot be read are skipped; they are what a crash left behind. Readers take the files line by
//! line, so that memory holds only what comes out. Everything here blocks.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};

use serde::de::DeserializeOwned;

use super::entries::{Acknowledgement, Forgetting};
use super::journal::Paths;
use super::letter::{NetworkMessage, Written};
use crate::domain::device::Account;
use crate::domain::ids::DeviceId;

/// What a start finds.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) devices: HashMap<DeviceId, RecoveredDevice>,
    /// Higher than any number that the files hold.
    pub(super) next_no: u64,
    /// Where the current file's last whole line ends.
    pub(super) whole: u64,
}

/// What a start finds of one device.
#[derive(Debug, Default)]
pub(super) struct RecoveredDevice {
    /// The account, when a phone has linked it.
    pub(super) account: Option<Account>,
    /// What it has not acknowledged, oldest first.
    pub(super) pending: Vec<(u64, NetworkMessage)>,
}

/// Reads both files from the beginning.
pub(super) fn recover(paths: &Paths) -> io::Result<Recovered> {
    let mut scan = Scan::default();
    match File::open(&paths.previous) {
        Ok(file) => {
            each_line(file, u64::MAX, |line| scan.take(line))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let whole = each_line(File::open(&paths.current)?, u64::MAX, |line| scan.take(line))?;
    Ok(scan.finish(whole))
}

/// Calls `take` with each whole line; returns where the last one ends.
pub(super) fn each_line(file: File, limit: u64, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(128 << 10, file.take(limit));
    let mut line = Vec::new();
    let mut end = 0;
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(end);
        }
        end += read as u64;
        take(&line);
    }
}

/// Whose line it is and what kind, without parsing it: both stand at its beginning.
pub(super) fn label(line: &[u8]) -> Option<(&str, &str)> {
    let rest = line.strip_prefix(br#"{"device":""#)?;
    let (device, rest) = split_at_quote(rest)?;
    let rest = rest.strip_prefix(br#","kind":""#)?;
    let (kind, _) = split_at_quote(rest)?;
    Some((std::str::from_utf8(device).ok()?, std::str::from_utf8(kind).ok()?))
}

fn split_at_quote(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b'"')?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

pub(super) fn parse<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    serde_json::from_slice(line).ok()
}

#[derive(Default)]
struct Scan {
    pending: BTreeMap<u64, (DeviceId, NetworkMessage)>,
    linked: HashMap<DeviceId, Account>,
    next_no: u64,
}

impl Scan {
    fn take(&mut self, line: &[u8]) {
        let Some((device, kind)) = label(line) else {
            return;
        };
        match kind {
            "incoming" => self.incoming(device, line),
            "acknowledged" => {
                let Some(entry) = parse::<Acknowledgement>(line) else {
                    return;
                };
                self.next_no = self.next_no.max(entry.no + 1);
                self.pending.remove(&entry.no);
            }
            "linked" => {
                if let (Ok(device), Some(account)) = (device.parse(), parse(line)) {
                    self.linked.insert(device, account);
                }
            }
            "unlinked" => self.drop_device(device),
            "forgotten" if parse::<Forgetting>(line).is_some_and(|entry| entry.everything) => {
                self.drop_device(device);
            }
            _ => {}
        }
    }

    fn incoming(&mut self, device: &str, line: &[u8]) {
        let (Ok(device), Some(entry)) = (device.parse::<DeviceId>(), parse::<Written>(line)) else {
            return;
        };
        self.next_no = self.next_no.max(entry.no + 1);
        self.pending.insert(entry.no, (device, entry.into_letter()));
    }

    fn drop_device(&mut self, device: &str) {
        self.linked.retain(|id, _| id.as_str() != device);
        self.pending.retain(|_, (id, _)| id.as_str() != device);
    }

    fn finish(self, whole: u64) -> Recovered {
        let mut devices: HashMap<DeviceId, RecoveredDevice> = HashMap::new();
        for (device, account) in self.linked {
            devices.entry(device).or_default().account = Some(account);
        }
        for (no, (device, letter)) in self.pending {
            devices.entry(device).or_default().pending.push((no, letter));
        }
        Recovered { devices, next_no: self.next_no, whole }
    }
}
