//! What happens to groups, stored and told: once for each real change, whoever made it and however often it
//! is told. A request of ours may come back from the network as its echo and then changes nothing.

use std::collections::HashMap;

use crate::domain::clock::Millis;
use crate::domain::event::{Event, GroupUpdateEvent};
use crate::domain::group::{Group, GroupChange, Participant, Role};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::store::{StoreError, Tx};

/// Participants that one event names at most; more of them are several events.
const NAMED: usize = 256;

/// A change to a group, as a network tells it.
#[derive(Debug, Clone)]
pub(in crate::service) struct GroupChangeOrigin {
    /// Which group.
    pub(in crate::service) group: Jid,
    /// What changed.
    pub(in crate::service) change: GroupChange,
    /// Whom it is about, with what they now may do.
    pub(in crate::service) participants: Vec<Participant>,
    /// The new name or description.
    pub(in crate::service) text: Option<String>,
    /// Who changed it.
    pub(in crate::service) author: Option<Jid>,
}

impl GroupChangeOrigin {
    /// A change without more to say.
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

/// A group as it is. `true` when that was news; a group that was not known is told as `created`.
pub(in crate::service) fn store_group(
    tx: &Tx<'_>,
    device: &DeviceId,
    group: &Group,
    author: Option<&Jid>,
    now: Millis,
) -> Result<bool, StoreError> {
    let told = |change| GroupChangeOrigin {
        author: author.cloned(),
        ..GroupChangeOrigin::of(group.id.clone(), change)
    };
    let Some(known) = tx.group(device, &group.id)? else {
        tx.add_group(device, group)?;
        tx.name_chat(device, &group.id, &group.subject, group.created_at.unwrap_or(now))?;
        let created = GroupChangeOrigin { text: Some(group.subject.clone()), ..told(GroupChange::Created) };
        // Of a large group the event does not say who is in it.
        let named = if group.participants.len() > NAMED { Vec::new() } else { group.participants.clone() };
        tx.append(device, &created.event(named), now)?;
        return Ok(true);
    };
    let mut changes = vec![
        GroupChangeOrigin { text: Some(group.subject.clone()), ..told(GroupChange::Subject) },
        GroupChangeOrigin { text: group.description.clone(), ..told(GroupChange::Description) },
    ];
    for (change, participants) in member_changes(&known.participants, &group.participants) {
        changes.push(GroupChangeOrigin { participants, ..told(change) });
    }
    let mut news = false;
    for change in &changes {
        news |= apply(tx, device, change, now)?;
    }
    Ok(news)
}

/// How members came to be those of `now`. Nothing where those are not told.
fn member_changes(before: &[Participant], now: &[Participant]) -> Vec<(GroupChange, Vec<Participant>)> {
    if now.is_empty() {
        return Vec::new();
    }
    let roles =
        |of: &[Participant]| of.iter().map(|p| (p.id.clone(), p.role)).collect::<HashMap<Jid, Role>>();
    let (were, are) = (roles(before), roles(now));
    let pick = |of: &[Participant], wanted: &dyn Fn(&Participant) -> bool| {
        of.iter().filter(|participant| wanted(participant)).cloned().collect::<Vec<_>>()
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

/// A change that a network told of, or that it made for us. `true` when that was news.
pub(in crate::service) fn store_group_change(
    tx: &Tx<'_>,
    device: &DeviceId,
    told: &GroupChangeOrigin,
    now: Millis,
) -> Result<bool, StoreError> {
    let known = tx.has_group(device, &told.group)?;
    match (told.change, known) {
        (GroupChange::Created, true) => Ok(false),
        (GroupChange::Created, false) => {
            let subject = match &told.text {
                Some(text) => text.clone(),
                None => tx.chat(device, &told.group)?.map_or_else(|| told.group.as_name(), |chat| chat.name),
            };
            let group = Group {
                id: told.group.clone(),
                subject,
                description: None,
                owner: None,
                created_at: None,
                participants: told.participants.clone(),
            };
            store_group(tx, device, &group, told.author.as_ref(), now)
        }
        // The network tells the whole group when the account comes into it.
        (_, false) => Ok(false),
        (_, true) => apply(tx, device, told, now),
    }
}

/// Our account is not in a group any more, whoever saw to that. `true` when that was news.
pub(in crate::service) fn store_group_left(
    tx: &Tx<'_>,
    device: &DeviceId,
    group: &Jid,
    now: Millis,
) -> Result<bool, StoreError> {
    let me = tx.device(device)?.and_then(|device| device.account?.jid());
    let participants = me.into_iter().map(|id| Participant { id, role: Role::Member }).collect();
    let told = GroupChangeOrigin { participants, ..GroupChangeOrigin::of(group.clone(), GroupChange::Leave) };
    let news = store_group_change(tx, device, &told, now)?;
    Ok(tx.remove_group(device, group)? || news)
}

/// Applies a change to a group that is known, and tells it if it was one.
fn apply(tx: &Tx<'_>, device: &DeviceId, told: &GroupChangeOrigin, now: Millis) -> Result<bool, StoreError> {
    let news = match told.change {
        GroupChange::Subject => match &told.text {
            Some(subject) => tx.set_group_subject(device, &told.group, subject)?,
            None => false,
        },
        GroupChange::Description => {
            let description = told.text.as_deref().filter(|text| !text.is_empty());
            tx.set_group_description(device, &told.group, description)?
        }
        // Nothing of these is kept here.
        GroupChange::InviteLink | GroupChange::Picture => true,
        GroupChange::Created => false,
        GroupChange::Add
        | GroupChange::Remove
        | GroupChange::Leave
        | GroupChange::Promote
        | GroupChange::Demote => return apply_to_members(tx, device, told, now),
    };
    if news {
        tx.append(device, &told.event(Vec::new()), now)?;
    }
    Ok(news)
}

fn apply_to_members(
    tx: &Tx<'_>,
    device: &DeviceId,
    told: &GroupChangeOrigin,
    now: Millis,
) -> Result<bool, StoreError> {
    let me = tx.device(device)?.and_then(|device| device.account?.jid());
    let mut changed = Vec::new();
    let mut out = false;
    for participant in &told.participants {
        let is_news = match told.change {
            GroupChange::Remove | GroupChange::Leave => {
                let gone = Some(&participant.id) == me.as_ref();
                out |= gone;
                tx.remove_member(device, &told.group, &participant.id)? || gone
            }
            GroupChange::Add => {
                tx.role_in(device, &told.group, &participant.id)?.is_none()
                    && tx.put_member(device, &told.group, participant)?
            }
            // Who made the group is more than an admin already.
            GroupChange::Promote => {
                tx.role_in(device, &told.group, &participant.id)? < Some(participant.role)
                    && tx.put_member(device, &told.group, participant)?
            }
            _ => tx.put_member(device, &told.group, participant)?,
        };
        if is_news {
            changed.push(participant.clone());
        }
    }
    for named in changed.chunks(NAMED) {
        tx.append(device, &told.event(named.to_vec()), now)?;
    }
    if out {
        tx.remove_group(device, &told.group)?;
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
        assert!(member_changes(&before, &[]).is_empty(), "who is in it was not told");
    }
}
