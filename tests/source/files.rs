//! The files of the repository, by path from its root. Without build results and dependencies.

use std::fs;
use std::path::Path;

/// Folders without source of this project.
const LEFT_OUT: [&str; 5] = ["target", "node_modules", ".git", ".dev", "dist"];

/// Every file below a folder, or the file itself, in order.
pub fn all(root: &Path, start: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(root, start, &mut found);
    found.sort();
    found
}

fn collect(root: &Path, path: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(path)) else {
        if root.join(path).is_file() {
            found.push(path.to_owned());
        }
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !LEFT_OUT.contains(&name.as_str()) {
            collect(root, &format!("{path}/{name}"), found);
        }
    }
}
