//! Typing, presence, contacts and calls of people.

use serde_json::{Map, Value, json};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::fields::Fields;
use super::{Answer, Call, Refusal, WAIT, confirmed};
use crate::id::Id;
use crate::phone::app_state::PhoneAction;
use crate::server::app_state::apply_on_phone;
use crate::server::messages;
use crate::server::offline;
use crate::server::phone_messages::Destination;
use crate::server::presence::{self, Presence};

const MAX_CALL_ID: usize = 128;
const MAX_NAME: usize = 100;

impl Call {
    /// A person starts or stops typing.
    pub(super) async fn typing(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["from", "kind", "on", "groupId", "author"])?;
        let writer = self.writer(&fields)?;
        let kind = fields.value("kind").map_or(Some("text"), Value::as_str);
        let kind = kind.filter(|kind| matches!(*kind, "text" | "audio"));
        let kind = kind.ok_or_else(|| fields.wrong("kind", "must be text or audio"))?;
        let on = fields.flag("on")?.unwrap_or(true);
        let state = match (on, kind) {
            (true, "audio") => NodeBuilder::new("composing").attr("media", "audio").build(),
            (true, _) => NodeBuilder::new("composing").build(),
            (false, _) => NodeBuilder::new("paused").build(),
        };
        let who = writer.addressing.jid(&writer.author);
        let stanza = match &writer.place {
            Destination::Group(group) => {
                NodeBuilder::new("chatstate").attr("from", group).attr("participant", who)
            }
            _ => NodeBuilder::new("chatstate").attr("from", who),
        };
        self.send_live(stanza.children([state]).build()).await
    }

    /// A person goes online or offline.
    pub(super) async fn presence(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["from", "online", "lastSeen"])?;
        let from = fields.person("from")?;
        let online = fields.flag("online")?.unwrap_or(true);
        let last_seen = fields.time("lastSeen")?;
        let (person, _) = self.account_of("from", &from)?;
        self.online()?;
        let last_seen = last_seen.and_then(|ms| i64::try_from(ms / 1_000).ok());
        presence::send_presence(&self.account, &person, Presence { online, last_seen }).await;
        Ok(json!({}))
    }

    /// Sets a contact's name in the address book, and the number behind a LID; or the person's own name.
    pub(super) async fn contact(&self, map: &Map<String, Value>) -> Answer {
        let fields = Fields::new("", map, &["id", "lid", "name", "pushname"])?;
        let id = fields.person("id")?;
        let lid = fields.id("lid")?;
        if lid.as_ref().is_some_and(|lid| !matches!((lid, &id), (Id::Lid(_), Id::Number(_)))) {
            return Err(fields.wrong("lid", "must end in @lid, for an id that is a number"));
        }
        let name = fields.text("name", MAX_NAME)?;
        let pushname = fields.text("pushname", MAX_NAME)?;
        let (person, _) = self.account_of("id", &id)?;
        self.linked()?;
        if let Some(pushname) = pushname {
            pushname.clone_into(&mut person.lock().push_name);
        }
        let own_name = person.lock().push_name.clone();
        let name = name.or(pushname).unwrap_or(&own_name).to_owned();
        let phone_action = PhoneAction::Contact { jid: id.jid(), lid: lid.map(|lid| lid.jid()), name };
        let receivers = apply_on_phone(&self.account, &[phone_action]).await;
        let receivers =
            receivers.map_err(|error| Refusal::impossible("network_full", format!("{error:#}")))?;
        confirmed(receivers, WAIT).await?;
        Ok(json!({}))
    }

    /// A person calls, or the call ends.
    pub(super) async fn call(&self, map: &Map<String, Value>) -> Answer {
        const STATUSES: [&str; 5] = ["ringing", "accepted", "rejected", "missed", "ended"];
        let fields = Fields::new("", map, &["from", "video", "status", "callId"])?;
        let from = fields.person("from")?;
        let video = fields.flag("video")?.unwrap_or(false);
        let status = fields.word("status", &STATUSES)?.unwrap_or("ringing");
        let given = fields.text("callId", MAX_CALL_ID)?;
        let id = given.map_or_else(messages::new_id, str::to_owned);
        let (person, addressing) = self.account_of("from", &from)?;
        let who = addressing.jid(&person);
        let signal =
            |tag: &'static str| NodeBuilder::new(tag).attr("call-id", id.as_str()).attr("call-creator", &who);
        let child = match status {
            "ringing" => {
                let sound = NodeBuilder::new("audio").attr("enc", "opus").attr("rate", 16_000_u32).build();
                let film = video.then(|| NodeBuilder::new("video").attr("enc", "vp8").build());
                signal("offer").children([sound].into_iter().chain(film)).build()
            }
            // On another device of the account, or on its phone.
            "accepted" => signal("terminate").attr("reason", "accepted_elsewhere").build(),
            "rejected" => signal("terminate").attr("reason", "rejected_elsewhere").build(),
            "missed" => signal("terminate").attr("reason", "timeout").build(),
            _ => signal("terminate").build(),
        };
        let stanza = NodeBuilder::new("call")
            .attr("from", &who)
            .attr("id", messages::new_id())
            .attr("t", wacore::time::now_secs());
        self.online()?;
        let receivers = offline::post(&self.account, &stanza.children([child]).build(), true).await;
        confirmed(receivers, WAIT).await?;
        Ok(json!({ "callId": id }))
    }

    /// Sends a stanza to all connected companions.
    async fn send_live(&self, stanza: Node) -> Answer {
        self.online()?;
        for link in self.account.links() {
            link.send(stanza.clone()).await;
        }
        Ok(json!({}))
    }
}
