//! Operator chat, from the settings.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use url::Url;

use super::StartError;
use super::api_config::guarded_client;
use crate::domain::operator_chat::assignment::AutoAssignment;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::inbox::{InboxSettings, NetworkReadMarks};
use crate::domain::operator_chat::send_rate::SendLimits;
use crate::domain::operator_chat::user::PLAIN_TENANT;
use crate::domain::operator_chat::visibility::{DirectoryRule, DirectoryRules, RoleSet};
use crate::service::AccessTokens;
use crate::service::access::tokens::{AccessTokenConfig, TokenMode};
use crate::service::operator_chat::{
    AuthjsKey, ChatLimits, ChatParts, ClaimNames, Identities, IdentityKey, IdentityProvider,
};
use crate::settings::{
    AssignMode, ChatDialect, ChatSettings, DirectorySettings, EchoMode, IdentitySettings, ReadMode, Settings,
};

/// `None` while chat is disabled, or without an identity provider.
pub(super) fn parts(settings: &Settings) -> Result<Option<ChatParts>, StartError> {
    let chat = &settings.chat;
    if !chat.is_active() {
        return Ok(None);
    }
    if chat.allow_plain_tokens {
        tracing::warn!(
            setting = "chat.allow_plain_tokens",
            "operator chat lets users sign in without proof; this is for development"
        );
    }
    Ok(Some(ChatParts {
        identities: identities(settings)?,
        welcome: chat.welcome.clone(),
        inboxes: inbox_settings(chat),
        has_namespace_echo: chat.namespace.echo == EchoMode::Always,
        limits: ChatLimits {
            content_max_chars: chat.content_max_chars,
            send: SendLimits { per_burst: chat.max_messages_per_10_s, per_day: chat.max_messages_per_day },
            upload_max_bytes: chat.upload_max_bytes,
            max_users: chat.max_users,
            max_conversations: chat.max_conversations,
            max_room_members: chat.max_room_members,
            max_notifications: chat.max_notifications,
            max_sockets: chat.max_sockets,
            max_rooms: chat.max_rooms,
            resume_ms: i64::try_from(chat.resume_ms).unwrap_or(i64::MAX),
            send_dedup_window_ms: i64::try_from(chat.send_dedup_window_ms).unwrap_or(i64::MAX),
        },
    }))
}

/// The identity providers and the directory.
pub(super) fn identities(settings: &Settings) -> Result<Identities, StartError> {
    let chat = &settings.chat;
    let configured = chat.identities.iter().map(|identity| provider(settings, identity));
    let mut providers = configured.collect::<Result<Vec<_>, _>>()?;
    if chat.allow_plain_tokens {
        providers.push(plain_provider());
    }
    let rule = |rule: &DirectorySettings| DirectoryRule {
        tenant: rule.identity.clone(),
        role: rule.role.clone(),
        lists: RoleSet::new(&rule.lists),
        writes: RoleSet::new(&rule.writes),
    };
    let directory = DirectoryRules::new(&chat.staff_roles, chat.directory.iter().map(rule).collect());
    Ok(Identities { providers: providers.into_iter().map(Arc::new).collect(), directory })
}

/// The provider of users who sign in without proof.
fn plain_provider() -> IdentityProvider {
    let claim = |name: &str| vec![name.to_owned()];
    IdentityProvider {
        name: PLAIN_TENANT.to_owned(),
        key: IdentityKey::Plain,
        cookie: None,
        dialects: vec![Dialect::Root, Dialect::Namespace, Dialect::Underscore],
        typed: false,
        claims: ClaimNames {
            user: claim("sub"),
            name: Vec::new(),
            picture: Vec::new(),
            email: Vec::new(),
            role: claim("userType"),
            user_type: claim("userType"),
        },
        devices_claim: None,
        fingerprint: fingerprint(&["plain"]),
    }
}

fn fingerprint(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

fn inbox_settings(chat: &ChatSettings) -> InboxSettings {
    InboxSettings {
        has_commands: chat.commands,
        has_system_lines: chat.system_lines,
        assignment: match chat.assign {
            AssignMode::None => AutoAssignment::None,
            AssignMode::Reply => AutoAssignment::Reply,
            AssignMode::RoundRobin => AutoAssignment::RoundRobin,
            AssignMode::LeastOpen => AutoAssignment::LeastOpen,
        },
        read_marks: match chat.bridge.read {
            ReadMode::Assignee => NetworkReadMarks::Assignee,
            ReadMode::Any => NetworkReadMarks::Any,
            ReadMode::Never => NetworkReadMarks::Never,
        },
    }
}

fn provider(settings: &Settings, identity: &IdentitySettings) -> Result<IdentityProvider, StartError> {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let wrong = |error| StartError::Setting(format!("chat.identities: jwks_url: {error}"));
    let jwks_url = given(&identity.jwks_url).map(|text| Url::parse(&text).map_err(wrong)).transpose()?;
    let (issuer, audience) = (given(&identity.issuer), given(&identity.audience));
    let key = match given(identity.authjs_secret.expose()) {
        Some(secret) => IdentityKey::Authjs(AuthjsKey { secret, issuer, audience }),
        None => IdentityKey::Signed(Box::new(AccessTokens::new(AccessTokenConfig {
            mode: TokenMode::Jwt,
            jwt_secret: given(identity.jwt_secret.expose()),
            jwks_url,
            audience,
            issuer,
            http: guarded_client(settings, &[]),
        }))),
    };
    let words: Vec<String> = [&identity.user_claim, &identity.role_claim, &identity.type_claim]
        .into_iter()
        .map(|names| names.join(" "))
        .collect();
    let fingerprint = fingerprint(&[
        &identity.name,
        identity.jwt_secret.expose(),
        &identity.jwks_url,
        identity.authjs_secret.expose(),
        &identity.cookie,
        &identity.issuer,
        &identity.audience,
        &format!("{:?}", identity.dialects),
        &words.join(","),
        &identity.devices_claim,
    ]);
    let claims = ClaimNames {
        user: identity.user_claim.clone(),
        name: identity.name_claim.clone(),
        picture: identity.picture_claim.clone(),
        email: identity.email_claim.clone(),
        role: identity.role_claim.clone(),
        user_type: identity.type_claim.clone(),
    };
    let dialects = identity.dialects.iter().map(|dialect| match dialect {
        ChatDialect::Root => Dialect::Root,
        ChatDialect::Namespace => Dialect::Namespace,
        ChatDialect::Underscore => Dialect::Underscore,
    });
    Ok(IdentityProvider {
        name: identity.name.clone(),
        key,
        cookie: given(&identity.cookie),
        dialects: dialects.collect(),
        typed: identity.is_typed(),
        claims,
        devices_claim: given(&identity.devices_claim),
        fingerprint,
    })
}
