//! Contacts: one row per person with all their identifiers.

use rusqlite::{Row, params};

use super::column_codec::{parsed, parsed_if_any};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::contact::{Contact, ContactUpdate};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::queries::ContactQuery;

const COLUMNS: &str = "id, address_book_name, pushname, number, lid";

impl Reader<'_> {
    /// One contact, by any of the person's identifiers.
    ///
    /// # Errors
    /// When the store fails.
    pub fn contact(&self, device: &DeviceId, id: &Jid) -> Result<Option<Contact>, StoreError> {
        let by = |column: &str| {
            // One query per column: an OR of two columns would scan all contacts of the device.
            let sql = format!("SELECT {COLUMNS} FROM contacts WHERE device_id = ?1 AND {column} = ?2");
            self.one(&sql, params![device.as_str(), id.to_string()], contact)
        };
        match by("id")? {
            Some(contact) => Ok(Some(contact)),
            None => by("lid"),
        }
    }

    /// Lists contacts by name, with the total count regardless of the limit.
    ///
    /// # Errors
    /// When the store fails.
    pub fn contacts(
        &self,
        device: &DeviceId,
        query: &ContactQuery,
    ) -> Result<(Vec<Contact>, i64), StoreError> {
        let only: Vec<String> = query.only.iter().map(ToString::to_string).collect();
        let only = super::column_codec::to_json(&only, "contact ids")?;
        let condition = "device_id = ?1
             AND (?2 IS NULL OR instr(lower(coalesce(address_book_name, '') || ' ' || coalesce(pushname, '') || ' ' || id), lower(?2)) > 0)
             AND (?3 = '[]' OR id IN (SELECT value FROM json_each(?3)) OR lid IN (SELECT value FROM json_each(?3)))";
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let offset = i64::try_from(query.offset).unwrap_or(i64::MAX);
        let found = self.all(
            &format!(
                "SELECT {COLUMNS} FROM contacts WHERE {condition}
                 ORDER BY coalesce(address_book_name, pushname, id), id LIMIT ?4 OFFSET ?5"
            ),
            params![device.as_str(), query.search, only, limit, offset],
            contact,
        )?;
        let total = self.number(
            &format!("SELECT count(*) FROM contacts WHERE {condition}"),
            params![device.as_str(), query.search, only],
        )?;
        Ok((found, total))
    }
}

impl Tx<'_> {
    /// Merges received contact data. Returns the updated contact, or `None` when nothing changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn merge_contact(
        &self,
        device: &DeviceId,
        update: &ContactUpdate,
    ) -> Result<Option<Contact>, StoreError> {
        let changed = self.run(
            "INSERT INTO contacts (device_id, id, address_book_name, pushname, number, lid)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (device_id, id) DO UPDATE SET
                 address_book_name = coalesce(excluded.address_book_name, address_book_name),
                 pushname = coalesce(excluded.pushname, pushname),
                 lid = coalesce(excluded.lid, lid)
             WHERE (excluded.address_book_name IS NOT NULL AND excluded.address_book_name IS NOT address_book_name)
                OR (excluded.pushname IS NOT NULL AND excluded.pushname IS NOT pushname)
                OR (excluded.lid IS NOT NULL AND excluded.lid IS NOT lid)",
            params![
                device.as_str(),
                update.id.to_string(),
                update.address_book_name,
                update.pushname,
                update.id.phone(),
                update.lid.as_ref().map(ToString::to_string),
            ],
        )?;
        if changed == 0 {
            return Ok(None);
        }
        self.contact(device, &update.id)
    }
}

fn contact(row: &Row<'_>) -> Result<Contact, StoreError> {
    let id: Jid = parsed(row, "id", "contact id")?;
    let address_book_name: Option<String> = row.get("address_book_name")?;
    let pushname: Option<String> = row.get("pushname")?;
    let name = address_book_name.clone().or_else(|| pushname.clone());
    Ok(Contact {
        name: name.unwrap_or_else(|| id.as_name()),
        contact_id: id.clone(),
        pushname,
        number: row.get("number")?,
        lid: parsed_if_any(row, "lid", "hidden id")?,
        is_my_contact: address_book_name.is_some(),
        id,
    })
}
