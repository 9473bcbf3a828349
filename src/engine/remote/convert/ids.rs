//! Ids of messages here and there. They differ in the network's part alone, and only for messages that were sent
//! from here: the upstream chose another id for them.

use crate::domain::ids::{MessageId, NetworkId};

/// The same message, under this id of the network's.
pub(in super::super) fn with_network(id: &MessageId, network: NetworkId) -> MessageId {
    MessageId { network, ..id.clone() }
}

/// What the upstream is told as `tempId`: which of its clients this is, and our own id.
pub(in super::super) fn temp_id(tag: &str, network: &NetworkId) -> String {
    format!("{tag}.{network}")
}

/// Our own id in a `tempId`, where this client chose it.
pub(in super::super) fn of_temp_id(tag: &str, temp_id: &str) -> Option<NetworkId> {
    temp_id.strip_prefix(tag)?.strip_prefix('.')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_temp_ids_are_read_back() {
        let network: NetworkId = "3EB0A1".parse().unwrap();
        let temp = temp_id("wharf-1f", &network);
        assert_eq!(of_temp_id("wharf-1f", &temp), Some(network));
        for (tag, other) in
            [("wharf-2f", &*temp), ("wharf-1", &*temp), ("wharf-1f", "t1"), ("wharf-1f", "wharf-1f.")]
        {
            assert_eq!(of_temp_id(tag, other), None, "{other}");
        }
    }
}
