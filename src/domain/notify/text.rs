//! Titles and bodies of notifications. Each is sanitized, on one line and bounded.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use super::{About, Kind, Trigger};
use crate::domain::jid::Jid;

/// Limit of a title in characters.
pub const TITLE_MAX: usize = 120;
/// Limit of a body in characters.
pub const BODY_MAX: usize = 400;
/// Limit of combining marks per letter; longer stacks would overlap the surrounding text.
const MARKS_MAX: usize = 4;

/// Sanitizes a text: one line, without control characters, invisible characters or direction marks. A text
/// above `max` characters is cut and ends with `…`.
#[must_use]
pub fn sanitize(text: &str, max: usize) -> String {
    let mut out = String::new();
    let (mut length, mut marks, mut space) = (0, 0, true);
    for c in text.chars() {
        let c = if c.is_whitespace() || c == '\u{85}' || c.is_control() { ' ' } else { c };
        if is_format_control(c) || (c == ' ' && space) {
            continue;
        }
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if marks > MARKS_MAX {
            continue;
        }
        if length == max {
            out.pop();
            out.push('…');
            return out;
        }
        space = c == ' ';
        length += 1;
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

/// Whether a character is invisible and only affects other characters.
#[must_use]
pub fn is_format_control(c: char) -> bool {
    matches!(
        c,
        '\u{61C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// Title and body for `count` triggers; the newest of them supplies the details.
#[must_use]
pub fn of(happening: &Trigger, device: &str, chat: Option<&str>, count: u32) -> (String, String) {
    let (title, body) = raw(happening, device, chat, count);
    (sanitize(&title, TITLE_MAX), sanitize(&body, BODY_MAX))
}

fn raw(happening: &Trigger, device: &str, chat: Option<&str>, count: u32) -> (String, String) {
    // Each part is cut before it is inserted, so that the sentence around it stays complete.
    let device = sanitize(device, 40);
    match &happening.about {
        About::Message { name, text } => {
            let name = or(sanitize(name, 60), || number(happening));
            let text = or(sanitize(text, BODY_MAX), || "A message".to_owned());
            let group = chat.filter(|_| happening.is_group).map(|chat| sanitize(chat, 60));
            let group = group.filter(|group| !group.is_empty());
            let who = group.clone().unwrap_or_else(|| name.clone());
            let body = if group.is_some() { format!("{name}: {text}") } else { text };
            let title = if count > 1 { format!("{who} ({count} new messages)") } else { who };
            (title, body)
        }
        About::Call { video } => {
            let who = or(sanitize(chat.unwrap_or_default(), 60), || number(happening));
            let what = if *video { "video call" } else { "call" };
            match happening.kind {
                Kind::MissedCall => (format!("Missed {what} from {who}"), format!("On {device}.")),
                _ => (format!("{who} is calling"), format!("A {what} on {device}.")),
            }
        }
        About::Link { sentence } => match happening.kind {
            Kind::Qr => {
                (format!("{device} waits to be linked"), "Scan its QR code with the phone.".to_owned())
            }
            Kind::Error => (format!("{device} needs attention"), sentence.clone()),
            _ => (format!("{device} is offline"), sentence.clone()),
        },
        About::Failed { sentence } => {
            let to = chat.map(|chat| format!(" to {}", sanitize(chat, 60))).unwrap_or_default();
            let title = match count {
                0 | 1 => format!("A message{to} was not sent"),
                many => format!("{many} messages{to} were not sent"),
            };
            (title, sentence.clone())
        }
        About::Webhook { sentence, events, .. } => {
            let title = match (happening.kind, count, *events) {
                (Kind::WebhookDisabled, ..) => format!("A webhook of {device} was disabled"),
                (_, 0 | 1, 0 | 1) => format!("An event of {device} did not reach its webhook"),
                (_, 0 | 1, many) => format!("{many} events of {device} did not reach a webhook"),
                // The candidates counted into this one may stand for many events each.
                _ => format!("Events of {device} did not reach webhooks"),
            };
            (title, sentence.clone())
        }
        About::Summary => (
            format!("{device}: {count} more"),
            "The limit of notifications per minute was reached.".to_owned(),
        ),
        About::Test => ("Wharf".to_owned(), "This is a test notification.".to_owned()),
    }
}

fn or(text: String, other: impl FnOnce() -> String) -> String {
    if text.is_empty() { other() } else { text }
}

/// The sender's number, for an empty display name.
fn number(happening: &Trigger) -> String {
    happening.person.as_ref().map_or_else(|| "Somebody".to_owned(), Jid::as_name)
}

/// Whether a character is a combining mark.
fn is_mark(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Mark
}

#[cfg(test)]
mod tests {
    use super::super::text::*;
    use proptest::prelude::*;

    #[test]
    fn direction_controls_are_removed() {
        assert_eq!(sanitize("a\u{202E}b\u{2066}c\u{200F}\u{7}\n\n d\u{1b}[31m", 99), "abc d [31m");
        assert_eq!(sanitize("  <b>x</b>\t", 99), "<b>x</b>");
        assert_eq!(sanitize("abcdef", 4), "abc…");
        assert_eq!(sanitize(&"\u{202E}a\n".repeat(50_000), 9), "a a a a …");
        assert_eq!(sanitize(&format!("a{}", "\u{301}".repeat(50)), 99).chars().count(), 5);
    }

    #[test]
    fn stacked_combining_marks_are_limited() {
        for (letter, mark) in [("\u{E01}", "\u{E49}"), ("\u{628}", "\u{64E}"), ("\u{5D0}", "\u{5B0}")] {
            assert_eq!(
                sanitize(&format!("{letter}{}", mark.repeat(50)), 99),
                format!("{letter}{}", mark.repeat(4))
            );
        }
        assert_eq!(sanitize("\u{E19}\u{E49}\u{E33}", 99), "\u{E19}\u{E49}\u{E33}");
    }

    #[test]
    fn dead_letter_batch_is_one_notification_with_count() {
        let payload = r#"{"event":"message","error":"too_many_waiting","count":500}"#;
        let at = crate::domain::clock::Millis(0);
        let news = Trigger::of("webhook:dead", payload, 7, at, None).unwrap();
        let (title, body) = of(&news, "shop", None, 1);
        assert_eq!(title, "500 events of shop did not reach a webhook");
        assert_eq!(body, "Too much waited for it: the oldest are dead letters now.");
        let one = r#"{"event":"message","error":"timeout"}"#;
        let news = Trigger::of("webhook:dead", one, 7, at, None).unwrap();
        assert_eq!(of(&news, "shop", None, 1).0, "An event of shop did not reach its webhook");
        assert_eq!(of(&news, "shop", None, 3).0, "Events of shop did not reach webhooks");
    }

    #[test]
    fn blank_name_or_text_falls_back_to_number_and_kind() {
        let nothing = "\u{202E}\u{2066}\u{7}\n";
        let person: Jid = "15550100001@c.us".parse().unwrap();
        let news = |kind, about, is_group| Trigger {
            kind,
            seq: 1,
            at: crate::domain::clock::Millis(0),
            chat: Some(person.clone()),
            person: Some(person.clone()),
            is_group,
            mention: false,
            about,
        };
        let message = || About::Message { name: nothing.to_owned(), text: nothing.to_owned() };
        let expected = |title: &str, body: &str| (title.to_owned(), body.to_owned());
        assert_eq!(
            of(&news(Kind::Message, message(), false), "shop", None, 1),
            expected("+15550100001", "A message")
        );
        assert_eq!(
            of(&news(Kind::Message, message(), true), "shop", Some("Team"), 1),
            expected("Team", "+15550100001: A message")
        );
        assert_eq!(
            of(&news(Kind::Message, message(), true), "shop", Some(nothing), 1),
            expected("+15550100001", "A message")
        );
        let call = news(Kind::Call, About::Call { video: false }, false);
        assert_eq!(of(&call, "shop", Some(nothing), 1).0, "+15550100001 is calling");
        assert_eq!(of(&call, "shop", Some("Anna"), 1).0, "Anna is calling");
    }

    proptest! {
        #[test]
        fn sanitized_text_is_bounded_and_stable(text in "(?s).{0,300}", max in 1_usize..80) {
            let out = sanitize(&text, max);
            prop_assert!(out.chars().count() <= max);
            prop_assert!(!out.chars().any(|c| c.is_control() || is_format_control(c) || c == '\n'));
            prop_assert_eq!(sanitize(&out, max), out);
        }
    }
}
