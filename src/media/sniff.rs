//! Detects the type of a file from its content. Its name and the type that its sender states are not used.

/// Bytes at a file's start that determine its type.
pub(super) const HEAD_BYTES: usize = 8_192;
const BINARY: &str = "application/octet-stream";
const TEXT: &str = "text/plain";

/// The type of a file that begins with `head`; `text` says whether all of it is UTF-8 without control characters.
pub(super) fn mimetype(head: &[u8], text: bool) -> &'static str {
    if let Some(markup) = markup(head) {
        return markup;
    }
    if let Some(brand) = brand(head) {
        return brand;
    }
    match infer::get(head).map(|found| found.mime_type()) {
        // Text formats have no signature, and programs disagree about their types.
        Some(guess) if guess.starts_with("text/") => if_text(text),
        Some(guess) => common_name(guess),
        None => if_text(text),
    }
}

fn if_text(text: bool) -> &'static str {
    if text { TEXT } else { BINARY }
}

/// The name that phones and browsers use.
fn common_name(mimetype: &'static str) -> &'static str {
    match mimetype {
        "audio/x-wav" => "audio/wav",
        "audio/m4a" => "audio/mp4",
        "audio/opus" => "audio/ogg",
        "audio/x-flac" => "audio/flac",
        "audio/x-aiff" => "audio/aiff",
        "video/x-m4v" => "video/mp4",
        "application/x-executable" => BINARY,
        other => other,
    }
}

/// The type of a file of the MP4 family, from its first box.
fn brand(head: &[u8]) -> Option<&'static str> {
    if head.get(4..8)? != b"ftyp" {
        return None;
    }
    match head.get(8..12)? {
        [b'3', b'g', ..] => Some("video/3gpp"),
        b"M4A " | b"M4B " => Some("audio/mp4"),
        b"qt  " => Some("video/quicktime"),
        b"isom" | b"iso2" | b"iso4" | b"iso5" | b"iso6" | b"mp41" | b"mp42" | b"avc1" | b"dash" | b"MSNV"
        | b"M4V " => Some("video/mp4"),
        _ => None,
    }
}

/// Whether a text is HTML or SVG, which a browser would run. A false positive is harmless, a false negative is not.
fn markup(head: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    if rest.starts_with("<?xml") || rest.starts_with("<!--") || rest.starts_with("<!doctype svg") {
        if text.contains("<svg") {
            return Some("image/svg+xml");
        }
        if text.contains("<html") || text.contains("<script") {
            return Some("text/html");
        }
    }
    while let Some(comment) = rest.strip_prefix("<!--") {
        rest = comment.split_once("-->").map_or("", |(_, after)| after).trim_start();
    }
    if tag(rest, "svg") {
        return Some("image/svg+xml");
    }
    (rest.starts_with("<!doctype html") || HTML_TAGS.iter().any(|name| tag(rest, name)))
        .then_some("text/html")
}

/// Source: the WHATWG MIME Sniffing Standard, "identifying a resource with an unknown MIME type".
const HTML_TAGS: [&str; 19] = [
    "html", "head", "script", "iframe", "h1", "div", "font", "table", "a", "style", "title", "b", "body",
    "br", "p", "meta", "link", "img", "object",
];

fn tag(text: &str, name: &str) -> bool {
    let after = text.strip_prefix('<').and_then(|rest| rest.strip_prefix(name));
    after.is_some_and(|after| after.chars().next().is_none_or(|c| c.is_whitespace() || c == '>' || c == '/'))
}

/// Detects incrementally whether a stream of bytes is text.
#[derive(Debug, Default)]
pub(super) struct TextCheck {
    /// The first bytes of a character that continues in the next piece.
    open: Vec<u8>,
    failed: bool,
}

impl TextCheck {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        if self.failed {
            return;
        }
        let mut bytes = bytes;
        while !self.open.is_empty() {
            let Some((first, rest)) = bytes.split_first() else { return };
            self.open.push(*first);
            bytes = rest;
            match std::str::from_utf8(&self.open) {
                Ok(_) => self.open.clear(),
                Err(error) if error.error_len().is_some() => return self.failed = true,
                Err(_) => {}
            }
        }
        let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
        match std::str::from_utf8(bytes) {
            Ok(_) => {}
            Err(error) if error.error_len().is_some() => return self.failed = true,
            Err(error) => self.open = bytes[error.valid_up_to()..].to_vec(),
        }
        self.failed = bytes.iter().any(control);
    }

    pub(super) fn is_text(&self) -> bool {
        !self.failed && self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> &'static str {
        let mut text = TextCheck::default();
        bytes.chunks(3).for_each(|chunk| text.update(chunk));
        mimetype(&bytes[..bytes.len().min(HEAD_BYTES)], text.is_text())
    }

    #[test]
    fn file_type_is_detected_by_first_bytes() {
        for (bytes, mimetype) in [
            (&b"\x89PNG\r\n\x1a\n"[..], "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
            (b"GIF89a\x01\0\x01\0", "image/gif"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4"),
            (b"\0\0\0\x18ftyp3gp4\0\0\0\0", "video/3gpp"),
            (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio/mp4"),
            (b"OggS\0\x02\0\0\0\0\0\0\0\0", "audio/ogg"),
            (b"%PDF-1.7\n", "application/pdf"),
            (b"PK\x03\x04\x14\0\0\0\x08\0", "application/zip"),
        ] {
            assert_eq!(of(bytes), mimetype);
        }
    }

    #[test]
    fn markup_is_detected_after_permitted_prefix() {
        for svg in [
            "<svg xmlns='x'/>",
            "<?xml version='1.0'?>\n<!-- c --><svg>",
            "\u{feff} <SVG>",
            "<!-- a --><svg>",
        ] {
            assert_eq!(of(svg.as_bytes()), "image/svg+xml", "{svg}");
        }
        for html in
            ["<!DOCTYPE html><p>", "\n\t<HTML>", "<script>x</script>", "<!-- a --><body/>", "<a href=x>"]
        {
            assert_eq!(of(html.as_bytes()), "text/html", "{html}");
        }
    }

    #[test]
    fn binary_data_is_octet_stream() {
        assert_eq!(of("Grüße, 你好 <b".as_bytes()), "text/plain");
        assert_eq!(of(b"#!/bin/sh\necho"), "text/plain");
        assert_eq!(of(b""), "text/plain");
        for binary in [&b"abc\0def"[..], b"abc\xff", b"cut \xc3", b"\x01\x02"] {
            assert_eq!(of(binary), "application/octet-stream", "{binary:?}");
        }
    }
}
