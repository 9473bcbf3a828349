//! API keys, dashboard sessions and access tokens. Keys and sessions are stored as hashes only.

use std::sync::Arc;

use crate::domain::clock::{Clock, Random};
use crate::lifecycle::Tasks;
use crate::store::Store;

mod device_generations;
pub mod keys;
pub mod sessions;
pub mod tokens;

/// API keys, dashboard sessions, and the access tokens of operators.
#[derive(Clone)]
pub struct Access {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    tasks: Tasks,
    keys: Arc<keys::Keys>,
    sessions: Arc<sessions::DashboardSessions>,
    tokens: Arc<tokens::AccessTokens>,
}

impl Access {
    pub(super) fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        tasks: Tasks,
        keys: keys::Keys,
        sessions: sessions::DashboardSessions,
        tokens: tokens::AccessTokens,
    ) -> Self {
        let (keys, sessions, tokens) = (Arc::new(keys), Arc::new(sessions), Arc::new(tokens));
        Self { store, clock, random, tasks, keys, sessions, tokens }
    }

    /// The operator of an access token; `None` without a token if none is required.
    ///
    /// # Errors
    /// If the token is not valid, or the daemon is not configured to verify tokens.
    pub async fn operator(
        &self,
        token: Option<&str>,
    ) -> Result<Option<tokens::Operator>, tokens::AccessTokenError> {
        self.tokens.verify(token, self.clock.now()).await
    }
}
