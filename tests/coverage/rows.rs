//! The rows of the contracts, read from `rows.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The content of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    pub missing: Vec<String>,
    extra: Vec<Row>,
    /// Row to reason.
    pub later: BTreeMap<String, String>,
    section: Vec<Section>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    pub title: String,
    pub rows: Vec<Row>,
}

/// A row, and a word that a test of it must contain.
#[derive(Deserialize)]
#[serde(from = "Written")]
pub struct Row {
    pub name: String,
    word: String,
}

/// The file's notation; most rows contain their word.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Name(String),
    Whole { row: String, word: String },
}

impl From<Written> for Row {
    fn from(written: Written) -> Self {
        match written {
            Written::Whole { row, word } => Self { name: row, word },
            Written::Name(name) => Self { word: word_of(&name), name },
        }
    }
}

/// The last literal part of a path, or the name of an event.
fn word_of(name: &str) -> String {
    let (_, what) = name.split_once(' ').unwrap_or_else(|| panic!("{name:?} is no row"));
    let mut literals = what.split('/').filter(|part| !part.is_empty() && !part.starts_with('{'));
    literals.next_back().unwrap_or(what).to_owned()
}

impl Row {
    /// Whether the row is a method and a path.
    pub fn is_operation(&self) -> bool {
        let path = self.name.split_once(' ').map(|(_, path)| path);
        path.is_some_and(|path| path.starts_with('/') && !path.starts_with("/docs"))
    }

    /// Whether a test file contains the row's word, and its method where that is an uncommon one.
    pub fn is_mentioned_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let verb = self.name.split(' ').next().filter(|verb| matches!(*verb, "PATCH" | "PUT" | "DELETE"));
        text.contains(&self.word.to_lowercase())
            && verb.is_none_or(|verb| text.contains(&verb.to_lowercase()))
    }
}

impl Rows {
    pub fn read() -> Self {
        toml::from_str(include_str!("rows.toml")).unwrap()
    }

    /// The sections of the contracts, followed by the extra rows.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &[Row])> {
        let sections = self.section.iter().map(|section| (section.title.as_str(), section.rows.as_slice()));
        sections.chain([("Beyond the contracts", self.extra.as_slice())])
    }

    pub fn all(&self) -> impl Iterator<Item = &Row> {
        self.sections().flat_map(|(_, rows)| rows)
    }

    pub fn find(&self, name: &str) -> Option<&Row> {
        self.all().find(|row| row.name == name)
    }
}
