//! The schemas of domain objects, for the OpenAPI document only: the domain does not depend on OpenAPI. A
//! test compares them with serialised objects.

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

/// A list of ids, with its least and most entries.
fn ids(id: Object, least: Option<usize>, most: usize) -> Array {
    ArrayBuilder::new().items(id).min_items(least).max_items(Some(most)).build()
}

/// The devices of a request about queues.
pub fn queue_device_ids() -> Array {
    ids(device_id(), Some(1), 1_000)
}

/// One device or more.
pub fn device_ids() -> Array {
    ids(device_id(), Some(1), 100)
}

/// Ids of messages.
pub fn message_ids() -> Array {
    ids(message_id(), None, 1_000)
}

/// The people that a message mentions.
pub fn mentions() -> Array {
    ids(contact_id(), None, 1_024)
}

/// The chats to forward a message to.
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

/// The values of a template's placeholders.
pub fn template_components() -> Array {
    ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::Object)).max_items(Some(16)).build()
}

/// Ids of people.
pub fn contact_ids() -> Array {
    ids(contact_id(), None, 100)
}

/// The members of a group.
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
    /// Its chat.
    #[schema(example = "15550100001@c.us")]
    pub chat_id: String,
    /// The sender; in a group, the group.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// The sender, in a group.
    #[schema(required = false, nullable = false)]
    pub author: Option<String>,
    /// Whether the device's own account wrote it.
    pub from_me: bool,
    /// The text.
    pub body: String,
    /// Its type.
    pub r#type: MessageTypeWord,
    /// Its time, by the network's clock.
    pub timestamp: i64,
    /// Its acknowledgement level: -1 failed, 0 pending, 1 at the network, 2 delivered, 3 read, 4 played.
    #[schema(minimum = -1, maximum = 4)]
    pub ack: i32,
    /// Whether it has a file.
    pub has_media: bool,
    /// The file's type, detected from the content.
    #[schema(required = false, nullable = false, example = "image/jpeg")]
    pub mimetype: Option<String>,
    /// The sender's name of the file.
    #[schema(required = false)]
    pub filename: Option<String>,
    /// The file's size in bytes.
    #[schema(required = false, nullable = false, minimum = 0)]
    pub filesize: Option<i64>,
    /// The file's duration in seconds.
    #[schema(required = false)]
    pub duration: Option<f64>,
    /// The signed address of the file, which needs no key; null when the file was deleted.
    #[schema(required = false)]
    pub media_url: Option<String>,
    /// The properties of the file.
    #[schema(required = false, nullable = false)]
    pub media_info: Option<MediaInfoObject>,
    /// The location.
    #[schema(required = false, nullable = false)]
    pub location: Option<LocationObject>,
    /// The contact cards.
    #[schema(required = false, nullable = false, rename = "vCards")]
    pub contacts: Option<Vec<ContactCardObject>>,
    /// The poll, with its votes.
    #[schema(required = false, nullable = false)]
    pub poll: Option<PollObject>,
    /// The template of the message.
    #[schema(required = false, nullable = false)]
    pub template: Option<TemplateObject>,
    /// The quoted message, as it was at that time.
    #[schema(required = false, nullable = false, no_recursion)]
    pub quoted_message: Option<Box<MessageObject>>,
    /// Whether it was forwarded.
    pub is_forwarded: bool,
    /// Whether it is starred.
    pub is_starred: bool,
    /// Whether it was edited.
    pub is_edited: bool,
    /// The sender's display name; the number without one.
    pub notify_name: String,
    /// The mentioned people.
    pub mentioned_ids: Vec<String>,
    /// The reactions.
    pub reactions: Vec<Reaction>,
    /// The user of operator chat who wrote it.
    #[schema(required = false, nullable = false)]
    pub sent_by: Option<SentByObject>,
}

/// The user of operator chat who wrote a message.
#[derive(ToSchema)]
#[schema(as = SentBy)]
pub struct SentByObject {
    /// `<identity>:<user id>`.
    #[schema(example = "desk:anna")]
    pub id: String,
    /// The display name at that time.
    #[schema(example = "Anna")]
    pub name: String,
}

/// The properties of a file.
#[derive(ToSchema)]
#[schema(as = MediaInfo, rename_all = "camelCase")]
pub struct MediaInfoObject {
    /// Its kind.
    pub media_type: MediaWord,
    /// Its type, detected from the content.
    #[schema(example = "image/jpeg")]
    pub mimetype: String,
    /// Its size in bytes.
    #[schema(minimum = 0)]
    pub filesize: i64,
    /// The sender's name of the file.
    pub filename: Option<String>,
    /// Its duration in seconds.
    pub duration: Option<f64>,
    /// Its width and height.
    pub dimensions: Option<DimensionsObject>,
    /// The SHA-256 of its content, in hexadecimal.
    #[schema(
        pattern = "^[0-9a-f]{64}$",
        example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    pub sha256: String,
    /// Its signed address; null when the file was deleted.
    pub download_url: Option<String>,
    /// The signed address of its thumbnail, if it has one.
    pub thumbnail_url: Option<String>,
}

/// The kind of a file.
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

/// A location.
#[derive(ToSchema)]
#[schema(as = Location)]
pub struct LocationObject {
    /// Degrees, north is positive.
    #[schema(minimum = -90, maximum = 90, example = 52.52)]
    pub latitude: f64,
    /// Degrees, east is positive.
    #[schema(minimum = -180, maximum = 180, example = 13.405)]
    pub longitude: f64,
    /// Its name.
    #[schema(required = false, nullable = false)]
    pub description: Option<String>,
}

/// A contact card.
#[derive(ToSchema)]
#[schema(as = ContactCard, rename_all = "camelCase")]
pub struct ContactCardObject {
    /// The display name.
    pub display_name: String,
    /// The card (vCard 3.0).
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
    /// Whether one person may choose several answers.
    pub allow_multiple_answers: bool,
    /// The votes so far.
    pub votes: Vec<PollVoteObject>,
}

/// The vote of one person.
#[derive(ToSchema)]
#[schema(as = PollVote)]
pub struct PollVoteObject {
    /// The person.
    pub voter: String,
    /// The chosen answers.
    pub options: Vec<String>,
    /// The time of the vote.
    pub timestamp: i64,
}

/// A text that the network approved beforehand, with the values of its placeholders.
#[derive(ToSchema)]
#[schema(as = Template)]
pub struct TemplateObject {
    /// The template's name at the network.
    pub name: String,
    /// The template's language at the network.
    #[schema(example = "en_US")]
    pub language: String,
    /// The values of its placeholders, in the network's own form.
    #[schema(value_type = Vec<Object>)]
    pub components: Vec<serde_json::Value>,
}

/// One person's reaction to a message.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Reaction {
    /// The emoji.
    pub emoji: String,
    /// The person.
    pub from: String,
    /// Whether it is from our account.
    pub from_me: bool,
}

/// The type of a message.
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

/// The sending status of a message.
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

/// The acknowledgement of one recipient.
#[derive(ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptObject {
    /// The person.
    pub participant: String,
    /// The acknowledgement level.
    #[schema(minimum = -1, maximum = 4)]
    pub ack: i32,
    /// The time of the acknowledgement.
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
    /// Its name.
    pub name: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// The members of a group; absent in lists.
    #[schema(required = false, nullable = false)]
    pub participants: Option<Vec<ParticipantObject>>,
    /// The newest message.
    pub last_message: Option<LastMessageObject>,
    /// Unread incoming messages.
    #[schema(minimum = 0)]
    pub unread_count: i64,
    /// Whether it is pinned.
    pub pinned: bool,
    /// Whether it is archived.
    pub archived: bool,
    /// Whether it is muted.
    pub muted: bool,
    /// The end of the mute; null without one.
    #[schema(example = json!(null))]
    pub muted_until: Option<i64>,
    /// The address of its picture, if there is one.
    pub profile_pic_url: Option<String>,
    /// The time of its last message or change.
    pub timestamp: i64,
}

/// A member of a group.
#[derive(ToSchema)]
#[schema(as = Participant)]
pub struct ParticipantObject {
    /// The person.
    #[schema(example = "15550100001@c.us")]
    pub id: String,
    /// The role.
    pub role: RoleWord,
}

/// The role of a member of a group.
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
    /// Its time.
    pub timestamp: i64,
    /// Whether the device's own account wrote it.
    pub from_me: bool,
    /// The sender, in a group.
    #[schema(required = false, nullable = false)]
    pub author: Option<String>,
    /// Its type.
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
    /// The best available name.
    pub name: String,
    /// The name that the person chose.
    #[schema(required = false, nullable = false)]
    pub pushname: Option<String>,
    /// The phone number in digits.
    #[schema(required = false, nullable = false)]
    pub number: Option<String>,
    /// The hidden id.
    #[schema(required = false, nullable = false)]
    pub lid: Option<String>,
    /// Whether the person is in the account's address book.
    pub is_my_contact: bool,
}

/// The counters of a device.
#[derive(ToSchema)]
#[schema(as = DeviceStats, rename_all = "camelCase")]
pub struct DeviceStatsObject {
    /// Received messages.
    pub messages_received: i64,
    /// Sent messages.
    pub messages_sent: i64,
    /// Number of contacts.
    pub contacts: i64,
    /// Number of groups.
    pub groups: i64,
}

/// The health of a device.
#[derive(ToSchema)]
#[schema(as = Health)]
pub struct HealthObject {
    /// The status.
    pub status: HealthWord,
    /// From 0 (unusable) to 100 (no problem).
    #[schema(minimum = 0, maximum = 100)]
    pub score: i32,
    /// The metrics of the last hour.
    pub metrics: HealthMetricsObject,
    /// The problems, with advice.
    #[schema(example = json!([]))]
    pub warnings: Vec<WarningObject>,
}

/// The health status of a device.
#[derive(ToSchema)]
#[schema(as = HealthStatus, rename_all = "lowercase")]
pub enum HealthWord {
    Healthy,
    Warning,
    Critical,
    Blocked,
}

/// The metrics of the last hour.
#[derive(ToSchema)]
#[schema(as = HealthMetrics, rename_all = "camelCase")]
pub struct HealthMetricsObject {
    /// Messages of either direction.
    pub messages_per_hour: i64,
    /// Share of outgoing messages that reached the network, in percent.
    #[schema(minimum = 0, maximum = 100)]
    pub success_rate: f64,
    /// The average time from acceptance to the network, in milliseconds.
    pub avg_response_time: i64,
    /// Disconnections of the device.
    pub disconnection_count: i64,
    /// The time of the newest message of either direction.
    pub last_activity: Option<i64>,
    /// The phase of the device's warm-up.
    pub warmup_phase: Option<String>,
}

/// A problem of a device.
#[derive(ToSchema)]
#[schema(as = HealthWarning)]
pub struct WarningObject {
    /// The stable code.
    pub code: String,
    /// The problems, with advice.
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
    /// Whether sending now is safe.
    pub safety: SafetyObject,
    /// The recommended pause before the next message, in milliseconds.
    #[schema(minimum = 0)]
    pub recommended_delay: i64,
}

/// The numbers of a queue.
#[derive(ToSchema)]
#[schema(as = Queue, rename_all = "camelCase")]
pub struct QueueObject {
    /// Messages that reached the network in the last minute.
    pub messages_in_last60s: i64,
    /// The time of the last message of either direction.
    pub last_message_time: Option<i64>,
    /// Queued messages.
    pub queued_messages: i64,
    /// The reason why the next message is held.
    pub held_by: Option<HeldObject>,
}

/// Whether sending now is safe.
#[derive(ToSchema)]
#[schema(as = Safety)]
pub struct SafetyObject {
    /// Whether sending is safe.
    pub safe: bool,
    /// The reason if it is not.
    pub reason: Option<String>,
}

/// Statistics of the key's devices.
#[derive(ToSchema)]
#[schema(as = Stats, rename_all = "camelCase")]
pub struct StatsObject {
    /// The number of devices.
    pub devices: i64,
    /// The number of devices in each state.
    #[schema(example = json!({ "ready": 2, "qr": 1 }))]
    pub devices_by_state: BTreeMap<String, i64>,
    /// Messages since midnight, UTC.
    pub messages_today: TrafficObject,
    /// Queued messages.
    pub queued_messages: i64,
    /// Queued messages by device, without empty queues.
    pub queues: BTreeMap<String, i64>,
    /// Connected sockets of the key's devices; for a key of all devices also those of `/devices`.
    pub sockets: i64,
}

/// Messages by direction.
#[derive(ToSchema)]
#[schema(as = Traffic)]
pub struct TrafficObject {
    /// Received messages.
    pub received: i64,
    /// Sent messages.
    pub sent: i64,
}

mod queue;
#[cfg(test)]
mod tests;
