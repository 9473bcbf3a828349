//! Checks REST calls against `docs/openapi.json`.

use std::fs;

use serde_json::Value;

use super::commands::split;
use super::root;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Method and path template of every operation, without `/api/v1`.
pub struct Operations(Vec<(String, String)>);

impl Operations {
    pub fn read() -> Self {
        let text = fs::read_to_string(root().join("docs/openapi.json")).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let path = path.strip_prefix("/api/v1").unwrap_or(path);
            all.extend(item.as_object().unwrap().keys().map(|verb| (verb.to_uppercase(), path.to_owned())));
        }
        Self(all)
    }

    /// An error for inline code such as `GET /devices/{id}/health` or `POST …/replay`.
    pub fn wrong_inline(&self, code: &str) -> Option<String> {
        let mut words = code.split_whitespace();
        let method = words.next().filter(|word| METHODS.contains(word))?;
        let path = words.next().filter(|word| word.starts_with(['/', '…']))?;
        (!self.has(method, path)).then(|| format!("no operation {method} {path}"))
    }

    /// An error for a curl command on `$api` or `$there`.
    pub fn wrong_curl(&self, line: &str) -> Option<String> {
        let words = split(line);
        if words.first()? != "curl" {
            return None;
        }
        let path = words
            .iter()
            .find_map(|word| word.strip_prefix("$api").or_else(|| word.strip_prefix("$there")))?;
        let given = words.iter().position(|word| word == "-X").and_then(|at| words.get(at + 1));
        let has_body = words.iter().any(|word| matches!(&**word, "-d" | "-F" | "--data-binary"));
        let method = given.map_or(if has_body { "POST" } else { "GET" }, String::as_str);
        (!self.has(method, path)).then(|| format!("no operation {method} {path}"))
    }

    fn has(&self, method: &str, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or(path);
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        let is_end = path.starts_with('…');
        let given: Vec<&str> = path.trim_start_matches('…').trim_start_matches('/').split('/').collect();
        self.0.iter().filter(|(verb, _)| verb == method).any(|(_, template)| {
            let parts: Vec<&str> = template.trim_start_matches('/').split('/').collect();
            let skipped = parts.len().saturating_sub(given.len());
            let same = |(part, word): (&&str, &&str)| part.starts_with('{') || part == word;
            given.len() <= parts.len()
                && (is_end || skipped == 0)
                && parts[skipped..].iter().zip(&given).all(same)
        })
    }
}
