//! Aggregates the answers in device inboxes over a period.

use std::collections::BTreeMap;

use super::OperatorChat;
use super::error::ChatError;
use super::inbox_caller::InboxCaller;
use super::inbox_list::visible_devices;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::response_times::ResponseSummary;
use crate::domain::operator_chat::user::ChatUser;
use crate::store::inbox_metrics::{InboxCounts, InboxResponse};

/// The most answers that one request aggregates.
const MAX_RESPONSES: usize = 200_000;

/// The answers in the inboxes of a caller.
#[derive(Debug, Clone)]
pub struct InboxStats {
    /// The conversations.
    pub conversations: InboxCounts,
    /// The waiting times until the first answer since a conversation was opened.
    pub first_responses: ResponseSummary,
    /// All waiting times.
    pub responses: ResponseSummary,
    /// The waiting times by author, those with the most answers first.
    pub authors: Vec<(ChatUser, ResponseSummary)>,
}

impl OperatorChat {
    /// The answers in a period, which begins at `from` and ends before `to`.
    ///
    /// # Errors
    /// When the period is empty or has too many answers, or the store fails.
    pub async fn inbox_stats(
        &self,
        caller: InboxCaller,
        device: Option<DeviceId>,
        (from, to): (Millis, Millis),
    ) -> Result<InboxStats, ChatError> {
        if from >= to {
            return Err(ChatError::invalid("from", "must be before to"));
        }
        self.store
            .read(move |store| {
                let (mut counts, mut responses) = (InboxCounts::default(), Vec::new());
                for device in visible_devices(store, &caller, device.as_ref())? {
                    let left = MAX_RESPONSES.saturating_sub(responses.len()) + 1;
                    responses.extend(store.inbox_responses(&device, (from, to), left)?);
                    if responses.len() > MAX_RESPONSES {
                        let message =
                            format!("the period has more than {MAX_RESPONSES} answers; choose a shorter one");
                        return Err(ChatError::invalid("from", message));
                    }
                    let of_device = store.inbox_counts(&device, (from, to))?;
                    counts.created += of_device.created;
                    counts.open += of_device.open;
                    counts.unassigned += of_device.unassigned;
                    counts.waiting += of_device.waiting;
                }
                let mut authors = Vec::new();
                for (user, waits) in by_author(&responses) {
                    let Some(user) = store.chat_user_by_pk(user)? else { continue };
                    authors.push((user, ResponseSummary::of(waits)));
                }
                authors.sort_by_key(|(user, summary)| (std::cmp::Reverse(summary.count), user.pk));
                let first = responses.iter().filter(|response| response.is_first);
                Ok(InboxStats {
                    conversations: counts,
                    first_responses: ResponseSummary::of(first.map(|response| response.waited_ms)),
                    responses: ResponseSummary::of(responses.iter().map(|response| response.waited_ms)),
                    authors,
                })
            })
            .await
    }
}

fn by_author(responses: &[InboxResponse]) -> BTreeMap<UserPk, Vec<i64>> {
    let mut authors: BTreeMap<UserPk, Vec<i64>> = BTreeMap::new();
    for response in responses {
        authors.entry(response.user).or_default().push(response.waited_ms);
    }
    authors
}
