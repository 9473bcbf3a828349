//! Converts groups and their changes.

use whatsapp_rust::types::events::GroupUpdate;
use whatsapp_rust::wacore::stanza::groups::{
    GroupNotificationAction as Action, GroupParticipantInfo, GroupParticipantType,
};
use whatsapp_rust::{GroupMetadata, GroupParticipant, Jid as NetworkJid, ParticipantType};

use super::identities::Identities;
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::group::{Group, GroupChange, Participant, Role};
use crate::domain::jid::Jid;
use crate::engine::EngineEvent;

/// Converts a group; `None` for other chats.
pub(in super::super) fn group_of(update: &GroupMetadata, ids: &Identities) -> Option<Group> {
    let id = ids.jid(&update.id).filter(Jid::is_group)?;
    let owner = update.creator_pn.as_ref().or(update.creator.as_ref()).and_then(|jid| ids.jid(jid));
    let mut participants: Vec<Participant> = Vec::with_capacity(update.participants.len());
    for member in &update.participants {
        let Some(id) = member_id(&member.jid, member.phone_number.as_ref(), ids) else { continue };
        if !participants.iter().any(|member| member.id == id) {
            participants.push(Participant { id, role: role(&member.participant_type) });
        }
    }
    let created_at = update.creation_time.and_then(|seconds| i64::try_from(seconds).ok());
    Some(Group {
        id,
        subject: update.subject.clone(),
        description: update.description.clone().filter(|text| !text.is_empty()),
        owner,
        created_at: created_at.map(|seconds| Millis(seconds.saturating_mul(1_000))),
        participants,
    })
}

/// New identity pairs among the members.
pub(in super::super) fn resolved_members(
    members: &[GroupParticipant],
    ids: &Identities,
) -> Vec<ContactUpdate> {
    let pair = |member: &GroupParticipant| {
        let other = member.phone_number.as_ref().or(member.lid.as_ref())?;
        ids.record_pair(&member.jid, other)
    };
    members.iter().filter_map(pair).collect()
}

/// New identity pairs in an update.
pub(in super::super) fn resolved_by(update: &GroupUpdate, ids: &Identities) -> Vec<ContactUpdate> {
    let pair = |member: &GroupParticipantInfo| {
        let other = member.phone_number.as_ref().or(member.lid.as_ref())?;
        ids.record_pair(&member.jid, other)
    };
    let author = update.participant.as_ref().zip(update.participant_pn.as_ref());
    let author = author.and_then(|(one, other)| ids.record_pair(one, other));
    members_of(&update.action).iter().filter_map(pair).chain(author).collect()
}

fn member_id(jid: &NetworkJid, number: Option<&NetworkJid>, ids: &Identities) -> Option<Jid> {
    number.and_then(|number| ids.jid(number)).or_else(|| ids.jid(jid))
}

fn role(kind: &ParticipantType) -> Role {
    match kind {
        ParticipantType::Member => Role::Member,
        ParticipantType::Admin => Role::Admin,
        ParticipantType::SuperAdmin => Role::Superadmin,
    }
}

/// The effect of a group update.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum GroupUpdateEffect {
    /// An event to deliver.
    Event(EngineEvent),
    /// The account joined a group whose metadata must be requested.
    Joined(Jid),
    /// No counterpart.
    Ignored,
}

/// Converts an update.
pub(in super::super) fn effect_of(update: &GroupUpdate, ids: &Identities) -> GroupUpdateEffect {
    let Some(group) = ids.jid(&update.group_jid).filter(Jid::is_group) else {
        return GroupUpdateEffect::Ignored;
    };
    let author = update.participant_pn.as_ref().or(update.participant.as_ref()).and_then(|jid| ids.jid(jid));
    let event = |change, participants, text| {
        let (group, author) = (group.clone(), author.clone());
        GroupUpdateEffect::Event(EngineEvent::GroupChanged { group, change, participants, text, author })
    };
    let members = |fallback: Role| people(members_of(&update.action), fallback, ids);
    match &update.action {
        Action::Create { .. } => GroupUpdateEffect::Joined(group),
        Action::Add { .. } => {
            let members = members(Role::Member);
            if members.iter().any(|member| ids.is_me(&member.id)) {
                return GroupUpdateEffect::Joined(group);
            }
            event(GroupChange::Add, members, None)
        }
        Action::Remove { .. } => {
            let members = members(Role::Member);
            // A member who removes themselves leaves.
            let left = members.iter().all(|member| Some(&member.id) == author.as_ref());
            event(if left { GroupChange::Leave } else { GroupChange::Remove }, members, None)
        }
        Action::Promote { .. } => event(GroupChange::Promote, members(Role::Admin), None),
        Action::Demote { .. } => event(GroupChange::Demote, demoted(members(Role::Member)), None),
        Action::Subject { subject, .. } => event(GroupChange::Subject, Vec::new(), Some(subject.clone())),
        Action::Description { description, .. } => {
            event(GroupChange::Description, Vec::new(), Some(description.clone().unwrap_or_default()))
        }
        Action::RevokeInvite => event(GroupChange::InviteLink, Vec::new(), None),
        // All members are removed, including our account.
        Action::Delete { .. } => match ids.me() {
            Some(me) => {
                let me = Participant { id: me.clone(), role: Role::Member };
                event(GroupChange::Remove, vec![me], None)
            }
            None => GroupUpdateEffect::Ignored,
        },
        _ => GroupUpdateEffect::Ignored,
    }
}

fn members_of(action: &Action) -> &[GroupParticipantInfo] {
    match action {
        Action::Add { participants, .. }
        | Action::Remove { participants, .. }
        | Action::Promote { participants }
        | Action::Demote { participants } => participants,
        _ => &[],
    }
}

/// The members of an update. Roles are often missing; the update then implies them.
fn people(members: &[GroupParticipantInfo], fallback: Role, ids: &Identities) -> Vec<Participant> {
    let person = |member: &GroupParticipantInfo| {
        let role = match member.r#type {
            Some(GroupParticipantType::Admin) => Role::Admin,
            Some(GroupParticipantType::SuperAdmin) => Role::Superadmin,
            Some(GroupParticipantType::Participant) | None => fallback,
        };
        Some(Participant { id: member_id(&member.jid, member.phone_number.as_ref(), ids)?, role })
    };
    members.iter().filter_map(person).collect()
}

/// The same people as ordinary members.
fn demoted(people: Vec<Participant>) -> Vec<Participant> {
    people.into_iter().map(|person| Participant { role: Role::Member, ..person }).collect()
}

/// Maps a refusal for one member (codes: `wacore`, `iq/groups.rs`).
pub(in super::super) fn refusal(code: &str) -> &'static str {
    match code {
        "403" | "401" => "not_allowed",
        "404" => "not_in_group",
        "406" => "not_on_network",
        "408" => "left_recently",
        "409" => "already_in_group",
        "419" | "500" => "group_full",
        _ => "refused_by_network",
    }
}

#[cfg(test)]
mod tests {
    use super::super::message_key::tests::{ids, jid};
    use super::*;
    use whatsapp_rust::wacore::chrono::DateTime;

    const GROUP: &str = "120363000000000001@g.us";
    const ME: &str = "15550100001@c.us";
    const PEER: &str = "15550100002@c.us";

    fn network(text: &str) -> NetworkJid {
        text.parse().unwrap()
    }

    fn member(text: &str) -> GroupParticipantInfo {
        GroupParticipantInfo {
            jid: network(text),
            phone_number: None,
            display_name: None,
            r#type: None,
            lid: None,
            username: None,
            join_time: None,
            group_history_sent_state: None,
        }
    }

    fn update(author: &str, action: Action) -> GroupUpdate {
        GroupUpdate::builder()
            .group_jid(network(GROUP))
            .action_index(0)
            .participant(network(author))
            .timestamp(DateTime::from_timestamp(1_700_000_000, 0).unwrap())
            .is_lid_addressing_mode(false)
            .has_incomplete_participant_information(false)
            .action(action)
            .build()
    }

    fn event(update: &GroupUpdate) -> (GroupChange, Vec<Participant>, Option<String>, Option<Jid>) {
        match effect_of(update, &ids()) {
            GroupUpdateEffect::Event(EngineEvent::GroupChanged {
                group,
                change,
                participants,
                text,
                author,
            }) => {
                assert_eq!(group, jid(GROUP));
                (change, participants, text, author)
            }
            other => panic!("{other:?}"),
        }
    }

    fn one(who: &str, role: Role) -> Vec<Participant> {
        vec![Participant { id: jid(who), role }]
    }

    #[test]
    fn group_members_have_resolved_numbers() {
        let member = |jid: &str, number: Option<&str>, participant_type| GroupParticipant {
            jid: network(jid),
            phone_number: number.map(network),
            lid: None,
            username: None,
            participant_type,
            details: None,
        };
        let update = GroupMetadata {
            id: network(GROUP),
            subject: "Trip".into(),
            creator: Some(network("990002@lid")),
            creation_time: Some(1_700_000_000),
            description: Some(String::new()),
            participants: vec![
                member("990001@lid", None, ParticipantType::SuperAdmin),
                member("990003@lid", Some("15550100003@s.whatsapp.net"), ParticipantType::Admin),
                member("990004@lid", None, ParticipantType::Member),
                member("15550100003@s.whatsapp.net", None, ParticipantType::Admin),
            ],
            ..Default::default()
        };
        let ids = ids();
        assert_eq!(resolved_members(&update.participants, &ids).len(), 1);
        let group = group_of(&update, &ids).unwrap();
        assert_eq!((group.owner, group.description), (Some(jid(PEER)), None));
        assert_eq!(group.created_at, Some(Millis(1_700_000_000_000)));
        let members: Vec<_> = group.participants.into_iter().map(|p| (p.id.to_string(), p.role)).collect();
        let expected =
            [(ME, Role::Superadmin), ("15550100003@c.us", Role::Admin), ("990004@lid", Role::Member)];
        assert_eq!(members, expected.map(|(id, role)| (id.to_owned(), role)));
    }

    #[test]
    fn added_and_removed_members_are_converted() {
        let added = Action::Add { participants: vec![member("15550100003@s.whatsapp.net")], reason: None };
        let (change, who, _, author) = event(&update("990002@lid", added));
        assert_eq!((change, who), (GroupChange::Add, one("15550100003@c.us", Role::Member)));
        assert_eq!(author, Some(jid(PEER)));
        for (author, is) in [("15550100003@s.whatsapp.net", GroupChange::Leave), (ME, GroupChange::Remove)] {
            let gone =
                Action::Remove { participants: vec![member("15550100003@s.whatsapp.net")], reason: None };
            assert_eq!(event(&update(author, gone)).0, is);
        }
    }

    #[test]
    fn added_account_joins_group() {
        let added = Action::Add { participants: vec![member("990001@lid")], reason: None };
        assert_eq!(effect_of(&update(PEER, added), &ids()), GroupUpdateEffect::Joined(jid(GROUP)));
    }

    #[test]
    fn roles_subject_and_link_changes_are_converted() {
        let someone = || vec![member("990002@lid")];
        let promoted = event(&update(ME, Action::Promote { participants: someone() }));
        assert_eq!((promoted.0, promoted.1), (GroupChange::Promote, one(PEER, Role::Admin)));
        let demoted = event(&update(ME, Action::Demote { participants: someone() }));
        assert_eq!((demoted.0, demoted.1), (GroupChange::Demote, one(PEER, Role::Member)));
        let named = Action::Subject { subject: "New".into(), subject_owner: None, subject_time: None };
        assert_eq!(event(&update(ME, named)).2.as_deref(), Some("New"));
        let described = Action::Description { id: "1".into(), description: None };
        let described = event(&update(ME, described));
        assert_eq!((described.0, described.2.as_deref()), (GroupChange::Description, Some("")));
        assert_eq!(event(&update(ME, Action::RevokeInvite)).0, GroupChange::InviteLink);
        let deleted = event(&update(PEER, Action::Delete { reason: None }));
        assert_eq!((deleted.0, deleted.1), (GroupChange::Remove, one(ME, Role::Member)));
        assert_eq!(effect_of(&update(ME, Action::Unlocked), &ids()), GroupUpdateEffect::Ignored);
    }

    #[test]
    fn refusal_codes_map_to_api_codes() {
        let codes = ["403", "404", "409", "499"].map(refusal);
        assert_eq!(codes, ["not_allowed", "not_in_group", "already_in_group", "refused_by_network"]);
    }
}
