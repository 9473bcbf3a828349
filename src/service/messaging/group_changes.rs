//! Stores changes to groups and emits one event for each real change.
//!
//! A change is applied once, however often it arrives; the network's echo of our own request changes nothing.

use std::collections::HashMap;

use crate::domain::clock::Millis;
use crate::domain::event::{Event, GroupUpdateEvent};
use crate::domain::group::{Group, GroupChange, Participant, Role};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::store::{StoreError, Tx};

/// Participants in one event at most; more of them become several events.
const NAMED: usize = 256;

/// A change to a group, as a network reports it.
#[derive(Debug, Clone)]
pub(in crate::service) struct GroupChangeOrigin {
    /// The group that changed; it may be absent from the store.
    pub(in crate::service) group: Jid,
    /// The kind of change.
    pub(in crate::service) change: GroupChange,
    /// The participants that the change affects, with their new roles.
    pub(in crate::service) participants: Vec<Participant>,
    /// The new subject or description.
    pub(in crate::service) text: Option<String>,
    /// The person who made the change, if the network reports one.
    pub(in crate::service) author: Option<Jid>,
}

impl GroupChangeOrigin {
    /// A change without participants, text or author.
    pub(in crate::service) fn of(group: Jid, change: GroupChange) -> Self {
        Self { group, change, participants: Vec::new(), text: None, author: None }
    }

    fn event(&self, participants: Vec<Participant>) -> Event {
        let text = |change| (self.change == change).then(|| self.text.clone().unwrap_or_default());
        Event::GroupUpdate(GroupUpdateEvent {
            group_id: self.group.clone(),
            change: self.change,
            participants,
            subject: text(GroupChange::Subject).or_else(|| text(GroupChange::Created)),
            description: text(GroupChange::Description),
            author: self.author.clone(),
        })
    }
}

/// Stores the full state of a group. `true` when something changed; a new group emits `created`.
pub(in crate::service) fn store_group(
    tx: &Tx<'_>,
    device: &DeviceId,
    group: &Group,
    author: Option<&Jid>,
    now: Millis,
) -> Result<bool, StoreError> {
    let origin = |change| GroupChangeOrigin {
        author: author.cloned(),
        ..GroupChangeOrigin::of(group.id.clone(), change)
    };
    let Some(stored) = tx.group(device, &group.id)? else {
        tx.add_group(device, group)?;
        tx.name_chat(device, &group.id, &group.subject, group.created_at.unwrap_or(now))?;
        let created = GroupChangeOrigin { text: Some(group.subject.clone()), ..origin(GroupChange::Created) };
        // The event of a large group does not list its participants.
        let named = if group.participants.len() > NAMED { Vec::new() } else { group.participants.clone() };
        tx.append(device, &created.event(named), now)?;
        return Ok(true);
    };
    let mut changes = vec![
        GroupChangeOrigin { text: Some(group.subject.clone()), ..origin(GroupChange::Subject) },
        GroupChangeOrigin { text: group.description.clone(), ..origin(GroupChange::Description) },
    ];
    for (change, participants) in member_changes(&stored.participants, &group.participants) {
        changes.push(GroupChangeOrigin { participants, ..origin(change) });
    }
    let mut changed = false;
    for change in &changes {
        changed |= apply(tx, device, change, now)?;
    }
    Ok(changed)
}

/// The changes that lead from one list of members to the other. None when `now` lists no members.
fn member_changes(before: &[Participant], now: &[Participant]) -> Vec<(GroupChange, Vec<Participant>)> {
    if now.is_empty() {
        return Vec::new();
    }
    let roles =
        |of: &[Participant]| of.iter().map(|p| (p.id.clone(), p.role)).collect::<HashMap<Jid, Role>>();
    let (were, are) = (roles(before), roles(now));
    let pick = |of: &[Participant], matches: &dyn Fn(&Participant) -> bool| {
        of.iter().filter(|participant| matches(participant)).cloned().collect::<Vec<_>>()
    };
    let mut changes = vec![
        (GroupChange::Add, pick(now, &|p| !were.contains_key(&p.id))),
        (GroupChange::Remove, pick(before, &|p| !are.contains_key(&p.id))),
        (GroupChange::Promote, pick(now, &|p| were.get(&p.id) < Some(&p.role) && were.contains_key(&p.id))),
        (GroupChange::Demote, pick(now, &|p| were.get(&p.id) > Some(&p.role))),
    ];
    changes.retain(|(_, participants)| !participants.is_empty());
    changes
}

/// Stores a change that a network reported or made for us. `true` when something changed.
pub(in crate::service) fn store_group_change(
    tx: &Tx<'_>,
    device: &DeviceId,
    origin: &GroupChangeOrigin,
    now: Millis,
) -> Result<bool, StoreError> {
    let exists = tx.has_group(device, &origin.group)?;
    match (origin.change, exists) {
        (GroupChange::Created, true) => Ok(false),
        (GroupChange::Created, false) => {
            let subject = match &origin.text {
                Some(text) => text.clone(),
                None => {
                    tx.chat(device, &origin.group)?.map_or_else(|| origin.group.as_name(), |chat| chat.name)
                }
            };
            let group = Group {
                id: origin.group.clone(),
                subject,
                description: None,
                owner: None,
                created_at: None,
                participants: origin.participants.clone(),
            };
            store_group(tx, device, &group, origin.author.as_ref(), now)
        }
        // The network sends the whole group when the account joins it.
        (_, false) => Ok(false),
        (_, true) => apply(tx, device, origin, now),
    }
}

/// Removes a group that our account left or was removed from. `true` when something changed.
pub(in crate::service) fn store_group_left(
    tx: &Tx<'_>,
    device: &DeviceId,
    group: &Jid,
    now: Millis,
) -> Result<bool, StoreError> {
    let me = tx.device(device)?.and_then(|device| device.account?.jid());
    let participants = me.into_iter().map(|id| Participant { id, role: Role::Member }).collect();
    let origin =
        GroupChangeOrigin { participants, ..GroupChangeOrigin::of(group.clone(), GroupChange::Leave) };
    let changed = store_group_change(tx, device, &origin, now)?;
    Ok(tx.remove_group(device, group)? || changed)
}

/// Applies a change to a stored group and appends its event if something changed.
fn apply(
    tx: &Tx<'_>,
    device: &DeviceId,
    origin: &GroupChangeOrigin,
    now: Millis,
) -> Result<bool, StoreError> {
    let changed = match origin.change {
        GroupChange::Subject => match &origin.text {
            Some(subject) => tx.set_group_subject(device, &origin.group, subject)?,
            None => false,
        },
        GroupChange::Description => {
            let description = origin.text.as_deref().filter(|text| !text.is_empty());
            tx.set_group_description(device, &origin.group, description)?
        }
        // The store keeps neither invitation links nor pictures of groups.
        GroupChange::InviteLink | GroupChange::Picture => true,
        GroupChange::Created => false,
        GroupChange::Add
        | GroupChange::Remove
        | GroupChange::Leave
        | GroupChange::Promote
        | GroupChange::Demote => return apply_to_members(tx, device, origin, now),
    };
    if changed {
        tx.append(device, &origin.event(Vec::new()), now)?;
    }
    Ok(changed)
}

fn apply_to_members(
    tx: &Tx<'_>,
    device: &DeviceId,
    origin: &GroupChangeOrigin,
    now: Millis,
) -> Result<bool, StoreError> {
    let me = tx.device(device)?.and_then(|device| device.account?.jid());
    let mut changed = Vec::new();
    let mut left = false;
    for participant in &origin.participants {
        let applied = match origin.change {
            GroupChange::Remove | GroupChange::Leave => {
                let own = Some(&participant.id) == me.as_ref();
                left |= own;
                tx.remove_member(device, &origin.group, &participant.id)? || own
            }
            GroupChange::Add => {
                tx.role_in(device, &origin.group, &participant.id)?.is_none()
                    && tx.put_member(device, &origin.group, participant)?
            }
            // The group's owner outranks an admin already.
            GroupChange::Promote => {
                tx.role_in(device, &origin.group, &participant.id)? < Some(participant.role)
                    && tx.put_member(device, &origin.group, participant)?
            }
            _ => tx.put_member(device, &origin.group, participant)?,
        };
        if applied {
            changed.push(participant.clone());
        }
    }
    for named in changed.chunks(NAMED) {
        tx.append(device, &origin.event(named.to_vec()), now)?;
    }
    if left {
        tx.remove_group(device, &origin.group)?;
    }
    Ok(!changed.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(n: u32, role: Role) -> Participant {
        Participant { id: format!("1555010{n:04}").parse().unwrap(), role }
    }

    #[test]
    fn member_changes_are_grouped_by_kind() {
        let before = [
            member(1, Role::Superadmin),
            member(2, Role::Member),
            member(3, Role::Admin),
            member(4, Role::Member),
        ];
        let now = [
            member(1, Role::Superadmin),
            member(2, Role::Admin),
            member(3, Role::Member),
            member(5, Role::Member),
        ];
        let changes = member_changes(&before, &now);
        assert_eq!(
            changes,
            [
                (GroupChange::Add, vec![member(5, Role::Member)]),
                (GroupChange::Remove, vec![member(4, Role::Member)]),
                (GroupChange::Promote, vec![member(2, Role::Admin)]),
                (GroupChange::Demote, vec![member(3, Role::Member)]),
            ]
        );
        assert!(member_changes(&before, &before).is_empty());
        assert!(member_changes(&before, &[]).is_empty(), "the members are missing");
    }
}
