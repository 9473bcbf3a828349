//! How the network ends connections, and what it says of messages.
