//! Somebody else changes a group, or brings the account into one.

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{Control, deliver_now, impossible, invalid, not_linked, storage};
use crate::domain::group::{Group, GroupChange, Participant, Role};
use crate::domain::jid::Jid;
use crate::engine::simulator::delivery_queue::Due;
use crate::engine::simulator::device::Device;
use crate::engine::simulator::fields::Fields;
use crate::engine::simulator::group_book::ChangeError;
use crate::engine::simulator::group_rules::{MAX_DESCRIPTION, MAX_SUBJECT, SimulatedGroup, member};
use crate::engine::simulator::settings::MAX_PARTICIPANTS;
use crate::engine::{ControlError, EngineEvent, MembersChange, SettingError};

const KNOWN: [&str; 6] = ["groupId", "change", "participants", "subject", "description", "author"];

/// A change as it was asked for.
struct Asked {
    group: Jid,
    change: GroupChange,
    people: Vec<Jid>,
    /// The new name or description.
    text: Option<String>,
    author: Option<Jid>,
}

impl Control<'_> {
    /// `{ groupId, change, participants?, subject?, description?, author? }`.
    pub(super) async fn group(
        &self,
        device: &Device,
        map: &Map<String, Value>,
    ) -> Result<Value, ControlError> {
        let asked = asked(map).map_err(invalid)?;
        let world = device.group_context();
        let Some(me) = world.me.clone().filter(|_| device.is_linked()) else {
            return Err(not_linked());
        };
        let circle = if asked.change == GroupChange::Created {
            let circle = self.made(&asked, &me);
            device.groups.put(circle.clone()).await.map_err(not_changed)?;
            circle
        } else {
            let change = |circle: &mut SimulatedGroup| self.apply(circle, &asked);
            device.groups.change(&world, &asked.group, change).await.map_err(not_changed)?.0
        };
        let comes_in = asked.change == GroupChange::Created
            || (asked.change == GroupChange::Add && asked.people.contains(&me));
        if comes_in {
            let group = EngineEvent::Groups { groups: vec![circle.group.clone()], complete: false };
            device.schedule(Instant::now(), Due::event(group), None);
        }
        deliver_now(device, asked.event(&circle)).await?;
        serde_json::to_value(&circle.group)
            .map(|group| json!({ "group": group }))
            .map_err(|_| ControlError::Storage)
    }

    /// A group that somebody made, with the account in it.
    fn made(&self, asked: &Asked, me: &Jid) -> SimulatedGroup {
        let founder = asked.author.clone().filter(|author| author != me);
        let mut participants: Vec<Participant> =
            founder.iter().map(|founder| member(founder.clone(), Role::Superadmin)).collect();
        participants.push(member(me.clone(), Role::Member));
        let group = Group {
            id: asked.group.clone(),
            subject: asked.text.clone().unwrap_or_default(),
            description: None,
            owner: founder,
            created_at: Some(self.now()),
            participants,
        };
        let mut circle = SimulatedGroup { group, invite: None };
        circle.change_members(MembersChange::Add, &asked.people);
        circle
    }

    fn apply(&self, circle: &mut SimulatedGroup, asked: &Asked) -> Result<(), SettingError> {
        let members = match asked.change {
            GroupChange::Add => MembersChange::Add,
            GroupChange::Remove => MembersChange::Remove,
            GroupChange::Promote => MembersChange::Promote,
            GroupChange::Demote => MembersChange::Demote,
            GroupChange::Leave => {
                asked.people.iter().for_each(|person| circle.leave(person));
                return Ok(());
            }
            GroupChange::Subject => {
                circle.group.subject = asked.text.clone().unwrap_or_default();
                return Ok(());
            }
            GroupChange::Description => {
                circle.group.description = asked.text.clone().filter(|text| !text.is_empty());
                return Ok(());
            }
            GroupChange::InviteLink => {
                circle.new_link(self.random);
                return Ok(());
            }
            GroupChange::Picture | GroupChange::Created => return Ok(()),
        };
        let outcomes = circle.change_members(members, &asked.people);
        match outcomes.iter().position(|(_, outcome)| outcome.is_err()) {
            None => Ok(()),
            Some(at) => {
                let code = outcomes.get(at).and_then(|(_, outcome)| outcome.err()).unwrap_or_default();
                Err(SettingError { field: format!("participants[{at}]"), message: format!("cannot: {code}") })
            }
        }
    }
}

impl Asked {
    fn event(&self, circle: &SimulatedGroup) -> EngineEvent {
        let participants = if self.change == GroupChange::Created {
            circle.group.participants.clone()
        } else {
            circle.now(self.people.clone())
        };
        EngineEvent::GroupChanged {
            group: self.group.clone(),
            change: self.change,
            participants,
            text: self.text.clone(),
            author: self.author.clone(),
        }
    }
}

fn asked(map: &Map<String, Value>) -> Result<Asked, SettingError> {
    let fields = Fields::new("", map, &KNOWN)?;
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
    Ok(Asked { group, change, people, text: text.map(str::to_owned), author: fields.jid("author")? })
}

fn not_changed(error: ChangeError<SettingError>) -> ControlError {
    match error {
        ChangeError::Unknown => impossible("group_unknown", "the simulated network has no such group"),
        ChangeError::TooMany => impossible("network_full", "the account is in as many groups as may be"),
        ChangeError::Refused(error) => invalid(error),
        ChangeError::Storage(error) => storage(error),
    }
}
