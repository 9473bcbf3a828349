//! The graph of files in `src`, from their imports. A facade's edges to the files below it do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The path of a module below the crate root, such as `["service", "log", "tail"]`.
pub type Module = Vec<String>;

/// The imports of each file from the crate, outside its tests.
pub struct ModuleGraph {
    texts: BTreeMap<Module, String>,
    /// `pub use` of a module: (module, name) → the path as written there.
    reexports: BTreeMap<(Module, String), Vec<String>>,
}

impl ModuleGraph {
    pub fn read(root: &Path, files: &[std::path::PathBuf]) -> Self {
        let mut texts = BTreeMap::new();
        for file in files {
            let relative = file.strip_prefix(root).unwrap().with_extension("");
            let mut module: Module =
                relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if module.last().is_some_and(|last| last == "mod") {
                module.pop();
            }
            if !module.iter().any(|part| part == "tests") {
                texts.insert(module, without_tests_and_comments(&fs::read_to_string(file).unwrap()));
            }
        }
        let mut reexports = BTreeMap::new();
        for (module, text) in &texts {
            for (public, tree) in use_trees(text) {
                for path in leaves(&tree, &[]).into_iter().filter(|path| public && !path.is_empty()) {
                    reexports.insert((module.clone(), path.last().unwrap().clone()), path);
                }
            }
        }
        Self { texts, reexports }
    }

    /// The files that each file below `prefix` imports, without itself and the files below it.
    pub fn edges(&self, prefix: &[&str]) -> BTreeMap<Module, BTreeSet<Module>> {
        let below =
            |module: &Module| prefix.iter().zip(module).filter(|(a, b)| a == b).count() == prefix.len();
        let files = self.texts.iter().filter(|(module, _)| below(module));
        files.map(|(module, text)| (module.clone(), self.imports(module, text))).collect()
    }

    fn imports(&self, module: &Module, text: &str) -> BTreeSet<Module> {
        let from_uses = use_trees(text).into_iter().flat_map(|(_, tree)| leaves(&tree, &[]));
        let paths = from_uses.chain(inline_paths(text));
        let found = paths.filter_map(|path| self.resolve(module, &path, 0));
        found.filter(|imported| !imported.starts_with(module)).collect()
    }

    /// The file that a path names, through re-exports.
    fn resolve(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let absolute: Module = match path.first()?.as_str() {
            "crate" => path[1..].to_vec(),
            "self" => [module.as_slice(), &path[1..]].concat(),
            "super" => [&module[..module.len().checked_sub(supers)?], &path[supers..]].concat(),
            child => {
                let below = [module.as_slice(), &[child.to_owned()]].concat();
                self.texts.contains_key(&below).then(|| [module.as_slice(), path].concat())?
            }
        };
        let length = (1..=absolute.len()).rev().find(|n| self.texts.contains_key(&absolute[..*n]))?;
        let file = absolute[..length].to_vec();
        let reexport =
            absolute.get(length).and_then(|name| self.reexports.get(&(file.clone(), name.clone())));
        match reexport {
            Some(path) if depth < 5 => self.resolve(&file, path, depth + 1),
            _ => Some(file),
        }
    }
}

/// A circle of files, if there is one: each imports the next one.
pub fn find_circle(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    let mut remaining = edges.clone();
    // Files that import nothing of the rest are in no circle.
    while let Some(leaf) = remaining
        .iter()
        .find(|(_, imported)| imported.iter().all(|file| !remaining.contains_key(file)))
        .map(|(file, _)| file.clone())
    {
        remaining.remove(&leaf);
    }
    let mut path = vec![remaining.keys().next()?.clone()];
    loop {
        let next = remaining[path.last().unwrap()].iter().find(|file| remaining.contains_key(*file)).unwrap();
        if let Some(start) = path.iter().position(|file| file == next) {
            return Some(path.split_off(start));
        }
        path.push(next.clone());
    }
}

fn without_tests_and_comments(text: &str) -> String {
    let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    code.map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Each `use` at the start of a line, and whether it is public.
fn use_trees(text: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("use ") {
        let line_start = rest[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let before = &rest[line_start..at];
        let end = rest[at..].find(';').map_or(rest.len(), |end| at + end);
        let is_public = before.starts_with("pub");
        if before.is_empty() || is_public {
            found.push((is_public, rest[at + "use ".len()..end].to_owned()));
            rest = &rest[end..];
        } else {
            rest = &rest[at + "use ".len()..];
        }
    }
    found
}

/// `a::{b, c::d}` is `a::b` and `a::c::d`.
fn leaves(tree: &str, prefix: &[String]) -> Vec<Vec<String>> {
    let segments = |text: &str| -> Vec<String> {
        text.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    let Some((before, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![[prefix, &segments(path)].concat()];
    };
    let prefix = [prefix, &segments(before)].concat();
    let group = &group[..group.rfind('}').unwrap_or(group.len())];
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !group[start..at].trim().is_empty() {
                    found.extend(leaves(&group[start..at], &prefix));
                }
                start = (at + 1).min(group.len());
            }
            _ => {}
        }
    }
    found
}

/// Paths in expressions and types that begin with `crate`, `super` or `self`.
fn inline_paths(text: &str) -> Vec<Vec<String>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c: char| !is_word(c));
    let paths =
        words.filter(|word| ["crate::", "super::", "self::"].iter().any(|start| word.starts_with(start)));
    paths.map(|path| path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()).collect()
}
