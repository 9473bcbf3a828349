//! Ids of messages. Ours and the upstream's differ in the network's part only, and only for messages that
//! this daemon sent.

use crate::domain::ids::{MessageId, NetworkId};

/// The message id with another network id.
pub(in super::super) fn with_network(id: &MessageId, network: NetworkId) -> MessageId {
    MessageId { network, ..id.clone() }
}

/// The `tempId` of a send: this client's tag and our id.
pub(in super::super) fn temp_id(tag: &str, network: &NetworkId) -> String {
    format!("{tag}.{network}")
}

/// Our id in a `tempId` of this client.
pub(in super::super) fn from_temp_id(tag: &str, temp_id: &str) -> Option<NetworkId> {
    temp_id.strip_prefix(tag)?.strip_prefix('.')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_temp_ids_are_read_back() {
        let network: NetworkId = "3EB0A1".parse().unwrap();
        let temp = temp_id("wharf-1f", &network);
        assert_eq!(from_temp_id("wharf-1f", &temp), Some(network));
        for (tag, other) in
            [("wharf-2f", &*temp), ("wharf-1", &*temp), ("wharf-1f", "t1"), ("wharf-1f", "wharf-1f.")]
        {
            assert_eq!(from_temp_id(tag, other), None, "{other}");
        }
    }
}
