//! The two-way mapping of our ids and an upstream's, in the vault.
//!
//! Both directions are written in one batch and expire together, so that neither exists without the other.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::marker::PhantomData;
use std::str::FromStr;

use super::RelayContext;
use crate::domain::vault::VaultBatch;
use crate::engine::VaultError;

/// The vault space of one direction of the mapping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdMapIndex {
    pub(crate) space: &'static str,
    /// Begins each key, for two directions in one space.
    pub(crate) prefix: &'static str,
}

impl IdMapIndex {
    fn key(&self, id: impl Display) -> String {
        format!("{}{id}", self.prefix)
    }
}

/// The vault spaces of a mapping, and the lifetime of its entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdMapLayout {
    pub(crate) to_upstream: IdMapIndex,
    pub(crate) from_upstream: IdMapIndex,
    pub(crate) expires_after_ms: i64,
}

/// The mapping of one device: `O` are our ids, `U` the upstream's.
pub(crate) struct IdMap<O, U> {
    context: RelayContext,
    layout: IdMapLayout,
    ids: PhantomData<fn(O) -> U>,
}

impl<O, U> IdMap<O, U>
where
    O: Display + FromStr,
    U: Display + FromStr + Clone + Eq + Hash,
{
    pub(crate) fn new(context: RelayContext, layout: IdMapLayout) -> Self {
        Self { context, layout, ids: PhantomData }
    }

    /// Adds a pair to a batch of other changes.
    pub(crate) fn put(&self, batch: &mut VaultBatch, ours: &O, upstream: &U) {
        let IdMapLayout { to_upstream, from_upstream, expires_after_ms } = self.layout;
        let deadline = Some(self.context.now().plus(expires_after_ms));
        batch.put_until(to_upstream.space, to_upstream.key(ours), upstream.to_string(), deadline);
        batch.put_until(from_upstream.space, from_upstream.key(upstream), ours.to_string(), deadline);
    }

    /// Stores a pair.
    ///
    /// # Errors
    /// When the vault fails.
    pub(crate) async fn record_alias(&self, ours: &O, upstream: &U) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        self.put(&mut batch, ours, upstream);
        self.context.vault.apply(batch).await
    }

    /// The upstream's id for one of ours.
    ///
    /// # Errors
    /// When the vault fails.
    pub(crate) async fn to_upstream(&self, ours: &O) -> Result<Option<U>, VaultError> {
        let index = self.layout.to_upstream;
        Ok(self.context.vault.get(index.space, &index.key(ours)).await?.and_then(parsed))
    }

    /// Our id for one of the upstream's.
    ///
    /// # Errors
    /// When the vault fails.
    #[expect(clippy::wrong_self_convention, reason = "the counterpart of to_upstream")]
    pub(crate) async fn from_upstream(&self, upstream: &U) -> Result<Option<O>, VaultError> {
        let index = self.layout.from_upstream;
        Ok(self.context.vault.get(index.space, &index.key(upstream)).await?.and_then(parsed))
    }

    /// Our ids for many of the upstream's; those without one are missing.
    ///
    /// # Errors
    /// When the vault fails.
    pub(crate) async fn many_from_upstream(&self, upstream: Vec<U>) -> Result<HashMap<U, O>, VaultError> {
        if upstream.is_empty() {
            return Ok(HashMap::new());
        }
        let index = self.layout.from_upstream;
        let keys = upstream.iter().map(|id| index.key(id)).collect();
        let found = self.context.vault.get_many(index.space, keys).await?;
        let pairs = upstream.into_iter().zip(found);
        Ok(pairs.filter_map(|(id, ours)| Some((id, parsed(ours?)?))).collect())
    }

    /// Removes expired pairs.
    ///
    /// # Errors
    /// When the vault fails.
    pub(crate) async fn prune(&self) -> Result<(), VaultError> {
        for space in self.spaces() {
            self.context.vault.prune(space, self.context.now()).await?;
        }
        Ok(())
    }

    /// Removes all pairs.
    ///
    /// # Errors
    /// When the vault fails.
    pub(crate) async fn clear(&self) -> Result<(), VaultError> {
        let mut batch = VaultBatch::new();
        let IdMapLayout { to_upstream, from_upstream, .. } = self.layout;
        batch.remove_prefix(to_upstream.space, to_upstream.prefix);
        batch.remove_prefix(from_upstream.space, from_upstream.prefix);
        self.context.vault.apply(batch).await
    }

    fn spaces(&self) -> impl Iterator<Item = &'static str> {
        let IdMapLayout { to_upstream, from_upstream, .. } = self.layout;
        let second = Some(from_upstream.space).filter(|space| *space != to_upstream.space);
        std::iter::once(to_upstream.space).chain(second)
    }
}

fn parsed<T: FromStr>(bytes: Vec<u8>) -> Option<T> {
    String::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{MessageId, NetworkId};
    use crate::engine::relay::testing::{TestRelay, relay};

    const ONE_SPACE: IdMapLayout = IdMapLayout {
        to_upstream: IdMapIndex { space: "ids", prefix: "ours/" },
        from_upstream: IdMapIndex { space: "ids", prefix: "theirs/" },
        expires_after_ms: 10,
    };
    const TWO_SPACES: IdMapLayout = IdMapLayout {
        to_upstream: IdMapIndex { space: "theirs", prefix: "" },
        from_upstream: IdMapIndex { space: "ours", prefix: "" },
        expires_after_ms: 10,
    };

    #[tokio::test]
    async fn pair_is_found_by_either_id() {
        let TestRelay { context, .. } = relay();
        let map: IdMap<MessageId, String> = IdMap::new(context, TWO_SPACES);
        let ours: MessageId = "true_15550100001@c.us_3EB0A1".parse().unwrap();
        map.record_alias(&ours, &"wamid.A=".to_owned()).await.unwrap();
        assert_eq!(map.to_upstream(&ours).await.unwrap().as_deref(), Some("wamid.A="));
        let found = map.many_from_upstream(vec!["wamid.A=".into(), "wamid.B=".into()]).await.unwrap();
        assert_eq!(found, HashMap::from([("wamid.A=".to_owned(), ours.clone())]));
        map.clear().await.unwrap();
        assert_eq!(map.to_upstream(&ours).await.unwrap(), None);
    }

    #[tokio::test]
    async fn clearing_a_shared_space_keeps_other_keys() {
        let TestRelay { context, .. } = relay();
        let map: IdMap<NetworkId, NetworkId> = IdMap::new(context.clone(), ONE_SPACE);
        map.record_alias(&"A".parse().unwrap(), &"B".parse().unwrap()).await.unwrap();
        context.vault.put("ids", "settled/A", Some(Vec::new())).await.unwrap();
        assert_eq!(map.from_upstream(&"B".parse().unwrap()).await.unwrap(), Some("A".parse().unwrap()));
        map.clear().await.unwrap();
        assert_eq!(map.from_upstream(&"B".parse().unwrap()).await.unwrap(), None);
        assert!(context.vault.get("ids", "settled/A").await.unwrap().is_some());
    }
}
