//! Answers `w:g2`: queries and changes of groups by companions.

use rand::RngExt as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::group_store::GroupError;
use super::view::{GroupEvent, GroupView, notify_members};
use crate::phone::keys;
use crate::scene::group_rules::{Change, MAX_DESCRIPTION, MAX_MEMBERS, MAX_SUBJECT, Outcomes};
use crate::scene::{PersonRef, SimulatedGroup};
use crate::server::dispatch::Session;
use crate::server::iq::Answer;
use crate::wire::nodes;

/// A refusal: its code and text.
type Refusal = (u16, &'static str);

const NOT_ADMIN: Refusal = (401, "not-authorized");
const NOT_IN: Refusal = (403, "forbidden");
const UNKNOWN: Refusal = (404, "item-not-found");
const TOO_LONG: Refusal = (406, "not-acceptable");
const TOO_MANY: Refusal = (429, "rate-overlimit");

/// Answers the IQ.
pub async fn answer(session: &Session, iq: &Node) -> Answer {
    let Some(asked) = iq.children().and_then(<[Node]>::first) else {
        return Answer::Error(400, "bad-request");
    };
    if asked.tag.as_ref() == "participating" && session.account.lock().leaves_groups_unanswered {
        return Answer::Silent;
    }
    let group = nodes::jid(iq, "to").filter(|jid| !jid.user.is_empty()).map(|jid| jid.to_string());
    let answered = match &group {
        Some(group) => GroupRequest { session, group }.answer(&nodes::attr(iq, "type"), asked).await,
        None => of_all(session, &nodes::attr(iq, "type"), asked).await,
    };
    match answered {
        Ok(children) => Answer::Result(children),
        Err((code, text)) => Answer::Error(code, text),
    }
}

/// Answers a request without a group.
async fn of_all(session: &Session, kind: &str, asked: &Node) -> Result<Vec<Node>, Refusal> {
    let me = session.account.number.as_str();
    match (kind, asked.tag.as_ref()) {
        ("get", "participating") => {
            let groups = session.world.groups.of(me);
            let groups = groups.iter().map(|group_state| view(session, group_state).group());
            Ok(vec![NodeBuilder::new("groups").children(groups).build()])
        }
        ("get", "query") => {
            let groups = asked.get_children_by_tag("group").map(|group| queried(session, group));
            Ok(vec![NodeBuilder::new("groups").children(groups).build()])
        }
        ("get", "pictures") => Ok(vec![NodeBuilder::new("pictures").build()]),
        ("get", "invite") => {
            let group_state = session.world.groups.invited(me, &nodes::attr(asked, "code")).ok_or(UNKNOWN)?;
            Ok(vec![view(session, &group_state).group()])
        }
        ("set", "invite") => join(session, &nodes::attr(asked, "code")).await,
        ("set", "create") => create(session, asked).await,
        ("set", "leave") => {
            for group in asked.get_children_by_tag("group") {
                leave(session, &nodes::attr(group, "id")).await;
            }
            Ok(vec![asked.clone()])
        }
        _ => Ok(Vec::new()),
    }
}

fn queried(session: &Session, group: &Node) -> Node {
    let me = session.account.number.as_str();
    let id = nodes::attr(group, "jid");
    let refused = |code: u32| NodeBuilder::new("group").attr("id", id.clone()).attr("error", code).build();
    match session.world.groups.find(me, &id) {
        None => refused(404),
        Some(group_state) if group_state.role_of(me).is_none() => refused(403),
        Some(group_state) => view(session, &group_state).group(),
    }
}

async fn create(session: &Session, asked: &Node) -> Result<Vec<Node>, Refusal> {
    let me = session.account.number.as_str();
    let subject = nodes::attr(asked, "subject");
    named(&subject)?;
    let people = people(session, asked);
    if people.len() >= MAX_MEMBERS {
        return Err(TOO_LONG);
    }
    let number = rand::rng().random_range(0..100_000_000_000_u64);
    let mut group_state =
        SimulatedGroup::made(&format!("1203631{number:011}@g.us"), &subject, me, wacore::time::now_secs());
    if let Some(description) = asked.get_optional_child("description") {
        group_state.description = described(description)?;
    }
    let others: Vec<String> =
        people.into_iter().map(|(_, number)| number).filter(|number| number != me).collect();
    // Unregistered numbers are skipped, as when adding them later.
    group_state.change(Change::Add, &others);
    session.world.groups.share(group_state.clone()).map_err(|_| TOO_MANY)?;
    notify_members(&session.world, me, &group_state, &GroupEvent::Created, Some(me)).await;
    Ok(vec![view(session, &group_state).group()])
}

async fn join(session: &Session, secret: &str) -> Result<Vec<Node>, Refusal> {
    let me = session.account.number.as_str();
    let found = session.world.groups.invited(me, secret).ok_or(UNKNOWN)?;
    let (group_state, joined) = session
        .world
        .groups
        .change(me, &found.id, |group_state| Ok::<_, Refusal>(group_state.meet(me)))
        .map_err(refused)?;
    if joined {
        let event = GroupEvent::Members(Change::Add, vec![me.to_owned()]);
        notify_members(&session.world, me, &group_state, &event, Some(me)).await;
    }
    Ok(vec![NodeBuilder::new("group").attr("jid", group_state.id).build()])
}

async fn leave(session: &Session, id: &str) {
    let me = session.account.number.as_str();
    let leaves = |group_state: &mut SimulatedGroup| {
        group_state.role_of(me).ok_or(NOT_IN)?;
        group_state.leave(me);
        Ok::<_, Refusal>(())
    };
    // A person who is not in the group has left already.
    if let Ok((group_state, ())) = session.world.groups.change(me, id, leaves) {
        notify_members(&session.world, me, &group_state, &GroupEvent::Left(vec![me.to_owned()]), Some(me))
            .await;
    }
}

/// A request about one group.
struct GroupRequest<'a> {
    session: &'a Session,
    group: &'a str,
}

impl GroupRequest<'_> {
    async fn answer(&self, kind: &str, asked: &Node) -> Result<Vec<Node>, Refusal> {
        match (kind, asked.tag.as_ref()) {
            ("get", "query") => self.info(asked),
            ("get", "invite") => self.link(false).await,
            ("set", "invite") => self.link(true).await,
            ("set", "add") => self.members(Change::Add, asked).await,
            ("set", "remove") => self.members(Change::Remove, asked).await,
            ("set", "promote") => self.members(Change::Promote, asked).await,
            ("set", "demote") => self.members(Change::Demote, asked).await,
            ("set", "subject") => {
                let subject = asked.content_as_string().unwrap_or_default().to_string();
                named(&subject)?;
                self.as_admin(|group_state| group_state.subject = subject, &GroupEvent::Subject).await
            }
            ("set", "description") => {
                let description = described(asked)?;
                self.as_admin(|group_state| group_state.description = description, &GroupEvent::Description)
                    .await
            }
            // Settings such as who may write are accepted without effect.
            _ => self.found().map(|_| Vec::new()),
        }
    }

    fn me(&self) -> &str {
        &self.session.account.number
    }

    fn found(&self) -> Result<SimulatedGroup, Refusal> {
        let group_state = self.session.world.groups.find(self.me(), self.group).ok_or(UNKNOWN)?;
        if group_state.role_of(self.me()).is_none() { Err(NOT_IN) } else { Ok(group_state) }
    }

    fn info(&self, _asked: &Node) -> Result<Vec<Node>, Refusal> {
        Ok(vec![view(self.session, &self.found()?).group()])
    }

    async fn link(&self, new: bool) -> Result<Vec<Node>, Refusal> {
        let me = self.me();
        let make = |group_state: &mut SimulatedGroup| {
            allowed(group_state, me)?;
            if new {
                group_state.invite = None;
            }
            Ok::<_, Refusal>(group_state.invite.get_or_insert_with(secret).clone())
        };
        let (group_state, code) = self.session.world.groups.change(me, self.group, make).map_err(refused)?;
        if new {
            notify_members(&self.session.world, me, &group_state, &GroupEvent::Revoked, Some(me)).await;
        }
        Ok(vec![NodeBuilder::new("invite").attr("code", code).build()])
    }

    async fn as_admin(
        &self,
        change: impl FnOnce(&mut SimulatedGroup),
        event: &GroupEvent,
    ) -> Result<Vec<Node>, Refusal> {
        let me = self.me();
        let change = |group_state: &mut SimulatedGroup| {
            allowed(group_state, me)?;
            change(group_state);
            Ok::<_, Refusal>(())
        };
        let (group_state, ()) = self.session.world.groups.change(me, self.group, change).map_err(refused)?;
        notify_members(&self.session.world, me, &group_state, event, Some(me)).await;
        Ok(Vec::new())
    }

    async fn members(&self, change: Change, asked: &Node) -> Result<Vec<Node>, Refusal> {
        let me = self.me();
        let people = people(self.session, asked);
        let numbers: Vec<String> = people.iter().map(|(_, number)| number.clone()).collect();
        let apply = |group_state: &mut SimulatedGroup| {
            allowed(group_state, me)?;
            Ok::<_, Refusal>(group_state.change(change, &numbers))
        };
        let (group_state, outcomes) =
            self.session.world.groups.change(me, self.group, apply).map_err(refused)?;
        let done = |outcomes: &Outcomes| -> Vec<String> {
            outcomes.iter().filter(|(_, became)| became.is_ok()).map(|(number, _)| number.clone()).collect()
        };
        let changed = done(&outcomes);
        if !changed.is_empty() {
            let event = GroupEvent::Members(change, changed);
            notify_members(&self.session.world, me, &group_state, &event, Some(me)).await;
        }
        let people = people.into_iter().zip(outcomes).map(|((jid, _), (_, became))| {
            let node = NodeBuilder::new("participant").attr("jid", jid);
            match became {
                Ok(()) => node.build(),
                Err(refusal) => node.attr("error", u32::from(refusal.code())).build(),
            }
        });
        Ok(vec![NodeBuilder::new(change.as_str()).children(people).build()])
    }
}

fn view<'a>(session: &'a Session, group_state: &'a SimulatedGroup) -> GroupView<'a> {
    GroupView { world: &session.world, account: &session.account, group_state }
}

/// The people of a request: their JIDs and numbers.
fn people(session: &Session, asked: &Node) -> Vec<(Jid, String)> {
    let named = asked.get_children_by_tag("participant").filter_map(|node| nodes::jid(node, "jid"));
    let number = |jid: &Jid| match PersonRef::of_jid(jid)? {
        // The group's rules reject unregistered numbers later.
        PersonRef::Number(number) => Some(number),
        PersonRef::Lid(lid) => Some(session.world.directory.by_lid(&lid)?.number.clone()),
    };
    named.filter_map(|jid| number(&jid).map(|number| (jid, number))).collect()
}

fn allowed(group_state: &SimulatedGroup, me: &str) -> Result<(), Refusal> {
    group_state.role_of(me).ok_or(NOT_IN)?;
    if group_state.is_admin(me) { Ok(()) } else { Err(NOT_ADMIN) }
}

fn named(subject: &str) -> Result<(), Refusal> {
    if (1..=MAX_SUBJECT).contains(&subject.chars().count()) { Ok(()) } else { Err(TOO_LONG) }
}

/// The description of a request; `None` removes it.
fn described(asked: &Node) -> Result<Option<(String, String)>, Refusal> {
    let text = asked.get_optional_child("body").and_then(Node::content_as_string);
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().count() > MAX_DESCRIPTION {
        return Err(TOO_LONG);
    }
    Ok(Some((nodes::attr(asked, "id"), text.to_string())))
}

fn refused(found: GroupError<Refusal>) -> Refusal {
    match found {
        GroupError::Unknown => UNKNOWN,
        GroupError::TooMany => TOO_MANY,
        GroupError::Refused(refusal) => refusal,
    }
}

/// The secret of an invite link.
pub(super) fn secret() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letters =
        keys::bytes::<22>().map(|byte| LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'a'));
    letters.map(char::from).iter().collect()
}
