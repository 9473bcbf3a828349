//! Tests of secrets from files: every secret setting, and all errors.

use std::path::Path;

use super::*;
use crate::settings::secret_file::secret_variable;

/// 32 bytes as base64, which is valid for each secret setting.
const SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const MASK: &str = "********";

/// Returns every key with a masked value, by setting each text of the defaults in turn.
fn masked_keys() -> Vec<String> {
    let keys = keys_with_defaults();
    let texts = keys.iter().filter(|(_, default)| default.is_str()).map(|(key, _)| key.to_owned());
    texts.filter(|key| is_masked(key)).collect()
}

fn is_masked(key: &str) -> bool {
    let mut tree: toml::Value = DEFAULT_TOML.parse::<toml::Table>().unwrap().into();
    let leaf = key.split('.').fold(&mut tree, |node, name| &mut node[name]);
    *leaf = SECRET.into();
    // Values of other types reject the text; they are not secrets.
    let Ok(settings) = tree.try_into::<Settings>() else { return false };
    effective(&settings, key) == toml::Value::from(MASK)
}

fn exposed(settings: &Settings, key: &str) -> String {
    let secret = match key {
        "auth.jwt_secret" => &settings.auth.jwt_secret,
        "media.s3_secret_access_key" => &settings.media.s3_secret_access_key,
        "store.vault_key" => &settings.store.vault_key,
        other => panic!("{other} is a secret without a test"),
    };
    secret.expose().to_owned()
}

fn refused(name: &str, path: &Path) -> String {
    refused_env(&format!("{name}_FILE"), path.to_str().unwrap())
}

#[test]
fn every_secret_setting_is_read_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let keys = masked_keys();
    assert!(keys.len() >= 3, "{keys:?}");
    for key in &keys {
        for end in ["", "\n", "\r\n"] {
            let file = dir.path().join("secret");
            std::fs::write(&file, format!("{SECRET}{end}")).unwrap();
            let name = format!("{}_FILE", variable(key));
            let settings = with_env(&[(name.as_str(), file.to_str().unwrap())]).unwrap();
            assert_eq!(exposed(&settings, key), SECRET, "{key}");
            let described = settings.described().unwrap();
            let setting = described.iter().find(|setting| setting.key == *key).unwrap();
            assert_eq!(setting.source, format!("environment variable {name}"));
        }
    }
}

#[test]
fn unusable_secret_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (empty, blank) = (file("empty", b""), file("blank", b"\n"));
    let (binary, large) = (file("binary", b"\xff\xfe"), file("large", &[b'a'; 70_000]));
    for key in masked_keys() {
        let name = variable(&key);
        for (path, reason) in [
            (&empty, "is empty"),
            (&blank, "is empty"),
            (&binary, "UTF-8"),
            (&large, "is larger than 64 KiB"),
            (&dir.path().join("missing"), "No such file"),
            (&dir.path().to_owned(), "Is a directory"),
        ] {
            let text = refused(&name, path);
            assert!(text.starts_with(&format!("{name}_FILE: ")) && text.contains(reason), "{text}");
        }
    }
}

#[test]
fn value_and_file_of_one_secret_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    for key in masked_keys() {
        let (name, path) = (variable(&key), file.to_str().unwrap());
        let by_file = format!("{name}_FILE");
        let error = with_env(&[(name.as_str(), SECRET), (by_file.as_str(), path)]).unwrap_err();
        assert_eq!(error.to_string(), format!("{name} and {name}_FILE are both set; set one of them"));
        let one = with_env(&[(name.as_str(), ""), (by_file.as_str(), path)]).unwrap();
        assert_eq!(exposed(&one, &key), SECRET);
    }
}

#[test]
fn setting_that_is_no_secret_has_no_file_form() {
    let text = refused_env("WHARF__SERVER__LISTEN_FILE", "/etc/hostname");
    assert!(text.starts_with("unknown key server.listen_file"), "{text}");
}

#[test]
fn api_key_is_read_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, "whf_a_b\n").unwrap();
    let path = file.to_str().unwrap();
    let key = |pairs: &[(&str, &str)]| {
        let pairs = env(pairs);
        let find = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        secret_variable("WHARF_API_KEY", &find).map_err(|error| error.to_string())
    };
    assert_eq!(key(&[]), Ok(None));
    assert_eq!(key(&[("WHARF_API_KEY", "whf_c_d")]), Ok(Some("whf_c_d".to_owned())));
    assert_eq!(key(&[("WHARF_API_KEY", ""), ("WHARF_API_KEY_FILE", path)]), Ok(Some("whf_a_b".to_owned())));
    let both = key(&[("WHARF_API_KEY", "whf_c_d"), ("WHARF_API_KEY_FILE", path)]).unwrap_err();
    assert_eq!(both, "WHARF_API_KEY and WHARF_API_KEY_FILE are both set; set one of them");
    let missing = key(&[("WHARF_API_KEY_FILE", "")]).unwrap_err();
    assert!(missing.starts_with("WHARF_API_KEY_FILE: cannot read the file \"\""), "{missing}");
}
