//! The state and the assignee of a device conversation, and who may change them.
//!
//! Invariant: a claim never replaces the assignee of another claim.

use std::str::FromStr;

use thiserror::Error;

use super::ids::UserPk;
use super::inbox::InboxRights;

/// Whether a device conversation awaits work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationState {
    /// It awaits an answer or a decision.
    Open,
    /// It is done until the next message of the contact.
    Closed,
}

/// A word that is no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be open or closed")]
pub struct InvalidConversationState;

impl ConversationState {
    /// The word in REST and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl FromStr for ConversationState {
    type Err = InvalidConversationState;

    fn from_str(word: &str) -> Result<Self, InvalidConversationState> {
        match word {
            "open" => Ok(Self::Open),
            "closed" => Ok(Self::Closed),
            _ => Err(InvalidConversationState),
        }
    }
}

/// The value of `chat.assign`: who gets a conversation without an assignee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoAssignment {
    /// No one.
    None,
    /// The first user who replies.
    Reply,
    /// The users of the inbox in turn, when the contact writes.
    RoundRobin,
    /// The online user of the inbox with the fewest open conversations, when the contact writes.
    LeastOpen,
}

/// The user after `last` in the order of the list, and the first one after its end.
#[must_use]
pub fn next_in_turn(users: &[UserPk], last: Option<UserPk>) -> Option<UserPk> {
    let mut sorted = users.to_vec();
    sorted.sort();
    let after = sorted.iter().find(|user| last.is_some_and(|last| **user > last));
    after.or(sorted.first()).copied()
}

/// The user with the fewest open conversations; of equal ones that with the lowest number.
#[must_use]
pub fn least_busy(open: &[(UserPk, i64)]) -> Option<UserPk> {
    open.iter().min_by_key(|(user, count)| (*count, *user)).map(|(user, _)| *user)
}

/// The state and the assignee of a device conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxStatus {
    /// The state.
    pub state: ConversationState,
    /// The user who answers it.
    pub assignee: Option<UserPk>,
}

/// The device conversations of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InboxFilter {
    /// Only those in this state.
    pub state: Option<ConversationState>,
    /// Only those of this assignee, or without one.
    pub assignee: Option<Option<UserPk>>,
}

/// A requested assignee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssignmentRequest {
    /// The new assignee; `None` releases the conversation.
    pub user: Option<UserPk>,
    /// The assignee that the caller expects, if it names one.
    pub expected: Option<Option<UserPk>>,
}

/// Errors of an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssignmentRefusal {
    /// The caller may only read.
    ReadOnly,
    /// The caller may change its own assignment only.
    NotManager,
    /// The conversation has another assignee than expected.
    Assigned(Option<UserPk>),
}

/// Whether an assignment changes the assignee. Users claim a conversation without an assignee and release
/// their own; all else needs the rights `manage`. `caller` is `None` for an API key.
///
/// # Errors
/// When the caller may not do this, or the assignee is not the expected one.
pub fn is_change(
    current: Option<UserPk>,
    caller: Option<UserPk>,
    rights: InboxRights,
    request: AssignmentRequest,
) -> Result<bool, AssignmentRefusal> {
    if rights < InboxRights::Reply {
        return Err(AssignmentRefusal::ReadOnly);
    }
    if request.expected.is_some_and(|expected| expected != current) {
        return Err(AssignmentRefusal::Assigned(current));
    }
    if request.user == current {
        return Ok(false);
    }
    let is_claim = caller.is_some() && request.user == caller;
    if is_claim && current.is_some() && request.expected.is_none() {
        return Err(AssignmentRefusal::Assigned(current));
    }
    let is_own = match (current, request.user) {
        (None, Some(_)) => is_claim,
        (Some(_), None) => current == caller,
        _ => false,
    };
    if is_own || rights >= InboxRights::Manage { Ok(true) } else { Err(AssignmentRefusal::NotManager) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turn_passes_through_all_users() {
        let users = [UserPk(9), UserPk(2), UserPk(5)];
        let mut last = None;
        let turns: Vec<_> = (0..4)
            .map(|_| {
                last = next_in_turn(&users, last);
                last.unwrap().0
            })
            .collect();
        assert_eq!(turns, [2, 5, 9, 2]);
        assert_eq!(next_in_turn(&users, Some(UserPk(3))), Some(UserPk(5)), "a user who left");
        assert_eq!(next_in_turn(&[], None), None);
    }

    #[test]
    fn least_busy_user_has_fewest_open_conversations() {
        assert_eq!(least_busy(&[(UserPk(1), 3), (UserPk(7), 1), (UserPk(4), 1)]), Some(UserPk(4)));
        assert_eq!(least_busy(&[]), None);
    }

    const ANNA: Option<UserPk> = Some(UserPk(1));
    const BELA: Option<UserPk> = Some(UserPk(2));

    fn by_anna(
        current: Option<UserPk>,
        user: Option<UserPk>,
        rights: InboxRights,
    ) -> Result<bool, AssignmentRefusal> {
        is_change(current, ANNA, rights, AssignmentRequest { user, expected: None })
    }

    #[test]
    fn claim_needs_a_conversation_without_assignee() {
        for rights in [InboxRights::Reply, InboxRights::Manage] {
            assert_eq!(by_anna(None, ANNA, rights), Ok(true));
            assert_eq!(by_anna(ANNA, ANNA, rights), Ok(false));
            assert_eq!(by_anna(BELA, ANNA, rights), Err(AssignmentRefusal::Assigned(BELA)));
        }
        assert_eq!(by_anna(None, ANNA, InboxRights::Read), Err(AssignmentRefusal::ReadOnly));
    }

    #[test]
    fn only_managers_change_assignments_of_others() {
        assert_eq!(by_anna(ANNA, None, InboxRights::Reply), Ok(true));
        for (current, user) in [(BELA, None), (None, BELA), (ANNA, BELA)] {
            assert_eq!(by_anna(current, user, InboxRights::Reply), Err(AssignmentRefusal::NotManager));
            assert_eq!(by_anna(current, user, InboxRights::Manage), Ok(true));
        }
    }

    #[test]
    fn expected_assignee_is_compared_first() {
        let request = |expected| AssignmentRequest { user: ANNA, expected: Some(expected) };
        let by_anna = |rights, expected| is_change(BELA, ANNA, rights, request(expected));
        assert_eq!(by_anna(InboxRights::Manage, None), Err(AssignmentRefusal::Assigned(BELA)));
        assert_eq!(by_anna(InboxRights::Manage, BELA), Ok(true));
        assert_eq!(by_anna(InboxRights::Reply, BELA), Err(AssignmentRefusal::NotManager));
        let by_key =
            is_change(BELA, None, InboxRights::Manage, AssignmentRequest { user: None, expected: None });
        assert_eq!(by_key, Ok(true));
    }

    #[test]
    fn states_are_read_from_their_words() {
        for state in [ConversationState::Open, ConversationState::Closed] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert_eq!("pending".parse::<ConversationState>(), Err(InvalidConversationState));
    }
}
