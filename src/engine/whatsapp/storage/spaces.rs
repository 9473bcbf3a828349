//! Names the vault spaces of the library's storage and builds their keys. Names and keys are the stored
//! format: changing one orphans stored values.

pub(super) const DEVICE: &str = "wa/device";
pub(super) const IDENTITIES: &str = "wa/identities";
pub(super) const SESSIONS: &str = "wa/sessions";
pub(super) const PREKEYS: &str = "wa/prekeys";
pub(super) const SIGNED_PREKEYS: &str = "wa/signed_prekeys";
pub(super) const SENDER_KEYS: &str = "wa/sender_keys";
pub(super) const SYNC_KEYS: &str = "wa/sync_keys";
pub(super) const LATEST_SYNC_KEY: &str = "wa/latest_sync_key";
pub(super) const SYNC_VERSIONS: &str = "wa/sync_versions";
pub(super) const MUTATION_MACS: &str = "wa/mutation_macs";
/// Recipients of a group's sender key, by group and device.
pub(super) const SENDER_KEY_DEVICES: &str = "wa/sender_key_devices";
/// The same by device and group, without values.
pub(super) const SENDER_KEY_GROUPS: &str = "wa/sender_key_groups";
pub(super) const LIDS: &str = "wa/lids";
pub(super) const LIDS_BY_NUMBER: &str = "wa/lids_by_number";
pub(super) const BASE_KEYS: &str = "wa/base_keys";
pub(super) const DEVICE_LISTS: &str = "wa/device_lists";
pub(super) const GROUPS: &str = "wa/groups";
pub(super) const TC_TOKENS: &str = "wa/tc_tokens";
pub(super) const SENT: &str = "wa/sent";
pub(super) const PENDING_INBOUND: &str = "wa/pending_inbound";
/// Recently ingested messages, without values.
pub(super) const INGESTED: &str = "wa/taken_in";
pub(super) const MESSAGE_SECRETS: &str = "wa/message_secrets";

pub(super) const ALL: [&str; 22] = [
    DEVICE,
    IDENTITIES,
    SESSIONS,
    PREKEYS,
    SIGNED_PREKEYS,
    SENDER_KEYS,
    SYNC_KEYS,
    LATEST_SYNC_KEY,
    SYNC_VERSIONS,
    MUTATION_MACS,
    SENDER_KEY_DEVICES,
    SENDER_KEY_GROUPS,
    LIDS,
    LIDS_BY_NUMBER,
    BASE_KEYS,
    DEVICE_LISTS,
    GROUPS,
    TC_TOKENS,
    SENT,
    PENDING_INBOUND,
    INGESTED,
    MESSAGE_SECRETS,
];

/// A number whose text order is its numeric order.
pub(super) fn number(number: u32) -> String {
    format!("{number:010}")
}

/// A key of several parts; escaping keeps different parts distinct.
pub(super) fn joined(parts: &[&str]) -> String {
    let mut key = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            key.push('|');
        }
        push_escaped(&mut key, part);
    }
    key
}

/// The prefix of all keys with this first part.
pub(super) fn first(part: &str) -> String {
    joined(&[part, ""])
}

/// The last part of a key of [`joined`].
pub(super) fn last_part(key: &str) -> String {
    let part = key.rsplit('|').next().unwrap_or(key);
    part.replace("%7C", "|").replace("%25", "%")
}

fn push_escaped(key: &mut String, part: &str) {
    for c in part.chars() {
        match c {
            '%' => key.push_str("%25"),
            '|' => key.push_str("%7C"),
            c => key.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_parts_have_different_keys() {
        assert_ne!(joined(&["a|b", "c"]), joined(&["a", "b|c"]));
        assert_ne!(joined(&["a%7Cb"]), joined(&["a|b"]));
        assert_ne!(joined(&["a", ""]), joined(&["a"]));
    }

    #[test]
    fn last_part_round_trips() {
        for part in ["1555010@lid", "a|b", "%7C", "%25|", ""] {
            assert_eq!(last_part(&joined(&["group", part])), part);
        }
    }

    #[test]
    fn all_spaces_are_listed_once() {
        let named: std::collections::BTreeSet<_> = ALL.into_iter().collect();
        assert_eq!(named.len(), ALL.len());
    }
}
