//! Groups, as the server's engines describe them.

use serde_json::Value;

use super::ids;
use super::message_in::{text, time};
use crate::domain::group::{Group, Participant, Role};
use crate::domain::jid::Jid;

/// Reads a group; `None` where it is none.
pub(in super::super) fn group(told: &Value) -> Option<Group> {
    let id = id(told)?;
    let data = told.get("groupMetadata").unwrap_or(told);
    let any = |names: &[&str]| {
        names.iter().find_map(|name| text(told.get(*name)).or_else(|| text(data.get(*name))))
    };
    let person = |names: &[&str]| names.iter().find_map(|name| ids::jid(data.get(*name)));
    let members = [data.get("participants"), data.get("Participants"), told.get("participants")];
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

/// Which group something is about.
pub(in super::super) fn id(told: &Value) -> Option<Jid> {
    let id = ids::jid(told.get("id")).or_else(|| ids::jid(told.get("JID")))?;
    id.is_group().then_some(id)
}

/// All groups in an answer: a list of them, or an object by their ids.
pub(in super::super) fn all(told: &Value) -> Vec<Group> {
    match told {
        Value::Array(list) => list.iter().filter_map(group).collect(),
        Value::Object(by_id) => by_id.values().filter_map(group).collect(),
        _ => Vec::new(),
    }
}

/// A member; by phone number where that is told. Who left is none.
pub(in super::super) fn member(told: &Value) -> Option<Participant> {
    let ids = ["pn", "PhoneNumber", "phoneNumber", "id", "JID"];
    let id = ids.into_iter().find_map(|name| ids::jid(told.get(name)))?;
    let says = |name: &str| told.get(name).and_then(Value::as_bool).unwrap_or(false);
    let word = told.get("role").or_else(|| told.get("admin")).and_then(Value::as_str).unwrap_or_default();
    let role = match word {
        "left" => return None,
        "superadmin" => Role::Superadmin,
        _ if says("isSuperAdmin") || says("IsSuperAdmin") => Role::Superadmin,
        "admin" => Role::Admin,
        _ if says("isAdmin") || says("IsAdmin") => Role::Admin,
        _ => Role::Member,
    };
    Some(Participant { id, role })
}

/// What became of each person, where the answer says so: by id, or as a list, with codes as HTTP has them.
pub(in super::super) fn outcomes(told: &Value, asked: &[Jid]) -> Vec<(Jid, Result<(), &'static str>)> {
    let code_of = |person: &Jid| -> Option<i64> {
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        match told {
            Value::Object(by_id) => by_id
                .iter()
                .find(|(id, _)| id.parse::<Jid>().ok().as_ref() == Some(person))
                .and_then(|(_, said)| said.get("code").and_then(number)),
            Value::Array(list) => list
                .iter()
                .find(|said| {
                    [said.get("jid"), said.get("id"), said.get("JID")]
                        .into_iter()
                        .any(|id| ids::jid(id).as_ref() == Some(person))
                })
                .and_then(|said| {
                    said.get("status").or_else(|| said.get("code")).or_else(|| said.get("Error"))
                })
                .and_then(number),
            _ => None,
        }
    };
    asked.iter().map(|person| (person.clone(), code_of(person).map_or(Ok(()), outcome))).collect()
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
        for told in [ours, webjs, noweb, gows] {
            let group = group(&told).unwrap();
            assert_eq!(group.subject, "Crew", "{told}");
            assert_eq!(group.participants.len(), 1, "{told}");
            assert_eq!(
                (group.participants[0].id.to_string().as_str(), group.participants[0].role),
                ("15550100001@c.us", Role::Admin)
            );
        }
    }

    #[test]
    fn each_person_is_answered_for() {
        let people: Vec<Jid> = ["15550100001", "15550100002"].iter().map(|n| n.parse().unwrap()).collect();
        let webjs = json!({ "15550100001@c.us": { "code": 200 }, "15550100002@c.us": { "code": 409 } });
        let noweb = json!([{ "jid": "15550100001@s.whatsapp.net", "status": "200" }, { "jid": "15550100002@s.whatsapp.net", "status": "409" }]);
        for told in [webjs, noweb] {
            let outcomes = outcomes(&told, &people);
            assert_eq!((outcomes[0].1, outcomes[1].1), (Ok(()), Err("already_in_group")), "{told}");
        }
        assert_eq!(outcomes(&Value::Null, &people)[1].1, Ok(()));
    }
}
