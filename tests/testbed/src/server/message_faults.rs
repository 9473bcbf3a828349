//! What goes wrong with the messages of an account, at a test's word: each so often, or for so long.
//!
//! At most one of each kind is armed; arming it again replaces it, and a count of 0 disarms it.

use std::time::Duration;

use tokio::time::Instant;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFaultKind {
    /// The server refuses a message for now.
    SendTransient,
    /// The server refuses a message for good.
    SendPermanent,
    /// The link ends with the message, before anything is said about it.
    SendUnknown,
    /// A message takes long to arrive.
    SlowSend,
    /// What is written to the account comes twice.
    DuplicateIncoming,
    /// What was read is told before what was delivered.
    ReorderReceipts,
    /// What is written to the account cannot be decrypted, until it is asked for again.
    GarbleIncoming,
}

/// How it goes wrong, where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultEffect {
    /// As always.
    Usual,
    /// With this code of the server.
    Code(u16),
    /// The message does not arrive.
    Lost,
    /// So much later.
    Delay(Duration),
}

/// A mishap as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageFault {
    /// What.
    pub kind: MessageFaultKind,
    /// How.
    pub effect: FaultEffect,
    /// How often still; `None`: as often as it can.
    pub left: Option<u64>,
    /// When it ends by itself.
    pub until: Option<Instant>,
}

/// What is armed.
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
    /// Arms one in place of an earlier one of its kind.
    pub fn arm(&mut self, message_fault: MessageFault) {
        self.armed.retain(|armed| armed.kind != message_fault.kind);
        if !message_fault.is_over(Instant::now()) {
            self.armed.push(message_fault);
        }
    }

    /// Lets one strike, if it is armed.
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
    fn a_mishap_strikes_as_often_as_it_was_armed_for() {
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
