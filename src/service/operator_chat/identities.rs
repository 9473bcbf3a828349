//! The identity providers and the directory, which a reload replaces while the daemon runs.

use std::sync::Arc;

use super::OperatorChat;
use super::authentication::{IdentityProvider, SignedIn};
use crate::domain::operator_chat::visibility::DirectoryRules;

/// The identity providers and the directory.
pub struct Identities {
    /// The issuers of user tokens.
    pub providers: Vec<Arc<IdentityProvider>>,
    /// Who lists and writes to whom.
    pub directory: DirectoryRules,
}

impl OperatorChat {
    /// Replaces the identity providers and the directory. A provider with the same key keeps its fetched keys. Sockets of
    /// a tenant whose provider is gone or has another key are closed.
    pub fn replace_identities(&self, mut new: Identities) {
        let mut identities = self.identities.write();
        for provider in &mut new.providers {
            let same = |known: &&Arc<IdentityProvider>| {
                known.name == provider.name && known.fingerprint == provider.fingerprint
            };
            if let Some(known) = identities.providers.iter().find(same) {
                *provider = known.clone();
            }
        }
        let is_kept = |name: &str, fingerprint| {
            new.providers.iter().any(|one| one.name == name && one.fingerprint == fingerprint)
        };
        let ended = identities.providers.iter().filter(|known| !is_kept(&known.name, known.fingerprint));
        self.ended_tenants.lock().extend(ended.map(|known| known.name.clone()));
        *identities = Arc::new(new);
        drop(identities);
        self.changed.notify_one();
    }

    /// The tenants whose sockets are to be closed now.
    pub fn due_ended_tenants(&self) -> Vec<String> {
        std::mem::take(&mut *self.ended_tenants.lock())
    }

    /// Whether a user was signed in by a key that is still configured, by a token that is still accepted.
    #[must_use]
    pub fn is_still_signed_in(&self, me: &SignedIn) -> bool {
        let has_key = self.providers().iter().any(|provider| provider.fingerprint == me.key);
        has_key && me.expires_at > self.now() && !self.was_revoked(me)
    }

    pub(super) fn providers(&self) -> Vec<Arc<IdentityProvider>> {
        self.identities.read().providers.clone()
    }

    pub(super) fn directory_rules(&self) -> DirectoryRules {
        self.identities.read().directory.clone()
    }
}
