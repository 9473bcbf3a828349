//! Reads and writes `Content-Disposition`. Only types that browsers do not execute are shown inline.
//!
//! Source: RFC 6266, RFC 8187 (`filename*`).

use crate::domain::file_name::safe_filename;

/// Types that browsers show without executing them; all others are saved.
const INLINE: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// Characters that are not encoded in `filename*`.
const ATTR_CHARS: &[u8] = b"!#$&+-.^_`|~";

/// The header of a file of this type and name.
pub(in crate::api::http) fn of(mimetype: &str, filename: Option<&str>) -> String {
    let plays = mimetype.starts_with("video/") || mimetype.starts_with("audio/");
    let how = if plays || INLINE.contains(&mimetype) { "inline" } else { "attachment" };
    let name = filename.and_then(safe_filename).unwrap_or_else(|| format!("file{}", extension(mimetype)));
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if plain == name {
        return format!("{how}; filename=\"{plain}\"");
    }
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{}", encoded(&name))
}

/// Some clients decode `%` in a plain name, some end it at `;`.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%' | ';')
}

fn encoded(name: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || ATTR_CHARS.contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn extension(mimetype: &str) -> &'static str {
    match mimetype {
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "image/gif" => ".gif",
        "image/webp" => ".webp",
        "video/mp4" => ".mp4",
        "audio/ogg" => ".ogg",
        "audio/mpeg" => ".mp3",
        "audio/mp4" => ".m4a",
        "application/pdf" => ".pdf",
        "application/zip" => ".zip",
        "text/plain" => ".txt",
        _ => "",
    }
}

/// The name in a request's `Content-Disposition`.
pub(super) fn filename_in(header: &str) -> Option<String> {
    let (mut plain, mut extended) = (None, None);
    for parameter in split_outside_quotes(header).into_iter().skip(1) {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "filename" => plain = Some(unquoted(value)),
            "filename*" => {
                extended = value
                    .get(..7)
                    .filter(|start| start.eq_ignore_ascii_case("UTF-8''"))
                    .and_then(|_| decoded(&value[7..]));
            }
            _ => {}
        }
    }
    extended.or(plain).filter(|name| !name.is_empty())
}

fn split_outside_quotes(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|c: char| {
        let ends = c == ';' && !quoted;
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
        ends
    })
    .collect()
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').map(|rest| rest.strip_suffix('"').unwrap_or(rest)) else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_types_are_never_inline() {
        for mimetype in ["image/png", "image/jpeg", "video/mp4", "audio/ogg"] {
            assert!(of(mimetype, None).starts_with("inline; filename=\"file"), "{mimetype}");
        }
        for mimetype in
            ["image/svg+xml", "text/html", "application/pdf", "text/plain", "application/octet-stream"]
        {
            assert!(of(mimetype, None).starts_with("attachment; filename=\"file"), "{mimetype}");
        }
    }

    #[test]
    fn unsafe_names_are_sanitized() {
        for (name, header) in [
            ("a b.pdf", "attachment; filename=\"a b.pdf\""),
            ("../../etc/passwd", "attachment; filename=\"etcpasswd\""),
            ("x\"\r\nSet-Cookie: a=b", "attachment; filename=\"xSet-Cookie a=b\""),
            ("Größe.pdf", "attachment; filename=\"Gr__e.pdf\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.pdf"),
            ("100%;x", "attachment; filename=\"100__x\"; filename*=UTF-8''100%25%3Bx"),
            ("..", "attachment; filename=\"file.pdf\""),
        ] {
            assert_eq!(of("application/pdf", Some(name)), header);
        }
    }

    #[test]
    fn written_names_are_read_back() {
        for (header, name) in [
            ("attachment; filename=\"a; b \\\"c\\\".txt\"", Some("a; b \"c\".txt")),
            ("attachment; filename=plain.txt; x=y", Some("plain.txt")),
            ("attachment; filename=\"f.txt\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.txt", Some("Größe.txt")),
            ("attachment; filename=\"f.txt\"; filename*=UTF-8''%zz", Some("f.txt")),
            ("attachment", None),
            ("attachment; filename=", None),
        ] {
            assert_eq!(filename_in(header).as_deref(), name, "{header}");
        }
    }
}
