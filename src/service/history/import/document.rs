//! Reads the JSON document one message at a time.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::archive::Source;
use super::writer::{Batches, ImportWriter};
use super::{ImportReport, ImportRequest, ServiceError, blocking, refused};
use crate::domain::clock::Millis;
use crate::domain::export::document::{ChatHead, ExportedMessage, FORMAT, VERSION};
use crate::domain::export::limits::{NAME_MAX, chars, of_calendar};
use crate::domain::jid::Jid;

/// Maximum bytes of each value other than the list of messages.
const MAX_VALUE: usize = 8 << 20;
/// Maximum bytes of a message. The contact cards of one send and of the message that it quotes fit.
const MAX_MESSAGE: usize = 1 << 20;

/// Imports a JSON document.
pub(super) async fn import(
    source: Source,
    request: &ImportRequest,
    sink: ImportWriter,
) -> Result<ImportReport, ServiceError> {
    let (trial, now) = (source.clone(), sink.history().clock.now());
    let chat = blocking(move || trial.read(|file| read(file, &mut Batches::trial(), now))).await?;
    if let Some(wanted) = &request.chat
        && *wanted != chat.id
    {
        return Err(ServiceError::invalid("chatId", format!("is not the chat of this export, {}", chat.id)));
    }
    let chat_id = chat.id.clone();
    let stored =
        sink.store(chat, Vec::new(), move |out| source.read(|file| read(file, out, now)).map(|_| ())).await?;
    Ok(ImportReport {
        imported: stored.imported,
        skipped: stored.skipped,
        system_lines: 0,
        chat_id,
        media: stored.media,
        authors: Vec::new(),
    })
}

/// Reads a whole document and returns its chat.
fn read(file: &mut dyn Read, out: &mut Batches, now: Millis) -> Result<ChatHead, ServiceError> {
    let meter = Rc::new(Meter { remaining: Cell::new(MAX_VALUE), most: Cell::new(MAX_VALUE) });
    let file = without_mark(BufReader::with_capacity(1 << 16, file))?;
    let metered = Metered { file, meter: meter.clone() };
    let mut json = serde_json::Deserializer::from_reader(metered);
    let mut reading =
        Reading { out, now, meter, read: 0, chat: None, chat_of_messages: None, format: None, stopped: None };
    let parsed = json.deserialize_map(Document(&mut reading)).and_then(|()| json.end());
    let Reading { read, chat, chat_of_messages, format, stopped, .. } = reading;
    if let Some(stopped) = stopped {
        return Err(stopped);
    }
    parsed.map_err(|error| {
        let place = if read > 0 { format!(" (after {read} messages)") } else { String::new() };
        refused(format!("the export is not a chat as JSON: {error}{place}"))
    })?;
    match format {
        Some((format, _)) if format != FORMAT => {
            return Err(refused(format!("the export's format must be \"{FORMAT}\"")));
        }
        Some((_, version)) if version.is_none_or(|version| version == 0 || version > VERSION) => {
            return Err(refused(format!(
                "the export's version must be {VERSION}; a newer wharf wrote another"
            )));
        }
        Some(_) => {}
        None => return Err(refused(format!("the export must have \"format\": \"{FORMAT}\" and a version"))),
    }
    let chat = chat.ok_or_else(|| refused("the export must have a chat with id and name"))?;
    chars("the chat's name", &chat.name, NAME_MAX).map_err(refused)?;
    for (field, at) in [("the chat's mutedUntil", chat.muted_until), ("its timestamp", Some(chat.timestamp))]
    {
        at.map_or(Ok(()), |at| of_calendar(field, at)).map_err(refused)?;
    }
    match chat_of_messages {
        Some(of_messages) if of_messages != chat.id => {
            Err(refused(format!("the messages belong to {of_messages}, but the chat is {}", chat.id)))
        }
        _ => Ok(chat),
    }
}

/// Skips a UTF-8 byte order mark.
fn without_mark(mut file: impl Read) -> Result<impl Read, ServiceError> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    let mut start = Vec::with_capacity(MARK.len());
    let read = file.by_ref().take(MARK.len() as u64).read_to_end(&mut start);
    read.map_err(|error| refused(format!("the export cannot be read: {error}")))?;
    if start == MARK {
        start.clear();
    }
    Ok(io::Cursor::new(start).chain(file))
}

struct Reading<'a> {
    out: &'a mut Batches,
    now: Millis,
    meter: Rc<Meter>,
    read: u64,
    chat: Option<ChatHead>,
    chat_of_messages: Option<Jid>,
    format: Option<(String, Option<u32>)>,
    /// Error other than an invalid document that ended the reading.
    stopped: Option<ServiceError>,
}

impl Reading<'_> {
    fn take(&mut self, message: ExportedMessage, bytes: usize) -> Result<(), String> {
        message.check(self.now)?;
        let chat = &message.message.chat_id;
        match &self.chat_of_messages {
            Some(earlier) if earlier != chat => {
                return Err(format!("a message belongs to {chat}, earlier ones to {earlier}"));
            }
            Some(_) => {}
            None => self.chat_of_messages = Some(chat.clone()),
        }
        self.read += 1;
        self.out.push(message.into_history(), bytes).map_err(|stopped| {
            let sentence = stopped.to_string();
            self.stopped = Some(stopped);
            sentence
        })
    }
}

/// Bytes that the current value may still use.
struct Meter {
    remaining: Cell<usize>,
    most: Cell<usize>,
}

impl Meter {
    /// Starts a new value and returns the size of the one before.
    fn begin(&self, most: usize) -> usize {
        self.most.replace(most) - self.remaining.replace(most)
    }
}

/// Limits the size of a value: the parser buffers no more than it has read since the last message. The parser
/// reads byte by byte, so the limit is exact.
struct Metered<R> {
    file: R,
    meter: Rc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        let remaining = self.meter.remaining.get().checked_sub(read).ok_or_else(|| {
            let sentence = format!("one value has more than {} bytes", self.meter.most.get());
            io::Error::new(io::ErrorKind::InvalidData, sentence)
        })?;
        self.meter.remaining.set(remaining);
        Ok(read)
    }
}

struct Document<'a, 'b>(&'a mut Reading<'b>);

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with format, version, chat and messages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reading = self.0;
        let (mut format, mut version) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            reading.meter.begin(MAX_VALUE);
            match key.as_str() {
                "format" => format = Some(map.next_value()?),
                "version" => version = Some(map.next_value()?),
                "chat" => reading.chat = Some(map.next_value()?),
                "messages" => map.next_value_seed(Messages(reading))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            reading.meter.begin(MAX_VALUE);
        }
        reading.format = format.map(|format| (format, version));
        Ok(())
    }
}

struct Messages<'a, 'b>(&'a mut Reading<'b>);

impl<'de> DeserializeSeed<'de> for Messages<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, list: D) -> Result<(), D::Error> {
        list.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Messages<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.meter.begin(MAX_MESSAGE);
        while let Some(message) = list.next_element::<ExportedMessage>()? {
            let bytes = self.0.meter.begin(MAX_MESSAGE);
            self.0.take(message, bytes).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> String {
        read(&mut text.as_bytes(), &mut Batches::trial(), Millis(0)).unwrap_err().to_string()
    }

    #[test]
    fn invalid_document_error_names_position() {
        assert!(says("{").contains("line 1 column 1"), "{}", says("{"));
        assert!(says("[]").contains("expected an object with format"), "{}", says("[]"));
        assert!(says("{}").contains("\"format\": \"wharf-chat\""));
        assert!(says("{\"format\":\"x\"}").contains("must be \"wharf-chat\""));
        assert!(says("{\"format\":\"wharf-chat\",\"version\":2}").contains("version must be 1"));
        assert!(says("{\"format\":\"wharf-chat\",\"version\":1}").contains("must have a chat"));
        let wrong = says("{\"format\":\"wharf-chat\",\n\"messages\":[\n{\"id\":5}]}");
        assert!(wrong.contains("line 3"), "{wrong}");
        let wrong = says("{\"messages\":{}}");
        assert!(wrong.contains("a list of messages"), "{wrong}");
    }

    #[test]
    fn endless_value_is_rejected_within_memory_limit() {
        let mut endless = "{\"format\":\"".as_bytes().chain(io::repeat(b'a'));
        let error = read(&mut endless, &mut Batches::trial(), Millis(0)).unwrap_err().to_string();
        assert!(error.contains("more than 8388608 bytes"), "{error}");
    }
}
