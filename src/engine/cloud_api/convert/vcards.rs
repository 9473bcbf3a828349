//! Contact cards: vCards here, objects at Meta.

use serde_json::{Map, Value, json};

use crate::domain::content::ContactCard;

/// Converts a card to Meta's object.
pub(in super::super) fn to_graph(card: &ContactCard) -> Value {
    let (mut phones, mut emails, mut organization) = (Vec::new(), Vec::new(), None);
    for line in unfolded(&card.vcard) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let mut parts = key.split(';');
        let name = parts.next().unwrap_or_default();
        // Groups of lines, as in `item1.TEL`.
        let name = name.rsplit('.').next().unwrap_or(name).to_ascii_uppercase();
        let value = plain(value);
        match name.as_str() {
            "TEL" => {
                let mut phone = json!({ "phone": value });
                if let Some(wa_id) = parts.find_map(|part| part.strip_prefix("waid=")) {
                    phone["wa_id"] = wa_id.into();
                }
                phones.push(phone);
            }
            "EMAIL" => emails.push(json!({ "email": value })),
            "ORG" => organization = Some(value.trim_end_matches(';').to_owned()),
            _ => {}
        }
    }
    let name = if card.display_name.is_empty() { "?" } else { &card.display_name };
    let mut graph = json!({ "name": { "formatted_name": name, "first_name": name } });
    if !phones.is_empty() {
        graph["phones"] = phones.into();
    }
    if !emails.is_empty() {
        graph["emails"] = emails.into();
    }
    if let Some(company) = organization {
        graph["org"] = json!({ "company": company });
    }
    graph
}

/// Converts Meta's object to a card.
pub(in super::super) fn from_graph(graph: &Value) -> ContactCard {
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |name: &str| graph.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let empty = Value::Object(Map::new());
    let name = text(graph.get("name").unwrap_or(&empty), "formatted_name");
    let mut card = format!("BEGIN:VCARD\r\nVERSION:3.0\r\nN:;{0};;;\r\nFN:{0}\r\n", escaped(&name));
    let company = text(graph.get("org").unwrap_or(&empty), "company");
    if !company.is_empty() {
        card.push_str(&format!("ORG:{}\r\n", escaped(&company)));
    }
    for phone in list("phones") {
        let (number, wa_id) = (escaped(&text(&phone, "phone")), text(&phone, "wa_id"));
        let digits = !wa_id.is_empty() && wa_id.bytes().all(|byte| byte.is_ascii_digit());
        let waid = if digits { format!(";waid={wa_id}") } else { String::new() };
        card.push_str(&format!("TEL;type=CELL;type=VOICE{waid}:{number}\r\n"));
    }
    for email in list("emails") {
        card.push_str(&format!("EMAIL:{}\r\n", escaped(&text(&email, "email"))));
    }
    card.push_str("END:VCARD");
    ContactCard { display_name: name, vcard: card }
}

/// Joins folded lines (RFC 2426, 2.6).
fn unfolded(vcard: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in vcard.lines() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

fn plain(value: &str) -> String {
    value.trim().replace("\\,", ",").replace("\\;", ";").replace("\\n", " ").replace("\\\\", "\\")
}

/// Escapes a text and removes line breaks.
fn escaped(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.replace('\\', "\\\\").replace(',', "\\,").replace(';', "\\;")
}
