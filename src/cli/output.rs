//! All printing: only this file writes to standard output and standard error.
//!
//! Results go to standard output, notes and errors to standard error, so that pipes get only results. Write
//! errors are checked: a closed pipe (`wharf tail | head`) ends the command quietly.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::exit::{CliError, Exit};

/// Output format and destination of a command.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Creates an output for programs (`json`) or for people.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the output is for programs.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Whether standard output is a terminal.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Columns of the terminal; `None` without a terminal.
    #[must_use]
    pub fn columns(self) -> Option<usize> {
        rustix::termios::tcgetwinsize(io::stdout())
            .ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|n| *n > 0)
    }

    /// Prints a command's result: as JSON for programs, as text for people.
    ///
    /// # Errors
    /// [`CliError::Terminal`] when standard output fails.
    pub fn show(self, data: &Value, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if !self.json {
            return self.text(&text());
        }
        if self.is_terminal() {
            return self.text(&format!("{data:#}"));
        }
        self.text(&data.to_string())
    }

    /// Prints one line of a stream: JSON for programs, text for people.
    ///
    /// # Errors
    /// [`CliError::Terminal`] when standard output fails.
    pub fn line(self, data: &Value, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.json { self.text(&data.to_string()) } else { self.text(&text()) }
    }

    /// Prints text unchanged, and a line end unless it has one.
    ///
    /// # Errors
    /// [`CliError::Terminal`] when standard output fails.
    pub fn text(self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()?;
        Ok(())
    }

    /// Clears the terminal's screen; does nothing without a terminal.
    ///
    /// # Errors
    /// [`CliError::Terminal`] when standard output fails.
    pub fn clear(self) -> Result<(), CliError> {
        if self.json || !self.is_terminal() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(b"\x1b[2J\x1b[H")?;
        stdout.flush()?;
        Ok(())
    }

    /// Prints a note for people on standard error; omitted for programs.
    pub fn note(self, text: &str) {
        if !self.json {
            // A failure cannot be reported when standard error is closed.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Asks a yes-or-no question; only "y" and "yes" are yes. `None` without a terminal.
    ///
    /// # Errors
    /// [`CliError::Terminal`] when the answer cannot be read.
    pub fn confirm(self, question: &str) -> Result<Option<bool>, CliError> {
        if self.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(None);
        }
        write!(io::stderr().lock(), "{question} [y/N] ")?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")))
    }

    /// Prints an error on standard error, as text or JSON.
    pub fn error(self, error: &CliError) {
        let text = if self.json {
            json!({ "success": false, "error": error.to_string(), "code": error.code(), "exitCode": error.exit().code() })
                .to_string()
        } else {
            let hint = error.hint().map(|hint| format!("\n{hint}")).unwrap_or_default();
            format!("error: {}{hint}", clean_lines(&error.to_string()))
        };
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Prints the error, if any, and returns the exit code.
    #[must_use]
    pub fn finish(self, outcome: Result<(), CliError>) -> ExitCode {
        let Err(error) = outcome else {
            return Exit::Ok.into();
        };
        if !error.is_silent() {
            self.error(&error);
        }
        error.exit().into()
    }
}

/// Sanitizes untrusted text for one line of a terminal: control characters become `·`, line ends `⏎`. Removes
/// characters that change the writing direction.
#[must_use]
pub fn clean(text: &str) -> String {
    let printable = |c: char| match c {
        '\n' => '⏎',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '·',
        c if c.is_control() => '·',
        c => c,
    };
    text.chars().map(printable).collect()
}

fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// Truncates to `max` characters, with `…` in place of the rest.
#[must_use]
pub fn short(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A field of an object as text; empty if absent or null.
#[must_use]
pub fn text_of(object: &Value, field: &str) -> String {
    match object.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => clean(text),
        Some(Value::Array(items)) => {
            let words: Vec<String> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), clean)).collect();
            words.join(", ")
        }
        Some(other) => clean(&other.to_string()),
    }
}

/// A field with a time (milliseconds) as text, or `-` if absent.
#[must_use]
pub fn moment_of(object: &Value, field: &str) -> String {
    object.get(field).and_then(Value::as_i64).map_or_else(|| "-".to_owned(), super::time_format::moment)
}

/// Formats rows as aligned columns, two spaces apart, without trailing spaces.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut text = aligned(&widths, head.iter().copied());
    for row in rows {
        text.push_str(&aligned(&widths, row.iter().map(String::as_str)));
    }
    text
}

fn aligned<'a>(widths: &[usize], cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (width, cell) in widths.iter().zip(cells) {
        line.push_str(cell);
        let padding = width.saturating_sub(cell.width()) + 2;
        line.extend(std::iter::repeat_n(' ', padding));
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// Formats names and aligned values, one pair per line; omits empty values.
#[must_use]
pub fn key_values(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    rows.iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:<width$}  {value}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_columns_align_by_width() {
        let rows = vec![
            vec!["a".to_owned(), "ü".to_owned(), "x".to_owned()],
            vec!["long".to_owned(), "éé".to_owned(), String::new()],
        ];
        assert_eq!(table(&["ID", "NAME", "Z"], &rows), "ID    NAME  Z\na     ü     x\nlong  éé\n");
        let wide = vec![vec!["店铺".to_owned(), "x".to_owned()]];
        assert_eq!(table(&["ID", "Z"], &wide), "ID    Z\n店铺  x\n");
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(clean("a\x1b[2Jb\nc\u{202e}d\u{9b}e"), "a·[2Jb⏎c·d·e");
    }

    #[test]
    fn long_text_is_cut_at_character_boundary() {
        assert_eq!(short("héllo", 5), "héllo");
        assert_eq!(short("héllo!", 5), "héll…");
    }

    #[test]
    fn fields_are_formatted_as_text() {
        let object = json!({ "a": null, "b": "x", "c": ["p", "q"], "d": 7, "e": 0 });
        let texts = ["a", "b", "c", "d", "missing"].map(|field| text_of(&object, field));
        assert_eq!(texts, ["", "x", "p, q", "7", ""]);
        assert_eq!(moment_of(&object, "e"), "1970-01-01 00:00:00Z");
        assert_eq!(moment_of(&object, "a"), "-");
    }

    #[test]
    fn key_values_omit_empty_values() {
        let text =
            key_values(&[("id", "x".to_owned()), ("phone", String::new()), ("state", "qr".to_owned())]);
        assert_eq!(text, "id     x\nstate  qr\n");
    }
}
