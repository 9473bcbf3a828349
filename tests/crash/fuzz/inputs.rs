//! Random inputs: changed copies of valid ones, so that they reach the inner parts of a parser.

use serde_json::{Value, json};

use crate::process::SeededRng;

/// Longest input.
const MAX_BYTES: usize = 64 * 1024;
/// Texts at which parsers branch.
const TOKENS: [&str; 40] = [
    "",
    "\0",
    "\n",
    "\r\n",
    " ",
    "\t",
    "\u{feff}",
    "\u{202e}",
    "\u{2060}",
    "é",
    "\u{1f600}",
    "@",
    "@c.us",
    "@g.us",
    "@lid",
    ":",
    ";",
    "=",
    ",",
    "_",
    "-",
    "/",
    "\\",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    "null",
    "true",
    "-1",
    "0",
    "9223372036854775807",
    "18446744073709551616",
    "1e999",
    "%00",
    "..",
    "[[",
    "\u{0}\u{0}\u{0}\u{8}",
];
const NUMBERS: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x20, 0x0a, 0x22];

/// Makes inputs of one target.
pub struct Inputs {
    corpus: Vec<Vec<u8>>,
    rng: SeededRng,
}

impl Inputs {
    /// From these valid inputs.
    pub fn new(corpus: Vec<Vec<u8>>, rng: SeededRng) -> Self {
        assert!(!corpus.is_empty());
        Self { corpus, rng }
    }

    /// The next input.
    pub fn next(&mut self) -> Vec<u8> {
        let mut bytes = self.rng.pick(&self.corpus).clone();
        if self.rng.one_in(2)
            && let Ok(mut value) = serde_json::from_slice::<Value>(&bytes)
        {
            for _ in 0..self.rng.between(1, 3) {
                self.change_value(&mut value);
            }
            return value.to_string().into_bytes();
        }
        if self.rng.one_in(50) {
            let length = self.rng.between(0, 200);
            bytes = (0..length).map(|_| self.rng.next().to_le_bytes()[0]).collect();
        }
        // One change in half of the inputs, else several.
        let changes = if self.rng.one_in(2) { 1 } else { self.rng.between(2, 12) };
        for _ in 0..changes {
            self.change(&mut bytes);
        }
        bytes.truncate(MAX_BYTES);
        bytes
    }

    /// Changes one value of a JSON document, which stays valid JSON.
    fn change_value(&mut self, value: &mut Value) {
        let is_last = self.rng.one_in(4);
        match value {
            Value::Object(fields) if !is_last && !fields.is_empty() => {
                let names: Vec<String> = fields.keys().cloned().collect();
                let name = self.rng.pick(&names);
                match self.rng.between(0, 9) {
                    0 => drop(fields.remove(name)),
                    1 => drop(fields.insert(format!("{name}x"), json!(1))),
                    _ => self.change_value(&mut fields[name]),
                }
            }
            Value::Array(items) if !is_last && !items.is_empty() => {
                let at = self.at(items.len() - 1);
                match self.rng.between(0, 5) {
                    0 => drop(items.remove(at)),
                    1 => {
                        let copies = usize::try_from(self.rng.between(1, 300)).unwrap();
                        let item = items[at].clone();
                        items.extend(std::iter::repeat_n(item, copies));
                    }
                    _ => self.change_value(&mut items[at]),
                }
            }
            Value::String(text) if !is_last => {
                let mut bytes = std::mem::take(text).into_bytes();
                self.change(&mut bytes);
                *text = String::from_utf8_lossy(&bytes).into_owned();
            }
            other => {
                let token = self.rng.pick(&TOKENS).repeat(usize::try_from(self.rng.between(1, 400)).unwrap());
                let values = [
                    json!(null),
                    json!(true),
                    json!(0),
                    json!(-1),
                    json!(1.5),
                    json!(i64::MAX),
                    json!(u64::MAX),
                    json!(i64::MIN),
                    json!(1e300),
                    json!(""),
                    json!(token),
                    json!([]),
                    json!({}),
                    json!([[[]]]),
                    json!({ "id": {} }),
                    json!("+1 555 010-0001"),
                    json!("1767225600"),
                ];
                *other = self.rng.pick(&values).clone();
            }
        }
    }

    fn at(&mut self, length: usize) -> usize {
        usize::try_from(self.rng.between(0, u64::try_from(length).unwrap())).unwrap()
    }

    fn range(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let (one, two) = (self.at(bytes.len()), self.at(bytes.len()));
        // Most parts are short.
        let end = if self.rng.one_in(3) { one.max(two) } else { (one.min(two) + 8).min(bytes.len()) };
        one.min(two)..end
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        match self.rng.between(0, 8) {
            0 if !bytes.is_empty() => {
                let at = self.at(bytes.len() - 1);
                bytes[at] ^= 1 << self.rng.between(0, 7);
            }
            1 if !bytes.is_empty() => {
                let at = self.at(bytes.len() - 1);
                bytes[at] = *self.rng.pick(&NUMBERS);
            }
            2 => drop(bytes.drain(self.range(bytes))),
            3 => {
                let part = bytes[self.range(bytes)].to_vec();
                let at = self.at(bytes.len());
                bytes.splice(at..at, part);
            }
            4 => {
                let other = self.rng.pick(&self.corpus).clone();
                let part = other[self.range(&other)].to_vec();
                let range = self.range(bytes);
                bytes.splice(range, part);
            }
            5 => {
                let part =
                    self.rng.pick(&TOKENS).repeat(usize::try_from(self.rng.between(1, 3_000)).unwrap());
                let at = self.at(bytes.len());
                bytes.splice(at..at, part.into_bytes());
            }
            6 => bytes.truncate(self.at(bytes.len())),
            _ => {
                let range = self.range(bytes);
                let token = self.rng.pick(&TOKENS).as_bytes().to_vec();
                bytes.splice(range, token);
            }
        }
    }
}
