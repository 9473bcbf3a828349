//! Checks the documents: their limits, links, paths, commands, settings and REST calls.
//!
//! Generated documents are not checked. Code blocks are validated by their language: `toml` by the settings,
//! `sh` by the command line and the OpenAPI document, `json` by its parser.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod commands;
mod markdown;
mod paths;
mod rest;
mod settings_reference;
mod toml_blocks;

use std::fs;
use std::path::{Path, PathBuf};

use markdown::{Document, Line};

const GENERATED: [&str; 4] =
    ["docs/benchmarks.md", "docs/coverage.md", "docs/reason-codes.md", "docs/reliability.md"];
const LIMITS: [(&str, usize); 4] =
    [("README.md", 200), ("ARCHITECTURE.md", 200), ("CONTRIBUTING.md", 150), ("SECURITY.md", 60)];
const MAX_PROSE_CHARS: usize = 160;
const MAX_PARAGRAPH_LINES: usize = 6;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Markdown files of the project that people write.
fn documents() -> Vec<Document> {
    let mut files: Vec<PathBuf> = vec![root().to_owned(), root().join("docs")];
    files.extend(["docs/engines", "docs/adr"].map(|folder| root().join(folder)));
    let mut documents = Vec::new();
    for folder in files {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            if path.extension().is_some_and(|extension| extension == "md") && !GENERATED.contains(&&*name) {
                documents.push(Document::read(name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(documents.len() > 20, "only {} documents were found", documents.len());
    documents
}

/// Runs a check on every document and fails with all its findings.
#[track_caller]
fn check(find: impl Fn(&Document) -> Vec<String>) {
    let wrong: Vec<String> = documents().iter().flat_map(find).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn documents_keep_their_line_limits() {
    check(|document| {
        let limit =
            LIMITS.iter().find(|(name, _)| *name == document.name).map_or(usize::MAX, |limit| limit.1);
        let lines = document.lines.len();
        Vec::from_iter((lines > limit).then(|| format!("{}: {lines} lines, at most {limit}", document.name)))
    });
}

#[test]
fn prose_lines_have_at_most_160_characters() {
    check(|document| {
        let lines = document.lines.iter().filter(|line| line.is_prose());
        let long = lines.filter(|line| line.text.chars().count() > MAX_PROSE_CHARS);
        long.map(|line| format!("{}: {} characters", document.at(line), line.text.chars().count())).collect()
    });
}

#[test]
fn paragraphs_have_at_most_six_lines() {
    check(|document| {
        let mut wrong = Vec::new();
        let mut length = 0;
        for line in &document.lines {
            length = if line.is_paragraph() { length + 1 } else { 0 };
            if length == MAX_PARAGRAPH_LINES + 1 {
                wrong.push(format!("{}: the paragraph has more than six lines", document.at(line)));
            }
        }
        wrong
    });
}

#[test]
fn relative_links_resolve() {
    check(|document| {
        let broken = |line: &Line, link: &str| {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = root().join(&document.name);
            let path = match file {
                "" => folder,
                file => folder.parent().unwrap().join(file),
            };
            let found = match anchor {
                "" => path.exists(),
                anchor => fs::read_to_string(&path).is_ok_and(|text| {
                    Document::read(String::new(), &text).anchors().any(|heading| heading == anchor)
                }),
            };
            (!found).then(|| format!("{}: {link} does not exist", document.at(line)))
        };
        let links = document.lines.iter().flat_map(|line| line.links().map(move |link| (line, link)));
        let relative = links.filter(|(_, link)| !link.contains("://"));
        relative.filter_map(|(line, link)| broken(line, link)).collect()
    });
}

#[test]
fn named_files_exist() {
    let files = paths::Files::read();
    check(|document| document.findings(|code| files.missing(document, code)));
}

#[test]
fn dev_and_wharf_commands_exist() {
    let dev = commands::Dev::read();
    check(|document| {
        let inline = document.findings(|code| commands::wrong_inline(&dev, code));
        let blocks = document.blocks(&["sh"]).flat_map(|block| {
            block.commands().into_iter().filter_map(|command| {
                let error = commands::wrong_line(&dev, &command)?;
                Some(format!("{}, line {}: {error}", document.name, block.first_line))
            })
        });
        inline.into_iter().chain(blocks).collect()
    });
}

#[test]
fn rest_calls_are_in_the_openapi_document() {
    let operations = rest::Operations::read();
    check(|document| {
        let inline = document.findings(|code| operations.wrong_inline(code));
        let blocks = document.blocks(&["sh"]).flat_map(|block| {
            block.commands().into_iter().filter_map(|command| {
                let error = operations.wrong_curl(&command)?;
                Some(format!("{}, line {}: {error}", document.name, block.first_line))
            })
        });
        inline.into_iter().chain(blocks).collect()
    });
}

#[test]
fn named_settings_exist() {
    let keys = toml_blocks::Keys::read();
    check(|document| document.findings(|code| keys.unknown(code)));
}

#[test]
fn toml_blocks_are_valid() {
    check(|document| {
        let blocks = document.blocks(&["toml"]);
        let wrong = blocks.filter_map(|block| {
            let error = toml_blocks::wrong(&block.text)?;
            Some(format!("{}, line {}: {error}", document.name, block.first_line))
        });
        wrong.collect()
    });
}

#[test]
fn json_blocks_are_valid() {
    check(|document| {
        let wrong = document.blocks(&["json"]).filter_map(|block| {
            let error = serde_json::from_str::<serde_json::Value>(&block.text).err()?;
            Some(format!("{}, line {}: {error}", document.name, block.first_line))
        });
        wrong.collect()
    });
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let reasons = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    for section in ["dependencies", "dev-dependencies"] {
        for name in manifest[section].as_table().unwrap().keys() {
            assert!(reasons.contains(&format!("`{name}`")), "docs/dependencies.md does not have {name}");
        }
    }
}
