//! Tests of loading and validating the configuration, including the texts of errors.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::tree::DefaultKeys;
use super::validate::RANGES;
use super::*;

mod declared_devices;
mod secret_files;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn with_env(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::load(None, env(pairs))
}

fn with_file(text: &str) -> Result<Settings, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wharf.toml");
    std::fs::write(&file, text).unwrap();
    Settings::load(Some(&file), [])
        .map_err(|error| error.to_string().replace(&*file.to_string_lossy(), "FILE"))
}

fn refused_file(text: &str) -> String {
    with_file(text).unwrap_err()
}

fn refused_env(name: &str, value: &str) -> String {
    with_env(&[(name, value)]).unwrap_err().to_string()
}

fn keys_with_defaults() -> DefaultKeys {
    DefaultKeys::from_defaults(&DEFAULT_TOML.parse().unwrap())
}

fn variable(key: &str) -> String {
    format!("WHARF__{}", key.replace('.', "__").to_uppercase())
}

/// The effective value of a key, as shown.
fn effective(settings: &Settings, key: &str) -> toml::Value {
    let tree: toml::Value = settings.effective_toml_masked().unwrap().parse::<toml::Table>().unwrap().into();
    key.split('.').fold(tree, |node, name| node[name].clone())
}

#[test]
fn defaults_load() {
    let settings = with_env(&[]).unwrap();
    assert_eq!(settings.server.listen, "127.0.0.1:3000".parse().unwrap());
    assert_eq!(settings.server.allowed_origins.len(), 4);
    assert_eq!(settings.store.synchronous, Synchronous::Full);
    assert_eq!(settings.auth.access_token, AccessTokenMode::Label);
    assert!(settings.simulator_enabled());
}

#[test]
fn documented_defaults_equal_actual_ones() {
    let shown: toml::Table = with_env(&[]).unwrap().effective_toml_masked().unwrap().parse().unwrap();
    assert_eq!(shown, DEFAULT_TOML.parse::<toml::Table>().unwrap());
}

#[test]
fn every_key_has_comment_above() {
    let lines: Vec<_> = DEFAULT_TOML.lines().collect();
    let mut keys = 0;
    for (number, line) in lines.iter().enumerate() {
        if line.is_empty() || line.starts_with(['#', '[']) {
            continue;
        }
        keys += 1;
        let above = number.checked_sub(1).map_or("", |above| lines[above]);
        assert!(above.starts_with("# "), "line {}: {line}", number + 1);
    }
    assert_eq!(keys, keys_with_defaults().iter().count());
}

#[test]
fn every_number_has_range_including_default() {
    let ranged: BTreeSet<_> = RANGES.iter().map(|(key, ..)| *key).collect();
    let known = keys_with_defaults();
    let numbers: BTreeSet<_> =
        known.iter().filter(|(_, value)| value.is_integer()).map(|(key, _)| key).collect();
    assert_eq!(ranged, numbers);
}

#[test]
fn environment_sets_every_key() {
    for (key, default) in keys_with_defaults().iter() {
        let (text, expected) = another_value(key, default);
        let mut pairs = vec![(variable(key), text)];
        pairs.extend(companion(key).map(|(name, value)| (name.to_owned(), value.to_owned())));
        let settings = Settings::load(None, pairs);
        let settings = settings.unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(effective(&settings, key), expected, "{key}");
        assert_ne!(&expected, default, "{key}");
    }
}

/// Returns a setting that the key depends on.
fn companion(key: &str) -> Option<(&'static str, &'static str)> {
    match key {
        "auth.access_token" => Some(("WHARF__AUTH__JWKS_URL", "https://k.example/jwks")),
        "media.backend" => Some(("WHARF__MEDIA__S3_BUCKET", "files")),
        "outbox.min_delay_ms" => Some(("WHARF__OUTBOX__MAX_DELAY_MS", "9")),
        "notify.quiet_from" => Some(("WHARF__NOTIFY__QUIET_TO", "07:00")),
        "notify.quiet_to" => Some(("WHARF__NOTIFY__QUIET_FROM", "22:00")),
        "outbox.quiet_from" => Some(("WHARF__OUTBOX__QUIET_TO", "07:00")),
        "outbox.quiet_to" => Some(("WHARF__OUTBOX__QUIET_FROM", "22:00")),
        _ => None,
    }
}

fn tables(json: &str) -> (String, toml::Value) {
    (json.to_owned(), serde_json::from_str(json).unwrap())
}

/// Returns a value that differs from the default, as text and as shown.
fn another_value(key: &str, default: &toml::Value) -> (String, toml::Value) {
    let text = |text: &str| (text.to_owned(), toml::Value::from(text));
    match key {
        "server.listen" => text("[::1]:4000"),
        "server.socket_path" => text("/socket.io"),
        "server.public_url" => text("https://wharf.example.com"),
        "server.allowed_origins" => (
            "https://a.example, https://b.example:*".to_owned(),
            vec!["https://a.example", "https://b.example:*"].into(),
        ),
        "server.trusted_proxies" | "net.allow_private" => {
            ("10.0.0.0/8,192.0.2.1".to_owned(), vec!["10.0.0.0/8", "192.0.2.1/32"].into())
        }
        "auth.access_token" => text("jwt"),
        "media.backend" => text("s3"),
        "media.s3_endpoint" => text("https://s3.example.com"),
        "engines.whatsapp.testbed_url" => text("http://127.0.0.1:8090"),
        "media.s3_secret_access_key" => ("hidden".to_owned(), toml::Value::from("********")),
        "auth.jwt_secret" => ("hidden".to_owned(), toml::Value::from("********")),
        "store.vault_key" => {
            ("aGlkZGVuaGlkZGVuaGlkZGVuaGlkZGVuaGlkZGVuaGk=".to_owned(), toml::Value::from("********"))
        }
        "net.proxy" => text("http://proxy.example.com:3128"),
        "webhooks.retry_delays" => ("1s, 2m".to_owned(), vec!["1s", "2m"].into()),
        "auth.jwks_url" => text("https://k.example/jwks"),
        "log.requests" => text("all"),
        "store.synchronous" => text("normal"),
        "log.format" => text("json"),
        "chat.assign" => text("round_robin"),
        "chat.bridge.read" => text("any"),
        "chat.namespace.echo" => text("always"),
        "outbox.quiet_from" | "outbox.quiet_to" | "notify.quiet_from" | "notify.quiet_to" => text("23:30"),
        "outbox.time_zone" | "notify.time_zone" => text("Europe/Berlin"),
        "notify.rules" | "notify.commands" => tables(match key {
            "notify.rules" => r#"[{ "name": "orders", "actions": ["sound"], "volume": 0.5 }]"#,
            _ => {
                r#"[{ "name": "lamp", "run": ["/usr/bin/lamp", "on"], "timeout_ms": 5, "log_output": true }]"#
            }
        }),
        "chat.identities" => tables(
            r#"[{ "name": "desk", "dialects": ["root"], "jwt_secret": "", "jwks_url": "https://k.example/jwks",
                "authjs_secret": "", "cookie": "session", "issuer": "i", "audience": "a", "user_claim": ["sub"], "name_claim": ["name"],
                "picture_claim": ["picture"], "email_claim": ["email"], "role_claim": ["role"],
                "type_claim": ["userType"], "devices_claim": "devices" }]"#,
        ),
        "chat.directory" => {
            tables(r#"[{ "identity": "desk", "role": "STUDENT", "lists": ["ADMIN"], "writes": ["*"] }]"#)
        }
        "chat.staff_roles" => ("BOSS".to_owned(), vec!["BOSS"].into()),
        "log.level" => text("warn,wharf=debug"),
        "engines.simulator.enabled" | "effects.desktop.enabled" | "effects.sound.enabled" => {
            ("false".to_owned(), false.into())
        }
        "effects.command.pass_env" => ("LANG,MINE".to_owned(), vec!["LANG", "MINE"].into()),
        "effects.push.contact" => text("mailto:ops@example.com"),
        _ => match default {
            toml::Value::Integer(number) => ((number + 1).to_string(), (number + 1).into()),
            toml::Value::Boolean(flag) => ((!flag).to_string(), (!flag).into()),
            _ => text("other"),
        },
    }
}

#[test]
fn environment_overrides_file_and_file_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wharf.toml");
    std::fs::write(
        &file,
        "[outbox]\nmin_delay_ms = 5\nmax_delay_ms = 9\n[engines.simulator]\nenabled = true",
    )
    .unwrap();
    let settings = Settings::load(Some(&file), env(&[("WHARF__OUTBOX__MIN_DELAY_MS", "7")])).unwrap();
    assert_eq!((settings.outbox.min_delay_ms, settings.outbox.max_delay_ms), (7, 9));
    assert_eq!(settings.engines.simulator.enabled, Switch::On);
    assert_eq!(settings.outbox.max_attempts, 5);
}

#[test]
fn production_example_loads() {
    let settings = with_file(include_str!("../../config/production.example.toml")).unwrap();
    assert!(!settings.simulator_enabled());
    assert!(settings.server.trusted_proxies.iter().any(|proxy| proxy.contains("::1".parse().unwrap())));
}

#[test]
fn single_underscore_variables_are_ignored() {
    with_env(&[("WHARF_API_KEY", "whf_x_y"), ("WHARF_URL", "x"), ("WHARFX__A", "x"), ("PATH", "/bin")])
        .unwrap();
}

#[test]
fn environment_sets_empty_lists() {
    let settings = with_env(&[("WHARF__SERVER__ALLOWED_ORIGINS", "")]).unwrap();
    assert!(settings.server.allowed_origins.is_empty());
}

#[test]
fn unknown_key_error_suggests_nearest() {
    assert_eq!(
        refused_file("[server]\nlisten = \"127.0.0.1:1\"\nsoket_path = \"/x\""),
        "unknown key server.soket_path = \"/x\" (FILE); did you mean server.socket_path?"
    );
    assert_eq!(
        refused_file("listen = \"127.0.0.1:1\""),
        "unknown key listen = \"127.0.0.1:1\" (FILE); did you mean server.listen?"
    );
    assert_eq!(refused_file("[cache.redis]\nsize = 3"), "unknown key cache.redis.size = 3 (FILE)");
    assert_eq!(refused_file("[zzz]"), "unknown key zzz = {…} (FILE)");
    assert_eq!(
        refused_env("WHARF__SERVER__LISTN", "x"),
        "unknown key server.listn = \"x\" (environment variable WHARF__SERVER__LISTN); did you mean server.listen?"
    );
    assert!(refused_env("WHARF__SERVER_LISTEN", "x").starts_with("unknown key server_listen"));
    assert!(refused_env("WHARF__", "x").starts_with("unknown key "));
}

#[test]
fn wrong_type_error_names_expected_type() {
    assert_eq!(
        refused_file("[store]\nreaders = \"many\""),
        "store.readers = \"many\" (FILE): must be a whole number"
    );
    assert_eq!(
        refused_env("WHARF__STORE__READERS", "4.5"),
        "store.readers = \"4.5\" (environment variable WHARF__STORE__READERS): must be a whole number"
    );
    assert_eq!(refused_file("[store]\nreaders = 4.5"), "store.readers = 4.5 (FILE): must be a whole number");
    assert_eq!(refused_file("[log]\nlevel = true"), "log.level = true (FILE): must be a text");
    assert_eq!(
        refused_file("[net]\nallow_private = [1]"),
        "net.allow_private = [1] (FILE): must be a list of texts"
    );
    assert_eq!(refused_file("server = 5"), "server = 5 (FILE): must be a table of keys");
    assert_eq!(refused_file("[store.readers]\na = 1"), "store.readers = {…} (FILE): must be a whole number");
    assert_eq!(
        refused_env("WHARF__SERVER", "x"),
        "server = \"x\" (environment variable WHARF__SERVER): must be a table of keys: set one of them"
    );
    assert_eq!(
        refused_file("[engines.simulator]\nenabled = 1"),
        "engines.simulator.enabled = 1 (FILE): must be true, false or \"auto\""
    );
}

#[test]
fn invalid_value_error_states_reason() {
    for (name, value, reason) in [
        ("SERVER__LISTEN", "127.0.0.1:99999", "not an IP address and port"),
        ("EFFECTS__DESKTOP__ENABLED", "maybe", "must be \"auto\" or \"true\" or \"false\""),
        ("EFFECTS__COMMAND__PASS_ENV", "WHARF_API_KEY", "a variable of the daemon's own"),
        ("EFFECTS__PUSH__CONTACT", "ops@example.com", "must be mailto:ADDRESS"),
        ("SERVER__LISTEN", "localhost:3000", "not an IP address and port"),
        ("SERVER__SOCKET_PATH", "ws", "must begin with \"/\""),
        ("SERVER__SOCKET_PATH", "/", "must name a path"),
        ("SERVER__SOCKET_PATH", "/ws/", "must name a path"),
        ("SERVER__SOCKET_PATH", "/ws?x", "may hold letters"),
        ("SERVER__ALLOWED_ORIGINS", "https://a.example,b.example", "\"b.example\" is not an origin"),
        ("SERVER__ALLOWED_ORIGINS", "https://*.example", "is not an origin"),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.0/33", "prefix length must be 0 to 32"),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.1/8", "the block is 10.0.0.0/8"),
        ("SERVER__PUBLIC_URL", "wharf.example.com", "not a URL"),
        ("SERVER__PUBLIC_URL", "ftp://wharf.example.com", "http or https"),
        ("SERVER__REQUEST_TIMEOUT_MS", "0", "must be 1 to "),
        ("SERVER__REQUEST_TIMEOUT_MS", "-1", "must be 1 to "),
        ("AUTH__ACCESS_TOKEN", "cookie", "must be \"label\" or \"jwt\""),
        ("AUTH__ACCESS_TOKEN", "jwt", "needs auth.jwt_secret or auth.jwks_url"),
        ("MEDIA__BACKEND", "tape", "must be \"files\" or \"s3\""),
        ("MEDIA__BACKEND", "s3", "needs media.s3_bucket"),
        ("MEDIA__MAX_BYTES", "1", "must be 1024 to "),
        ("STORE__SYNCHRONOUS", "off", "must be \"full\" or \"normal\""),
        ("STORE__WRITE_QUEUE", "0", "must be 1 to "),
        ("STORE__READERS", "65", "must be 1 to 64"),
        ("STORE__DATA_DIR", " ", "must not be empty"),
        ("LOG__LEVEL", "inof", "\"inof\" is not a level"),
        ("LOG__LEVEL", "", "must not be empty"),
        ("LOG__LEVEL", "wharf=loud", "not log directives"),
        ("LOG__FORMAT", "xml", "must be \"text\" or \"json\""),
        ("DEVICES__DEFAULT_ENGINE", "", "must be an engine's name"),
        (
            "SUPERVISOR__BACKOFF_INITIAL_MS",
            "300001",
            "backoff_initial_ms 300001 is above backoff_max_ms 300000",
        ),
        ("SUPERVISOR__BACKOFF_MAX_MS", "999", "backoff_initial_ms 1000 is above backoff_max_ms 999"),
        ("OUTBOX__MIN_DELAY_MS", "5", "min_delay_ms 5 is above max_delay_ms 0"),
        ("SOCKET__PING_INTERVAL_MS", "0", "must be 1 to "),
        ("SOCKET__INBOUND_QUEUE", "0", "must be 1 to "),
        ("ENGINES__SIMULATOR__ENABLED", "yes", "must be \"auto\" or"),
        ("NET__ALLOW_PRIVATE", "intranet", "\"intranet\" is not usable: not an IP address"),
    ] {
        let name = format!("WHARF__{name}");
        let line = refused_env(&name, value);
        let key = name["WHARF__".len()..].replace("__", ".").to_lowercase();
        assert!(line.starts_with(&format!("{key} = ")), "{line}");
        assert!(line.contains(&format!(" (environment variable {name}): ")), "{line}");
        assert!(line.contains(reason) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn invalid_rule_or_command_is_named() {
    for (text, reason) in [
        ("[[notify.rules]]\nactions = [\"mail\"]", "[0]: actions[0] must be dashboard,"),
        ("[[notify.rules]]\naction = []", "[0]: action is no field of a rule; did you mean actions?"),
        (
            "[[notify.rules]]\nactions = []\nmatch = { chat = [] }",
            "[0]: match.chat is no field of a rule; did you mean chats?",
        ),
        (
            "[[notify.rules]]\nactions = [\"command\"]\ncommand = \"lamp\"",
            "names the command \"lamp\", which is none of",
        ),
        (
            "[[notify.rules]]\nactions = [\"sound\"]\nsound = \"bel\"",
            "names the sound \"bel\", which is neither message, call, system or error nor",
        ),
        (
            "[[notify.rules]]\nactions = []\nmatch = { hours = { from = \"09:00\", to = \"10:00\", zone = \"UTC\" } }",
            "[0]: match.hours.zone is no field of a rule",
        ),
        ("[[notify.commands]]\nname = \"lamp\"\nrun = \"lamp on\"", "[0]: run must be a list of texts"),
        ("[[notify.commands]]\nname = \"a b\"\nrun = [\"x\"]", "[0]: name must be 1 to 64 letters"),
        ("[notify]\nrules = [\"x\"]", "must be a list of tables"),
        ("[notify]\nquiet_from = \"22:00\"", "quiet_from and quiet_to must both be given"),
    ] {
        let line = refused_file(text);
        assert!(line.starts_with("notify.") && line.contains(reason) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn invalid_value_error_names_file() {
    assert_eq!(refused_file("[store]\nreaders = 0"), "store.readers = 0 (FILE): must be 1 to 64");
}

#[test]
fn unreadable_file_is_named() {
    let missing =
        Settings::load(Some(std::path::Path::new("/missing/wharf.toml")), []).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read the configuration file /missing/wharf.toml: "), "{missing}");
    let broken = refused_file("[server]\nlisten = \n");
    assert!(broken.starts_with("FILE, line 2: ") && !broken.contains('\n'), "{broken}");
    let broken = refused_file("[auth]\njwt_secret = \"hidden\n");
    assert!(!broken.contains("hidden") && !broken.contains('\n'), "{broken}");
}

#[test]
fn errors_are_single_lines() {
    let line = refused_file("\"a\\nb\" = \"c\\nd\"");
    assert_eq!(line, "unknown key a\\nb = \"c\\nd\" (FILE)");
}

#[test]
fn secrets_are_never_shown() {
    let settings =
        with_env(&[("WHARF__AUTH__JWT_SECRET", "hidden"), ("WHARF__AUTH__ACCESS_TOKEN", "jwt")]).unwrap();
    assert_eq!(settings.auth.jwt_secret.expose(), "hidden");
    for shown in [
        format!("{settings:?}"),
        settings.effective_toml_masked().unwrap(),
        refused_file("[auth]\njwt_secret = [\"hidden\"]"),
        refused_file("[auth]\njwt_secrt = \"hidden\""),
        refused_file("[auth]\ndatabase_password = \"hidden\""),
        refused_env("WHARF__AUTH__JWT__SECRET", "hidden"),
        refused_env("WHARF__AUTH__JWKS_URL", "https://name:hidden@k.example/jwks"),
        refused_file("[server]\nurl = \"https://name:hidden@k.example\""),
    ] {
        assert!(!shown.contains("hidden"), "{shown}");
    }
}

#[test]
fn auto_engine_is_native_without_simulator() {
    for (listen, engine, expected) in [
        ("127.0.0.1:0", "auto", "simulator"),
        ("0.0.0.0:3000", "auto", "whatsapp"),
        ("0.0.0.0:3000", "simulator", "simulator"),
        ("127.0.0.1:0", "waha", "waha"),
    ] {
        let pairs = [("WHARF__SERVER__LISTEN", listen), ("WHARF__DEVICES__DEFAULT_ENGINE", engine)];
        assert_eq!(with_env(&pairs).unwrap().default_engine(), expected, "{listen} {engine}");
    }
    assert_eq!(with_env(&[]).unwrap().devices.default_engine, "auto");
}

#[test]
fn auto_enables_simulator_on_loopback_only() {
    for (listen, enabled, expected) in [
        ("127.0.0.1:0", "auto", true),
        ("[::1]:3000", "auto", true),
        ("[::ffff:127.0.0.1]:3000", "auto", true),
        ("0.0.0.0:3000", "auto", false),
        ("[::]:3000", "auto", false),
        ("192.0.2.1:3000", "auto", false),
        ("0.0.0.0:3000", "true", true),
        ("127.0.0.1:3000", "false", false),
    ] {
        let pairs = [("WHARF__SERVER__LISTEN", listen), ("WHARF__ENGINES__SIMULATOR__ENABLED", enabled)];
        assert_eq!(with_env(&pairs).unwrap().simulator_enabled(), expected, "{listen} {enabled}");
    }
}

#[test]
fn address_blocks_contain_expected_addresses() {
    for (block, address, held) in [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.0.0.0/8", "::ffff:10.0.0.1", true),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "::1", false),
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("fd00::/8", "fd12::1", true),
        ("::/0", "fd12::1", true),
        ("::/0", "192.0.2.1", false),
        ("::1", "::1", true),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(block.parse::<IpBlock>().unwrap().contains(address), held, "{block} {address}");
    }
    for wrong in ["", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "::ffff:10.0.0.0/104", "::/129", "10.0.0.0/8/8"]
    {
        assert!(wrong.parse::<IpBlock>().is_err(), "{wrong}");
    }
}

#[test]
fn origins_match_patterns() {
    for (pattern, origin, allowed) in [
        ("http://localhost:*", "http://localhost", true),
        ("http://localhost:*", "http://localhost:5173", true),
        ("http://localhost:*", "https://localhost:5173", false),
        ("http://localhost:*", "http://localhost.evil.example", false),
        ("http://localhost:*", "http://localhost:80@evil.example", false),
        ("http://localhost:*", "http://localhost:", false),
        ("http://localhost:*", "http://localhost:99999", false),
        ("http://[::1]:*", "http://[::1]:3000", true),
        ("https://App.example.com:443", "https://app.example.com", true),
        ("https://app.example.com", "https://app.example.com:8443", false),
        ("https://app.example.com", "https://app.example.com.evil.example", false),
        ("https://app.example.com", "null", false),
        ("chrome-extension://abc", "chrome-extension://abc", true),
        ("*", "https://anything.example", true),
        ("*", "null", true),
    ] {
        let parsed: OriginPattern = pattern.parse().unwrap();
        assert_eq!(parsed.matches(origin), allowed, "{pattern} {origin}");
    }
    let wrong = [
        "",
        "localhost:3000",
        "http://a/",
        "http://a/b",
        "http://u@a",
        "http://a?x",
        "http:*",
        "null",
        "*:*",
    ];
    for wrong in wrong {
        assert!(wrong.parse::<OriginPattern>().is_err(), "{wrong}");
    }
}

#[test]
fn former_name_of_the_engine_section_is_accepted() {
    let file = with_file("[engines.wwebjs]\nenabled = false").unwrap();
    assert!(!file.engines.remote.enabled);
    let variable = with_env(&[("WHARF__ENGINES__WWEBJS__ENABLED", "false")]).unwrap();
    assert!(!variable.engines.remote.enabled);
    let both = refused_file("[engines.wwebjs]\nenabled = false\n[engines.remote]\nenabled = true");
    assert!(both.contains("engines.remote.enabled") && both.contains("is set twice"), "{both}");
    assert!(refused_env("WHARF__ENGINES__WWEBJS__COLOUR", "red").contains("engines.remote.colour"));
}
