//! The lists that the check reads: words to avoid, exceptions, replaced names, and paths that are enforced.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A word or phrase to avoid.
pub struct Rule {
    words: Vec<String>,
    /// It is avoided at the start of a sentence only.
    at_start: bool,
    pub advice: String,
}

impl Rule {
    pub fn shown(&self) -> String {
        self.words.join(" ")
    }
}

/// A phrase that is allowed although it contains a word to avoid.
struct Exception {
    path: String,
    phrase: Vec<String>,
}

#[derive(Default)]
pub struct Lists {
    rules: Vec<Rule>,
    exceptions: Vec<Exception>,
    pub old_types: BTreeMap<String, String>,
    pub old_public_types: BTreeMap<String, String>,
    pub old_functions: BTreeMap<String, String>,
    pub old_paths: BTreeMap<String, String>,
    /// Files and folders where a finding is an error.
    pub clean: Vec<String>,
}

impl Lists {
    pub fn load(root: &Path) -> Self {
        let read = |name: &str| fs::read_to_string(root.join("tests/source").join(name)).unwrap_or_default();
        Self::parse(&read("words.txt"), &read("exceptions.txt"), &read("old_names.txt"), &read("clean.txt"))
    }

    pub fn parse(words: &str, exceptions: &str, old_names: &str, clean: &str) -> Self {
        let mut lists = Self::default();
        for line in entries(words) {
            lists.add_rules(line);
        }
        for line in entries(exceptions) {
            let mut parts = line.split('|').map(str::trim);
            let (Some(path), Some(phrase)) = (parts.next(), parts.next()) else { continue };
            let phrase = phrase.split_whitespace().map(str::to_lowercase).collect();
            lists.exceptions.push(Exception { path: path.to_owned(), phrase });
        }
        for line in entries(old_names) {
            lists.add_old_name(line);
        }
        lists.clean = entries(clean).map(str::to_owned).collect();
        lists
    }

    fn add_rules(&mut self, line: &str) {
        let (forms, advice) = line.split_once('=').unwrap_or((line, "see docs/glossary.md"));
        for form in forms.split_whitespace() {
            let words = form.trim_start_matches('^').split('_').map(str::to_owned).collect();
            self.rules.push(Rule {
                words,
                at_start: form.starts_with('^'),
                advice: advice.trim().to_owned(),
            });
        }
    }

    fn add_old_name(&mut self, line: &str) {
        let mut parts = line.splitn(3, ' ');
        let (Some(kind), Some(old), Some(new)) = (parts.next(), parts.next(), parts.next()) else { return };
        let list = match kind {
            "type" => &mut self.old_types,
            "pub-type" => &mut self.old_public_types,
            "fn" => &mut self.old_functions,
            _ => &mut self.old_paths,
        };
        list.insert(old.to_owned(), new.to_owned());
    }

    /// The rule that the word at `at` breaks, unless an exception covers it.
    pub fn rule_at(&self, path: &str, words: &[&str], at: usize, starts_sentence: bool) -> Option<&Rule> {
        let rule = self
            .rules
            .iter()
            .find(|rule| (!rule.at_start || starts_sentence) && matches_at(words, at, &rule.words))?;
        let covered =
            self.exceptions.iter().filter(|exception| exception.applies_to(path)).any(|exception| {
                let starts = (at + 1).saturating_sub(exception.phrase.len())..=at;
                starts.into_iter().any(|start| matches_at(words, start, &exception.phrase))
            });
        (!covered).then_some(rule)
    }

    /// Whether a finding in this file is an error.
    pub fn is_clean(&self, path: &str) -> bool {
        self.clean.iter().any(|clean| is_below(path, clean))
    }
}

impl Exception {
    fn applies_to(&self, path: &str) -> bool {
        self.path == "*" || is_below(path, &self.path)
    }
}

fn is_below(path: &str, start: &str) -> bool {
    path.strip_prefix(start.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn matches_at(words: &[&str], at: usize, phrase: &[String]) -> bool {
    words.get(at..at + phrase.len()).is_some_and(|found| found.iter().zip(phrase).all(|(a, b)| a == b))
}

/// Lines that are neither empty nor comments.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
