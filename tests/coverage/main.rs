//! Checks the tests against the contracts: each row of `rows.toml` has a test that exercises it over
//! HTTP or Socket.IO.
//!
//! A test marks what it exercises by a line `// covers: <row>` (`# covers: <row>` in Python) above it.
//! `docs/coverage.md` lists the tests of each row. Rows are
//! - in a `section` of the contracts, or `extra`: operations outside the contracts;
//! - `later`: without a test, with the reason;
//! - `missing`: without a test for now. The list may only shrink.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and prints what is missing"
)]

mod marks;
mod rows;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use marks::Mark;
use rows::Rows;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn assert_empty(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Operations of docs/openapi.json, as rows.
fn operations() -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/openapi.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        all.extend(item.as_object().unwrap().keys().map(|verb| format!("{} {path}", verb.to_uppercase())));
    }
    all
}

/// A row without the names of its parameters, which are not part of the wire format.
fn without_parameters(row: &str) -> String {
    let parts = row.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_mark_names_row_above_running_test() {
    let (marks, mut wrong) = marks::all();
    let rows = Rows::read();
    for mark in marks.iter().filter(|mark| rows.find(&mark.row).is_none()) {
        wrong.push(format!("{}: no row is named {:?}", mark.place(), mark.row));
    }
    assert_empty(&wrong);
}

#[test]
fn every_row_has_test() {
    let rows = Rows::read();
    let covered: BTreeSet<String> = marks::all().0.into_iter().map(|mark| mark.row).collect();
    let mut wrong = Vec::new();
    for row in rows.all() {
        let listed = [rows.later.contains_key(&row.name), rows.missing.contains(&row.name)];
        match (covered.contains(&row.name), listed) {
            (false, [false, false]) => wrong.push(format!("{}: no test covers it", row.name)),
            (true, [true, _]) => wrong.push(format!("{}: has a test, and is listed as later", row.name)),
            (true, [_, true]) => wrong.push(format!("{}: has a test, and is listed as missing", row.name)),
            (false, [true, true]) => wrong.push(format!("{}: is listed as later and missing", row.name)),
            _ => {}
        }
    }
    for row in &rows.missing {
        eprintln!("missing: {row}");
    }
    assert_empty(&wrong);
}

#[test]
fn rows_are_unique_and_lists_name_existing_rows() {
    let rows = Rows::read();
    let mut seen = BTreeSet::new();
    let mut wrong: Vec<String> =
        rows.all().filter(|row| !seen.insert(&row.name)).map(|row| format!("{}: twice", row.name)).collect();
    let listed = rows.later.keys().chain(&rows.missing);
    wrong.extend(listed.filter(|row| rows.find(row).is_none()).map(|row| format!("{row}: no such row")));
    let mut seen = BTreeSet::new();
    wrong.extend(
        rows.missing.iter().filter(|row| !seen.insert(*row)).map(|row| format!("{row}: missing twice")),
    );
    assert_empty(&wrong);
}

#[test]
fn every_openapi_operation_is_row() {
    let rows: BTreeSet<String> = Rows::read().all().map(|row| without_parameters(&row.name)).collect();
    let operations = operations();
    assert!(operations.len() > 30, "docs/openapi.json was not read");
    let wrong: Vec<String> = operations
        .into_iter()
        .filter(|row| !rows.contains(&without_parameters(row)))
        .map(|row| format!("{row}: in docs/openapi.json but not in rows.toml"))
        .collect();
    assert_empty(&wrong);
}

/// A test that a feature is refused does not cover the feature.
#[test]
fn covered_operations_are_in_openapi() {
    let operations: BTreeSet<String> = operations().iter().map(|row| without_parameters(row)).collect();
    let rows = Rows::read();
    let covered = marks::all().0;
    let covered = covered.iter().filter(|mark| rows.find(&mark.row).is_some_and(rows::Row::is_operation));
    let wrong: Vec<String> = covered
        .filter(|mark| !operations.contains(&without_parameters(&mark.row)))
        .map(|mark| format!("{}: {:?} is not in docs/openapi.json", mark.place(), mark.row))
        .collect();
    assert_empty(&wrong);
}

#[test]
fn marked_test_file_contains_row_word() {
    let rows = Rows::read();
    let silent = |mark: &&Mark| rows.find(&mark.row).is_some_and(|row| !row.is_mentioned_in(&mark.text));
    let marks = marks::all().0;
    let wrong: Vec<String> = marks
        .iter()
        .filter(silent)
        .map(|mark| format!("{}: {:?} does not occur in this file", mark.place(), mark.row))
        .collect();
    assert_empty(&wrong);
}

#[test]
fn coverage_table_is_current() {
    let path = root().join("docs/coverage.md");
    let now = table::markdown(&Rows::read(), &marks::all().0);
    if std::env::var_os("WHARF_WRITE_DOCS").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == now,
        "docs/coverage.md is stale: run the tests with WHARF_WRITE_DOCS=1 and commit it"
    );
}
