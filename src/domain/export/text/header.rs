//! Parses the header of a message's first line in all variants that phones write.

use super::placeholders::Extra;

/// A line's header. The numbers of the date are in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// The three numbers of the date.
    pub date: [i16; 3],
    /// Whether the header is in brackets, as on iPhones.
    pub bracket: bool,
    /// Whether the year comes first.
    pub year_first: bool,
    /// Hour of a 24-hour clock.
    pub hour: i8,
    pub minute: i8,
    /// 0 when the time has no seconds.
    pub second: i8,
    /// Whether the file uses a 12-hour clock.
    pub twelve: bool,
    /// Author and text, or the text of a system line.
    pub rest: &'a str,
}

impl<'a> Header<'a> {
    /// Author and first line of the text; `None` for a system line. On iPhones system lines have an author as
    /// well, and start with a direction mark.
    pub(super) fn author_and_text(&self) -> Option<(&'a str, &'a str)> {
        let rest = self.rest;
        let split = rest.split_once(": ").or_else(|| Some((rest.strip_suffix(':')?, "")));
        let systems =
            |text: &str| self.bracket && text.starts_with('\u{200e}') && Extra::of_line(text).is_none();
        split.filter(|(author, text)| !author.trim().is_empty() && !systems(text))
    }
}

/// Direction marks and similar characters that phones add to lines and names.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}') || is_invisible(c)
}

/// Scans a line from its beginning.
struct HeaderScanner<'a>(&'a str);

impl<'a> HeaderScanner<'a> {
    fn eat(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn any(&mut self, chars: &[char]) -> Option<char> {
        chars.iter().copied().find(|c| self.eat(*c))
    }

    fn blanks(&mut self) -> bool {
        let rest = self.0.trim_start_matches(is_blank);
        let some = rest.len() < self.0.len();
        self.0 = rest;
        some
    }

    /// Reads a number of at most `most` digits.
    fn number(&mut self, most: usize) -> Option<(i16, usize)> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > most {
            return None;
        }
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        Some((number.parse().ok()?, digits))
    }

    /// Reads `am`, `PM`, `a. m.` and the like; `true` for the second half of the day.
    fn half(&mut self) -> Option<bool> {
        let mut ahead = HeaderScanner(self.0);
        ahead.blanks();
        let late = matches!(ahead.any(&['a', 'A', 'p', 'P'])?, 'p' | 'P');
        ahead.eat('.');
        ahead.blanks();
        ahead.any(&['m', 'M'])?;
        ahead.eat('.');
        self.0 = ahead.0;
        Some(late)
    }

    fn date(&mut self) -> Option<([i16; 3], bool)> {
        let (first, digits) = self.number(4)?;
        let separator = self.any(&['/', '.', '-'])?;
        self.blanks();
        let (second, _) = self.number(2)?;
        self.eat(separator).then_some(())?;
        self.blanks();
        let (third, last) = self.number(4)?;
        // Some languages end a date with a dot.
        if separator == '.' {
            self.eat('.');
        }
        let year_first = digits == 4;
        let plausible = if year_first { last <= 2 } else { digits <= 2 && matches!(last, 2 | 4) };
        plausible.then_some(([first, second, third], year_first))
    }

    fn time(&mut self) -> Option<(i8, i8, i8, bool)> {
        let (hour, _) = self.number(2)?;
        let separator = self.any(&[':', '.'])?;
        let (minute, digits) = self.number(2)?;
        let second = if self.eat(separator) { self.number(2)?.0 } else { 0 };
        let half = self.half();
        let hour = match half {
            None => hour,
            Some(_) if !(1..=12).contains(&hour) => return None,
            Some(late) => hour % 12 + if late { 12 } else { 0 },
        };
        let plausible = digits == 2 && hour < 24 && minute < 60 && second < 60;
        let small = |number: i16| i8::try_from(number).ok();
        plausible.then_some(())?;
        Some((small(hour)?, small(minute)?, small(second)?, half.is_some()))
    }
}

/// Parses the header of a line, in any variant.
pub(super) fn header(line: &str) -> Option<Header<'_>> {
    let mut line = HeaderScanner(line.trim_start_matches(is_invisible));
    let bracket = line.eat('[');
    let (date, year_first) = line.date()?;
    line.eat(',');
    line.blanks().then_some(())?;
    let (hour, minute, second, twelve) = line.time()?;
    if bracket {
        line.eat(']').then_some(())?;
        line.eat(' ');
    } else {
        line.blanks().then_some(())?;
        line.any(&['-', '\u{2013}'])?;
        if !line.0.is_empty() {
            line.eat(' ').then_some(())?;
        }
    }
    Some(Header { date, bracket, year_first, hour, minute, second, twelve, rest: line.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_variants_of_phones_are_parsed() {
        for (line, date, time) in [
            ("31/01/2026, 14:05 - Anna: x", [31, 1, 2026], (14, 5, 0)),
            ("[31/01/2026, 14:05:09] Anna: x", [31, 1, 2026], (14, 5, 9)),
            ("\u{200e}[1/31/26, 2:05:09\u{202f}PM] Anna: x", [1, 31, 26], (14, 5, 9)),
            ("1/31/26, 12:05 AM - Anna: x", [1, 31, 26], (0, 5, 0)),
            ("31/1/2026, 2:05 p. m. - Anna: x", [31, 1, 2026], (14, 5, 0)),
            ("31/1/2026, 2:05\u{a0}p.\u{a0}m. - Anna: x", [31, 1, 2026], (14, 5, 0)),
            ("31.01.26, 14:05 - Anna: x", [31, 1, 26], (14, 5, 0)),
            ("31/01/26 14.05 - Anna: x", [31, 1, 26], (14, 5, 0)),
            ("2026-01-31, 14:05 \u{2013} Anna: x", [2026, 1, 31], (14, 5, 0)),
            ("31. 1. 2026. 14:05 - Anna: x", [31, 1, 2026], (14, 5, 0)),
        ] {
            let found = header(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((found.date, (found.hour, found.minute, found.second)), (date, time), "{line}");
            assert_eq!(found.author_and_text(), Some(("Anna", "x")), "{line}");
        }
    }

    #[test]
    fn similar_text_is_not_header() {
        for line in [
            "",
            "hello",
            "31/01/2026",
            "31/01/2026, 14:05",
            "31/01/2026, 25:05 - A: x",
            "31/01/2026, 14:5 - A: x",
            "31/01/20260, 14:05 - A: x",
            "1.5, 14:05 - A: x",
            "[31/01/2026, 14:05:09 Anna: x",
            "99999999999999999999/1/1, 1:11 - A: x",
            "31/01/2026, 13:05 PM - A: x",
            "\u{2060}31/01/2026, 14:05 - A: x",
        ] {
            assert_eq!(header(line), None, "{line}");
        }
    }

    #[test]
    fn line_without_author_is_system_message() {
        let line = header("31/01/2026, 14:05 - Messages are end-to-end encrypted.").unwrap();
        assert_eq!(line.author_and_text(), None);
        assert_eq!(header("31/01/2026, 14:05 - Anna:").unwrap().author_and_text(), Some(("Anna", "")));
    }
}
