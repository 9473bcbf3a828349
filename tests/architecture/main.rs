//! Enforces the layers of ARCHITECTURE.md: which module may import which.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use module_graph::{ModuleGraph, find_circle};

mod module_graph;

/// The imports that each layer may have besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("qr", &[]),
    ("lifecycle", &[]),
    ("telemetry", &["settings"]),
    ("net", &["domain"]),
    ("engine", &["domain", "net"]),
    ("store", &["domain"]),
    ("media", &["domain"]),
    ("effects", &["domain", "net"]),
    ("service", &["domain", "net", "engine", "store", "media", "effects", "lifecycle", "telemetry"]),
    ("api", &["service", "domain", "lifecycle", "telemetry", "qr"]),
    ("settings", &["domain"]),
    ("cli", &["domain", "effects", "net", "settings", "store", "qr", "telemetry"]),
    (
        "app",
        &[
            "domain",
            "net",
            "engine",
            "store",
            "media",
            "effects",
            "service",
            "api",
            "settings",
            "lifecycle",
            "telemetry",
        ],
    ),
];

/// The imports that each service may have besides itself. `error` and `limits` are shared by all.
const SERVICES: &[(&str, &[&str])] = &[
    ("registry", &[]),
    ("log", &["registry"]),
    ("access", &[]),
    ("media", &[]),
    ("messaging", &["registry", "log", "media"]),
    ("webhooks", &["registry"]),
    ("notify", &["registry", "access", "messaging"]),
    ("fleet", &["registry", "log", "access", "media", "messaging", "webhooks", "notify"]),
    ("history", &["registry", "media", "messaging"]),
    ("maintenance", &["registry", "media", "messaging"]),
    ("operator_chat", &["registry", "log", "access", "media", "messaging", "notify"]),
];

/// Folders in which no file imports itself through others.
const WITHOUT_CIRCLES: &[&[&str]] = &[
    &["service"],
    &["engine", "relay"],
    &["engine", "waha"],
    &["engine", "cloud_api"],
    &["engine", "whatsapp"],
    &["engine", "simulator"],
    &["engine", "remote"],
];

/// Crates that only the named layers may use.
const RESERVED: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("socketioxide", &["api"]),
    ("axum", &["api", "app"]),
    ("reqwest", &["net", "cli"]),
    ("notify_rust", &["effects"]),
    ("rodio", &["effects"]),
    ("qrcode", &["qr"]),
    ("image", &["media"]),
];

#[test]
fn send_failure_codes_are_documented() {
    let mut missing = BTreeSet::new();
    for file in sources().into_iter().filter(|file| part_of(file) == "engine") {
        let text = fs::read_to_string(&file).unwrap();
        let codes = CODED.iter().flat_map(|call| literals_after(&text, call));
        missing.extend(
            codes.filter(|code| !is_documented(code)).map(|code| format!("{}: {code}", file.display())),
        );
    }
    assert!(missing.is_empty(), "not in src/domain/failure.rs: {missing:?}");
}

/// Text that precedes the code of a send failure in any engine.
const CODED: [&str; 6] = ["permanent(", "transient(", "unknown(", "passes(", "stays(", "SendError { code:"];

/// String literals that are the first argument of a call, on its line or the next one. Other
/// arguments are ignored.
fn literals_after<'a>(text: &'a str, call: &'a str) -> impl Iterator<Item = &'a str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let calls = text.match_indices(call).filter(move |(at, _)| !text[..*at].ends_with(is_word));
    calls
        .filter_map(move |(at, _)| text[at + call.len()..].trim_start().strip_prefix('"')?.split('"').next())
        // In some engines `unknown` takes a sentence.
        .filter(|literal| !literal.contains(' '))
}

#[test]
fn failure_codes_are_found_in_every_engine() {
    let text = "permanent(\n    \"a_code\", x) is_transient(\"no\") SendError { code: \"b\" } unknown(\"a sentence\")";
    let found: Vec<_> = CODED.iter().flat_map(|call| literals_after(text, call)).collect();
    assert_eq!(found, ["a_code", "b"]);
    let engines = engine_folders();
    assert!(engines.len() >= 5, "{engines:?}");
}

/// The engines' folders: `cloud_api`, `simulator`, `whatsapp`, …
fn engine_folders() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("engine")).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|folder| folder.file_name().to_string_lossy().into_owned()).collect()
}

fn is_documented(code: &str) -> bool {
    wharf::domain::failure::FAILURE_CODES.iter().any(|documented| documented.code == code)
}

/// Only builds for the testbed skip the certificate check. The default features and those with S3 are
/// released.
#[test]
fn release_builds_verify_certificates() {
    for features in [&[][..], &["--features", "s3"]] {
        let tree = std::process::Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "--locked",
                "-p",
                "wharf",
                "-e",
                "normal,build,features",
                "--prefix",
                "none",
            ])
            .args(features)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        assert!(
            tree.contains("whatsapp-rust feature"),
            "the tree shows the features of the engine's library"
        );
        let skips: Vec<_> =
            tree.lines().filter(|line| line.contains("danger-skip") || line.contains("testbed")).collect();
        assert!(skips.is_empty(), "{features:?}: {skips:?}");
    }
}

#[test]
fn imports_follow_layer_table() {
    let mut wrong = Vec::new();
    for file in sources() {
        let part = part_of(&file);
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == part) else { continue };
        for (line, imported) in imports(&file) {
            if imported != part && !allowed.contains(&imported.as_str()) {
                wrong.push(format!("{}:{line}: {part} imports {imported}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn services_import_only_what_the_table_allows() {
    let graph = ModuleGraph::read(&root(), &sources());
    let mut violations = Vec::new();
    for (file, imported) in graph.edges(&["service"]) {
        let Some(service) = file.get(1) else { continue };
        let Some((_, allowed)) = SERVICES.iter().find(|(name, _)| name == service) else {
            assert!(["error", "limits"].contains(&service.as_str()), "not in the table: {service}");
            continue;
        };
        let services =
            imported.iter().filter(|module| module.first().is_some_and(|layer| layer == "service"));
        let others = services.filter_map(|module| module.get(1)).filter(|other| *other != service);
        for other in others.filter(|other| !["error", "limits"].contains(&other.as_str())) {
            if !allowed.contains(&other.as_str()) {
                violations.push(format!("{} imports {other}", file.join("/")));
            }
        }
    }
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn no_circle_of_files_in_services_and_engines() {
    let graph = ModuleGraph::read(&root(), &sources());
    for prefix in WITHOUT_CIRCLES {
        let edges = graph.edges(prefix);
        assert!(!edges.is_empty(), "no files below {prefix:?}");
        let circle =
            find_circle(&edges).map(|files| files.iter().map(|file| file.join("/")).collect::<Vec<_>>());
        assert_eq!(circle, None, "each of these files imports the next one");
    }
}

#[test]
fn service_uses_engines_through_traits_only() {
    let names =
        |line: &str| engine_folders().iter().any(|engine| line.contains(&format!("engine::{engine}")));
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|file| matches!(part_of(file).as_str(), "service" | "api"))
        .filter(|file| code(file).iter().any(|(_, line)| names(line)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn domain_does_no_io() {
    let banned =
        ["tokio::", "std::fs", "std::net::Tcp", "std::thread", "SystemTime", "Instant::now", "tracing::"];
    let mut wrong = Vec::new();
    for file in sources().into_iter().filter(|file| part_of(file) == "domain") {
        for (line, text) in code(&file) {
            if let Some(word) = banned.iter().find(|word| text.contains(**word)) {
                wrong.push(format!("{}:{line}: {word}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn reserved_crates_stay_in_their_layer() {
    let mut wrong = Vec::new();
    for file in sources() {
        let part = part_of(&file);
        for (number, text) in code(&file) {
            for (name, parts) in RESERVED {
                if text.contains(&format!("{name}::")) && !parts.contains(&part.as_str()) {
                    wrong.push(format!("{}:{number}: {part} uses {name}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn layer_table_names_every_folder() {
    let there: BTreeSet<String> =
        sources().iter().map(|file| part_of(file)).filter(|part| part != "lib" && part != "main").collect();
    let named: BTreeSet<String> = LAYERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, named);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<PathBuf> {
    let mut waiting = vec![root()];
    let mut found = Vec::new();
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// `src/store/events.rs` belongs to `store`, `src/qr.rs` to `qr`.
fn part_of(file: &Path) -> String {
    let relative = file.strip_prefix(root()).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Lines that are neither comments nor in a `#[cfg(test)]` module at the end of the file.
fn code(file: &Path) -> Vec<(usize, String)> {
    if file.file_stem().is_some_and(|stem| stem == "tests")
        || file.components().any(|c| c.as_os_str() == "tests")
    {
        return Vec::new();
    }
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]"));
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number + 1, line.to_owned()))
        .collect()
}

fn imports(file: &Path) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in code(file) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if rest.starts_with('{') {
                panic!("{}:{number}: import each part of the crate on a line of its own", file.display());
            }
            if !name.is_empty() {
                found.push((number, name));
            }
        }
    }
    found
}
