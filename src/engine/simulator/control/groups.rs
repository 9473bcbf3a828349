//! `group`: another person changes a group, or adds the account to one.
//!
//! The change is stored before the request is answered and before its event is delivered.

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::request::{Control, deliver, impossible, invalid, not_linked, storage};
use crate::domain::group::{Group, GroupChange, Participant, Role};
use crate::domain::jid::Jid;
use crate::engine::simulator::delivery_queue::Due;
use crate::engine::simulator::device::Device;
use crate::engine::simulator::fields::Fields;
use crate::engine::simulator::group_rules::{MAX_DESCRIPTION, MAX_SUBJECT, SimulatedGroup, member};
use crate::engine::simulator::group_store::GroupError;
use crate::engine::simulator::settings::MAX_PARTICIPANTS;
use crate::engine::{ControlError, EngineEvent, MembersChange, SettingError};

const FIELDS: [&str; 6] = ["groupId", "change", "participants", "subject", "description", "author"];

/// A requested change.
struct GroupChangeRequest {
    group: Jid,
    change: GroupChange,
    people: Vec<Jid>,
    /// The new name or description.
    text: Option<String>,
    author: Option<Jid>,
}

/// Changes a group and delivers the event.
pub(super) async fn change(
    control: &Control<'_>,
    device: &Device,
    map: &Map<String, Value>,
) -> Result<Value, ControlError> {
    let request = parse(map).map_err(invalid)?;
    let context = device.group_context();
    let Some(me) = context.me.clone() else { return Err(not_linked()) };
    let group = if request.change == GroupChange::Created {
        let group = create(control, &request, &me);
        device.groups.put(group.clone()).await.map_err(group_error)?;
        group
    } else {
        let change = |group: &mut SimulatedGroup| apply(control, group, &request);
        device.groups.change(&context, &request.group, change).await.map_err(group_error)?.0
    };
    let adds_account = request.change == GroupChange::Created
        || (request.change == GroupChange::Add && request.people.contains(&me));
    if adds_account {
        let event = EngineEvent::Groups { groups: vec![group.group.clone()], complete: false };
        device.schedule(Instant::now(), Due::event(event), None);
    }
    deliver(device, event_of(&request, &group)).await?;
    serde_json::to_value(&group.group)
        .map(|group| json!({ "group": group }))
        .map_err(|_| ControlError::Storage)
}

/// A group that another person creates with the account in it.
fn create(control: &Control<'_>, request: &GroupChangeRequest, me: &Jid) -> SimulatedGroup {
    let owner = request.author.clone().filter(|author| author != me);
    let mut participants: Vec<Participant> =
        owner.iter().map(|owner| member(owner.clone(), Role::Superadmin)).collect();
    participants.push(member(me.clone(), Role::Member));
    let group = Group {
        id: request.group.clone(),
        subject: request.text.clone().unwrap_or_default(),
        description: None,
        owner,
        created_at: Some(control.clock.now()),
        participants,
    };
    let mut group = SimulatedGroup { group, invite: None };
    group.change_members(MembersChange::Add, &request.people);
    group
}

fn apply(
    control: &Control<'_>,
    group: &mut SimulatedGroup,
    request: &GroupChangeRequest,
) -> Result<(), SettingError> {
    let members = match request.change {
        GroupChange::Add => MembersChange::Add,
        GroupChange::Remove => MembersChange::Remove,
        GroupChange::Promote => MembersChange::Promote,
        GroupChange::Demote => MembersChange::Demote,
        GroupChange::Leave => {
            request.people.iter().for_each(|person| group.leave(person));
            return Ok(());
        }
        GroupChange::Subject => {
            group.group.subject = request.text.clone().unwrap_or_default();
            return Ok(());
        }
        GroupChange::Description => {
            group.group.description = request.text.clone().filter(|text| !text.is_empty());
            return Ok(());
        }
        GroupChange::InviteLink => {
            group.new_link(control.random);
            return Ok(());
        }
        GroupChange::Picture | GroupChange::Created => return Ok(()),
    };
    let results = group.change_members(members, &request.people);
    let refused = results.iter().enumerate().find_map(|(at, (_, result))| Some((at, result.err()?)));
    match refused {
        None => Ok(()),
        Some((at, code)) => {
            Err(SettingError { field: format!("participants[{at}]"), message: format!("cannot: {code}") })
        }
    }
}

fn event_of(request: &GroupChangeRequest, group: &SimulatedGroup) -> EngineEvent {
    let participants = if request.change == GroupChange::Created {
        group.group.participants.clone()
    } else {
        group.with_roles(request.people.clone())
    };
    EngineEvent::GroupChanged {
        group: request.group.clone(),
        change: request.change,
        participants,
        text: request.text.clone(),
        author: request.author.clone(),
    }
}

fn parse(map: &Map<String, Value>) -> Result<GroupChangeRequest, SettingError> {
    let fields = Fields::new("", map, &FIELDS)?;
    let group = fields.required("groupId", fields.jid("groupId")?)?;
    if !group.is_group() {
        return Err(fields.wrong("groupId", "must end in @g.us"));
    }
    let change = fields.required("change", fields.value("change"))?;
    let change: GroupChange = serde_json::from_value(change.clone()).map_err(|_| {
        let words =
            "created, add, remove, leave, promote, demote, subject, description, picture or invite_link";
        fields.wrong("change", format!("must be {words}"))
    })?;
    let people = fields.jids("participants", MAX_PARTICIPANTS)?;
    let about_people = matches!(
        change,
        GroupChange::Add
            | GroupChange::Remove
            | GroupChange::Leave
            | GroupChange::Promote
            | GroupChange::Demote
    );
    if about_people == people.is_empty() && change != GroupChange::Created {
        let message = if about_people { "is required for this change" } else { "is not for this change" };
        return Err(fields.wrong("participants", message));
    }
    let subject = fields.text("subject", MAX_SUBJECT)?;
    let description = fields.text_or_empty("description", MAX_DESCRIPTION)?;
    let text = match change {
        GroupChange::Subject | GroupChange::Created => Some(fields.required("subject", subject)?),
        GroupChange::Description => Some(fields.required("description", description)?),
        _ => None,
    };
    let (text, author) = (text.map(str::to_owned), fields.jid("author")?);
    Ok(GroupChangeRequest { group, change, people, text, author })
}

fn group_error(error: GroupError<SettingError>) -> ControlError {
    match error {
        GroupError::Unknown => impossible("group_unknown", "the simulated network has no such group"),
        GroupError::TooMany => {
            impossible("network_full", "the account has reached the maximum number of groups")
        }
        GroupError::Refused(error) => invalid(error),
        GroupError::Vault(error) => storage(error),
    }
}
