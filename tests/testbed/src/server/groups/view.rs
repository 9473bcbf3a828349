//! Groups as nodes, from the view of an account.

use tokio::sync::oneshot;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::scene::SimulatedGroup;
use crate::scene::group_rules::{Change, Member};
use crate::server::state::Account;
use crate::server::{World, notifications};

/// An event in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEvent {
    /// The group was created.
    Created,
    /// These members changed.
    Members(Change, Vec<String>),
    /// These members left.
    Left(Vec<String>),
    /// The name changed.
    Subject,
    /// The description changed or was removed.
    Description,
    /// The invite link was revoked.
    Revoked,
    /// The picture changed.
    Picture,
}

/// An account's view of a group.
pub struct GroupView<'a> {
    /// The state of the testbed.
    pub world: &'a World,
    /// The viewing account.
    pub account: &'a Account,
    /// The group.
    pub group_state: &'a SimulatedGroup,
}

impl GroupView<'_> {
    /// Whether the group uses LIDs: by its own setting, or because a member hides the number.
    #[must_use]
    pub fn by_lid(&self) -> bool {
        let hides = |member: &Member| self.account.lock().hides(&member.number);
        self.group_state.by_lid || self.group_state.members.iter().any(hides)
    }

    /// The complete `<group>`.
    #[must_use]
    pub fn group(&self) -> Node {
        let by_lid = self.by_lid();
        let group_state = self.group_state;
        let mode = if by_lid { "lid" } else { "pn" };
        let id = group_state.id.split('@').next().unwrap_or_default();
        let mut node = NodeBuilder::new("group")
            .attr("id", id)
            .attr("subject", group_state.subject.clone())
            .attr("addressing_mode", mode)
            .attr("size", u32::try_from(group_state.members.len()).unwrap_or(u32::MAX));
        if let Some(created) = group_state.created {
            node = node.attr("creation", created).attr("s_t", created);
        }
        if let Some(owner) = group_state.owner.as_ref().and_then(|owner| self.ids(owner)) {
            node = node.attr("creator", owner.named(by_lid).clone());
            if by_lid && let Some(pn) = owner.pn {
                node = node.attr("creator_pn", pn);
            }
        }
        let members = group_state.members.iter().filter_map(|member| self.member(member, by_lid));
        node.children(members.chain(self.description())).build()
    }

    fn description(&self) -> Option<Node> {
        let (id, text) = self.group_state.description.as_ref()?;
        let body = NodeBuilder::new("body").string_content(text.as_str()).build();
        Some(NodeBuilder::new("description").attr("id", id.clone()).children([body]).build())
    }

    fn member(&self, member: &Member, by_lid: bool) -> Option<Node> {
        let ids = self.ids(&member.number)?;
        let mut node = NodeBuilder::new("participant").attr("jid", ids.named(by_lid).clone());
        if by_lid && let Some(pn) = &ids.pn {
            node = node.attr("phone_number", pn.clone());
        } else if !by_lid {
            node = node.attr("lid", ids.lid);
        }
        if let Some(role) = member.role.on_wire() {
            node = node.attr("type", role);
        }
        Some(node.build())
    }

    /// The notification about an event.
    #[must_use]
    pub fn notification(&self, event: &GroupEvent, author: Option<&str>) -> Option<Node> {
        if *event == GroupEvent::Picture {
            return self.picture(author);
        }
        let by_lid = self.by_lid();
        let about = self.about(event, by_lid)?;
        let group: Jid = self.group_state.id.parse().ok()?;
        let mut notification = notifications::notification("w:gp2", &group, about)
            .attr("addressing_mode", if by_lid { "lid" } else { "pn" });
        if let Some(ids) = author.and_then(|author| self.ids(author)) {
            notification = notification.attr("participant", ids.named(by_lid).clone());
            if by_lid && let Some(pn) = ids.pn {
                notification = notification.attr("participant_pn", pn);
            }
        }
        Some(notification.build())
    }

    fn about(&self, event: &GroupEvent, by_lid: bool) -> Option<Node> {
        let members = |numbers: &[String]| -> Vec<Node> {
            let members = numbers.iter().map(|number| {
                let role = self.group_state.role_of(number).unwrap_or(crate::scene::Role::Member);
                Member { number: number.clone(), role }
            });
            members.filter_map(|member| self.member(&member, by_lid)).collect()
        };
        Some(match event {
            GroupEvent::Created => {
                NodeBuilder::new("create").attr("type", "new").children([self.group()]).build()
            }
            GroupEvent::Members(change, numbers) => {
                NodeBuilder::new(change.as_str()).children(members(numbers)).build()
            }
            // A leave is a removal by the member.
            GroupEvent::Left(numbers) => NodeBuilder::new("remove").children(members(numbers)).build(),
            GroupEvent::Subject => NodeBuilder::new("subject")
                .attr("subject", self.group_state.subject.clone())
                .attr("s_t", wacore::time::now_secs())
                .build(),
            GroupEvent::Description => self.description().unwrap_or_else(|| {
                let gone = NodeBuilder::new("delete").build();
                NodeBuilder::new("description").attr("id", "0").children([gone]).build()
            }),
            GroupEvent::Revoked => NodeBuilder::new("revoke").build(),
            GroupEvent::Picture => return None,
        })
    }

    /// Pictures have a notification of their own.
    fn picture(&self, author: Option<&str>) -> Option<Node> {
        let group: Jid = self.group_state.id.parse().ok()?;
        let mut about =
            NodeBuilder::new("set").attr("jid", group.clone()).attr("id", wacore::time::now_secs());
        if let Some(ids) = author.and_then(|author| self.ids(author)) {
            about = about.attr("author", ids.named(self.by_lid()).clone());
        }
        Some(notifications::notification("picture", &group, about.build()).build())
    }

    /// The ids of a person that the account may see.
    pub(super) fn ids(&self, number: &str) -> Option<Ids> {
        let person = self.world.directory.get_or_create(number)?;
        let hidden = self.account.lock().hides(number);
        Some(Ids { lid: person.lid_jid(0), pn: (!hidden).then(|| person.jid(0)) })
    }
}

/// Both ids of a person.
pub(super) struct Ids {
    pub(super) lid: Jid,
    pub(super) pn: Option<Jid>,
}

impl Ids {
    /// The id that the group uses.
    pub(super) fn named(&self, by_lid: bool) -> &Jid {
        match &self.pn {
            Some(pn) if !by_lid => pn,
            _ => &self.lid,
        }
    }
}

/// Notifies all members of an event, including those it removed.
pub async fn notify_members(
    world: &World,
    me: &str,
    group_state: &SimulatedGroup,
    event: &GroupEvent,
    author: Option<&str>,
) -> Vec<oneshot::Receiver<()>> {
    let mut receivers = Vec::new();
    let mut numbers = world.groups.audience(me, &group_state.id);
    if let GroupEvent::Left(gone) | GroupEvent::Members(Change::Remove, gone) = event
        && numbers.as_slice() != [me]
    {
        numbers.extend(gone.iter().filter(|number| group_state.role_of(number).is_none()).cloned());
    }
    for number in numbers {
        let Some(account) = world.directory.find(&number) else { continue };
        let view = GroupView { world, account: &account, group_state };
        if let Some(notification) = view.notification(event, author) {
            receivers.extend(notifications::send(&account, &notification, None).await);
        }
    }
    receivers
}
