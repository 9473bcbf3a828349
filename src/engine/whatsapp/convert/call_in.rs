//! Converts call events. This engine cannot answer calls: they ring, and end on the phone or unanswered.

use whatsapp_rust::types::call::CallAction;
use whatsapp_rust::types::call::{CallEndedElsewhere, ElsewhereOutcome, IncomingCall, MissedCall};

use super::identities::Identities;
use crate::domain::event::CallStatus;
use crate::engine::EngineEvent;

/// Converts the start or end of a call; `None` for other signals.
pub(in super::super) fn from_signal(call: &IncomingCall, ids: &Identities) -> Option<EngineEvent> {
    match &call.action {
        CallAction::Terminate { call_id, reason, .. } => {
            let (call_id, from) = (call_id.clone(), ids.jid(&call.from)?);
            let status = end_status(reason.as_deref());
            Some(EngineEvent::Call { call_id, from, video: false, status })
        }
        _ => ringing(call, ids),
    }
}

/// The status of an ended call (reasons: `wacore` 0.7.0, `stanza/call.rs`).
fn end_status(reason: Option<&str>) -> CallStatus {
    match reason {
        Some("timeout") => CallStatus::Missed,
        Some("accepted_elsewhere") => CallStatus::Accepted,
        Some("rejected_elsewhere") => CallStatus::Rejected,
        // The caller hung up, before or after another device answered.
        _ => CallStatus::Ended,
    }
}

fn ringing(call: &IncomingCall, ids: &Identities) -> Option<EngineEvent> {
    let (call_id, creator, number, video) = match &call.action {
        CallAction::Offer { call_id, call_creator, caller_pn, is_video, .. } => {
            (call_id, call_creator, caller_pn.as_ref(), *is_video)
        }
        CallAction::OfferNotice { call_id, call_creator, is_video, .. } => {
            (call_id, call_creator, None, *is_video)
        }
        _ => return None,
    };
    // A queued offer no longer rings; the library reports it as missed.
    if call.offline {
        return None;
    }
    let from = number.and_then(|number| ids.jid(number)).or_else(|| ids.jid(creator))?;
    Some(EngineEvent::Call { call_id: call_id.clone(), from, video, status: CallStatus::Ringing })
}

/// Converts an unanswered call.
pub(in super::super) fn from_missed_call(call: &MissedCall, ids: &Identities) -> Option<EngineEvent> {
    let (call_id, from) = (call.call_id.clone(), ids.jid(&call.from)?);
    Some(EngineEvent::Call { call_id, from, video: false, status: CallStatus::Missed })
}

/// Converts a call that another device of the account answered or declined.
pub(in super::super) fn ended_elsewhere(call: &CallEndedElsewhere, ids: &Identities) -> Option<EngineEvent> {
    let status = match call.outcome {
        ElsewhereOutcome::Accepted => CallStatus::Accepted,
        ElsewhereOutcome::Rejected => CallStatus::Rejected,
        // Later versions of the library may add outcomes.
        _ => CallStatus::Ended,
    };
    let (call_id, from) = (call.call_id.clone(), ids.jid(&call.from)?);
    Some(EngineEvent::Call { call_id, from, video: false, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_reason_maps_to_call_status() {
        for (reason, status) in [
            (Some("timeout"), CallStatus::Missed),
            (Some("accepted_elsewhere"), CallStatus::Accepted),
            (Some("rejected_elsewhere"), CallStatus::Rejected),
            (None, CallStatus::Ended),
        ] {
            assert_eq!(end_status(reason), status, "{reason:?}");
        }
    }
}
