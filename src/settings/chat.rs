//! `[chat]`: operator chat and its identity providers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use toml::Value;

use super::secret::Secret;
use super::{ServerSettings, validate};
use crate::domain::operator_chat::user::PLAIN_TENANT;

/// Maximum identity providers.
const MAX_IDENTITIES: usize = 100;
/// Minimum bytes of a shared secret.
const SECRET_MIN_BYTES: usize = 32;
/// Maximum bytes of the name of a session cookie.
const COOKIE_NAME_MAX_BYTES: usize = 128;
/// The Socket.IO paths of chat.
pub const CHAT_SOCKET_PATHS: [&str; 2] = ["/socket.io", "/api/socket"];
/// Secrets from documentation, which are public and therefore rejected.
const EXAMPLE_SECRETS: [&str; 6] =
    ["your-256-bit-secret", "your-secret-key", "changeme", "change-me", "example", "supersecret"];

/// `[chat]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ChatSettings {
    /// Whether operator chat is enabled.
    pub enabled: bool,
    /// Issuers of user tokens.
    pub identities: Vec<IdentitySettings>,
    /// Whether users may sign in without proof; for development.
    pub allow_plain_tokens: bool,
    /// Roles of staff users.
    pub staff_roles: Vec<String>,
    /// Who lists and writes to whom, for single roles.
    pub directory: Vec<DirectorySettings>,
    /// Age limit in milliseconds of a user's own messages that a join repeats.
    pub resume_ms: u64,
    /// Milliseconds within which an event and a REST call with one text are one message.
    pub send_dedup_window_ms: u64,
    /// First message of a conversation that an `underscore` client opens, or empty.
    pub welcome: String,
    /// Whether texts in the form of a slash command are commands in conversations of devices.
    pub commands: bool,
    /// Whether system messages report changes of the workflow of device inboxes.
    pub system_lines: bool,
    /// Who gets a conversation of a device without an assignee.
    pub assign: AssignMode,
    /// Conversations of devices and their network.
    pub bridge: BridgeSettings,
    /// The `namespace` dialect.
    pub namespace: NamespaceSettings,
    /// Maximum bytes of an uploaded file.
    pub upload_max_bytes: u64,
    /// Maximum characters of a message.
    pub content_max_chars: usize,
    /// Maximum messages of a user in ten seconds.
    pub max_messages_per_10_s: usize,
    /// Maximum messages of a user in a day.
    pub max_messages_per_day: usize,
    /// Maximum users of an identity provider.
    pub max_users: usize,
    /// Maximum conversations of a user.
    pub max_conversations: usize,
    /// Maximum members of a room.
    pub max_room_members: usize,
    /// Maximum notifications of a user.
    pub max_notifications: usize,
    /// Maximum sockets of a user.
    pub max_sockets: usize,
    /// Maximum conversations that one socket may join.
    pub max_rooms: usize,
}

/// `[chat.bridge]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeSettings {
    /// Users who mark messages read at the network by reading them.
    pub read: ReadMode,
}

/// `[chat.namespace]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceSettings {
    /// When the sending socket gets its own message as `message:new`.
    pub echo: EchoMode,
}

/// The values of `chat.namespace.echo`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoMode {
    /// Unless it gave a `tempId`.
    Auto,
    /// Also with a `tempId`.
    Always,
}

/// The values of `chat.assign`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignMode {
    /// No one.
    None,
    /// The first user who replies.
    Reply,
    /// The users of the inbox in turn.
    RoundRobin,
    /// The online user with the fewest open conversations.
    LeastOpen,
}

/// The values of `chat.bridge.read`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadMode {
    /// The assignee; everyone while there is none.
    Assignee,
    /// Every user of the inbox.
    Any,
    /// No user.
    Never,
}

/// `[[chat.identities]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySettings {
    /// Name of the provider and of its tenant.
    pub name: String,
    /// Dialects that accept its tokens.
    #[serde(default = "all_dialects")]
    pub dialects: Vec<ChatDialect>,
    /// HS256 key, or empty. The configuration contains a reference, `${NAME}`.
    #[serde(default)]
    pub jwt_secret: Secret,
    /// URL of a JWK set, or empty.
    #[serde(default)]
    pub jwks_url: String,
    /// Secret of an application that uses Auth.js, or empty. The configuration contains a reference, `${NAME}`.
    #[serde(default)]
    pub authjs_secret: Secret,
    /// Name of the session cookie that proves a user, or empty.
    #[serde(default)]
    pub cookie: String,
    /// Required `iss`, or empty.
    #[serde(default)]
    pub issuer: String,
    /// Required `aud`, or empty.
    #[serde(default)]
    pub audience: String,
    /// Claims of the user's id; the first one present is used.
    #[serde(default = "user_claim")]
    pub user_claim: Vec<String>,
    /// Claims of the display name.
    #[serde(default = "name_claim")]
    pub name_claim: Vec<String>,
    /// Claims of the URL of a picture.
    #[serde(default = "picture_claim")]
    pub picture_claim: Vec<String>,
    /// Claims of the email address.
    #[serde(default = "email_claim")]
    pub email_claim: Vec<String>,
    /// Claims of the role.
    #[serde(default = "role_claim")]
    pub role_claim: Vec<String>,
    /// Claims of the type.
    #[serde(default = "type_claim")]
    pub type_claim: Vec<String>,
    /// Claim of the devices whose inbox a token grants, or empty.
    #[serde(default)]
    pub devices_claim: String,
}

impl IdentitySettings {
    /// Whether users are identified by type and id, which requires that `namespace` is the only dialect.
    #[must_use]
    pub fn is_typed(&self) -> bool {
        self.dialects == [ChatDialect::Namespace]
    }
}

/// `[[chat.directory]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DirectorySettings {
    /// Identity of the users.
    pub identity: String,
    /// Role of the users who list and write; empty for users without one.
    pub role: String,
    /// Roles of the users whom they list; `*` for all.
    #[serde(default)]
    pub lists: Vec<String>,
    /// Roles of the users to whom they write; `*` for all.
    #[serde(default)]
    pub writes: Vec<String>,
}

/// A dialect of operator chat.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatDialect {
    /// Events on the namespace `/` of `/socket.io/`.
    Root,
    /// Events on the namespace `/chat` of `/socket.io/`.
    Namespace,
    /// Events on the namespace `/` of `/api/socket`.
    Underscore,
}

fn all_dialects() -> Vec<ChatDialect> {
    vec![ChatDialect::Root, ChatDialect::Namespace, ChatDialect::Underscore]
}

fn claims(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn user_claim() -> Vec<String> {
    claims(&["sub", "id"])
}

fn name_claim() -> Vec<String> {
    claims(&["name", "displayName", "username"])
}

fn picture_claim() -> Vec<String> {
    claims(&["picture", "avatar", "image"])
}

fn email_claim() -> Vec<String> {
    claims(&["email"])
}

fn role_claim() -> Vec<String> {
    claims(&["role", "userType"])
}

fn type_claim() -> Vec<String> {
    claims(&["userType"])
}

impl ChatSettings {
    /// Whether the routes and sockets of chat exist.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.enabled && (!self.identities.is_empty() || self.allow_plain_tokens)
    }

    /// Replaces the references to secrets by their values. Does nothing while chat is disabled.
    pub(super) fn resolve(&mut self, env: &[(String, String)]) -> Result<(), String> {
        if !self.enabled {
            return Ok(());
        }
        for (index, identity) in self.identities.iter_mut().enumerate() {
            let secrets =
                [("jwt_secret", &mut identity.jwt_secret), ("authjs_secret", &mut identity.authjs_secret)];
            for (key, secret) in secrets {
                resolve_secret(secret, env).map_err(|what| format!("[{index}]: {key} {what}"))?;
            }
        }
        Ok(())
    }

    /// Returns a contradiction with other settings, if any.
    pub(super) fn contradiction(&self, server: &ServerSettings) -> Option<String> {
        let taken = CHAT_SOCKET_PATHS.into_iter().find(|path| server.socket_path == *path);
        let taken = taken.filter(|_| self.is_active())?;
        Some(format!("needs the path {taken}, which is server.socket_path too"))
    }

    /// Returns why users cannot sign in without proof, if they cannot.
    pub(super) fn plain_contradiction(&self, server: &ServerSettings) -> Option<&'static str> {
        if !self.enabled || !self.allow_plain_tokens {
            return None;
        }
        if !server.listen.ip().is_loopback() {
            return Some("needs a loopback address as server.listen, such as 127.0.0.1:3000");
        }
        let is_exposed = !server.trusted_proxies.is_empty() || !server.public_url.is_empty();
        is_exposed.then_some("is for development: server.trusted_proxies and server.public_url must be empty")
    }

    /// Returns the first rule of the directory without an identity, if any.
    pub(super) fn directory_contradiction(&self) -> Option<String> {
        let is_known = |name: &str| {
            self.identities.iter().any(|identity| identity.name == name)
                || (self.allow_plain_tokens && name == PLAIN_TENANT)
        };
        let unknown = self.directory.iter().find(|rule| self.enabled && !is_known(&rule.identity))?;
        Some(format!("names the identity {:?}, which chat.identities does not have", unknown.identity))
    }
}

/// Replaces a reference by its value.
fn resolve_secret(secret: &mut Secret, env: &[(String, String)]) -> Result<(), String> {
    if secret.is_empty() {
        return Ok(());
    }
    let reference = secret.expose().strip_prefix("${");
    let name = reference.and_then(|rest| rest.strip_suffix('}')).map(str::to_owned);
    let name = name.ok_or("is a secret: write it as a reference to an environment variable, ${NAME}")?;
    let value = env.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    let value = value.ok_or_else(|| format!("names {name:?}, which is not set"))?;
    check_secret(value)?;
    *secret = Secret::new(value);
    Ok(())
}

fn check_secret(secret: &str) -> Result<(), String> {
    if secret.len() < SECRET_MIN_BYTES {
        return Err(format!(
            "must have at least {SECRET_MIN_BYTES} bytes, such as `openssl rand -hex 32` makes"
        ));
    }
    let lower = secret.to_lowercase();
    let is_example = EXAMPLE_SECRETS.iter().any(|example| lower.contains(example));
    let is_one_character = secret.bytes().collect::<BTreeSet<_>>().len() < 5;
    if is_example || is_one_character {
        return Err("is an example of documentation; make one with `openssl rand -hex 32`".to_owned());
    }
    Ok(())
}

/// Validates the name of a session cookie (RFC 6265, 4.1.1), which a secret of Auth.js needs.
fn check_cookie(name: &str, is_required: bool) -> Result<(), String> {
    let is_token = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&b);
    if name.len() > COOKIE_NAME_MAX_BYTES || !name.bytes().all(is_token) {
        return Err(format!(
            "cookie must be a name of at most {COOKIE_NAME_MAX_BYTES} characters, such as authjs.session-token"
        ));
    }
    if is_required && name.is_empty() {
        return Err("authjs_secret needs cookie, such as authjs.session-token".to_owned());
    }
    Ok(())
}

/// Validates rules of the directory as tables; returns the error of the first invalid one.
pub(super) fn check_directory(items: &[Value]) -> Result<(), String> {
    if items.len() > MAX_IDENTITIES {
        return Err(format!("must have at most {MAX_IDENTITIES} rules"));
    }
    let mut roles = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let parsed: Result<DirectorySettings, _> = item.clone().try_into();
        let rule = parsed.map_err(|error: toml::de::Error| format!("[{index}]: {}", error.message()))?;
        if !roles.insert((rule.identity, rule.role.to_uppercase())) {
            return Err(format!("[{index}]: another rule is for this identity and role"));
        }
    }
    Ok(())
}

/// Validates identity providers as tables; returns the error of the first invalid one.
pub(super) fn check_identities(items: &[Value]) -> Result<(), String> {
    if items.len() > MAX_IDENTITIES {
        return Err(format!("must have at most {MAX_IDENTITIES} identities"));
    }
    let mut names = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let wrong = |what: &str| format!("[{index}]: {what}");
        let parsed: Result<IdentitySettings, _> = item.clone().try_into();
        let identity = parsed.map_err(|error: toml::de::Error| wrong(error.message()))?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if identity.name.is_empty() || identity.name.len() > 64 || !identity.name.bytes().all(plain) {
            return Err(wrong("name must be 1 to 64 letters, digits, _ or -"));
        }
        if identity.name == PLAIN_TENANT {
            return Err(wrong("name must not be plain, the tenant of chat.allow_plain_tokens"));
        }
        if !names.insert(identity.name.clone()) {
            return Err(wrong("name is another identity's"));
        }
        let has_authjs_secret = !identity.authjs_secret.is_empty();
        let keys = [!identity.jwt_secret.is_empty(), !identity.jwks_url.is_empty(), has_authjs_secret];
        if keys.into_iter().filter(|is_given| *is_given).count() != 1 {
            return Err(wrong("must have exactly one of jwt_secret, jwks_url and authjs_secret"));
        }
        check_cookie(&identity.cookie, has_authjs_secret).map_err(|what| wrong(&what))?;
        validate::empty_or_url(&identity.jwks_url).map_err(|what| wrong(&format!("jwks_url {what}")))?;
        if identity.dialects.is_empty() {
            return Err(wrong("dialects must not be empty"));
        }
        if identity.user_claim.is_empty() {
            return Err(wrong("user_claim must not be empty"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Settings;

    const SECRET: &str = "b5f0c7e2a94d1836b5f0c7e2a94d1836";

    fn load(identities: &str, secret: &str) -> Result<Settings, String> {
        let pairs =
            [("WHARF__CHAT__ENABLED", "true"), ("WHARF__CHAT__IDENTITIES", identities), ("DESK", secret)];
        let env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Settings::load(None, env).map_err(|error| error.to_string())
    }

    #[test]
    fn secret_is_read_from_its_reference() {
        let settings = load(r#"[{ "name": "desk", "jwt_secret": "${DESK}" }]"#, SECRET).unwrap();
        assert_eq!(settings.chat.identities[0].jwt_secret.expose(), SECRET);
        assert_eq!(settings.chat.identities[0].user_claim, ["sub", "id"]);
        assert!(settings.chat.is_active());
        assert!(!format!("{settings:?}").contains(SECRET));
    }

    #[test]
    fn users_without_proof_need_a_loopback_daemon() {
        let load = |more: &[(&str, &str)]| {
            let own = [("WHARF__CHAT__ENABLED", "true"), ("WHARF__CHAT__ALLOW_PLAIN_TOKENS", "true")];
            let env = own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Settings::load(None, env.collect::<Vec<_>>()).map_err(|error| error.to_string())
        };
        assert!(load(&[]).unwrap().chat.is_active());
        assert!(load(&[("WHARF__SERVER__LISTEN", "[::1]:3000")]).is_ok());
        for (setting, value) in [
            ("WHARF__SERVER__LISTEN", "0.0.0.0:3000"),
            ("WHARF__SERVER__LISTEN", "192.0.2.1:3000"),
            ("WHARF__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
            ("WHARF__SERVER__PUBLIC_URL", "https://chat.example.com"),
        ] {
            let refused = load(&[(setting, value)]).unwrap_err();
            assert!(refused.contains("chat.allow_plain_tokens"), "{setting}: {refused}");
        }
    }

    #[test]
    fn directory_names_configured_identities_once_each() {
        let load = |rules: &str| {
            let pairs = [
                ("WHARF__CHAT__ENABLED", "true"),
                ("WHARF__CHAT__IDENTITIES", r#"[{ "name": "desk", "jwt_secret": "${DESK}" }]"#),
                ("WHARF__CHAT__DIRECTORY", rules),
                ("DESK", SECRET),
            ];
            let env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Settings::load(None, env).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(
            load(r#"[{ "identity": "desk", "role": "A" }, { "identity": "desk", "role": "" }]"#),
            Ok(())
        );
        for (rules, reason) in [
            (r#"[{ "identity": "shop", "role": "A" }]"#, "\"shop\", which chat.identities does not have"),
            (r#"[{ "identity": "desk", "role": "A" }, { "identity": "desk", "role": "a" }]"#, "another rule"),
            (r#"[{ "identity": "desk", "role": "A", "reads": [] }]"#, "reads"),
        ] {
            let refused = load(rules).unwrap_err();
            assert!(refused.contains(reason), "{rules}: {refused}");
        }
    }

    #[test]
    fn wrong_identities_are_refused() {
        let reference = r#"[{ "name": "desk", "jwt_secret": "${DESK}" }]"#;
        let short = load(reference, "short").unwrap_err();
        assert!(
            short.contains("jwt_secret must have at least 32 bytes") && !short.contains("short"),
            "{short}"
        );
        let authjs = r#"[{ "name": "desk", "authjs_secret": "${DESK}", "cookie": "c" }]"#;
        let short = load(authjs, "short").unwrap_err();
        assert!(short.contains("authjs_secret must have at least 32 bytes"), "{short}");
        let example = load(reference, "your-256-bit-secret-your-256-bit-secret").unwrap_err();
        assert!(example.contains("is an example of documentation"), "{example}");
        for (identities, reason) in [
            (r#"[{ "name": "desk", "jwt_secret": "literal" }]"#, "write it as a reference"),
            (r#"[{ "name": "desk", "jwt_secret": "${NONE}" }]"#, "names \"NONE\", which is not set"),
            (r#"[{ "name": "desk" }]"#, "exactly one of jwt_secret, jwks_url and authjs_secret"),
            (
                r#"[{ "name": "desk", "jwks_url": "https://k.example", "authjs_secret": "${DESK}", "cookie": "c" }]"#,
                "exactly one of",
            ),
            (r#"[{ "name": "desk", "authjs_secret": "${DESK}" }]"#, "authjs_secret needs cookie"),
            (
                r#"[{ "name": "desk", "authjs_secret": "literal", "cookie": "c" }]"#,
                "authjs_secret is a secret: write it as a reference",
            ),
            (r#"[{ "name": "desk", "authjs_secret": "${NONE}", "cookie": "c" }]"#, "names \"NONE\""),
            (r#"[{ "name": "desk", "jwt_secret": "${DESK}", "cookie": "a b" }]"#, "cookie must be a name"),
            (r#"[{ "name": "desk", "jwt_secret": "${DESK}", "cookie": "a;b" }]"#, "cookie must be a name"),
            (r#"[{ "name": "a b", "jwks_url": "https://k.example" }]"#, "name must be 1 to 64"),
            (r#"[{ "name": "desk", "jwks_url": "ftp://k.example" }]"#, "must be an http or https URL"),
            (r#"[{ "name": "desk", "jwks_url": "https://k.example", "dialects": ["mine"] }]"#, "mine"),
            (r#"[{ "name": "desk", "jwks_url": "https://k.example", "colour": 1 }]"#, "colour"),
        ] {
            let error = load(identities, SECRET).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn secret_of_authjs_is_read_from_its_reference() {
        let identities =
            r#"[{ "name": "page", "authjs_secret": "${DESK}", "cookie": "authjs.session-token" }]"#;
        let settings = load(identities, SECRET).unwrap();
        let page = &settings.chat.identities[0];
        assert_eq!((page.authjs_secret.expose(), page.cookie.as_str()), (SECRET, "authjs.session-token"));
        assert!(!settings.effective_toml_masked().unwrap().contains(SECRET));
    }

    #[test]
    fn chat_path_must_be_free() {
        for path in super::CHAT_SOCKET_PATHS {
            let pairs = [
                ("WHARF__CHAT__ENABLED", "true"),
                ("WHARF__CHAT__IDENTITIES", r#"[{ "name": "desk", "jwks_url": "https://k.example" }]"#),
                ("WHARF__SERVER__SOCKET_PATH", path),
            ];
            let env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let error = Settings::load(None, env).unwrap_err().to_string();
            assert!(error.contains(&format!("needs the path {path}")), "{error}");
        }
    }
}
