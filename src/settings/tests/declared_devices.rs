use std::fs;

use serde_json::json;
use tempfile::TempDir;

use crate::settings::{DeclaredDevice, load_declared};

fn dir(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn load(files: &[(&str, &str)]) -> Result<Vec<DeclaredDevice>, String> {
    let dir = dir(files);
    let env = |name: &str| (name == "SHOP_TOKEN").then(|| "hidden".to_owned());
    let path = format!("{}/", dir.path().display());
    load_declared(dir.path(), &env).map_err(|error| error.to_string().replace(&path, ""))
}

fn refused(text: &str) -> String {
    load(&[("shop.toml", text)]).unwrap_err()
}

#[test]
fn missing_directory_declares_no_devices() {
    let dir = tempfile::tempdir().unwrap();
    assert!(load_declared(&dir.path().join("none"), &|_| None).unwrap().is_empty());
}

#[test]
fn device_files_are_read_in_order_others_ignored() {
    let files = [("b.toml", "id = \"b\""), ("a.toml", "id = \"a\""), ("README.md", "x"), (".a.toml", "x")];
    let ids: Vec<_> = load(&files).unwrap().into_iter().map(|device| device.id).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn complete_device_file_is_read() {
    let text = r#"
        id = "shop-1"
        name = "Shop"
        engine = "simulator"
        autostart = false
        [settings.simulator]
        echo = true
        seed = 7
        ratio = 0.5
        contacts = ["15550100001"]
        accessToken = "${SHOP_TOKEN}"
    "#;
    let device = load(&[("shop.toml", text)]).unwrap().remove(0);
    assert_eq!((device.id.as_str(), device.name.as_deref()), ("shop-1", Some("Shop")));
    assert_eq!((device.engine.as_deref(), device.autostart), (Some("simulator"), false));
    assert!(device.file.ends_with("shop.toml"));
    let simulator = json!({
        "echo": true, "seed": 7, "ratio": 0.5, "contacts": ["15550100001"], "accessToken": "hidden"
    });
    assert_eq!(device.settings["simulator"], simulator);
    assert!(!format!("{device:?}").contains("hidden"));
}

#[test]
fn minimal_device_is_started() {
    let device = load(&[("a.toml", "id = \"a\"")]).unwrap().remove(0);
    assert!(
        device.autostart && device.settings.is_empty() && device.name.is_none() && device.engine.is_none()
    );
}

#[test]
fn declared_device_error_names_file_and_key() {
    for (text, line) in [
        ("", "shop.toml: id is missing"),
        ("id = 5", "shop.toml: id must be a text that is not empty"),
        ("id = \"a b\"", "shop.toml: id must be 1 to 64 letters, digits, _ or -"),
        ("id = \"a\"\nengin = \"x\"", "shop.toml: unknown key engin; did you mean engine?"),
        ("id = \"a\"\ncolour = 1", "shop.toml: unknown key colour"),
        ("id = \"a\"\nautostart = \"no\"", "shop.toml: autostart must be true or false"),
        ("id = \"a\"\nsettings = 1", "shop.toml: settings must be a table"),
        ("id = \"a\"\nwebhooks = 1", "shop.toml: webhooks must be written as [[webhooks]]"),
        (
            "id = \"a\"\n[[webhooks]]\nurl = \"x\"",
            "shop.toml: webhooks[0].secret is missing: write it as a reference to an environment variable, ${NAME}",
        ),
        (
            "id = \"a\"\n[[webhooks]]\nurl = \"x\"\nsecret = \"plain\"",
            "shop.toml: webhooks[0].secret is a secret: write it as a reference to an environment variable, ${NAME}",
        ),
        (
            "id = \"a\"\n[[webhooks]]\nurl = \"x\"\nheaders = { Authorization = \"Bearer x\" }",
            "shop.toml: webhooks[0].headers.Authorization is a secret: write it as a reference to an environment variable, ${NAME}",
        ),
        (
            "id = \"a\"\n[[webhooks]]\nurl = \"x\"\nsecret = \"${SHOP_TOKEN}\"\nformat = \"xml\"",
            "shop.toml: webhooks[0].format must be wharf, waha or wwebjs",
        ),
        (
            "id = \"a\"\n[[webhooks]]\nurls = \"x\"",
            "shop.toml: unknown key webhooks[0].urls; did you mean url?",
        ),
        ("id = \"a\"\n[notify]", "shop.toml: notify must be written as [[notify]]"),
        (
            "id = \"a\"\n[[notify]]\nactions = [\"sound\"]\nmatch = { in = \"room\" }",
            "shop.toml: notify[0].match.in must be group or person",
        ),
        (
            "id = \"a\"\n[[notify]]\naction = [\"sound\"]",
            "shop.toml: notify[0].action is no field of a rule; did you mean actions?",
        ),
        (
            "id = \"a\"\n[settings.x]\nlist = [\"${NONE}\"]",
            "shop.toml: settings.x.list[0] refers to the environment variable NONE, which is not set",
        ),
        (
            "id = \"a\"\n[settings]\nheader = \"Bearer ${SHOP_TOKEN}\"",
            "shop.toml: settings.header must be one whole reference such as ${NAME}, or none",
        ),
        (
            "id = \"a\"\n[settings]\napi_key = \"hidden\"",
            "shop.toml: settings.api_key is a secret: write it as a reference to an environment variable, ${NAME}",
        ),
        ("id = \"a\"\n[settings]\nx = nan", "shop.toml: settings.x must be a finite number"),
    ] {
        assert_eq!(refused(text), line);
    }
    let long = format!("id = \"{}\"", "a".repeat(65));
    assert_eq!(refused(&long), "shop.toml: id must be 1 to 64 letters, digits, _ or -");
    let broken = refused("id = \"a\"\nname = \n");
    assert!(broken.starts_with("shop.toml, line 2: ") && !broken.contains('\n'), "{broken}");
}

#[test]
fn duplicate_device_id_is_rejected() {
    let files = [("a.toml", "id = \"x\""), ("b.toml", "id = \"x\"")];
    assert_eq!(load(&files).unwrap_err(), "b.toml: id x is already declared in a.toml");
}
