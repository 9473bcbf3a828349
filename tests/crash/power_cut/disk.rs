//! The disk as it is after a power cut, built from the recorded changes of a daemon (`tests/crash/shim/power.c`).
//!
//! Contents of a file survive if they were written before an `fsync` of the file began, and the call returned. Names
//! survive under the same rule for their directory, as POSIX promises no more. Memory maps are not recorded.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::process::SeededRng;

/// What a disk writes as a whole.
const SECTOR: usize = 512;
/// Bytes of a record before its texts.
const HEAD: usize = 40;
/// Files of the simulated network, which has its own power.
const NETWORK: &str = "simulator";

type Id = u64;
type Names = BTreeMap<String, Id>;

enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    pending: VecDeque<Change>,
    /// Number of changes that are durable.
    synced: usize,
}

#[derive(Default)]
struct Directory {
    durable: Names,
    current: Names,
    /// Number of the sync whose names are durable.
    synced: usize,
}

enum Node {
    File(Content),
    Directory(Directory),
}

/// State at the beginning of a call of `fsync`.
enum Begun {
    File(Id, usize),
    Directory(Id, Names, usize),
}

/// The files below one directory.
pub struct Disk {
    root: PathBuf,
    nodes: HashMap<Id, Node>,
    /// Files by their number in the file system, which uses a number again after a deletion.
    numbers: HashMap<u64, Id>,
    begun: HashMap<(u64, u64), Begun>,
    last_id: Id,
    /// Number of begun syncs.
    syncs: usize,
}

const ROOT: Id = 0;

impl Disk {
    /// Reads a directory; all of it is durable.
    pub fn load(root: &Path) -> Self {
        let mut disk = Self {
            root: root.to_owned(),
            nodes: HashMap::new(),
            numbers: HashMap::new(),
            begun: HashMap::new(),
            last_id: ROOT,
            syncs: 0,
        };
        disk.load_directory(ROOT, root);
        disk
    }

    fn load_directory(&mut self, id: Id, path: &Path) {
        self.numbers.insert(fs::metadata(path).unwrap().ino(), id);
        let mut names = Names::new();
        for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
            let child = self.next_id();
            if entry.file_type().unwrap().is_dir() {
                self.load_directory(child, &entry.path());
            } else {
                self.numbers.insert(entry.metadata().unwrap().ino(), child);
                let durable = fs::read(entry.path()).unwrap();
                self.nodes.insert(child, Node::File(Content { durable, ..Content::default() }));
            }
            names.insert(entry.file_name().into_string().unwrap(), child);
        }
        let directory = Directory { durable: names.clone(), current: names, synced: 0 };
        self.nodes.insert(id, Node::Directory(directory));
    }

    /// Ids are never used again.
    fn next_id(&mut self) -> Id {
        self.last_id += 1;
        self.last_id
    }

    /// Applies the records of a daemon that was killed.
    pub fn replay(&mut self, log: &Path) {
        let bytes = fs::read(log).unwrap_or_default();
        let mut rest = bytes.as_slice();
        while rest.len() >= HEAD {
            let field = |at: usize| u64::from_le_bytes(rest[at * 8..at * 8 + 8].try_into().unwrap());
            let (op, file, offset) = (field(0), field(1), field(2));
            let (first, second) = (usize::try_from(field(3)).unwrap(), usize::try_from(field(4)).unwrap());
            // The daemon was killed while it wrote the last record.
            if rest.len() < HEAD + first + second {
                break;
            }
            let (one, two) = rest[HEAD..HEAD + first + second].split_at(first);
            self.apply(op, file, offset, one, two);
            rest = &rest[HEAD + first + second..];
        }
    }

    fn apply(&mut self, op: u64, file: u64, offset: u64, one: &[u8], two: &[u8]) {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let path = |bytes: &[u8]| self.place(&PathBuf::from(String::from_utf8_lossy(bytes).into_owned()));
        match op {
            1 | 9 => {
                let Some((parent, name)) = path(one) else { return };
                let id = self.next_id();
                let node = if op == 1 {
                    Node::File(Content::default())
                } else {
                    Node::Directory(Directory::default())
                };
                self.nodes.insert(id, node);
                self.numbers.insert(file, id);
                self.names(parent).insert(name, id);
            }
            2 => self.change(file, Change::Write(at, one.to_vec())),
            3 => self.change(file, Change::Truncate(at)),
            4 => self.begin_sync(file, offset),
            5 => self.end_sync(file, offset),
            6 => {
                let (from, to) = (path(one), path(two));
                let Some((parent, name)) = from else { return };
                let Some(id) = self.names(parent).remove(&name) else { return };
                let Some((parent, name)) = to else { return };
                let replaced = self.names(parent).insert(name, id);
                self.forget(replaced);
            }
            7 | 10 => {
                let Some((parent, name)) = path(one) else { return };
                let removed = self.names(parent).remove(&name);
                self.forget(removed);
            }
            8 => {
                let (Some((from, name)), Some((parent, new))) = (path(one), path(two)) else { return };
                let Some(id) = self.names(from).get(&name).copied() else { return };
                self.names(parent).insert(new, id);
            }
            other => panic!("no record has the number {other}"),
        }
    }

    /// The directory and the name of a path; `None` outside the root.
    fn place(&self, path: &Path) -> Option<(Id, String)> {
        let inner = path.strip_prefix(&self.root).ok()?;
        let name = inner.file_name()?.to_str()?.to_owned();
        let mut id = ROOT;
        for part in inner.parent()?.components() {
            id = *self.current_names(id)?.get(part.as_os_str().to_str()?)?;
        }
        self.current_names(id).map(|_| (id, name))
    }

    fn current_names(&self, id: Id) -> Option<&Names> {
        match self.nodes.get(&id) {
            Some(Node::Directory(directory)) => Some(&directory.current),
            _ => None,
        }
    }

    fn names(&mut self, id: Id) -> &mut Names {
        match self.nodes.get_mut(&id) {
            Some(Node::Directory(directory)) => &mut directory.current,
            _ => panic!("no directory"),
        }
    }

    /// The file system may use the number of a file without a name again.
    fn forget(&mut self, id: Option<Id>) {
        let Some(id) = id else { return };
        let is_named = self.nodes.values().any(|node| match node {
            Node::Directory(directory) => directory.current.values().any(|other| *other == id),
            Node::File(_) => false,
        });
        if !is_named {
            self.numbers.retain(|_, other| *other != id);
        }
    }

    fn change(&mut self, file: u64, change: Change) {
        let Some(id) = self.numbers.get(&file) else { return };
        if let Some(Node::File(content)) = self.nodes.get_mut(id) {
            content.pending.push_back(change);
        }
    }

    fn begin_sync(&mut self, file: u64, thread: u64) {
        let Some(&id) = self.numbers.get(&file) else { return };
        self.syncs += 1;
        let begun = match &self.nodes[&id] {
            Node::File(content) => Begun::File(id, content.synced + content.pending.len()),
            Node::Directory(directory) => Begun::Directory(id, directory.current.clone(), self.syncs),
        };
        self.begun.insert((file, thread), begun);
    }

    fn end_sync(&mut self, file: u64, thread: u64) {
        match self.begun.remove(&(file, thread)) {
            Some(Begun::File(id, until)) => {
                let Some(Node::File(content)) = self.nodes.get_mut(&id) else { return };
                while content.synced < until {
                    let change = content.pending.pop_front().unwrap();
                    change.apply_to(&mut content.durable);
                    content.synced += 1;
                }
            }
            Some(Begun::Directory(id, names, number)) => {
                let Some(Node::Directory(directory)) = self.nodes.get_mut(&id) else { return };
                if number > directory.synced {
                    (directory.durable, directory.synced) = (names, number);
                }
            }
            None => {}
        }
    }

    /// Writes what survives. Without a generator nothing else survives; with it, each sector and each directory that
    /// was not synced survives or not, at random.
    pub fn write_surviving(&self, to: &Path, mut rng: Option<&mut SeededRng>) {
        self.write_directory(ROOT, to, &mut rng);
        let (network, copy) = (self.root.join(NETWORK), to.join(NETWORK));
        if network.exists() {
            let _ = fs::remove_dir_all(&copy);
            copy_directory(&network, &copy);
        }
    }

    fn write_directory(&self, id: Id, to: &Path, rng: &mut Option<&mut SeededRng>) {
        fs::create_dir_all(to).unwrap();
        let Node::Directory(directory) = &self.nodes[&id] else { panic!("no directory") };
        let survives = rng.as_mut().is_some_and(|rng| rng.one_in(2));
        for (name, child) in if survives { &directory.current } else { &directory.durable } {
            match &self.nodes[child] {
                Node::Directory(_) => self.write_directory(*child, &to.join(name), rng),
                Node::File(content) => fs::write(to.join(name), content.surviving(rng)).unwrap(),
            }
        }
    }

    /// Number of unsynced changes of files.
    pub fn pending(&self) -> usize {
        let files = self.nodes.values().filter_map(|node| match node {
            Node::File(content) => Some(content.pending.len()),
            Node::Directory(_) => None,
        });
        files.sum()
    }

    /// Paths whose recorded content is not the real one: of a daemon that ended by itself there are none.
    pub fn differences(&self, skip: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        self.compare(ROOT, &self.root, skip, &mut found);
        found
    }

    fn compare(&self, id: Id, path: &Path, skip: &[&str], found: &mut Vec<String>) {
        let mut recorded = self.current_names(id).unwrap().clone();
        for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let child = recorded.remove(&name);
            if skip.contains(&name.as_str()) {
                continue;
            }
            match child.and_then(|child| Some((child, self.nodes.get(&child)?))) {
                Some((child, Node::Directory(_))) => self.compare(child, &entry.path(), skip, found),
                Some((_, Node::File(content))) => {
                    let real = fs::read(entry.path()).unwrap();
                    let recorded = content.current();
                    if recorded != real {
                        found.push(format!(
                            "{}: {} of {} bytes",
                            entry.path().display(),
                            recorded.len(),
                            real.len()
                        ));
                    }
                }
                None => found.push(format!("{}: not recorded", entry.path().display())),
            }
        }
        found.extend(recorded.keys().map(|name| format!("{}: does not exist", path.join(name).display())));
    }
}

impl Content {
    fn current(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            change.apply_to(&mut bytes);
        }
        bytes
    }

    fn surviving(&self, rng: &mut Option<&mut SeededRng>) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let Some(rng) = rng else { return bytes };
        for change in &self.pending {
            match change {
                Change::Truncate(_) if rng.one_in(2) => change.apply_to(&mut bytes),
                Change::Truncate(_) => {}
                Change::Write(offset, written) => {
                    let mut at = 0;
                    while at < written.len() {
                        // Up to the next boundary of a sector of the file.
                        let length = (SECTOR - (offset + at) % SECTOR).min(written.len() - at);
                        if rng.one_in(2) {
                            let sector = written[at..at + length].to_vec();
                            Change::Write(offset + at, sector).apply_to(&mut bytes);
                        }
                        at += length;
                    }
                }
            }
        }
        bytes
    }
}

impl Change {
    fn apply_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => bytes.resize(*length, 0),
            Self::Write(offset, written) => {
                let end = offset + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(written);
            }
        }
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let copy = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &copy);
        } else {
            fs::copy(entry.path(), copy).unwrap();
        }
    }
}
