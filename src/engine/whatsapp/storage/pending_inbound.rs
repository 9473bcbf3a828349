//! Messages that were decrypted and not taken in yet. Their deadline is when they were stored: how long they
//! are kept the library says when it prunes.

use wacore::store::error::Result;
use wacore::store::traits::{PendingInboundKey, PendingInboundRow};

use super::VaultBackend;
use super::spaces::{PENDING_INBOUND, joined};
use crate::domain::vault::VaultBatch;

impl VaultBackend {
    pub(super) async fn store_pending(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let now = self.now();
        let mut batch = VaultBatch::new();
        for row in rows {
            batch.put_until(PENDING_INBOUND, joined(&[row.chat, row.sender, row.id]), row.message, Some(now));
        }
        self.apply(batch).await
    }

    pub(super) async fn pending(&self, key: PendingInboundKey<'_>) -> Result<Option<Vec<u8>>> {
        self.get(PENDING_INBOUND, &joined(&[key.chat, key.sender, key.id])).await
    }

    pub(super) async fn delete_pending(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        let mut batch = VaultBatch::new();
        for key in keys {
            batch.remove(PENDING_INBOUND, joined(&[key.chat, key.sender, key.id]));
        }
        self.apply(batch).await
    }
}
