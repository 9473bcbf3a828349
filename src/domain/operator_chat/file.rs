//! Files that users of operator chat upload. The accepted types are decided by the content of a file, never by its name.

use super::ids::ChatFileId;
use super::message::ChatMessageKind;

/// The type of Word documents until 2003.
pub const OLD_WORD: &str = "application/msword";
/// The type of Word documents since 2007.
pub const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// An uploaded file of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatFile {
    /// The id.
    pub id: ChatFileId,
    /// The type, detected from the content.
    pub mimetype: String,
    /// The size in bytes.
    pub filesize: u64,
}

/// The kind of a message with an uploaded file of this type; `None` if the type is not accepted.
#[must_use]
pub fn kind_of_upload(mimetype: &str) -> Option<ChatMessageKind> {
    match mimetype {
        "image/jpeg" | "image/png" | "image/gif" | "image/webp" | "image/svg+xml" => {
            Some(ChatMessageKind::Image)
        }
        "application/pdf" | OLD_WORD | WORD => Some(ChatMessageKind::File),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_documents_are_accepted() {
        for image in ["image/jpeg", "image/png", "image/gif", "image/webp", "image/svg+xml"] {
            assert_eq!(kind_of_upload(image), Some(ChatMessageKind::Image), "{image}");
        }
        for document in ["application/pdf", OLD_WORD, WORD] {
            assert_eq!(kind_of_upload(document), Some(ChatMessageKind::File), "{document}");
        }
        for other in ["text/html", "text/plain", "application/zip", "image/tiff", "video/mp4", ""] {
            assert_eq!(kind_of_upload(other), None, "{other}");
        }
    }
}
