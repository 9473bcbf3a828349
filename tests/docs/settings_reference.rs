//! The list of all settings in `docs/configuration.md`, made from `config/default.toml`.

use std::fmt::Write as _;

use wharf::settings::DEFAULT_TOML;

/// The line that the list follows.
const MARKER: &str =
    "<!-- Generated from config/default.toml; WHARF_WRITE_DOCS=1 ./dev test writes it. -->\n";

/// A section of the settings, such as `server`.
struct Section<'a> {
    name: &'a str,
    keys: Vec<Key<'a>>,
}

struct Key<'a> {
    name: &'a str,
    default: &'a str,
    meaning: String,
}

/// The sections of the file in their order. The comments above a key are its meaning.
fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut meaning: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix('#') {
            meaning.push(comment.trim());
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push(Section { name, keys: Vec::new() });
            meaning.clear();
        } else if let Some((name, default)) = line.split_once(" = ") {
            let meaning = std::mem::take(&mut meaning).join(" ");
            assert!(!meaning.is_empty(), "{name} has no comment in config/default.toml");
            let section = sections.last_mut().unwrap();
            section.keys.push(Key { name, default, meaning });
        } else {
            assert!(line.is_empty(), "config/default.toml: {line} is neither a section, a key nor a comment");
            meaning.clear();
        }
    }
    sections
}

fn list(sections: &[Section<'_>]) -> String {
    let mut list = String::new();
    for section in sections {
        write!(
            list,
            "\n### `[{}]`\n\n| key, variable | default | meaning |\n| --- | --- | --- |\n",
            section.name
        )
        .unwrap();
        for key in &section.keys {
            let Key { name, default, meaning } = key;
            let (variable, meaning) = (variable(section.name, key), meaning.replace('|', "\\|"));
            writeln!(list, "| `{name}`{variable} | `{default}` | {meaning} |").unwrap();
        }
    }
    list
}

/// A list of tables is set in a file only.
fn variable(section: &str, key: &Key<'_>) -> String {
    if key.meaning.contains(&format!("[[{section}.{}]]", key.name)) {
        return String::new();
    }
    let path = format!("{section}.{}", key.name).replace('.', "__").to_uppercase();
    let by_file =
        if key.meaning.starts_with("Secret:") { format!(" or `WHARF__{path}_FILE`") } else { String::new() };
    format!(" `WHARF__{path}`{by_file}")
}

#[test]
fn list_of_settings_is_current() {
    let path = super::root().join("docs/configuration.md");
    let committed = std::fs::read_to_string(&path).unwrap();
    let (written, _) = committed.split_once(MARKER).expect("docs/configuration.md has the marker");
    let now = format!("{written}{MARKER}{}", list(&sections(DEFAULT_TOML)));
    if std::env::var_os("WHARF_WRITE_DOCS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == now,
        "docs/configuration.md is stale: run the tests with WHARF_WRITE_DOCS=1 and commit it"
    );
}

#[test]
fn list_has_every_setting() {
    let defaults: toml::Table = DEFAULT_TOML.parse().unwrap();
    let mut names = Vec::new();
    let mut tables = vec![(String::new(), &defaults)];
    while let Some((prefix, table)) = tables.pop() {
        for (name, value) in table {
            match value {
                toml::Value::Table(inner) => tables.push((format!("{prefix}{name}."), inner)),
                _ => names.push(format!("{prefix}{name}")),
            }
        }
    }
    let sections = sections(DEFAULT_TOML);
    let mut listed: Vec<String> = sections
        .iter()
        .flat_map(|section| section.keys.iter().map(move |key| format!("{}.{}", section.name, key.name)))
        .collect();
    names.sort();
    listed.sort();
    assert_eq!(listed, names);
}
