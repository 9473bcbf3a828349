//! Selects the API key of a command.

use std::path::{Path, PathBuf};

use url::{Host, Url};

/// File in the data directory with the daemon's first admin key.
pub const ADMIN_KEY_FILE: &str = "admin.key";

/// Returns the given key, or the admin key of a daemon on this machine. An empty key counts as absent.
///
/// The key from the file is used for loopback addresses only: it must never leave this machine.
pub fn resolve_api_key(
    given: Option<&str>,
    url: &str,
    data_dir: impl FnOnce() -> Option<PathBuf>,
) -> Option<String> {
    let given = given.map(str::trim).filter(|key| !key.is_empty());
    if let Some(key) = given {
        return Some(key.to_owned());
    }
    if !is_loopback(url) {
        return None;
    }
    read(&data_dir()?.join(ADMIN_KEY_FILE))
}

fn read(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let key = text.trim();
    (!key.is_empty()).then(|| key.to_owned())
}

/// Whether the URL can only refer to this machine.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::api_key::*;

    #[test]
    fn loopback_addresses_are_recognized() {
        for url in ["http://127.0.0.1:3000", "http://localhost", "http://[::1]:3000", "http://127.1/"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in
            ["http://192.0.2.1", "http://localhost.example.org", "http://127.0.0.1@example.org", "nonsense"]
        {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn key_flag_precedes_file_that_serves_loopback_only() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(ADMIN_KEY_FILE), "whf_file_secret\n").unwrap();
        let find = |given, url| resolve_api_key(given, url, || Some(dir.path().to_owned()));
        assert_eq!(find(None, "http://127.0.0.1:3000").as_deref(), Some("whf_file_secret"));
        assert_eq!(find(Some(" "), "http://127.0.0.1:3000").as_deref(), Some("whf_file_secret"));
        assert_eq!(
            find(Some("whf_flag_secret"), "http://127.0.0.1:3000").as_deref(),
            Some("whf_flag_secret")
        );
        assert_eq!(find(None, "https://wharf.example.org"), None);
    }
}
