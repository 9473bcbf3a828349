//! The addresses that a message may attach: of this daemon, or public and https.

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

use super::error::ChatError;
use crate::domain::operator_chat::message::{ChatMessage, MessageDraft};
use crate::service::media::links::{CHAT_FILES, LinkBase};
use crate::store::chat_files::UploadedChatFile;
use crate::store::{Reader, StoreError};

/// Longest address, in characters.
const MAX_CHARS: usize = 2_048;

/// Checks an address; an error is what it must be.
pub(super) fn check(text: &str, public_url: &str) -> Result<(), String> {
    if text.chars().take(MAX_CHARS + 1).count() > MAX_CHARS {
        return Err(format!("must have at most {MAX_CHARS} characters"));
    }
    if text.starts_with(CHAT_FILES) {
        return Ok(());
    }
    let own = (!public_url.is_empty()).then(|| text.strip_prefix(public_url)).flatten();
    if own.is_some_and(|rest| rest.starts_with('/')) {
        return Ok(());
    }
    let right = || "must be an https URL, or a URL of this daemon".to_owned();
    let url = Url::parse(text).map_err(|_| right())?;
    if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
        return Err(right());
    }
    let is_public = match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name != "localhost" && !name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => is_public(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_public(IpAddr::V6(address).to_canonical()),
        None => false,
    };
    if is_public { Ok(()) } else { Err("must not be a private address".to_owned()) }
}

/// The uploaded file that a draft refers to by its address; none for an address elsewhere.
pub(super) fn uploaded_file(
    store: &Reader<'_>,
    links: &LinkBase,
    draft: &MessageDraft,
) -> Result<Option<UploadedChatFile>, ChatError> {
    let url = draft.attachment_url.as_deref().unwrap_or_default();
    match links.chat_file_at(store, url)? {
        None => Ok(None),
        Some(None) => Err(ChatError::invalid("attachmentUrl", "must be the address that an upload returned")),
        Some(file) => Ok(file),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast())
                && !(v4.is_unspecified() || v4 == Ipv4Addr::new(192, 0, 0, 0) || shared)
                && v4.octets()[0] != 0
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_multicast())
        }
    }
}

/// Adds the signed address of an uploaded file.
pub(super) fn add_file_url(
    store: &Reader<'_>,
    links: &LinkBase,
    message: &mut ChatMessage,
) -> Result<(), StoreError> {
    let Some(file) = &message.file else { return Ok(()) };
    let uploaded = store.chat_file(file.id)?;
    message.attachment_url = uploaded.and_then(|uploaded| links.of_chat_file(uploaded.id, &uploaded.secret));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_https_and_own_addresses_are_accepted() {
        for good in ["https://example.com/a.png", "https://203.0.113.9/x", "http://chat.test/media/1"] {
            assert_eq!(check(good, "http://chat.test"), Ok(()), "{good}");
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        for bad in [
            "",
            "a.png",
            "http://example.com/a.png",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://localhost/x",
            "https://a.localhost./x",
            "https://127.1/x",
            "https://0x7f000001/x",
            "https://10.0.0.1/x",
            "https://169.254.169.254/x",
            "https://[::1]/x",
            "https://[::ffff:192.168.0.1]/x",
            "https://[fd00::1]/x",
            "https://user:pass@example.com/x",
            "http://chat.test.evil.example/x",
        ] {
            assert!(check(bad, "http://chat.test").is_err(), "{bad}");
        }
        assert!(check("/x", "").is_err());
    }
}
