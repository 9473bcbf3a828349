//! Faults of an account's messages, which tests arm for a number of times or for a time. At most one of each
//! kind is armed; arming replaces it, and a count of 0 disarms it.

use std::time::Duration;

use tokio::time::Instant;

/// The kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFaultKind {
    /// The server refuses a message for now.
    SendTransient,
    /// The server refuses a message permanently.
    SendPermanent,
    /// The link ends with the message, before its ack.
    SendUnknown,
    /// A message arrives late.
    SlowSend,
    /// Messages to the account arrive twice.
    DuplicateIncoming,
    /// The read receipt arrives before the delivery receipt.
    ReorderReceipts,
    /// Messages to the account cannot be decrypted, until they are requested again.
    GarbleIncoming,
}

/// The variant of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultEffect {
    /// The default.
    Usual,
    /// With this error code.
    Code(u16),
    /// The message does not arrive.
    Lost,
    /// With this delay.
    Delay(Duration),
}

/// An armed fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageFault {
    /// Its kind.
    pub kind: MessageFaultKind,
    /// Its variant.
    pub effect: FaultEffect,
    /// Remaining triggers; `None` if unlimited.
    pub left: Option<u64>,
    /// When it is disarmed.
    pub until: Option<Instant>,
}

/// All armed faults.
#[derive(Debug, Default)]
pub struct MessageFaults {
    armed: Vec<MessageFault>,
}

impl MessageFault {
    fn is_over(&self, now: Instant) -> bool {
        self.left == Some(0) || self.until.is_some_and(|until| until <= now)
    }
}

impl MessageFaults {
    /// Arms a fault; replaces one of the same kind.
    pub fn arm(&mut self, message_fault: MessageFault) {
        self.armed.retain(|armed| armed.kind != message_fault.kind);
        if !message_fault.is_over(Instant::now()) {
            self.armed.push(message_fault);
        }
    }

    /// Triggers a fault, if it is armed.
    pub fn trigger(&mut self, kind: MessageFaultKind) -> Option<FaultEffect> {
        let now = Instant::now();
        self.armed.retain(|armed| !armed.is_over(now));
        let armed = self.armed.iter_mut().find(|armed| armed.kind == kind)?;
        if let Some(left) = &mut armed.left {
            *left -= 1;
        }
        Some(armed.effect)
    }
}

#[cfg(test)]
mod tests {
    use super::{FaultEffect, MessageFault, MessageFaultKind, MessageFaults};

    #[test]
    fn armed_fault_triggers_count_times() {
        let mut message_faults = MessageFaults::default();
        let twice = MessageFault {
            kind: MessageFaultKind::SendPermanent,
            effect: FaultEffect::Code(463),
            left: Some(2),
            until: None,
        };
        message_faults.arm(twice);
        assert_eq!(message_faults.trigger(MessageFaultKind::SendTransient), None);
        let struck = [(); 3].map(|()| message_faults.trigger(MessageFaultKind::SendPermanent));
        assert_eq!(struck, [Some(FaultEffect::Code(463)), Some(FaultEffect::Code(463)), None]);
    }
}
