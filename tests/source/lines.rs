//! Counts lines of code in `src`: without comments, blank lines and tests.
//!
//! Tests are items under `#[cfg(test)]`, files named `tests.rs` or `*_tests.rs`, and folders named `tests`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::files;
use crate::lexer::{Token, in_tests, tokens};

/// The table: one row for each folder of `src`, then the sum.
pub fn table(root: &Path) -> String {
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    for file in
        files::all(root, "src").into_iter().filter(|file| file.ends_with(".rs") && !is_test_file(file))
    {
        let folder = file
            .split('/')
            .take(if file.starts_with("src/service/") || file.starts_with("src/engine/") { 3 } else { 2 });
        let folder: Vec<_> = folder.filter(|part| !part.ends_with(".rs")).collect();
        *folders.entry(folder.join("/")).or_default() +=
            code_lines(&fs::read_to_string(root.join(&file)).unwrap_or_default());
    }
    let sum: usize = folders.values().sum();
    let mut rows: Vec<String> =
        folders.iter().map(|(folder, lines)| format!("{lines:>7}  {folder}")).collect();
    rows.push(format!("{sum:>7}  lines of code without comments, blank lines and tests"));
    rows.join("\n") + "\n"
}

/// Whether a file has only tests.
pub fn is_test_file(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    name == "tests.rs" || name.ends_with("_tests.rs") || folders.split('/').any(|folder| folder == "tests")
}

/// Lines with code outside comments and tests.
fn code_lines(source: &str) -> usize {
    let tokens = tokens(source);
    let mut lines = BTreeSet::new();
    for (found, test) in tokens.iter().zip(in_tests(&tokens)) {
        match &found.token {
            _ if test => {}
            Token::Comment { .. } => {}
            // A string over several lines: its blank lines count, because they are part of the program.
            Token::Text(text) => lines.extend(found.line..=found.line + text.matches('\n').count()),
            Token::Word(_) | Token::Symbol(_) => {
                lines.insert(found.line);
            }
        }
    }
    lines.len()
}

#[test]
fn code_lines_leave_out_comments_blank_lines_and_tests() {
    let source = "//! Doc.\n\nuse a; // tail\n/* b\n c */\nfn d() {\n  \"x\n y\"\n}\n#[cfg(test)]\nmod tests {\n fn e() {}\n}\n";
    assert_eq!(code_lines(source), 5);
}

#[test]
fn test_files_are_found_by_name_and_folder() {
    assert!(
        is_test_file("src/a/tests.rs") && is_test_file("src/a/tests/b.rs") && is_test_file("src/a_tests.rs")
    );
    assert!(!is_test_file("src/a/contests.rs") && !is_test_file("src/testbed.rs"));
}
