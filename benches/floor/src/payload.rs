//! The two events that one incoming message is to a dashboard, as the daemon emits them.

/// The namespace of the benches' first device.
pub const NAMESPACE: &str = "/device/d0000";

/// The payload of `message`.
pub const MESSAGE: &str = r#"{"deviceId":"d0000","timestamp":1795414208527,"seq":1024,"message":{"id":"false_15550100002@c.us_BENCH00000001","chatId":"15550100002@c.us","from":"15550100002@c.us","to":"15550190000@c.us","fromMe":false,"body":"Hello, how are you? This is an ordinary message of a customer.","type":"chat","timestamp":1795414208000,"ack":2,"hasMedia":false,"isForwarded":false,"isStarred":false,"isEdited":false,"notifyName":"15550100002","mentionedIds":[],"reactions":[]}}"#;

/// The payload of `chat:update`.
pub const CHAT: &str = r#"{"deviceId":"d0000","timestamp":1795414208527,"chat":{"id":"15550100002@c.us","chatId":"15550100002@c.us","name":"15550100002","isGroup":false,"lastMessage":{"id":"false_15550100002@c.us_BENCH00000001","body":"Hello, how are you? This is an ordinary message of a customer.","timestamp":1795414208000,"fromMe":false,"type":"chat"},"unreadCount":12,"pinned":false,"archived":false,"muted":false,"mutedUntil":null,"profilePicUrl":null,"timestamp":1795414208000}}"#;

/// The answer to `subscribe`.
pub const SUBSCRIBED: &str =
    r#"{"success":true,"deviceId":"d0000","timestamp":1795414208527,"status":"connected","state":"ready"}"#;

/// The answer to a request that emits the two events.
pub const ACCEPTED: &str = r#"{"success":true,"data":{"messageId":"false_15550100002@c.us_BENCH00000001"}}"#;
