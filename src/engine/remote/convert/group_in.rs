//! Groups as the upstream's REST API shows them.

use serde_json::Value;

use crate::domain::group::Group;

/// A group with its members.
pub(in super::super) fn group(value: Value) -> Option<Group> {
    serde_json::from_value(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_group_is_read_with_its_members() {
        let read = group(json!({
            "id": "120363000000000001@g.us", "groupId": "120363000000000001@g.us", "subject": "Team", "description": null,
            "owner": null, "createdAt": null, "participantCount": 1, "participants": [{ "id": "15550100001@c.us", "role": "admin" }],
        }));
        assert_eq!(read.unwrap().participants.len(), 1);
        assert_eq!(group(json!({ "id": "x" })), None);
    }
}
