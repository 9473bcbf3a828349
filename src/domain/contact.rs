//! People, each with all the identifiers that are known of them.

use serde::{Deserialize, Serialize};

use super::jid::Jid;

/// A person. `id` and `contactId` are the same on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// The chat id by which the API speaks of this person.
    pub id: Jid,
    /// The same, under its older name.
    pub contact_id: Jid,
    /// The best name known: from the address book, else what they call themselves, else the number.
    pub name: String,
    /// What they call themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushname: Option<String>,
    /// The phone number in digits, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The hidden id, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lid: Option<Jid>,
    /// Whether the account's address book has them.
    pub is_my_contact: bool,
}

/// What a network told of a person. What is `None` was not told and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactUpdate {
    /// Who.
    pub id: Jid,
    /// The name in the account's address book.
    pub address_book_name: Option<String>,
    /// What they call themselves.
    pub pushname: Option<String>,
    /// Their hidden id.
    pub lid: Option<Jid>,
}

impl ContactUpdate {
    /// Only that this person exists.
    #[must_use]
    pub fn seen(id: Jid) -> Self {
        Self { id, address_book_name: None, pushname: None, lid: None }
    }
}
