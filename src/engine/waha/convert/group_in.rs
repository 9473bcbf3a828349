//! Converts groups, whose descriptions differ between the server's engines.

use serde_json::Value;

use super::ids;
use super::message_in::time;
use crate::domain::group::{Group, Participant, Role};
use crate::domain::jid::Jid;
use crate::engine::relay::lenient::non_empty;

/// Converts a group; `None` where it has no id.
pub(in super::super) fn group(group: &Value) -> Option<Group> {
    let id = id(group)?;
    let data = group.get("groupMetadata").unwrap_or(group);
    let any = |names: &[&str]| {
        names.iter().find_map(|name| non_empty(group.get(*name)).or_else(|| non_empty(data.get(*name))))
    };
    let person = |names: &[&str]| names.iter().find_map(|name| ids::jid(data.get(*name)));
    let members = [data.get("participants"), data.get("Participants"), group.get("participants")];
    let members = members.into_iter().flatten().find_map(Value::as_array);
    Some(Group {
        id,
        subject: any(&["subject", "name", "Name"]).unwrap_or_default(),
        description: any(&["description", "desc", "Topic"]),
        owner: person(&["owner", "OwnerPN", "OwnerJID"]),
        created_at: time(data.get("creation").or_else(|| data.get("createdAt"))),
        participants: members.into_iter().flatten().filter_map(member).collect(),
    })
}

/// The id of a group.
pub(in super::super) fn id(group: &Value) -> Option<Jid> {
    let id = ids::jid(group.get("id")).or_else(|| ids::jid(group.get("JID")))?;
    id.is_group().then_some(id)
}

/// The groups of an answer: a list, or an object by id.
pub(in super::super) fn all(answer: &Value) -> Vec<Group> {
    match answer {
        Value::Array(list) => list.iter().filter_map(group).collect(),
        Value::Object(by_id) => by_id.values().filter_map(group).collect(),
        _ => Vec::new(),
    }
}

/// Converts a member, by phone number where there is one; `None` for a former member.
pub(in super::super) fn member(member: &Value) -> Option<Participant> {
    let ids = ["pn", "PhoneNumber", "phoneNumber", "id", "JID"];
    let id = ids.into_iter().find_map(|name| ids::jid(member.get(name)))?;
    let is_set = |name: &str| member.get(name).and_then(Value::as_bool).unwrap_or(false);
    let role = member.get("role").or_else(|| member.get("admin")).and_then(Value::as_str).unwrap_or_default();
    let role = match role {
        "left" => return None,
        "superadmin" => Role::Superadmin,
        _ if is_set("isSuperAdmin") || is_set("IsSuperAdmin") => Role::Superadmin,
        "admin" => Role::Admin,
        _ if is_set("isAdmin") || is_set("IsAdmin") => Role::Admin,
        _ => Role::Member,
    };
    Some(Participant { id, role })
}

/// The result for each person: by id, or as a list, with HTTP status codes. A person without a code
/// succeeded.
pub(in super::super) fn outcomes(answer: &Value, people: &[Jid]) -> Vec<(Jid, Result<(), &'static str>)> {
    let code_of = |person: &Jid| -> Option<i64> {
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        match answer {
            Value::Object(by_id) => by_id
                .iter()
                .find(|(id, _)| id.parse::<Jid>().ok().as_ref() == Some(person))
                .and_then(|(_, result)| result.get("code").and_then(number)),
            Value::Array(list) => list
                .iter()
                .find(|result| {
                    [result.get("jid"), result.get("id"), result.get("JID")]
                        .into_iter()
                        .any(|id| ids::jid(id).as_ref() == Some(person))
                })
                .and_then(|result| {
                    result.get("status").or_else(|| result.get("code")).or_else(|| result.get("Error"))
                })
                .and_then(number),
            _ => None,
        }
    };
    people.iter().map(|person| (person.clone(), code_of(person).map_or(Ok(()), outcome))).collect()
}

fn outcome(code: i64) -> Result<(), &'static str> {
    match code {
        0 | 200..=299 => Ok(()),
        403 => Err("not_allowed"),
        404 => Err("not_on_network"),
        408 => Err("recently_left"),
        409 => Err("already_in_group"),
        _ => Err("refused_by_network"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn groups_of_every_engine_are_read() {
        let ours = json!({ "id": "1203@g.us", "subject": "Crew", "participants": [{ "id": "15550100001@c.us", "role": "admin" }, { "id": "15550100002@c.us", "role": "left" }] });
        let webjs = json!({ "id": { "_serialized": "1203@g.us" }, "name": "Crew", "groupMetadata": { "participants": [{ "id": { "_serialized": "15550100001@c.us" }, "isAdmin": true }] } });
        let noweb = json!({ "id": "1203@g.us", "subject": "Crew", "participants": [{ "id": "15550100001@s.whatsapp.net", "admin": "admin" }] });
        let gows = json!({ "JID": "1203@g.us", "Name": "Crew", "Participants": [{ "JID": "77@lid", "PhoneNumber": "15550100001@s.whatsapp.net", "IsAdmin": true }] });
        for description in [ours, webjs, noweb, gows] {
            let group = group(&description).unwrap();
            assert_eq!(group.subject, "Crew", "{description}");
            assert_eq!(group.participants.len(), 1, "{description}");
            assert_eq!(
                (group.participants[0].id.to_string().as_str(), group.participants[0].role),
                ("15550100001@c.us", Role::Admin)
            );
        }
    }

    #[test]
    fn each_person_has_a_result() {
        let people: Vec<Jid> = ["15550100001", "15550100002"].iter().map(|n| n.parse().unwrap()).collect();
        let webjs = json!({ "15550100001@c.us": { "code": 200 }, "15550100002@c.us": { "code": 409 } });
        let noweb = json!([{ "jid": "15550100001@s.whatsapp.net", "status": "200" }, { "jid": "15550100002@s.whatsapp.net", "status": "409" }]);
        for group in [webjs, noweb] {
            let outcomes = outcomes(&group, &people);
            assert_eq!((outcomes[0].1, outcomes[1].1), (Ok(()), Err("already_in_group")), "{group}");
        }
        assert_eq!(outcomes(&Value::Null, &people)[1].1, Ok(()));
    }
}
