//! The shapes of domain objects, for the document only: the domain does not know of OpenAPI. A test holds
//! them against what is really sent.

#![expect(dead_code, reason = "shapes, never values")]

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, Type};

mod enums;

pub use self::enums::{Binary, DashboardWord, StateWord};
pub use self::queue::{ClearedObject, DeviceQueueObject, FleetQueueObject, HeldObject};

/// A person, as clients may write them: a phone number with its country code, or an id of theirs.
const PERSON: &str = r"^(\+?([ ().-]*[0-9]){5,15}[ ().-]*|[0-9]{5,15}(:[0-9]+)?@(c\.us|s\.whatsapp\.net)|[0-9]{1,64}(:[0-9]+)?@lid)$";
/// A chat, as clients may write it.
const CHAT: &str = r"^(\+?([ ().-]*[0-9]){5,15}[ ().-]*|[0-9]{5,15}(:[0-9]+)?@(c\.us|s\.whatsapp\.net)|[0-9]{1,64}(:[0-9]+)?@lid|[0-9][0-9-]{0,63}@g\.us|[0-9]{1,64}@newsletter|status@broadcast)$";
/// A message id.
const MESSAGE: &str = r"^(true|false)_([0-9]{5,15}@c\.us|[0-9]{1,64}@(lid|newsletter)|[0-9][0-9-]{0,63}@g\.us|status@broadcast)_[!-?A-~]{1,256}(_[0-9]{5,15}@c\.us)?$";
/// A group, as clients may write it.
const GROUP: &str = r"^[0-9][0-9-]{0,63}@g\.us$";
/// A device id.
const DEVICE: &str = "^[A-Za-z0-9_-]{1,64}$";

fn id(pattern: &str, most: usize, description: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(most))
        .pattern(Some(pattern))
        .description(Some(description))
        .build()
}

/// A device in a request.
pub fn device_id() -> Object {
    id(DEVICE, 64, "The id of a device")
}

/// A person in a request.
pub fn contact_id() -> Object {
    id(PERSON, 200, "A person: a phone number with its country code, or an id")
}

/// A chat in a request.
pub fn chat_id() -> Object {
    id(CHAT, 200, "A chat id, or a phone number with its country code")
}

/// A group in a request.
pub fn group_id() -> Object {
    id(GROUP, 70, "The id of a group")
}

/// A message in a request.
pub fn message_id() -> Object {
    id(MESSAGE, 512, "The id of a message")
}

/// The list of ids in a request: so many, each of this form.
fn ids(id: Object, least: Option<usize>, most: usize) -> Array {
    ArrayBuilder::new().items(id).min_items(least).max_items(Some(most)).build()
}

/// Devices whose queues are meant.
pub fn queue_device_ids() -> Array {
    ids(device_id(), Some(1), 1_000)
}

/// One device or more.
pub fn device_ids() -> Array {
    ids(device_id(), Some(1), 100)
}

/// Messages.
pub fn message_ids() -> Array {
    ids(message_id(), None, 1_000)
}

/// People that a message mentions.
pub fn mentions() -> Array {
    ids(contact_id(), None, 1_024)
}

/// Chats that a message is sent on to.
pub fn forward_targets() -> Array {
    ids(chat_id(), Some(1), 20)
}

/// The answers of a poll.
pub fn poll_options() -> Array {
    let option =
        ObjectBuilder::new().schema_type(Type::String).max_length(Some(255)).pattern(Some(r"\S")).build();
    let mut options = ids(option, Some(2), 12);
    options.unique_items = true;
    options
}

/// What fills the gaps of a template.
pub fn template_components() -> Array {
    ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::Object)).max_items(Some(16)).build()
}

/// People.
pub fn contact_ids() -> Array {
    ids(contact_id(), None, 100)
}

/// People of a group.
pub fn participant_ids() -> Array {
    ids(contact_id(), Some(1), 256)
}

/// The devices of a key.
pub fn key_devices() -> Array {
    ids(device_id(), Some(1), 10_000)
}

/// A message.
#[derive(ToSchema)]
#[schema(as = Message, rename_all = "camelCase")]
pub struct MessageObject {
    /// Permanent id: `<fromMe>_<chatId>_<networkId>[_<participant>]`.
    #[schema(example = "false_15550100001@c.us_BB886C09AEF9")]
    pub id: String,
    /// The chat it stands in.
    #[schema(example = "15550100001@c.us")]
    pub chat_id: String,
    /// Who wrote it; in a group, the group.
    pub from: String,
    /// Whom it went to.
    pub to: String,
    /// The sender, in a group.
    #[schema(required = false, nullable = false)]
    pub author: Option<String>,
    /// Whether the device's own account wrote it.
    pub from_me: bool,
    /// The text.
    pub body: String,
    /// What it is.
    pub r#type: MessageTypeWord,
    /// When it was written, by the network's clock.
    pub timestamp: i64,
    /// How far it has come: -1 failed, 0 pending, 1 at the network, 2 delivered, 3 read, 4 played.
    #[schema(minimum = -1, maximum = 4)]
    pub ack: i32,
    /// Whether a file belongs to it.
    pub has_media: bool,
    /// The file's type, by its content.
    #[schema(required = false, nullable = false, example = "image/jpeg")]
    pub mimetype: Option<String>,
    /// What the sender calls the file.
    #[schema(required = false)]
    pub filename: Option<String>,
    /// The file's size in bytes.
    #[schema(required = false, nullable = false, minimum = 0)]
    pub filesize: Option<i64>,
    /// How long the file plays, in seconds.
    #[schema(required = false)]
    pub duration: Option<f64>,
    /// Where the file can be had, with no other permission than this address; null when it is gone.
    #[schema(required = false)]
    pub media_url: Option<String>,
    /// All that is known of the file.
    #[schema(required = false, nullable = false)]
    pub media_info: Option<MediaInfoObject>,
    /// The place.
    #[schema(required = false, nullable = false)]
    pub location: Option<LocationObject>,
    /// The contact cards.
    #[schema(required = false, nullable = false, rename = "vCards")]
    pub contacts: Option<Vec<ContactCardObject>>,
    /// The poll, with what people chose.
    #[schema(required = false, nullable = false)]
    pub poll: Option<PollObject>,
    /// The template that it was made of.
    #[schema(required = false, nullable = false)]
    pub template: Option<TemplateObject>,
    /// The message that this one answers, as it was then.
    #[schema(required = false, nullable = false, no_recursion)]
    pub quoted_message: Option<Box<MessageObject>>,
    /// Whether it was forwarded.
    pub is_forwarded: bool,
    /// Whether somebody here starred it.
    pub is_starred: bool,
    /// Whether its text was changed after it was sent.
    pub is_edited: bool,
    /// The sender's display name; the number where none is known.
    pub notify_name: String,
    /// Who is mentioned.
    pub mentioned_ids: Vec<String>,
    /// How people reacted.
    pub reactions: Vec<Reaction>,
}

/// All that is known of a file.
#[derive(ToSchema)]
#[schema(as = MediaInfo, rename_all = "camelCase")]
pub struct MediaInfoObject {
    /// As what it is sent.
    pub media_type: MediaWord,
    /// Its type, by its content.
    #[schema(example = "image/jpeg")]
    pub mimetype: String,
    /// In bytes.
    #[schema(minimum = 0)]
    pub filesize: i64,
    /// What the sender calls it.
    pub filename: Option<String>,
    /// How long it plays, in seconds.
    pub duration: Option<f64>,
    /// Width and height.
    pub dimensions: Option<DimensionsObject>,
    /// Its content's SHA-256, in hexadecimal.
    #[schema(
        pattern = "^[0-9a-f]{64}$",
        example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    pub sha256: String,
    /// Where it can be had; null when it is gone.
    pub download_url: Option<String>,
    /// Where a smaller picture of it can be had, where there is one.
    pub thumbnail_url: Option<String>,
}

/// As what a file is sent.
#[derive(ToSchema)]
#[schema(as = MediaType, rename_all = "lowercase")]
pub enum MediaWord {
    Image,
    Video,
    Audio,
    Ptt,
    Document,
    Sticker,
}

/// Width and height.
#[derive(ToSchema)]
#[schema(as = Dimensions)]
pub struct DimensionsObject {
    /// In pixels.
    #[schema(minimum = 0)]
    pub width: i64,
    /// In pixels.
    #[schema(minimum = 0)]
    pub height: i64,
}

/// A place.
#[derive(ToSchema)]
#[schema(as = Location)]
pub struct LocationObject {
    /// Degrees, north is positive.
    #[schema(minimum = -90, maximum = 90, example = 52.52)]
    pub latitude: f64,
    /// Degrees, east is positive.
    #[schema(minimum = -180, maximum = 180, example = 13.405)]
    pub longitude: f64,
    /// What people call it.
    #[schema(required = false, nullable = false)]
    pub description: Option<String>,
}

/// A contact card.
#[derive(ToSchema)]
#[schema(as = ContactCard, rename_all = "camelCase")]
pub struct ContactCardObject {
    /// What people call them.
    pub display_name: String,
    /// The card itself (vCard 3.0).
    pub vcard: String,
}

/// A poll.
#[derive(ToSchema)]
#[schema(as = Poll, rename_all = "camelCase")]
pub struct PollObject {
    /// The question.
    pub name: String,
    /// The answers to choose from.
    pub options: Vec<String>,
    /// Whether one person may choose several.
    pub allow_multiple_answers: bool,
    /// What people chose so far.
    pub votes: Vec<PollVoteObject>,
}

/// What one person chose.
#[derive(ToSchema)]
#[schema(as = PollVote)]
pub struct PollVoteObject {
    /// Who.
    pub voter: String,
    /// Which answers.
    pub options: Vec<String>,
    /// When.
    pub timestamp: i64,
}

/// A text that the network approved beforehand, with what fills its gaps.
#[derive(ToSchema)]
#[schema(as = Template)]
pub struct TemplateObject {
    /// What it is called there.
    pub name: String,
    /// Its language there.
    #[schema(example = "en_US")]
    pub language: String,
    /// What fills its gaps, in the network's own form.
    #[schema(value_type = Vec<Object>)]
    pub components: Vec<serde_json::Value>,
}

/// One person's reaction to a message.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Reaction {
    /// What.
    pub emoji: String,
    /// Whose.
    pub from: String,
    /// Whether it is our account's.
    pub from_me: bool,
}

/// What a message is.
#[derive(ToSchema)]
#[schema(as = MessageType, rename_all = "snake_case")]
pub enum MessageTypeWord {
    Chat,
    Image,
    Video,
    Audio,
    Ptt,
    Document,
    Sticker,
    Location,
    Vcard,
    PollCreation,
    CallLog,
    Revoked,
    Unknown,
}

/// Each step of an outgoing message.
#[derive(ToSchema)]
#[schema(as = MessageStatus, rename_all = "snake_case")]
pub enum StatusWord {
    Queued,
    Sending,
    Sent,
    Delivered,
    Read,
    Played,
    Failed,
}

/// How far one recipient is.
#[derive(ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptObject {
    /// Who.
    pub participant: String,
    /// How far.
    #[schema(minimum = -1, maximum = 4)]
    pub ack: i32,
    /// Since when.
    pub timestamp: i64,
}

/// A chat.
#[derive(ToSchema)]
#[schema(as = Chat, rename_all = "camelCase")]
pub struct ChatObject {
    /// Its id.
    #[schema(example = "15550100001@c.us")]
    pub id: String,
    /// The same, under its older name.
    pub chat_id: String,
    /// What people call it.
    pub name: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// Who is in the group, where one chat was asked for.
    #[schema(required = false, nullable = false)]
    pub participants: Option<Vec<ParticipantObject>>,
    /// The newest message.
    pub last_message: Option<LastMessageObject>,
    /// Incoming messages not yet read.
    #[schema(minimum = 0)]
    pub unread_count: i64,
    /// Pinned to the top.
    pub pinned: bool,
    /// Put away.
    pub archived: bool,
    /// Silenced.
    pub muted: bool,
    /// Until when, while it is silenced; null: for ever.
    #[schema(example = json!(null))]
    pub muted_until: Option<i64>,
    /// Where its picture is, where that is known.
    pub profile_pic_url: Option<String>,
    /// When something last happened in it.
    pub timestamp: i64,
}

/// Somebody in a group.
#[derive(ToSchema)]
#[schema(as = Participant)]
pub struct ParticipantObject {
    /// Who.
    #[schema(example = "15550100001@c.us")]
    pub id: String,
    /// What they may do.
    pub role: RoleWord,
}

/// What a member of a group may do.
#[derive(ToSchema)]
#[schema(as = Role, rename_all = "lowercase")]
pub enum RoleWord {
    Member,
    Admin,
    Superadmin,
}

/// The newest message of a chat.
#[derive(ToSchema)]
#[schema(as = LastMessage, rename_all = "camelCase")]
pub struct LastMessageObject {
    /// Its id.
    #[schema(example = "false_15550100001@c.us_BB886C09AEF9")]
    pub id: String,
    /// Its text.
    pub body: String,
    /// When it was written.
    pub timestamp: i64,
    /// Whether the device's own account wrote it.
    pub from_me: bool,
    /// The sender, in a group.
    #[schema(required = false, nullable = false)]
    pub author: Option<String>,
    /// What it is.
    pub r#type: MessageTypeWord,
}

/// A person.
#[derive(ToSchema)]
#[schema(as = Contact, rename_all = "camelCase")]
pub struct ContactObject {
    /// The chat id of this person.
    #[schema(example = "15550100001@c.us")]
    pub id: String,
    /// The same, under its older name.
    pub contact_id: String,
    /// The best name known.
    pub name: String,
    /// What they call themselves.
    #[schema(required = false, nullable = false)]
    pub pushname: Option<String>,
    /// The phone number in digits.
    #[schema(required = false, nullable = false)]
    pub number: Option<String>,
    /// The hidden id.
    #[schema(required = false, nullable = false)]
    pub lid: Option<String>,
    /// Whether the account's address book has them.
    pub is_my_contact: bool,
}

/// Counts of a device.
#[derive(ToSchema)]
#[schema(as = DeviceStats, rename_all = "camelCase")]
pub struct DeviceStatsObject {
    /// Messages that came in.
    pub messages_received: i64,
    /// Messages that went out.
    pub messages_sent: i64,
    /// Known contacts.
    pub contacts: i64,
    /// Known groups.
    pub groups: i64,
}

/// How a device is.
#[derive(ToSchema)]
#[schema(as = Health)]
pub struct HealthObject {
    /// The verdict.
    pub status: HealthWord,
    /// From 0 (unusable) to 100 (nothing is wrong).
    #[schema(minimum = 0, maximum = 100)]
    pub score: i32,
    /// The numbers behind the score, of the last hour.
    pub metrics: HealthMetricsObject,
    /// What is wrong and what to do.
    #[schema(example = json!([]))]
    pub warnings: Vec<WarningObject>,
}

/// A device's health in a word.
#[derive(ToSchema)]
#[schema(as = HealthStatus, rename_all = "lowercase")]
pub enum HealthWord {
    Healthy,
    Warning,
    Critical,
    Blocked,
}

/// Numbers of the last hour.
#[derive(ToSchema)]
#[schema(as = HealthMetrics, rename_all = "camelCase")]
pub struct HealthMetricsObject {
    /// Messages of either direction.
    pub messages_per_hour: i64,
    /// Share of outgoing messages that reached the network, in percent.
    #[schema(minimum = 0, maximum = 100)]
    pub success_rate: f64,
    /// Milliseconds from accepted to at-the-network.
    pub avg_response_time: i64,
    /// Times the device went offline.
    pub disconnection_count: i64,
    /// The newest message of either direction.
    pub last_activity: Option<i64>,
    /// Where the device is in its warm-up.
    pub warmup_phase: Option<String>,
}

/// One thing that is wrong.
#[derive(ToSchema)]
#[schema(as = HealthWarning)]
pub struct WarningObject {
    /// Stable, snake_case.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// A device's queue.
#[derive(ToSchema)]
#[schema(as = QueueStatus, rename_all = "camelCase")]
pub struct QueueStatusObject {
    /// The queue.
    pub queue: QueueObject,
    /// The device's health.
    pub health: HealthObject,
    /// Whether sending now is wise.
    pub safety: SafetyObject,
    /// A pause in milliseconds that suits the pace.
    #[schema(minimum = 0)]
    pub recommended_delay: i64,
}

/// Numbers of a queue.
#[derive(ToSchema)]
#[schema(as = Queue, rename_all = "camelCase")]
pub struct QueueObject {
    /// Messages that reached the network in the last minute.
    pub messages_in_last60s: i64,
    /// When the last message of either direction was.
    pub last_message_time: Option<i64>,
    /// Messages that wait.
    pub queued_messages: i64,
    /// Why the next of them does not leave yet.
    pub held_by: Option<HeldObject>,
}

/// Whether sending now is wise.
#[derive(ToSchema)]
#[schema(as = Safety)]
pub struct SafetyObject {
    /// Whether it is.
    pub safe: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// The devices of the key in numbers.
#[derive(ToSchema)]
#[schema(as = Stats, rename_all = "camelCase")]
pub struct StatsObject {
    /// How many devices there are.
    pub devices: i64,
    /// How many are in each state.
    #[schema(example = json!({ "ready": 2, "qr": 1 }))]
    pub devices_by_state: BTreeMap<String, i64>,
    /// Messages since midnight, UTC.
    pub messages_today: TrafficObject,
    /// Messages that wait to be sent.
    pub queued_messages: i64,
    /// The same by device, where any wait.
    pub queues: BTreeMap<String, i64>,
    /// Connected sockets of all devices.
    pub sockets: i64,
}

/// Messages by direction.
#[derive(ToSchema)]
#[schema(as = Traffic)]
pub struct TrafficObject {
    /// In.
    pub received: i64,
    /// Out.
    pub sent: i64,
}

mod queue;
#[cfg(test)]
mod tests;
