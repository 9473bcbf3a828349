//! All printing: the only place of the command line that writes to standard output and standard error.
//!
//! Results go to standard output, remarks and errors to standard error, so that pipes see results only.
//! Writing is checked: a reader that goes away (`wharf tail | head`) ends the command quietly.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::exit::{CliError, Exit};

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// For programs (`json`), or for people.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read this.
    #[must_use]
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Whether standard output is a terminal.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Columns of the terminal; `None` where there is none.
    #[must_use]
    pub fn columns(self) -> Option<usize> {
        rustix::termios::tcgetwinsize(io::stdout())
            .ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|n| *n > 0)
    }

    /// Prints a command's result: the data for programs, the text for people.
    ///
    /// # Errors
    /// [`CliError::Terminal`] when standard output does not take it.
    pub fn show(self, data: &Value, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if !self.json {
            return self.text(&text());
        }
        if self.is_terminal() {
            return self.text(&format!("{data:#}"));
        }
        self.text(&data.to_string())
    }

    /// Prints one line of a stream: the data on one line for programs, the text for people.
    ///
    /// # Errors
    /// [`CliError::Terminal`] when standard output does not take it.
    pub fn line(self, data: &Value, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.json { self.text(&data.to_string()) } else { self.text(&text()) }
    }

    /// Prints text as it is, and a line end unless it has one.
    ///
    /// # Errors
    /// [`CliError::Terminal`] when standard output does not take it.
    pub fn text(self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()?;
        Ok(())
    }

    /// Empties the terminal's screen; does nothing where there is none.
    ///
    /// # Errors
    /// [`CliError::Terminal`] when standard output does not take it.
    pub fn clear(self) -> Result<(), CliError> {
        if self.json || !self.is_terminal() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(b"\x1b[2J\x1b[H")?;
        stdout.flush()?;
        Ok(())
    }

    /// A remark for people, on standard error; programs get none.
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

    /// Prints an error on standard error, in words or as JSON.
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

    /// Prints what went wrong, if anything, and gives the exit code.
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

/// Text from elsewhere, made safe for a terminal and kept on one line: control characters become `·`,
/// line ends `⏎`. Also drops the characters that turn the direction of writing.
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

/// At most `max` characters, with `…` where something was cut.
#[must_use]
pub fn short(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A field of an object as text for people: nothing for what is absent or null.
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

/// A field that is a moment (milliseconds), or `-`.
#[must_use]
pub fn moment_of(object: &Value, field: &str) -> String {
    object.get(field).and_then(Value::as_i64).map_or_else(|| "-".to_owned(), super::time_format::moment)
}

/// Rows in aligned columns, two spaces apart; nothing trails the last column.
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

/// Names and values below each other, the values aligned; empty values are left out.
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
