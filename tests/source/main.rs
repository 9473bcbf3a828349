//! Checks of the source text, which need nothing but Rust's standard library.
//!
//! `cargo test` runs the check as a test. `./dev lint` and `./dev lines` compile this file with `rustc`
//! alone, so that they need no build of the crate:
//!
//! - `source words` lists the findings in enforced paths and fails if there is one; it counts the others.
//! - `source words PATH…` lists every finding below the paths and fails if there is one.
//! - `source counts` counts all findings for each file.
//! - `source lines` counts lines of code.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    dead_code,
    reason = "a program of its own, whose main function no test calls"
)]

mod files;
mod lexer;
mod lines;
mod lists;
mod words;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use lists::Lists;
use words::Violation;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(".");
    let (output, success) = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["lines"] => (lines::table(root), true),
        ["words"] => check_words(root),
        ["counts"] => (count_words(root), true),
        ["words", paths @ ..] => {
            let found = words::violations(root, &Lists::load(root), paths);
            (format!("{}{} findings\n", list(&found), found.len()), found.is_empty())
        }
        _ => ("usage: source words [PATH…] | source counts | source lines\n".to_owned(), false),
    };
    // A pipe that was closed, as by `head`, is no error.
    let _ = std::io::stdout().write_all(output.as_bytes());
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check_words(root: &Path) -> (String, bool) {
    let (errors, others) = findings(root);
    let mut output = list(&errors);
    if !others.is_empty() {
        let count = others.len();
        output.push_str(&format!(
            "{count} findings outside the paths of tests/source/clean.txt are no errors yet\n"
        ));
    }
    (output, errors.is_empty())
}

fn count_words(root: &Path) -> String {
    let (errors, others) = findings(root);
    let counts = words::counts(&[errors, others].concat());
    counts.into_iter().map(|(path, count)| format!("{count:>5}  {path}\n")).collect()
}

/// The findings in enforced paths, and the others.
fn findings(root: &Path) -> (Vec<Violation>, Vec<Violation>) {
    let lists = Lists::load(root);
    let starts = words::checked(root);
    let starts: Vec<_> = starts.iter().map(String::as_str).collect();
    words::violations(root, &lists, &starts).into_iter().partition(|found| lists.is_clean(&found.path))
}

fn list(found: &[Violation]) -> String {
    let line = |violation: &Violation| format!("{}:{}: {}\n", violation.path, violation.line, violation.text);
    found.iter().map(line).collect()
}

#[test]
fn enforced_paths_have_no_word_to_avoid() {
    let root = Path::new(option_env!("CARGO_MANIFEST_DIR").unwrap_or("."));
    let lists = Lists::load(root);
    let clean: Vec<_> = lists.clean.iter().map(String::as_str).collect();
    let found = words::violations(root, &lists, &clean);
    assert!(found.is_empty(), "{found:#?}");
}
