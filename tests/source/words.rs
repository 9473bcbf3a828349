//! Finds words to avoid, one-word comments, replaced names and long test names.
//!
//! Code is not checked, except for names of items; text in backticks and SQL is not checked either.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::files;
use crate::lexer::{Located, Token, in_tests, tokens};
use crate::lines::is_test_file;
use crate::lists::Lists;

/// The checked files and folders, by path from the root.
pub const CHECKED: [&str; 7] = ["src", "tests", "benches", "docs", "config", "dev", ".ci"];
/// Generated files, and the list of the words itself.
const LEFT_OUT: [&str; 2] = ["docs/coverage.md", "docs/glossary.md"];
const LONGEST_TEST_NAME: usize = 60;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub path: String,
    pub line: usize,
    pub text: String,
}

/// All findings below the given paths, in order.
pub fn violations(root: &Path, lists: &Lists, starts: &[&str]) -> Vec<Violation> {
    let mut found = Vec::new();
    for path in starts.iter().flat_map(|start| files::all(root, start)) {
        if !LEFT_OUT.contains(&path.as_str()) {
            let text = fs::read_to_string(root.join(&path)).unwrap_or_default();
            found.extend(in_file(lists, &path, &text));
        }
    }
    found
}

/// The files that are checked: [`CHECKED`] and the documents at the top.
pub fn checked(root: &Path) -> Vec<String> {
    let top = fs::read_dir(root).into_iter().flatten().flatten();
    let names = top.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut starts: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    starts.extend(CHECKED.map(str::to_owned));
    starts
}

/// Findings for each file, most first.
pub fn counts(violations: &[Violation]) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for violation in violations {
        *counts.entry(&violation.path).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(path, count)| (path.to_owned(), count)).collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

fn in_file(lists: &Lists, path: &str, text: &str) -> Vec<Violation> {
    let mut checker = Checker { lists, path, found: Vec::new() };
    checker.check_path();
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("rs") => checker.rust(text),
        Some("md") => checker.markdown(text),
        Some("mjs" | "ts") => checker.script(text, "//"),
        Some("py" | "toml" | "sh") => checker.script(text, "#"),
        _ if path == "dev" || path.starts_with(".ci/") => checker.script(text, "#"),
        _ => {}
    }
    checker.found
}

struct Checker<'a> {
    lists: &'a Lists,
    path: &'a str,
    found: Vec<Violation>,
}

impl Checker<'_> {
    fn add(&mut self, line: usize, text: String) {
        self.found.push(Violation { path: self.path.to_owned(), line, text });
    }

    fn check_path(&mut self) {
        let below = |old: &str| {
            self.path.strip_prefix(old).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some((_, new)) = self.lists.old_paths.iter().find(|(old, _)| below(old)) {
            self.add(1, format!("the path was replaced by {new}"));
        }
    }

    fn rust(&mut self, text: &str) {
        let tokens = tokens(text);
        let tests = in_tests(&tokens);
        let sentences = self.path.starts_with("src/") && !is_test_file(self.path);
        let mut at = 0;
        while at < tokens.len() {
            let Located { line, token } = &tokens[at];
            match token {
                Token::Comment { doc, .. } => {
                    let (end, block) = comment_block(&tokens, at, *doc);
                    self.comment(*line, &block);
                    at = end;
                    continue;
                }
                Token::Text(text) if sentences && !tests[at] && is_sentence(text) => self.prose(*line, text),
                Token::Word(keyword) => self.definition(&tokens, at, keyword),
                Token::Text(_) | Token::Symbol(_) => {}
            }
            at += 1;
        }
    }

    fn comment(&mut self, line: usize, text: &str) {
        if words(text, line).len() == 1 && !text.contains('`') {
            self.add(line, format!("a comment of one word: {text}"));
        }
        self.prose(line, text);
    }

    fn prose(&mut self, line: usize, text: &str) {
        let words = words(text, line);
        let plain: Vec<_> = words.iter().map(|word| word.text.as_str()).collect();
        for (at, word) in words.iter().enumerate() {
            if let Some(rule) = self.lists.rule_at(self.path, &plain, at, word.starts_sentence) {
                let shown = plain[at.saturating_sub(3)..(at + 4).min(plain.len())].join(" ");
                self.add(word.line, format!("\"{}\" in: … {shown} … ({})", rule.shown(), rule.advice));
            }
        }
    }

    /// Checks the name of an item, where a keyword at `at` defines one.
    fn definition(&mut self, tokens: &[Located], at: usize, keyword: &str) {
        const TYPES: [&str; 4] = ["struct", "enum", "trait", "type"];
        let is_type = TYPES.contains(&keyword);
        let is_definition = is_type || ["fn", "mod", "const", "static"].contains(&keyword);
        let before = at.checked_sub(1).map(|before| &tokens[before].token);
        if !is_definition || matches!(before, Some(Token::Symbol('\'' | '*'))) {
            return;
        }
        let Some(Located { line, token: Token::Word(name) }) = tokens.get(at + 1) else { return };
        let parts = name_parts(name);
        let plain: Vec<_> = parts.iter().map(String::as_str).collect();
        let rule = (0..plain.len()).find_map(|at| self.lists.rule_at(self.path, &plain, at, false));
        if let Some(rule) = rule {
            self.add(*line, format!("\"{}\" in the name `{name}` ({})", rule.shown(), rule.advice));
        }
        if keyword == "fn" && name.len() > LONGEST_TEST_NAME {
            self.add(
                *line,
                format!("a name of {} characters, at most {LONGEST_TEST_NAME}: `{name}`", name.len()),
            );
        }
        if !self.path.starts_with("src/") {
            return;
        }
        let replaced = match keyword {
            "fn" => self.lists.old_functions.get(name),
            _ if is_type && is_public(&tokens[..at]) => {
                self.lists.old_types.get(name).or_else(|| self.lists.old_public_types.get(name))
            }
            _ if is_type => self.lists.old_types.get(name),
            _ => None,
        };
        if let Some(new) = replaced {
            self.add(*line, format!("`{name}` was replaced by {new}"));
        }
    }

    /// Prose outside fenced code.
    fn markdown(&mut self, text: &str) {
        let mut fenced = false;
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if !fenced && !line.starts_with("    ") {
                self.prose(index + 1, line);
            }
        }
    }

    /// Comments of a script, by line.
    fn script(&mut self, text: &str, marker: &str) {
        let mut quoted = false;
        for (index, line) in text.lines().enumerate() {
            let quotes = line.matches("\"\"\"").count();
            let comment = if quoted || quotes > 0 { Some(line) } else { script_comment(line, marker) };
            if let Some(comment) = comment {
                self.prose(index + 1, comment);
            }
            quoted ^= quotes % 2 == 1;
        }
    }
}

fn script_comment<'a>(line: &'a str, marker: &str) -> Option<&'a str> {
    let trimmed = line.trim_start();
    if trimmed.starts_with(marker) {
        return Some(trimmed.trim_start_matches(marker));
    }
    line.split_once(&format!(" {marker} ")).map(|(_, comment)| comment)
}

/// Consecutive comment lines of one kind as one text; answers the index behind them.
fn comment_block(tokens: &[Located], start: usize, kind: bool) -> (usize, String) {
    let mut block = String::new();
    let mut line = tokens[start].line;
    for (index, found) in tokens.iter().enumerate().skip(start) {
        match &found.token {
            Token::Comment { doc, text } if *doc == kind && found.line <= line => {
                block.push_str(text);
                block.push('\n');
                line = found.line + text.matches('\n').count() + 1;
            }
            _ => return (index, block.trim_end().to_owned()),
        }
    }
    (tokens.len(), block.trim_end().to_owned())
}

fn is_sentence(text: &str) -> bool {
    const SQL: [&str; 9] =
        ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ", "ALTER ", "DROP ", "WHERE ", "ORDER BY"];
    text.contains(' ') && !SQL.iter().any(|word| text.contains(word))
}

fn is_public(before: &[Located]) -> bool {
    let same_item = |found: &&Located| !matches!(found.token, Token::Symbol('}' | '{' | ';' | ']'));
    let mut item = before.iter().rev().take_while(same_item);
    item.any(|found| found.token == Token::Word("pub".to_owned()))
}

/// `snake_case` and `CamelCase` as lower-case words.
fn name_parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut previous = '_';
    for c in name.chars() {
        let begins = c == '_' || (c.is_uppercase() && !previous.is_uppercase());
        if begins && parts.last().is_some_and(|part| !part.is_empty()) {
            parts.push(String::new());
        }
        if c != '_'
            && let Some(part) = parts.last_mut()
        {
            part.extend(c.to_lowercase());
        }
        previous = c;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

struct Word {
    text: String,
    line: usize,
    starts_sentence: bool,
}

/// The words of a text in lower case. Text in backticks and braces counts as one word, `` ` ``.
fn words(text: &str, first_line: usize) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let (mut line, mut start, mut skipped_until) = (first_line, true, None);
    let mut current = String::new();
    for c in text.chars().chain(['\n']) {
        let in_word =
            c.is_alphanumeric() || c == '_' || ((c == '-' || c == '\'' || c == '’') && !current.is_empty());
        if skipped_until.is_none() && in_word {
            current.extend(c.to_lowercase());
            continue;
        }
        if !current.is_empty() {
            let text = std::mem::take(&mut current).trim_matches(['-', '\'', '’']).to_owned();
            if text.chars().any(char::is_alphabetic) {
                found.push(Word { text, line, starts_sentence: start });
                start = false;
            }
        }
        match (skipped_until, c) {
            (Some(end), c) if c == end => skipped_until = None,
            (None, '`' | '{') => {
                skipped_until = Some(if c == '`' { '`' } else { '}' });
                found.push(Word { text: "`".to_owned(), line, starts_sentence: start });
                start = false;
            }
            (None, '.' | '!' | '?' | '|') => start = true,
            _ => {}
        }
        if c == '\n' {
            line += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let lists = Lists::parse(
            "tell told = emit\nlook = poll\ntake_in = ingest\n^whose = a noun",
            "* | look up | the glossary's verb\nsrc/odd.rs | told | a wire name",
            "type Told Coalesced\npub-type Entry LogEntry\nfn bury dead_letter\npath src/old old/new.rs",
            "",
        );
        in_file(&lists, path, text)
            .into_iter()
            .map(|found| format!("{}: {}", found.line, found.text))
            .collect()
    }

    #[test]
    fn words_are_found_in_comments_messages_and_names() {
        let source = "//! Is told.\n\n/// Who.\nfn tell_all() {\n    warn!(\"could not tell it\"); // `told`, look up\n}\n";
        let found = findings("src/a.rs", source);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].starts_with("1: \"told\"") && found[1].starts_with("3: a comment of one word"));
        assert!(found[2].contains("`tell_all`") && found[3].starts_with("5: \"tell\""));
    }

    #[test]
    fn phrases_cross_lines_and_sentence_starts_count() {
        let found =
            findings("src/a.rs", "// It may take\n// in more. A chat whose\n// end. Whose?\nfn a() {}");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("take in") && found[1].starts_with("3: \"whose\""));
    }

    #[test]
    fn strings_of_tests_exceptions_and_code_blocks_are_allowed() {
        assert!(findings("src/a.rs", "#[cfg(test)]\nmod tests { fn a() { b(\"he told me\"); } }").is_empty());
        assert!(findings("tests/a.rs", "fn a() { b(\"he told me\"); }").is_empty());
        assert!(findings("src/odd.rs", "// It is told.").is_empty());
        assert!(findings("src/a.rs", "const A: &str = \"SELECT told FROM b\";").is_empty());
        assert!(findings("docs/a.md", "`told`\n```\ntold\n```\n").is_empty());
        assert_eq!(findings("docs/a.md", "He told `me`.").len(), 1);
        assert_eq!(findings("dev", "echo told # he told me").len(), 1);
    }

    #[test]
    fn replaced_names_and_long_names_are_found() {
        assert_eq!(
            findings("src/a.rs", "struct Told;\nstruct Entry;\npub(crate) struct Entry;\nfn bury() {}").len(),
            4
        );
        assert_eq!(findings("src/old/a.rs", "").len(), 1);
        let long = format!("fn {}() {{}}", "a".repeat(61));
        assert_eq!(findings("tests/a.rs", &long).len(), 1);
    }
}
