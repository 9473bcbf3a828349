//! Stable reason codes of device states, each with its meaning and advice. The code generates
//! `docs/reason-codes.md` from this table.

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
            /// All reasons, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code on the wire.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The cause, as a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $means,)* }
            }

            /// The action for the operator, as a sentence.
            #[must_use]
            pub fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }
        }
    };
}

reasons! {
    StoppedByOperator = "stopped_by_operator", "An operator stopped the device.", "Start the device when it is needed again.";
    StoppedByDeclaration = "stopped_by_declaration", "The device's file in the devices directory is gone or says not to start it.", "Put the file back, or start or delete the device by hand.";
    QrCodesExhausted = "qr_codes_exhausted", "All six QR codes ran out before a phone scanned one.", "Start the device again and scan within 160 seconds.";
    PasskeyTimeout = "passkey_timeout", "The passkey was not used, or its code was not confirmed, in time.", "Start the device, scan the new QR code and use the passkey within the time shown.";
    PasskeyRejected = "passkey_rejected", "The network rejected the signature of the passkey.", "Start the device, scan the new QR code and sign with a passkey of the same account.";
    PasskeyFailed = "passkey_failed", "The connection or the exchange of keys failed while the device was linked with a passkey.", "Start the device and scan the new QR code. If it fails again, read the log lines of the device.";
    LoggedOutByOperator = "logged_out_by_operator", "An operator unlinked the device.", "Start the device to link it again.";
    LoggedOutOnPhone = "logged_out_on_phone", "The phone removed this linked device.", "Start the device and scan the new QR code.";
    LinkIncomplete = "link_incomplete", "The connection was lost before the new link was complete.", "Scan the new QR code. If the phone already lists this device, remove it there first.";
    StreamReplaced = "stream_replaced", "Another program took over this session.", "Stop the other program that uses the same credentials, then start the device.";
    TemporaryBan = "temporary_ban", "The network has suspended the account temporarily.", "Wait until the suspension ends and start the device. Then send fewer messages, at a slower pace.";
    Banned = "banned", "The network has closed the account.", "Appeal in the phone's app; the device cannot be used.";
    ClientOutdated = "client_outdated", "The network no longer accepts this version of the protocol.", "Upgrade Wharf, then start the device.";
    KeepaliveTimeout = "keepalive_timeout", "The network stopped responding to keepalives.", "No action needed: the device reconnects automatically. If the problem repeats, check the network.";
    LinkDropped = "link_dropped", "The connection to the network was lost.", "No action needed: the device reconnects automatically. If the problem repeats, check the network.";
    NetworkUnreachable = "network_unreachable", "The network refused the connection or could not be reached.", "Check the network, DNS and firewall of the host. The device keeps reconnecting.";
    UpstreamUnauthorized = "upstream_unauthorized", "The upstream API rejected the credentials.", "Correct the credentials in the device's settings, then start the device.";
    UpstreamRefused = "upstream_refused", "The upstream API rejected this device.", "Read the upstream's error in the log. Create the device there or correct the settings here, then start the device.";
    UpstreamUnavailable = "upstream_unavailable", "The upstream API does not respond.", "Check the upstream. The device keeps reconnecting.";
    EnginePanicked = "engine_panicked", "The engine failed unexpectedly; only this device is affected.", "The device restarts automatically a few times. If it becomes failed, report the log and start it again.";
    EngineError = "engine_error", "The engine ended or could not be set up.", "Read the log lines of the device, correct its settings and start it.";
    EngineUnknown = "engine_unknown", "This build does not have the device's engine, or the engine is disabled.", "Enable the engine in the settings, or delete the device.";
    DaemonRestarted = "daemon_restarted", "The daemon was restarted while the device was running.", "No action needed: the device reconnects automatically.";
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
