//! Contacts with their identifiers. One contact has one chat id, even if the network uses two for the person.

use serde::{Deserialize, Serialize};

use super::jid::Jid;

/// A person. `id` and `contactId` have the same value on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// The chat id of this person in the API.
    pub id: Jid,
    /// The same id under its older field name.
    pub contact_id: Jid,
    /// The name from the address book, otherwise the pushname, otherwise the number.
    pub name: String,
    /// The name that the person chose for their own account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushname: Option<String>,
    /// The phone number in digits; absent when only the hidden id is available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The hidden id; absent when the network has not sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lid: Option<Jid>,
    /// Whether the account's address book contains the person.
    pub is_my_contact: bool,
}

/// A network's update of a contact. A field that is `None` stays unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactUpdate {
    /// The person's chat id.
    pub id: Jid,
    /// The name in the account's address book.
    pub address_book_name: Option<String>,
    /// The name that the person chose for their own account.
    pub pushname: Option<String>,
    /// The person's hidden id.
    pub lid: Option<Jid>,
}

impl ContactUpdate {
    /// An update with the id only.
    #[must_use]
    pub fn seen(id: Jid) -> Self {
        Self { id, address_book_name: None, pushname: None, lid: None }
    }
}
