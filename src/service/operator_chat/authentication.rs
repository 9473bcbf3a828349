//! Authenticates users by the tokens and session cookies of identity providers. A valid one creates its user.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};
use thiserror::Error;

use super::OperatorChat;
use super::assignment::release_without_access;
use super::inbox_access::set_token_devices;
use super::session_cookies::{AuthjsKey, SessionCookies};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::dialect::Dialect;
use crate::domain::operator_chat::ids::{UserId, UserPk};
use crate::domain::operator_chat::session_cookie::{SessionCookie, find_session_cookies};
use crate::domain::operator_chat::user::{ChatUser, PROFILE_MAX_CHARS, UserProfile};
use crate::service::ServiceError;
use crate::service::access::tokens::{AccessTokenError, AccessTokens, VerifiedClaims};
use crate::store::{StoreError, Tx};

/// The most devices that a token may grant.
const MAX_CLAIMED_DEVICES: usize = 1_000;

/// An issuer of user tokens, which defines one tenant.
pub struct IdentityProvider {
    /// The name of the tenant.
    pub name: String,
    /// Verifies its tokens.
    pub key: IdentityKey,
    /// The name of its session cookie; `None` if cookies are not accepted.
    pub cookie: Option<String>,
    /// The dialects that accept its tokens.
    pub dialects: Vec<Dialect>,
    /// Whether users are identified by type and id.
    pub typed: bool,
    /// The claim with the user's id.
    pub claims: ClaimNames,
    /// The claim with the devices whose inbox a token grants; `None` if tokens grant none.
    pub devices_claim: Option<String>,
    /// A hash of everything that decides whether a token is accepted.
    pub fingerprint: [u8; 32],
}

/// The kind of key that verifies the tokens of an identity provider.
pub enum IdentityKey {
    /// A shared secret or published keys: signed JSON Web Tokens.
    Signed(Box<AccessTokens>),
    /// None: a token is `userId:userType`, for development.
    Plain,
    /// The secret of Auth.js: encrypted session cookies only, since their names are part of the key.
    Authjs(AuthjsKey),
}

/// The claims of a user; of each list, the first claim that is present.
#[derive(Debug, Clone)]
pub struct ClaimNames {
    /// The id.
    pub user: Vec<String>,
    /// The display name.
    pub name: Vec<String>,
    /// The address of a picture.
    pub picture: Vec<String>,
    /// The email address.
    pub email: Vec<String>,
    /// The role.
    pub role: Vec<String>,
    /// The type.
    pub user_type: Vec<String>,
}

/// An authenticated user.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The user.
    pub user: ChatUser,
    /// When the token ends.
    pub expires_at: Millis,
    /// When the token was issued, if it says so.
    pub issued_at: Option<Millis>,
    /// The fingerprint of the identity provider that accepted it.
    pub key: [u8; 32],
}

/// Why a token was refused.
#[derive(Debug, Error)]
pub enum ChatAuthError {
    /// The token is missing, malformed, expired, or of no identity provider.
    #[error("Authentication error")]
    Invalid,
    /// The keys of an identity provider cannot be fetched.
    #[error("Server configuration error")]
    KeysUnavailable,
    /// The tenant has too many users.
    #[error("Authentication error")]
    TooManyUsers(usize),
    /// The store failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl From<StoreError> for ChatAuthError {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

impl OperatorChat {
    /// The user that a token proves in a dialect. A `Bearer ` prefix is allowed.
    ///
    /// # Errors
    /// When no identity provider of the dialect accepts the token, or its user cannot be stored.
    pub async fn authenticate(
        &self,
        dialect: Dialect,
        token: Option<&str>,
    ) -> Result<SignedIn, ChatAuthError> {
        Ok(self.authenticate_in(&[dialect], token).await?.0)
    }

    /// The user that a token proves in one of several dialects, and the first one of its identity provider.
    ///
    /// # Errors
    /// When no identity provider of these dialects accepts the token, or its user cannot be stored.
    pub async fn authenticate_in(
        &self,
        dialects: &[Dialect],
        token: Option<&str>,
    ) -> Result<(SignedIn, Dialect), ChatAuthError> {
        let token = token.map(without_scheme).filter(|token| !token.is_empty());
        let token = token.ok_or(ChatAuthError::Invalid)?;
        self.sign_in_by(dialects, &Proof::Token(token)).await
    }

    /// The user who claims an id without proof: only with `chat.allow_plain_tokens`.
    ///
    /// # Errors
    /// When plain ids are not allowed, or the user cannot be stored.
    pub async fn authenticate_plain(&self, dialect: Dialect, id: &str) -> Result<SignedIn, ChatAuthError> {
        Ok(self.sign_in_by(&[dialect], &Proof::PlainId(id)).await?.0)
    }

    /// Whether users may sign in without proof.
    #[must_use]
    pub fn allows_plain_tokens(&self) -> bool {
        self.providers().iter().any(|provider| matches!(provider.key, IdentityKey::Plain))
    }

    /// As [`OperatorChat::authenticate_in`], by the session cookies of a request.
    ///
    /// # Errors
    /// When no identity provider of these dialects accepts one of the cookies, or its user cannot be stored.
    pub async fn authenticate_by_cookie(
        &self,
        dialects: &[Dialect],
        cookies: &SessionCookies,
    ) -> Result<(SignedIn, Dialect), ChatAuthError> {
        self.sign_in_by(dialects, &Proof::Cookies(&cookies.0)).await
    }

    /// The session cookies of identity providers in the `Cookie` headers of a request.
    #[must_use]
    pub fn session_cookies(&self, headers: &[&str]) -> SessionCookies {
        let providers = self.providers();
        let mut names: Vec<&str> = providers.iter().filter_map(|one| one.cookie.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        let found = names.into_iter().flat_map(|name| find_session_cookies(name, headers));
        SessionCookies::bounded(found)
    }

    async fn sign_in_by(
        &self,
        dialects: &[Dialect],
        proof: &Proof<'_>,
    ) -> Result<(SignedIn, Dialect), ChatAuthError> {
        let mut failure = ChatAuthError::Invalid;
        for provider in &self.providers() {
            let first = provider.dialects.iter().find(|dialect| dialects.contains(dialect));
            let Some(dialect) = first.copied() else { continue };
            match provider.verify(proof, self.now()).await {
                Ok(verified) => {
                    let (id, profile) = provider.user_of(&verified.claims).ok_or(ChatAuthError::Invalid)?;
                    let issued_at = issued_at(&verified.claims);
                    let user = self.sign_in(provider, id, profile, issued_at).await?;
                    if let Some(claim) = &provider.devices_claim {
                        self.grant_by_token(user.pk, claimed_devices(&verified.claims, claim)).await?;
                    }
                    let expires_at = verified.expires_at;
                    return Ok((
                        SignedIn { user, expires_at, issued_at, key: provider.fingerprint },
                        dialect,
                    ));
                }
                Err(AccessTokenError::Invalid) => {}
                Err(AccessTokenError::Misconfigured | AccessTokenError::KeysUnavailable(_)) => {
                    failure = ChatAuthError::KeysUnavailable;
                }
            }
        }
        Err(failure)
    }

    /// Replaces the devices whose inbox a user may use by its token; writes only if they changed.
    async fn grant_by_token(&self, user: UserPk, devices: Vec<DeviceId>) -> Result<(), ChatAuthError> {
        let read = self.store.read::<_, StoreError, _>(move |store| store.token_devices_of(user));
        if read.await? == devices {
            return Ok(());
        }
        let now = self.now();
        let write =
            self.store.write::<_, StoreError, _>(move |tx| set_token_devices(tx, user, &devices, now));
        Ok(write.await?)
    }

    /// Reads the user, and writes only if it is new or its profile changed.
    async fn sign_in(
        &self,
        provider: &IdentityProvider,
        id: UserId,
        profile: UserProfile,
        issued_at: Option<Millis>,
    ) -> Result<ChatUser, ChatAuthError> {
        let (of_tenant, of_id) = (provider.name.clone(), id.clone());
        let known = self.store.read::<_, StoreError, _>(move |store| {
            let Some(user) = store.chat_user(&of_tenant, &of_id)? else { return Ok(None) };
            let revoked_at = store.chat_tokens_revoked_at(user.pk)?;
            Ok(Some((user, revoked_at)))
        });
        let (known, revoked_at) = known.await?.unzip();
        if is_revoked(issued_at, revoked_at.flatten()) {
            return Err(ChatAuthError::Invalid);
        }
        let known_type = known.as_ref().and_then(|user| user.profile.user_type.clone());
        let profile = UserProfile { user_type: profile.user_type.clone().or(known_type), ..profile };
        if let Some(user) = known.as_ref().filter(|user| user.profile == profile) {
            return Ok(user.clone());
        }
        let has_other_type = |user: &ChatUser| {
            let types = (&user.profile.user_type, &profile.user_type);
            matches!(types, (Some(known), Some(claimed)) if known != claimed)
        };
        if known.as_ref().is_some_and(has_other_type) {
            return Err(ChatAuthError::Invalid);
        }
        let (tenant, now, limit) = (provider.name.clone(), self.now(), self.limits.max_users);
        self.store
            .write::<_, ChatAuthError, _>(move |tx| {
                let known = tx.chat_user(&tenant, &id)?;
                let most = i64::try_from(limit).unwrap_or(i64::MAX);
                if known.is_none() && tx.chat_user_count(&tenant)? >= most {
                    return Err(ChatAuthError::TooManyUsers(limit));
                }
                let pk = tx.put_chat_user(&tenant, &id, &profile, now)?;
                release_changed_role(tx, pk, known.as_ref(), &profile, now)?;
                let last_seen_at = known.and_then(|user| user.last_seen_at);
                Ok(ChatUser {
                    pk,
                    tenant: tenant.clone(),
                    id: id.clone(),
                    profile: profile.clone(),
                    last_seen_at,
                })
            })
            .await
    }
}

/// Releases conversations of a user whose role changed: the access to inboxes may depend on the role.
pub(super) fn release_changed_role(
    tx: &Tx<'_>,
    user: UserPk,
    known: Option<&ChatUser>,
    profile: &UserProfile,
    now: Millis,
) -> Result<(), StoreError> {
    if known.is_some_and(|known| known.profile.role != profile.role) {
        for device in tx.devices_with_assignee(user)? {
            release_without_access(tx, &device, &tx.inbox_grants(&device)?, &[user], now)?;
        }
    }
    Ok(())
}

/// Whether a token is older than the revocation of its user's tokens, or does not say how old it is.
pub(super) fn is_revoked(issued_at: Option<Millis>, revoked_at: Option<Millis>) -> bool {
    revoked_at.is_some_and(|revoked_at| issued_at.is_none_or(|issued_at| issued_at < revoked_at))
}

/// The claim `iat`, in seconds since the epoch (RFC 7519, 4.1.6).
fn issued_at(claims: &Map<String, Json>) -> Option<Millis> {
    let seconds = claims.get("iat")?.as_f64().filter(|seconds| seconds.is_finite())?;
    #[expect(clippy::cast_possible_truncation, reason = "the conversion must saturate")]
    let millis = (seconds * 1000.0) as i64;
    Some(Millis(millis))
}

/// The proof of a user in a request.
enum Proof<'r> {
    Token(&'r str),
    /// An id without proof.
    PlainId(&'r str),
    Cookies(&'r [SessionCookie]),
}

fn without_scheme(token: &str) -> &str {
    let token = token.trim();
    let scheme = token.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    scheme.map_or(token, |scheme| token[scheme.len()..].trim())
}

impl IdentityProvider {
    /// The claims of a token, or of the first valid cookie.
    async fn verify(&self, proof: &Proof<'_>, now: Millis) -> Result<VerifiedClaims, AccessTokenError> {
        let cookies = match proof {
            Proof::Token(token) => {
                return match &self.key {
                    IdentityKey::Signed(tokens) => tokens.verify_claims(token, now).await,
                    IdentityKey::Plain => plain_claims(token).ok_or(AccessTokenError::Invalid),
                    IdentityKey::Authjs(_) => Err(AccessTokenError::Invalid),
                };
            }
            Proof::PlainId(id) => {
                return match &self.key {
                    IdentityKey::Plain => Ok(plain_user(id, None)),
                    IdentityKey::Signed(_) | IdentityKey::Authjs(_) => Err(AccessTokenError::Invalid),
                };
            }
            Proof::Cookies(cookies) => *cookies,
        };
        let mut failure = AccessTokenError::Invalid;
        let name = self.cookie.as_deref();
        for cookie in cookies.iter().filter(|cookie| name.is_some_and(|name| cookie.is_named(name))) {
            let verified = match &self.key {
                IdentityKey::Signed(tokens) => tokens.verify_claims(&cookie.value, now).await,
                IdentityKey::Plain => Err(AccessTokenError::Invalid),
                IdentityKey::Authjs(key) => key.verify(cookie, now),
            };
            match verified {
                Ok(verified) => return Ok(verified),
                Err(AccessTokenError::Invalid) => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The id within the tenant, and the profile. A type must not have a colon, and an id of an untyped tenant
    /// must not begin with its own type: both would give the id of another user.
    fn user_of(&self, claims: &Map<String, Json>) -> Option<(UserId, UserProfile)> {
        let id = user_id(&self.claims.user, claims)?;
        let profile = self.claims.profile(claims);
        let Some(user_type) = profile.user_type.as_deref() else {
            return (!self.typed).then_some((id, profile));
        };
        let prefix = format!("{user_type}:");
        let is_unclear = user_type.contains(':') || (!self.typed && id.as_str().starts_with(&prefix));
        if is_unclear {
            return None;
        }
        let id = if self.typed { format!("{prefix}{id}").parse().ok()? } else { id };
        Some((id, profile))
    }
}

/// The claims of the token `userId:userType`.
fn plain_claims(token: &str) -> Option<VerifiedClaims> {
    let (id, user_type) = token.rsplit_once(':')?;
    (!id.is_empty() && !user_type.is_empty()).then(|| plain_user(id, Some(user_type)))
}

/// A plain user never expires; the type is also the role.
fn plain_user(id: &str, user_type: Option<&str>) -> VerifiedClaims {
    let mut claims = Map::from_iter([("sub".to_owned(), Json::from(id))]);
    claims.extend(user_type.map(|user_type| ("userType".to_owned(), Json::from(user_type))));
    VerifiedClaims { claims, expires_at: Millis(i64::MAX / 2) }
}

impl ClaimNames {
    fn profile(&self, claims: &Map<String, Json>) -> UserProfile {
        UserProfile {
            name: text(&self.name, claims),
            avatar: text(&self.picture, claims),
            email: text(&self.email, claims),
            role: text(&self.role, claims),
            user_type: text(&self.user_type, claims),
        }
    }
}

/// The devices in a claim, in order and once each: a list of ids, or one id. What is no id is ignored.
fn claimed_devices(claims: &Map<String, Json>, claim: &str) -> Vec<DeviceId> {
    let listed: Vec<&Json> = match claims.get(claim) {
        Some(Json::Array(items)) => items.iter().take(MAX_CLAIMED_DEVICES).collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let ids = listed.into_iter().filter_map(|item| item.as_str()?.parse().ok());
    ids.collect::<BTreeSet<DeviceId>>().into_iter().collect()
}

/// The first claim that is present: a text or a whole number.
fn user_id(names: &[String], claims: &Map<String, Json>) -> Option<UserId> {
    let claim = names.iter().filter_map(|name| claims.get(name)).find(|claim| !claim.is_null())?;
    match claim {
        Json::String(text) => text.parse().ok(),
        Json::Number(number) if number.is_i64() || number.is_u64() => number.to_string().parse().ok(),
        _ => None,
    }
}

/// The first claim that is a text, in one line and bounded.
fn text(names: &[String], claims: &Map<String, Json>) -> Option<String> {
    let texts = names.iter().filter_map(|name| claims.get(name)?.as_str());
    texts
        .map(|text| {
            let plain = text.trim().chars().filter(|c| !c.is_control());
            plain.take(PROFILE_MAX_CHARS).collect::<String>()
        })
        .find(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: &Json) -> Map<String, Json> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn first_present_claim_is_the_user() {
        let names = ["sub".to_owned(), "id".to_owned()];
        let id = |value: Json| user_id(&names, &claims(&value)).map(|id| id.to_string());
        assert_eq!(id(json!({ "id": 7, "sub": "anna" })).as_deref(), Some("anna"));
        assert_eq!(id(json!({ "id": 7, "sub": null })).as_deref(), Some("7"));
        for wrong in [json!({}), json!({ "sub": "" }), json!({ "sub": 1.5 }), json!({ "sub": ["a"] })] {
            assert_eq!(id(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn profile_texts_are_bounded_lines() {
        let names = ["name".to_owned(), "username".to_owned()];
        let name = |value: Json| text(&names, &claims(&value));
        assert_eq!(name(json!({ "name": " A\nnna ", "username": "x" })).as_deref(), Some("Anna"));
        assert_eq!(name(json!({ "name": 5, "username": "x" })).as_deref(), Some("x"));
        assert_eq!(name(json!({ "name": "x".repeat(900) })).map(|name| name.len()), Some(PROFILE_MAX_CHARS));
    }

    #[test]
    fn tokens_from_before_the_revocation_are_refused() {
        let at = |claim: Json| issued_at(&claims(&json!({ "iat": claim })));
        assert_eq!(
            (at(json!(7)), at(json!(7.5)), at(json!("7"))),
            (Some(Millis(7_000)), Some(Millis(7_500)), None)
        );
        assert!(!is_revoked(None, None) && !is_revoked(Some(Millis(1)), None));
        assert!(
            is_revoked(None, Some(Millis(7_000))) && is_revoked(Some(Millis(6_999)), Some(Millis(7_000)))
        );
        assert!(!is_revoked(Some(Millis(7_000)), Some(Millis(7_000))));
    }

    #[test]
    fn bearer_prefix_is_allowed() {
        for token in ["abc", "Bearer abc", "bearer  abc", " Bearer abc "] {
            assert_eq!(without_scheme(token), "abc", "{token}");
        }
        assert_eq!(without_scheme("Bearerabc"), "Bearerabc");
    }
}
