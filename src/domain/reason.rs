//! Why a device is in the state it is in: stable codes, each with its meaning and what to do.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $means:literal, $advice:literal;)*) => {
        /// A stable reason code, snake_case on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason {
            $(#[doc = $means] $name,)*
        }

        impl Reason {
            /// All there are, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code on the wire.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What happened, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $means,)* }
            }

            /// What an operator does about it.
            #[must_use]
            pub fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }
        }
    };
}

reasons! {
    StoppedByOperator = "stopped_by_operator", "Somebody stopped the device.", "Start it when it is wanted again.";
    StoppedByDeclaration = "stopped_by_declaration", "The device's file in the devices directory is gone or says not to start it.", "Put the file back, or start or delete the device by hand.";
    QrCodesExhausted = "qr_codes_exhausted", "All six QR codes ran out before a phone scanned one.", "Start the device again and scan within 160 seconds.";
    LoggedOutByOperator = "logged_out_by_operator", "Somebody unlinked the device here.", "Start it to link it again.";
    LoggedOutOnPhone = "logged_out_on_phone", "The phone removed this linked device.", "Start it and scan the new QR code.";
    LinkIncomplete = "link_incomplete", "The connection broke before the network had all of a new link.", "Scan the new QR code. If the phone lists this device already, remove it there first.";
    StreamReplaced = "stream_replaced", "Another program took over this session.", "Stop the other program that uses the same credentials, then start the device.";
    TemporaryBan = "temporary_ban", "The network has suspended the account for a time.", "Wait until the suspension ends, send less and slower, then start the device.";
    Banned = "banned", "The network has closed the account.", "Appeal in the phone's app; the device cannot be used.";
    ClientOutdated = "client_outdated", "The network no longer accepts this version of the protocol.", "Upgrade Wharf, then start the device.";
    KeepaliveTimeout = "keepalive_timeout", "The network stopped answering keepalives.", "Nothing: it reconnects by itself. If it repeats, check the network.";
    LinkDropped = "link_dropped", "The connection to the network broke.", "Nothing: it reconnects by itself. If it repeats, check the network.";
    NetworkUnreachable = "network_unreachable", "The network refused the connection or could not be reached.", "Check the machine's network, DNS and firewall; it keeps trying.";
    UpstreamUnauthorized = "upstream_unauthorized", "The upstream API refused the credentials.", "Correct the credentials in the device's settings, then start it.";
    UpstreamRefused = "upstream_refused", "The upstream API will not have this device.", "The log has the upstream's words. Make the device there or correct the settings here, then start it.";
    UpstreamUnavailable = "upstream_unavailable", "The upstream API does not answer.", "Check the upstream; it keeps trying.";
    EnginePanicked = "engine_panicked", "The engine failed unexpectedly; only this device is affected.", "It restarts by itself a few times. If it ends as failed, report the log and start it again.";
    EngineError = "engine_error", "The engine ended or could not be set up.", "Read the log line of this device; correct its settings and start it.";
    EngineUnknown = "engine_unknown", "This build has no engine of that name, or it is disabled.", "Enable the engine in the settings, or delete the device.";
    DaemonRestarted = "daemon_restarted", "The daemon was restarted while the device was running.", "Nothing: it reconnects by itself.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_code_equals_serialized_form() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
        }
    }
}
