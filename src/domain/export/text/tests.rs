use proptest::prelude::*;

use super::placeholders::MARK;
use super::*;
use crate::domain::clock::Millis;
use crate::domain::content::Location;
use crate::domain::export::time_zone::Zone;

/// The time 2026-01-31, 14:05 UTC.
const AT: Millis = Millis(1_769_868_300_000);

fn written(lines: &[Line<'_>]) -> String {
    let writer = Writer::new(Zone::utc());
    let mut text = String::new();
    lines.iter().for_each(|line| writer.write(line, &mut text));
    text
}

fn read_in(text: &str, zone: Zone) -> Result<Vec<TextEntry>, TextError> {
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
    let mut vote = OrderVote::default();
    lines.iter().for_each(|line| vote.see(line));
    let mut parser = Parser::new(zone, vote.decide());
    let mut entries = Vec::new();
    for line in lines {
        entries.extend(parser.line(line)?);
    }
    entries.extend(parser.end());
    Ok(entries)
}

fn read(text: &str) -> Vec<TextEntry> {
    read_in(text, Zone::utc()).unwrap()
}

fn plain<'a>(author: &'a str, body: &'a str) -> Line<'a> {
    Line { at: AT, author, extra: None, body, edited: false }
}

#[test]
fn message_is_written_in_phone_format() {
    assert_eq!(written(&[plain("Anna", "Hello\nyou")]), "31/01/2026, 14:05 - Anna: Hello\nyou\n");
    let photo = Line { extra: Some(Extra::File("a.jpg".into())), ..plain("Anna", "look") };
    assert_eq!(written(&[photo]), "31/01/2026, 14:05 - Anna: a.jpg (file attached)\nlook\n");
}

#[test]
fn phone_exports_are_parsed() {
    let text = "\u{feff}[1/31/26, 2:05:09\u{202f}PM] \u{200e}Group: \u{200e}Messages are end-to-end encrypted.\r\n\
        [1/31/26, 2:06:00\u{202f}PM] ~\u{202f}Anna: first\r\nsecond\r\n\
        \u{200e}[1/31/26, 2:07:00\u{202f}PM] Ben: \u{200e}<attached: 00000012-PHOTO-2026-01-31-14-07-00.jpg>\r\n\
        [1/31/26, 2:08:00\u{202f}PM] Ben: \u{200e}image omitted\r\n\
        [1/31/26, 2:09:00\u{202f}PM] Ben: \u{200e}This message was deleted.\r\n\
        [1/31/26, 2:10:00\u{202f}PM] \u{200e}Ben left\r\n";
    let entries = read(text);
    assert_eq!(entries.len(), 6);
    assert_eq!((entries[1].author.as_deref(), entries[1].body.as_str()), (Some("Anna"), "first\nsecond"));
    assert_eq!(entries[1].at, AT.plus(60_000));
    assert_eq!((entries[0].at, entries[0].minute()), (AT.plus(9_000), AT));
    assert_eq!(entries[0].author, None);
    assert_eq!(entries[2].extra, Some(Extra::File("00000012-PHOTO-2026-01-31-14-07-00.jpg".into())));
    assert_eq!((&entries[3].extra, &entries[4].extra), (&Some(Extra::Omitted), &Some(Extra::Deleted)));
    assert_eq!(entries[5].author, None);
    assert_eq!((entries[1].line, entries[5].line), (2, 7));
}

#[test]
fn export_times_are_local() {
    let text = "31/01/2026, 14:05 - Anna: x\n";
    let berlin = read_in(text, "Europe/Berlin".parse().unwrap()).unwrap();
    assert_eq!(berlin[0].at, AT.plus(-3_600_000));
}

#[test]
fn invalid_export_names_line() {
    assert_eq!(read_in("hello\n", Zone::utc()), Err(TextError::NoHeader(1)));
    let both = "13/01/2026, 10:00 - A: x\n01/14/2026, 10:00 - A: x\n30/02/2026, 10:00 - A: x\n";
    let error = read_in(both, Zone::utc()).unwrap_err().to_string();
    assert!(error.starts_with("line 2: there is no day 1/14/2026"), "{error}");
}

#[test]
fn edit_mark_counts_at_end_of_message_only() {
    let edited = Line { edited: true, ..plain("Anna", "new\nlines") };
    let entries = read(&written(&[
        edited,
        plain("Anna", "x <This message was edited>"),
        plain("A", "y <This message was edited>\nz"),
    ]));
    assert_eq!((entries[0].body.as_str(), entries[0].edited), ("new\nlines", true));
    assert_eq!((entries[1].body.as_str(), entries[1].edited), ("x <This message was edited>", false));
    assert_eq!((entries[2].body.as_str(), entries[2].edited), ("y <This message was edited>\nz", false));
    let phones = read("31/01/2026, 14:05 - A: y <This message was edited>\nz\n");
    assert_eq!((phones[0].body.as_str(), phones[0].edited), ("y <This message was edited>\nz", false));
}

/// Lines with a special meaning, and lines with the mark.
fn tricky() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("31/01/2026, 14:05 - Ben: fake".to_owned()),
        Just("[1/31/26, 2:05:09\u{202f}PM] Ben: fake".to_owned()),
        Just("\u{200e}31.01.26, 14:05 - Ben left".to_owned()),
        Just("<Media omitted>".to_owned()),
        Just("\u{200e}image omitted".to_owned()),
        Just("a.jpg (file attached)".to_owned()),
        Just("<attached: a.jpg>".to_owned()),
        Just("location: https://maps.google.com/?q=1,2".to_owned()),
        Just("This message was deleted".to_owned()),
        Just("x <This message was edited>".to_owned()),
        Just(format!("{MARK}")),
        Just(format!("{MARK}31/01/2026, 14:05 - Ben: fake{MARK}")),
        Just("\r".to_owned()),
        Just(String::new()),
        Just("\u{feff}".to_owned()),
        "\\PC{0,12}",
        "[\u{2060}\r\u{200e} x:\u{85}\u{2028}\u{b}]{0,6}",
    ]
}

fn any_body() -> impl Strategy<Value = String> {
    prop::collection::vec(tricky(), 1..5).prop_map(|lines| lines.join("\n"))
}

fn any_extra() -> impl Strategy<Value = Option<Extra>> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(Extra::Omitted)),
        1 => "[a-z]{1,8}\\.jpg".prop_map(|name| Some(Extra::File(name))),
        1 => (-90.0..90.0_f64, -180.0..180.0_f64)
            .prop_map(|(latitude, longitude)| Some(Extra::Place(Location { latitude, longitude, description: None }))),
        1 => "[a-z() ,é]{0,9}[a-z)(]".prop_map(|text| {
            let description = Some(text.trim().to_owned());
            Some(Extra::Place(Location { latitude: 1.5, longitude: -2.0, description }))
        }),
    ]
}

proptest! {
    #[test]
    fn written_export_round_trips(
        messages in prop::collection::vec(("\\PC{0,12}|[~: \u{2060}\u{200e}a]{0,6}", any_body(), any_extra(), any::<bool>(), 0..3_000_000_i64), 1..6)
    ) {
        let mut at = AT.0;
        let messages: Vec<_> = messages.into_iter().map(|(author, body, extra, edited, step)| {
            at += step * 1_000;
            (author_label(&author), body, extra, edited, Millis(at))
        }).collect();
        let lines: Vec<_> = messages.iter().map(|(author, body, extra, edited, at)| {
            Line { at: *at, author, extra: extra.clone(), body, edited: *edited }
        }).collect();
        let text = written(&lines);
        let entries = read(&text);
        prop_assert_eq!(entries.len(), messages.len(), "{}", text);
        for (entry, (author, body, extra, edited, at)) in entries.iter().zip(&messages) {
            prop_assert_eq!(entry.author.as_deref(), Some(author.as_str()));
            prop_assert_eq!(&entry.body, body);
            prop_assert_eq!(&entry.extra, extra);
            prop_assert_eq!(entry.edited, *edited);
            prop_assert_eq!(entry.minute().0, at.0 - at.0.rem_euclid(60_000));
        }
    }

    #[test]
    fn parser_never_panics(text in "(\\PC|[\n\r/:,\\[\\]0-9 -]){0,200}") {
        let _ = read_in(&text, Zone::utc());
    }
}
