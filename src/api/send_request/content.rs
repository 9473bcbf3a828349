//! What else than text a request may send: a file, a place, contact cards, a poll, a template.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{FieldError, Fields, is_blank};
use crate::domain::content::{ContactCard, Content, Location, Poll, Template};
use crate::domain::jid::Jid;
use crate::service::{MediaSource, SendAs, SendContent, SendMedia};

/// Largest file in `media.data`, in bytes.
pub(super) const INLINE_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Longest caption, in characters.
pub(crate) const CAPTION_MAX_CHARS: usize = 1_024;
/// Longest address, in characters.
const URL_MAX_CHARS: usize = 2_048;
/// Longest name of a person, a place, a file, a poll or an answer, in characters.
const NAME_MAX_CHARS: usize = 255;
/// Longest contact card, in characters.
const VCARD_MAX_CHARS: usize = 16_384;
/// Contact cards in one message.
const MAX_CARDS: usize = 20;
/// Fewest and most answers of a poll.
const POLL_OPTIONS: std::ops::RangeInclusive<usize> = 2..=12;
/// Longest name of a template, in characters (Meta's limit).
const TEMPLATE_NAME_MAX_CHARS: usize = 512;
/// Longest code of a language, in characters.
const LANGUAGE_MAX_CHARS: usize = 16;
/// Components of a template, and all of them in bytes of JSON.
const MAX_COMPONENTS: usize = 16;
const COMPONENTS_MAX_BYTES: usize = 32_768;
/// Longest text of a template that is shown here, in characters.
const TEMPLATE_TEXT_MAX_CHARS: usize = 4_096;
/// What a message may consist of.
const CONTENTS: &str = "text, media, location, contact, poll, template";

impl Fields<'_> {
    /// The text or caption, and the content: exactly one of [`CONTENTS`].
    pub(super) fn content(&mut self, text: Option<String>) -> Option<(String, SendContent)> {
        let text_was_wrong = ["text", "body"].iter().any(|f| self.get(f).is_some_and(|v| !v.is_string()));
        let others = self.other_contents();
        match others.len() + usize::from(text.is_some() || text_was_wrong) {
            0 => {
                self.wrong("text", "is required, or one of media, location, contact, poll, template");
                return None;
            }
            1 => {}
            _ => {
                let field = others.first().copied().unwrap_or("text");
                self.wrong(field, format!("give exactly one of {CONTENTS}"));
                return None;
            }
        }
        match others.first().copied() {
            Some("media" | "mediaUrl") => self.media(),
            Some("location") => self.nested("location", location).map(|l| ready(Content::Location(l))),
            Some("contact") => self.contacts().map(|cards| ready(Content::Contacts(cards))),
            Some("template") => self
                .nested("template", template)
                .map(|(text, template)| (text, SendContent::Ready(Content::Template(template)))),
            Some(_) => self.nested("poll", poll).map(|poll| ready(Content::Poll(poll))),
            None => text.map(|text| (text, SendContent::Ready(Content::Text))),
        }
    }

    /// `mediaUrl` beside `media` is its address, not a second content.
    fn other_contents(&self) -> Vec<&'static str> {
        let media = ["media", "mediaUrl"].into_iter().find(|field| self.get(field).is_some());
        let rest = ["location", "contact", "poll", "template"];
        let rest = rest.into_iter().filter(|field| self.get(field).is_some());
        media.into_iter().chain(rest).collect()
    }

    fn media(&mut self) -> Option<(String, SendContent)> {
        let short_url = self.string("mediaUrl").map(str::to_owned);
        let read = |nested: &mut Nested<'_>| media(nested, short_url);
        if self.get("media").is_none() {
            let empty = Map::new();
            return self.read_nested(Nested::new("media", &empty), read);
        }
        self.nested("media", read)
    }

    fn contacts(&mut self) -> Option<Vec<ContactCard>> {
        let cards = match self.get("contact")? {
            Value::Array(list) => list.iter().collect(),
            one => vec![one],
        };
        if cards.len() > MAX_CARDS {
            self.wrong("contact", format!("has more than {MAX_CARDS} cards"));
            return None;
        }
        cards.into_iter().map(|value| self.card(value)).collect()
    }

    fn card(&mut self, value: &Value) -> Option<ContactCard> {
        match value {
            Value::Object(object) => self.read_nested(Nested::new("contact", object), card),
            _ => {
                self.wrong(
                    "contact",
                    "must be an object with name and phoneNumber, or with vcard, or a list of such",
                );
                None
            }
        }
    }

    fn nested<T>(
        &mut self,
        path: &'static str,
        read: impl FnOnce(&mut Nested<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.get(path) {
            Some(Value::Object(object)) => self.read_nested(Nested::new(path, object), read),
            _ => {
                self.wrong(path, "must be an object");
                None
            }
        }
    }

    fn read_nested<T>(
        &mut self,
        mut nested: Nested<'_>,
        read: impl FnOnce(&mut Nested<'_>) -> Option<T>,
    ) -> Option<T> {
        let found = read(&mut nested);
        let fine = nested.errors.is_empty() && nested.too_large.is_none();
        self.errors.append(&mut nested.errors);
        self.too_large = self.too_large.or(nested.too_large);
        found.filter(|_| fine)
    }
}

fn ready(content: Content) -> (String, SendContent) {
    (String::new(), SendContent::Ready(content))
}

/// The fields of an object inside the request.
struct Nested<'a> {
    path: &'static str,
    object: &'a Map<String, Value>,
    errors: Vec<FieldError>,
    too_large: Option<usize>,
}

impl<'a> Nested<'a> {
    fn new(path: &'static str, object: &'a Map<String, Value>) -> Self {
        Self { path, object, errors: Vec::new(), too_large: None }
    }

    fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError { field: format!("{}.{field}", self.path), message: message.into() });
    }

    fn get(&self, field: &str) -> Option<&'a Value> {
        self.object.get(field).filter(|value| !is_blank(value))
    }

    fn text(&mut self, field: &str, max_chars: usize) -> Option<String> {
        match self.get(field)?.as_str() {
            Some(text) if text.chars().count() <= max_chars => return Some(text.to_owned()),
            Some(_) => self.wrong(field, format!("is longer than {max_chars} characters")),
            None => self.wrong(field, "must be a string"),
        }
        None
    }

    /// The first of these names that is given.
    fn text_of(&mut self, names: &[&str], max_chars: usize) -> Option<String> {
        let given = names.iter().find(|name| self.get(name).is_some())?;
        self.text(given, max_chars)
    }

    fn flag(&mut self, field: &str) -> bool {
        match self.get(field) {
            None => false,
            Some(Value::Bool(yes)) => *yes,
            Some(_) => {
                self.wrong(field, "must be true or false");
                false
            }
        }
    }

    fn degrees(&mut self, field: &str, most: f64) -> Option<f64> {
        let value = self.get(field);
        let number = match value {
            Some(Value::String(text)) => text.trim().parse().ok(),
            other => other.and_then(Value::as_f64),
        };
        match number {
            Some(degrees) if (-most..=most).contains(&degrees) => Some(degrees),
            None if value.is_none() => {
                self.wrong(field, format!("is required: degrees from -{most} to {most}"));
                None
            }
            _ => {
                self.wrong(field, format!("must be degrees from -{most} to {most}"));
                None
            }
        }
    }
}

fn media(media: &mut Nested<'_>, short_url: Option<String>) -> Option<(String, SendContent)> {
    let uploaded = media.text("mediaId", NAME_MAX_CHARS).map(MediaSource::Uploaded);
    let url = media.text("url", URL_MAX_CHARS).or(short_url).map(MediaSource::Url);
    let inline = inline_data(media).map(MediaSource::Inline);
    let filename = media.text("filename", NAME_MAX_CHARS);
    let caption = media.text("caption", CAPTION_MAX_CHARS).unwrap_or_default();
    // A claim: the type is told by the content.
    media.text("mimetype", NAME_MAX_CHARS);
    let as_what = send_as(media);
    let mut sources: Vec<MediaSource> = [uploaded, url, inline].into_iter().flatten().collect();
    if sources.len() != 1 && media.errors.is_empty() && media.too_large.is_none() {
        let message = "must have exactly one of mediaId, url and data".to_owned();
        media.errors.push(FieldError { field: "media".to_owned(), message });
        return None;
    }
    Some((caption, SendContent::Media(SendMedia { source: sources.pop()?, filename, as_what })))
}

fn send_as(media: &mut Nested<'_>) -> SendAs {
    let (voice, sticker) = (media.flag("asVoice"), media.flag("asSticker"));
    let document = media.flag("asDocument");
    match (voice, sticker, document) {
        (false, false, false) => SendAs::Content,
        (true, false, false) => SendAs::Voice,
        (false, true, false) => SendAs::Sticker,
        (false, false, true) => SendAs::Document,
        _ => {
            media.wrong("asVoice", "give at most one of asVoice, asSticker and asDocument");
            SendAs::Content
        }
    }
}

/// Base64, also with the `data:…;base64,` in front that browsers make, and in lines.
fn inline_data(media: &mut Nested<'_>) -> Option<Vec<u8>> {
    let Some(text) = media.get("data")?.as_str() else {
        media.wrong("data", "must be a string of base64");
        return None;
    };
    let text = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,").map_or("", |(_, data)| data),
        None => text,
    };
    let text: Cow<'_, str> = if text.contains(|c: char| c.is_ascii_whitespace()) {
        text.split_ascii_whitespace().collect::<String>().into()
    } else {
        text.into()
    };
    if text.len() / 4 * 3 > INLINE_MAX_BYTES + 2 {
        media.too_large = Some(INLINE_MAX_BYTES);
        return None;
    }
    match STANDARD.decode(text.as_bytes()) {
        Ok(bytes) if bytes.len() > INLINE_MAX_BYTES => {
            media.too_large = Some(INLINE_MAX_BYTES);
            None
        }
        Ok(bytes) if !bytes.is_empty() => Some(bytes),
        _ => {
            media.wrong("data", "must be base64 of at least one byte");
            None
        }
    }
}

fn location(place: &mut Nested<'_>) -> Option<Location> {
    let latitude = place.degrees("latitude", 90.0);
    let longitude = place.degrees("longitude", 180.0);
    let description = place.text_of(&["description", "name"], NAME_MAX_CHARS);
    Some(Location { latitude: latitude?, longitude: longitude?, description })
}

fn card(card: &mut Nested<'_>) -> Option<ContactCard> {
    let name = card.text_of(&["name", "displayName"], NAME_MAX_CHARS);
    if let Some(vcard) = card.text("vcard", VCARD_MAX_CHARS) {
        if !vcard.trim_start().to_ascii_uppercase().starts_with("BEGIN:VCARD") {
            card.wrong("vcard", "must begin with BEGIN:VCARD");
            return None;
        }
        return Some(ContactCard::of_vcard(vcard, name));
    }
    let organization = card.text("organization", NAME_MAX_CHARS);
    let Some(number) = card.text_of(&["phoneNumber", "number"], NAME_MAX_CHARS) else {
        card.wrong("phoneNumber", "is required, or vcard");
        return None;
    };
    match number.parse::<Jid>() {
        Ok(jid) if jid.phone().is_some() => Some(ContactCard::of_person(&jid, name, organization.as_deref())),
        _ => {
            card.wrong("phoneNumber", "must be a phone number with its country code, such as +15550100001");
            None
        }
    }
}

fn poll(poll: &mut Nested<'_>) -> Option<Poll> {
    let name = poll.text_of(&["name", "question", "title"], NAME_MAX_CHARS);
    if name.as_ref().is_none_or(|name| name.trim().is_empty()) {
        poll.wrong("name", "is required: the question");
    }
    let options = poll_options(poll);
    let allow_multiple_answers = poll.flag("allowMultipleAnswers");
    Some(Poll { name: name?, options: options?, allow_multiple_answers, votes: Vec::new() })
}

fn poll_options(poll: &mut Nested<'_>) -> Option<Vec<String>> {
    let list = poll.get("options").and_then(Value::as_array);
    let texts: Option<Vec<&str>> = list.and_then(|list| list.iter().map(Value::as_str).collect());
    let valid = texts.filter(|texts| {
        let different: HashSet<&str> = texts.iter().map(|text| text.trim()).collect();
        let fits = |text: &&str| !text.trim().is_empty() && text.chars().count() <= NAME_MAX_CHARS;
        POLL_OPTIONS.contains(&texts.len()) && different.len() == texts.len() && texts.iter().all(fits)
    });
    if valid.is_none() {
        let (least, most) = (POLL_OPTIONS.start(), POLL_OPTIONS.end());
        poll.wrong(
            "options",
            format!("must be {least} to {most} different texts of at most {NAME_MAX_CHARS} characters"),
        );
    }
    Some(valid?.into_iter().map(str::to_owned).collect())
}

/// What people read of it, where that is said, and the template.
fn template(template: &mut Nested<'_>) -> Option<(String, Template)> {
    let name = template.text("name", TEMPLATE_NAME_MAX_CHARS);
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.as_ref().is_none_or(|name| !name.chars().all(allowed)) {
        template.wrong("name", "is required: lower-case letters, digits and underscores");
    }
    let language = language(template);
    let components = components(template);
    let text = template.text("text", TEMPLATE_TEXT_MAX_CHARS);
    let name = name?;
    let text = text.unwrap_or_else(|| name.clone());
    Some((text, Template { name, language: language?, components: components? }))
}

/// A code such as `en` or `en_US`, also where its object is given as Meta has it.
fn language(template: &mut Nested<'_>) -> Option<String> {
    let value = template.get("language").map(|value| value.get("code").unwrap_or(value));
    let allowed = |c: char| c.is_ascii_alphabetic() || c == '_';
    let code = value
        .and_then(Value::as_str)
        .filter(|code| (2..=LANGUAGE_MAX_CHARS).contains(&code.len()) && code.chars().all(allowed));
    if code.is_none() {
        template.wrong("language", "is required: a code such as en or en_US");
    }
    code.map(str::to_owned)
}

fn components(template: &mut Nested<'_>) -> Option<Vec<Value>> {
    let Some(value) = template.get("components") else { return Some(Vec::new()) };
    let list = value.as_array().filter(|list| {
        list.len() <= MAX_COMPONENTS
            && list.iter().all(Value::is_object)
            && value.to_string().len() <= COMPONENTS_MAX_BYTES
    });
    if list.is_none() {
        template.wrong(
            "components",
            format!("must be at most {MAX_COMPONENTS} objects, of {COMPONENTS_MAX_BYTES} bytes in all"),
        );
    }
    list.cloned()
}

/// What stands for the content in a request's fingerprint: the same for all spellings.
pub(super) fn fingerprint(content: &SendContent) -> String {
    use sha2::{Digest as _, Sha256};
    match content {
        SendContent::Ready(content) => format!("{content:?}"),
        SendContent::Media(SendMedia { source, filename, as_what }) => {
            let source = match source {
                MediaSource::Inline(bytes) => format!("data {}", STANDARD.encode(Sha256::digest(bytes))),
                MediaSource::Uploaded(id) => format!("mediaId {id}"),
                MediaSource::Url(url) => format!("url {url}"),
            };
            format!("{source} {filename:?} {as_what:?}")
        }
    }
}
