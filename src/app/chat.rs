//! Operator chat, from the settings.

use url::Url;

use super::StartError;
use super::api_config::guarded_client;
use crate::domain::operator_chat::assignment::AutoAssignment;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::inbox::{InboxSettings, NetworkReadMarks};
use crate::domain::operator_chat::send_rate::SendLimits;
use crate::service::AccessTokens;
use crate::service::access::tokens::{AccessTokenConfig, TokenMode};
use crate::service::operator_chat::{
    AuthjsKey, ChatLimits, ChatParts, ClaimNames, IdentityKey, IdentityProvider,
};
use crate::settings::{
    AssignMode, ChatDialect, ChatSettings, EchoMode, IdentitySettings, ReadMode, Settings,
};

/// `None` while chat is disabled, or without an identity provider.
pub(super) fn parts(settings: &Settings) -> Result<Option<ChatParts>, StartError> {
    let chat = &settings.chat;
    if !chat.is_active() {
        return Ok(None);
    }
    let providers =
        chat.identities.iter().map(|identity| provider(settings, identity)).collect::<Result<_, _>>()?;
    Ok(Some(ChatParts {
        providers,
        staff_roles: chat.staff_roles.clone(),
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
    })
}
