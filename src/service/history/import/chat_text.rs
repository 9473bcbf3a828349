//! Imports the text format in three readings: for the order of dates, for errors and authors, and for
//! storing.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Read};

use sha2::{Digest as _, Sha256};

use super::archive::Source;
use super::author_map::{AuthorId, AuthorLookup, People};
use super::writer::ImportWriter;
use super::{ImportReport, ImportRequest, ServiceError, blocking, refused};
use crate::domain::ack::{Ack, Status};
use crate::domain::clock::Millis;
use crate::domain::content::Content;
use crate::domain::device::Account;
use crate::domain::export::document::{ChatHead, ExportedMessage};
use crate::domain::export::file_names::kind_of_name;
use crate::domain::export::limits::{AUTHOR_MAX, NAME_MAX, chars, past};
use crate::domain::export::text::{DateOrder, Extra, OrderVote, Parser, TextEntry};
use crate::domain::export::time_zone::Zone;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::message::{Message, MessageType};

/// Maximum bytes of a line.
const MAX_LINE: usize = 1 << 20;
/// Approximate bytes of an entry apart from its text.
const OVERHEAD: usize = 512;
/// Maximum authors; more than any group has.
const MAX_AUTHORS: usize = 4_096;

/// Imports a text.
pub(super) async fn import(
    source: Source,
    request: &ImportRequest,
    account: Option<&Account>,
    sink: ImportWriter,
) -> Result<ImportReport, ServiceError> {
    let (trial, zone, given_order) = (source.clone(), request.zone.clone(), request.date_order);
    let now = sink.history().clock.now();
    let read = blocking(move || summarize(&trial, zone, given_order, now)).await?;
    let chat = request.chat.clone().ok_or_else(|| {
        ServiceError::invalid("chatId", "is required for a text: the chat that its messages belong to")
    })?;
    let people = resolve(&sink, account, &chat, request, read.authors).await?;
    let names = people.others();
    let head = ChatHead {
        name: chat.as_name(),
        id: chat.clone(),
        pinned: false,
        archived: false,
        muted: false,
        muted_until: None,
        timestamp: Millis::default(),
    };
    let authors = people.imported_authors();
    let (zone, order, id) = (request.zone.clone(), read.order, chat.clone());
    let stored = sink
        .store(head, names, move |out| {
            let mut builder = MessageBuilder {
                chat: id,
                people,
                minute: Millis::default(),
                equal_messages: HashMap::new(),
            };
            each_entry(&source, zone, order, |entry| {
                let bytes = entry.body.len() + OVERHEAD;
                builder.message(entry).map_or(Ok(()), |message| out.push(message, bytes))
            })
        })
        .await?;
    Ok(ImportReport {
        imported: stored.imported,
        skipped: stored.skipped,
        system_lines: read.system_lines,
        chat_id: chat,
        media: stored.media,
        authors,
    })
}

async fn resolve(
    sink: &ImportWriter,
    account: Option<&Account>,
    chat: &Jid,
    request: &ImportRequest,
    names: Vec<String>,
) -> Result<People, ServiceError> {
    let (device, account, chat, request) =
        (sink.device().clone(), account.cloned(), chat.clone(), request.clone());
    sink.history()
        .store
        .read(move |store| {
            let lookup = AuthorLookup {
                store,
                device: &device,
                account: account.as_ref(),
                chat: &chat,
                request: &request,
            };
            lookup.people(&names)
        })
        .await
}

/// Results of the readings before storing.
struct TextSummary {
    order: DateOrder,
    authors: Vec<String>,
    system_lines: u64,
}

fn summarize(
    source: &Source,
    zone: Zone,
    given_order: Option<DateOrder>,
    now: Millis,
) -> Result<TextSummary, ServiceError> {
    let order = match given_order {
        Some(order) => order,
        None => {
            let mut vote = OrderVote::default();
            each_line(source, |line| {
                vote.see(line);
                Ok(())
            })?;
            vote.decide()
        }
    };
    let mut found = TextSummary { order, authors: Vec::new(), system_lines: 0 };
    let mut seen = HashSet::new();
    let mut any = false;
    each_entry(source, zone, order, |entry| {
        any = true;
        let place = |sentence| refused(format!("line {}: {sentence}", entry.line));
        past("its time", entry.at, now).map_err(place)?;
        let Some(author) = entry.author else {
            found.system_lines += 1;
            return Ok(());
        };
        fits(&author, entry.extra.as_ref())
            .map_err(|sentence| refused(format!("line {}: {sentence}", entry.line)))?;
        if seen.insert(author.clone()) {
            found.authors.push(author);
        }
        if seen.len() > MAX_AUTHORS {
            return Err(refused(format!("the text has more than {MAX_AUTHORS} authors")));
        }
        Ok(())
    })?;
    if !any {
        return Err(refused(
            "the text has no messages: a line must have the form 31/01/2026, 14:05 - Anna: Hello",
        ));
    }
    Ok(found)
}

fn fits(author: &str, extra: Option<&Extra>) -> Result<(), String> {
    chars("an author's name", author, AUTHOR_MAX)?;
    match extra {
        Some(Extra::File(name)) => chars("the name of a file", name, NAME_MAX),
        Some(Extra::Place(place)) => {
            chars("a place", place.description.as_deref().unwrap_or_default(), NAME_MAX)
        }
        Some(Extra::Omitted | Extra::Deleted) | None => Ok(()),
    }
}

fn each_entry(
    source: &Source,
    zone: Zone,
    order: DateOrder,
    mut take: impl FnMut(TextEntry) -> Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    let mut parser = Parser::new(zone, order);
    each_line(source, |line| {
        let entry = parser.line(line).map_err(|error| refused(error.to_string()))?;
        entry.map_or(Ok(()), &mut take)
    })?;
    parser.end().map_or(Ok(()), &mut take)
}

fn each_line(
    source: &Source,
    mut take: impl FnMut(&str) -> Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    source.read(|file| {
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let read = (&mut file).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line);
            let read = read.map_err(|error| refused(format!("line {number} cannot be read: {error}")))?;
            if read == 0 {
                break;
            }
            if line.len() > MAX_LINE {
                return Err(refused(format!("line {number} is longer than {MAX_LINE} bytes")));
            }
            let text = std::str::from_utf8(&line).map_err(|error| {
                refused(format!("line {number} is not UTF-8 from byte {} on", error.valid_up_to()))
            })?;
            take(text.strip_suffix('\n').unwrap_or(text))?;
        }
        Ok(())
    })
}

/// Builds messages from the entries of a text.
struct MessageBuilder {
    chat: Jid,
    people: People,
    minute: Millis,
    /// Number of equal messages in the current minute, by their hash.
    equal_messages: HashMap<[u8; 32], u32>,
}

impl MessageBuilder {
    /// Returns `None` for a system line.
    fn message(&mut self, entry: TextEntry) -> Option<ExportedMessage> {
        let name = entry.author.clone()?;
        let who = self.people.who(&name);
        let network = self.network_id(&entry, &who)?;
        let from_me = who == AuthorId::Me;
        let me = self.people.me.clone();
        let author = match who {
            AuthorId::Me => me.clone(),
            AuthorId::Other(id, _) => id,
        };
        let group = self.chat.is_group();
        let chat = self.chat.clone();
        let (from, to) = match (from_me, group) {
            (true, _) => (me, chat.clone()),
            (false, true) => (chat.clone(), me),
            (false, false) => (author.clone(), me),
        };
        let participant = (group && !from_me).then(|| author.clone());
        let ack = if from_me { Ack::Server } else { Ack::Device };
        let message = Message {
            id: MessageId { from_me, chat: chat.clone(), network, participant },
            chat_id: chat,
            from,
            to,
            author: group.then_some(author),
            from_me,
            body: entry.body,
            kind: MessageType::Chat,
            timestamp: entry.at,
            ack,
            has_media: false,
            media: None,
            location: None,
            contacts: Vec::new(),
            poll: None,
            template: None,
            quoted_message: None,
            is_forwarded: false,
            is_starred: false,
            is_edited: entry.edited,
            notify_name: name,
            mentioned_ids: Vec::new(),
            reactions: Vec::new(),
            sent_by: None,
        };
        let (content, file) = content_of(entry.extra);
        let message = message.with_content(content);
        Some(ExportedMessage {
            message,
            status: Status::of(ack),
            failure: None,
            receipts: Vec::new(),
            reacted_at: Vec::new(),
            edited_at: None,
            file,
        })
    }

    /// A stable id for a message, so that importing a text again adds nothing. It depends on chat, minute,
    /// author and text, and on the number of equal messages before it.
    fn network_id(&mut self, entry: &TextEntry, who: &AuthorId) -> Option<NetworkId> {
        let minute = entry.minute();
        if minute != self.minute {
            self.minute = minute;
            self.equal_messages.clear();
        }
        let author = match who {
            AuthorId::Me => String::new(),
            AuthorId::Other(id, _) => id.to_string(),
        };
        let extra = entry.extra.as_ref().map(Extra::line).unwrap_or_default();
        let mut hash = Sha256::new();
        for part in [&self.chat.to_string(), &minute.0.to_string(), &author, &extra, &entry.body] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let alike: [u8; 32] = hash.finalize().into();
        let times = self.equal_messages.entry(alike).and_modify(|times| *times += 1).or_insert(0);
        let digest = Sha256::new().chain_update(alike).chain_update(times.to_le_bytes()).finalize();
        let mut id = String::from("TEXT");
        for byte in digest.iter().take(14) {
            id.push_str(&format!("{byte:02X}"));
        }
        id.parse().ok()
    }
}

/// The content of a message and the name of its file.
fn content_of(extra: Option<Extra>) -> (Content, Option<String>) {
    match extra {
        None => (Content::Text, None),
        Some(Extra::Omitted) => (Content::Other(MessageType::Unknown), None),
        Some(Extra::Deleted) => (Content::Other(MessageType::Revoked), None),
        Some(Extra::Place(place)) => (Content::Location(place), None),
        Some(Extra::File(name)) => {
            let base = name.rsplit(['/', '\\']).next().unwrap_or(&name).to_owned();
            (Content::Other(kind_of_name(&base).message_type()), Some(base))
        }
    }
}
