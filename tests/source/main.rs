//! Checks of the source text, which need nothing but Rust's standard library.
//!
//! `cargo test` runs the check as a test. `./dev lint` and `./dev lines` compile this file with `rustc` alone, so that
//! they need no build of the crate:
//!
//! - `source words` lists findings in enforced paths and counts the others; it fails if there are any of the former.
//! - `source words PATH…` lists every finding below the paths, and fails if there is one.
//! - `source lines` counts lines of code.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    dead_code,
    reason = "a program of its own, whose main function no test calls"
)]

mod files;
mod lexer;
mod lines;
mod lists;
mod words;

use std::path::Path;
use std::process::ExitCode;

use lists::Lists;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(".");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["lines"] => {
            println!("{}", lines::table(root));
            ExitCode::SUCCESS
        }
        ["words"] => check_words(root),
        ["words", paths @ ..] => {
            let found = words::violations(root, &Lists::load(root), paths);
            list(&found);
            println!("{} findings", found.len());
            if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        _ => {
            println!("usage: source words [PATH…] | source lines");
            ExitCode::from(2)
        }
    }
}

fn check_words(root: &Path) -> ExitCode {
    let lists = Lists::load(root);
    let starts = words::checked(root);
    let starts: Vec<_> = starts.iter().map(String::as_str).collect();
    let (errors, others): (Vec<_>, Vec<_>) =
        words::violations(root, &lists, &starts).into_iter().partition(|found| lists.is_clean(&found.path));
    for (path, count) in words::counts(&others) {
        println!("{count:>5}  {path}");
    }
    if !others.is_empty() {
        println!(
            "{:>5}  findings outside the paths of tests/source/clean.txt (not errors yet)",
            others.len()
        );
    }
    list(&errors);
    if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn list(found: &[words::Violation]) {
    for violation in found {
        println!("{}:{}: {}", violation.path, violation.line, violation.text);
    }
}

#[test]
fn enforced_paths_have_no_word_to_avoid() {
    let root = Path::new(option_env!("CARGO_MANIFEST_DIR").unwrap_or("."));
    let lists = Lists::load(root);
    let clean: Vec<_> = lists.clean.iter().map(String::as_str).collect();
    let found = words::violations(root, &lists, &clean);
    assert!(found.is_empty(), "{found:#?}");
}
