//! Changes groups as another member, or adds the account to one.

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::{Answer, Call, Refusal, WAIT, confirmed};
use crate::id::Id;
use crate::scene::SimulatedGroup;
use crate::scene::group_rules::{Change, MAX_DESCRIPTION, MAX_MEMBERS, MAX_SUBJECT, Member, Role};
use crate::server::groups::{GroupError, GroupEvent, notify_members};

const FIELDS: [&str; 7] =
    ["groupId", "change", "participants", "subject", "description", "author", "unheard"];
const CHANGES: [&str; 10] = [
    "created",
    "add",
    "remove",
    "leave",
    "promote",
    "demote",
    "subject",
    "description",
    "picture",
    "invite_link",
];

impl Call {
    /// `{ groupId, change, participants?, subject?, description?, author?, unheard? }`; with `unheard` the
    /// network does not send a notification.
    pub(super) async fn group(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &FIELDS)?;
        let group = fields.required("groupId", fields.id("groupId")?)?;
        if !group.is_group() {
            return Err(fields.wrong("groupId", "must end in @g.us"));
        }
        let change = fields.required("change", fields.word("change", &CHANGES)?)?;
        let people = self.people(&fields, change)?;
        let author = self.changer(&fields)?;
        self.linked()?;
        let (group_state, event) = if change == "created" {
            (self.made(&fields, &group, author.as_deref(), &people)?, GroupEvent::Created)
        } else {
            self.changed(&fields, &group, change, &people)?
        };
        let me = self.account.number.as_str();
        if fields.flag("unheard")?.unwrap_or(false) {
            return Ok(json!({ "group": self.shown(&group_state) }));
        }
        match &event {
            // Each member leaves separately.
            GroupEvent::Left(people) => {
                for person in people {
                    let left = GroupEvent::Left(vec![person.clone()]);
                    let receivers = notify_members(&self.world, me, &group_state, &left, Some(person)).await;
                    confirmed(receivers, WAIT).await?;
                }
            }
            event => {
                let receivers = notify_members(&self.world, me, &group_state, event, author.as_deref()).await;
                confirmed(receivers, WAIT).await?;
            }
        }
        Ok(json!({ "group": self.shown(&group_state) }))
    }

    fn people(&self, fields: &Fields<'_>, change: &str) -> Result<Vec<String>, Refusal> {
        let ids = fields.ids("participants", MAX_MEMBERS)?;
        let about_people = matches!(change, "add" | "remove" | "leave" | "promote" | "demote");
        if about_people == ids.is_empty() && change != "created" {
            let message = if about_people { "is required for this change" } else { "is not for this change" };
            return Err(fields.wrong("participants", message));
        }
        let number = |(at, id): (usize, &Id)| match id {
            // The group's rules reject unregistered numbers.
            Id::Number(number) => Ok(number.clone()),
            other => Ok(self.account_of(&format!("participants[{at}]"), other)?.0.number.clone()),
        };
        ids.iter().enumerate().map(number).collect()
    }

    fn changer(&self, fields: &Fields<'_>) -> Result<Option<String>, Refusal> {
        match fields.id("author")? {
            None => Ok(None),
            Some(author) => Ok(Some(self.account_of("author", &author)?.0.number.clone())),
        }
    }

    /// A group that another member created with the account in it.
    fn made(
        &self,
        fields: &Fields<'_>,
        group: &Id,
        author: Option<&str>,
        people: &[String],
    ) -> Result<SimulatedGroup, Refusal> {
        let subject = fields.required("subject", fields.text("subject", MAX_SUBJECT)?)?;
        let me = self.account.number.as_str();
        let mut group_state = SimulatedGroup::made(&group.to_string(), subject, author.unwrap_or(me), now());
        if author.is_none_or(|author| author == me) {
            group_state.owner = None;
            group_state.members = vec![Member { number: me.to_owned(), role: Role::Member }];
        }
        group_state.meet(me);
        group_state.change(Change::Add, people);
        self.world.groups.put(me, group_state.clone()).map_err(|_| full())?;
        Ok(group_state)
    }

    fn changed(
        &self,
        fields: &Fields<'_>,
        group: &Id,
        change: &str,
        people: &[String],
    ) -> Result<(SimulatedGroup, GroupEvent), Refusal> {
        let subject = fields.text("subject", MAX_SUBJECT)?.map(str::to_owned);
        let description = fields.text_or_empty("description", MAX_DESCRIPTION)?.map(str::to_owned);
        let members = |change| GroupEvent::Members(change, people.to_vec());
        let event = match change {
            "add" => members(Change::Add),
            "remove" => members(Change::Remove),
            "promote" => members(Change::Promote),
            "demote" => members(Change::Demote),
            "leave" => GroupEvent::Left(people.to_vec()),
            "subject" => {
                fields.required("subject", subject.as_ref())?;
                GroupEvent::Subject
            }
            "description" => {
                fields.required("description", description.as_ref())?;
                GroupEvent::Description
            }
            "picture" => GroupEvent::Picture,
            _ => GroupEvent::Revoked,
        };
        let apply = |group_state: &mut SimulatedGroup| -> Result<(), Refusal> {
            match &event {
                GroupEvent::Members(change, people) => {
                    let outcomes = group_state.change(*change, people);
                    for (at, (_, became)) in outcomes.iter().enumerate() {
                        if let Err(refusal) = became {
                            let message = format!("cannot: {}", refusal.as_str());
                            return Err(fields.wrong(&format!("participants[{at}]"), message));
                        }
                    }
                }
                GroupEvent::Left(people) => people.iter().for_each(|number| group_state.leave(number)),
                GroupEvent::Subject => group_state.subject = subject.unwrap_or_default(),
                GroupEvent::Description => {
                    let text = description.filter(|text| !text.is_empty());
                    group_state.description = text.map(|text| (crate::server::messages::new_id(), text));
                }
                GroupEvent::Revoked => group_state.invite = None,
                GroupEvent::Created | GroupEvent::Picture => {}
            }
            Ok(())
        };
        let changed = self.world.groups.change(&self.account.number, &group.to_string(), apply);
        match changed {
            Ok((group_state, ())) => Ok((group_state, event)),
            Err(GroupError::Refused(refusal)) => Err(refusal),
            Err(GroupError::TooMany) => Err(full()),
            Err(GroupError::Unknown) => {
                Err(Refusal::impossible("group_unknown", "the network has no such group"))
            }
        }
    }

    /// A group as the control API writes it.
    fn shown(&self, group_state: &SimulatedGroup) -> Value {
        let id = |number: &str| {
            let hidden = self.account.lock().hides(number);
            let person = self.world.directory.find(number).filter(|_| hidden);
            person.map_or_else(|| format!("{number}@c.us"), |person| format!("{}@lid", person.lid))
        };
        let participants: Vec<Value> = group_state
            .members
            .iter()
            .map(|member| json!({ "id": id(&member.number), "role": member.role.as_str() }))
            .collect();
        json!({
            "id": group_state.id,
            "subject": group_state.subject,
            "description": group_state.description.as_ref().map(|(_, text)| text),
            "owner": group_state.owner.as_deref().map(id),
            "createdAt": group_state.created.map(|seconds| seconds * 1_000),
            "participants": participants,
        })
    }
}

fn now() -> i64 {
    wacore::time::now_secs()
}

fn full() -> Refusal {
    Refusal::impossible("network_full", "the account is in as many groups as may be")
}
