//! Finds named files that do not exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::markdown::Document;
use super::root;

const ROOTS: [&str; 6] = ["src", "tests", "docs", "config", "assets", "benches"];

/// Every file and folder under [`ROOTS`], folders with a slash at the end.
pub struct Files(BTreeSet<String>);

impl Files {
    pub fn read() -> Self {
        let mut all = BTreeSet::new();
        for folder in ROOTS {
            all.insert(format!("{folder}/"));
            collect(&root().join(folder), &mut all);
        }
        Self(all)
    }

    /// An error for a path that does not exist. A path without a root is relative to the folder that its
    /// document names by "All under", or else the end of any path.
    pub fn missing(&self, document: &Document, code: &str) -> Option<String> {
        let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
        let is_file = Path::new(code).extension().is_some_and(|extension| extension == "rs");
        let from_root = ROOTS.iter().any(|folder| code.starts_with(&format!("{folder}/")));
        if !code.chars().all(is_path)
            || code.starts_with(['/', '.'])
            || !(is_file || code.ends_with('/') || from_root)
        {
            return None;
        }
        let found = match base_of(document) {
            _ if from_root => self.has(code),
            Some(base) => self.has(&format!("{base}{code}")) || self.ends_with(code),
            None => self.ends_with(code),
        };
        (!found).then(|| format!("{code} does not exist"))
    }

    fn has(&self, path: &str) -> bool {
        self.0.contains(path) || self.0.contains(&format!("{path}/"))
    }

    fn ends_with(&self, path: &str) -> bool {
        let end = format!("/{path}");
        self.0.iter().any(|file| file.ends_with(&end))
    }
}

fn base_of(document: &Document) -> Option<&str> {
    let named = document.lines.iter().find_map(|line| line.text.strip_prefix("All under `"))?;
    named.split('`').next()
}

fn collect(folder: &Path, all: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if name.ends_with("node_modules") || name.ends_with("__pycache__") {
            continue;
        }
        if path.is_dir() {
            all.insert(format!("{name}/"));
            collect(&path, all);
        } else {
            all.insert(name);
        }
    }
}
