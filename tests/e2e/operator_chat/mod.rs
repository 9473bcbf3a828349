//! Operator chat over raw Socket.IO packets and REST. In the `root` dialect `peers` has peer-addressed events,
//! `conversations` conversation-addressed ones, `access` tokens and outsiders, `access_matrix` every call and
//! event without access, and `rest` the calls;
//! `namespace` has the events of that dialect, `namespace_rest` its calls, `underscore` both of that dialect, `uploads`
//! files of users, `session_cookies` users without a token in each of them, `recovery` sockets that lost their connection,
//! `rooms` rooms, `operators` the calls of applications, `inbox`
//! conversations with contacts of a device, `device_chats` groups and conversations that an operator opens, and `inbox_workflow` their assignment, states, notes and slash commands.

mod access;
mod access_matrix;
mod client;
mod conversation_events;
mod conversations;
mod device_chats;
mod directory;
mod inbox;
mod inbox_metrics;
mod inbox_workflow;
mod namespace;
mod namespace_rest;
mod native_messages;
mod operators;
mod peers;
mod recovery;
mod rest;
mod rooms;
mod session_cookies;
mod underscore;
mod uploads;

use super::support;
