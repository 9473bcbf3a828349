//! The error of the use cases: a stable code, a sentence for people, and a kind. The edges map the kind to a status
//! and nothing else.

use thiserror::Error;

use crate::domain::ids::DeviceId;
use crate::engine::{CallbackError, ControlError, SessionError, SettingError};
use crate::media::MediaError;
use crate::store::{Reader, StoreError};

/// Errors of use cases.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// No such device.
    #[error("there is no device with this id")]
    DeviceNotFound,
    /// No such message.
    #[error("this device has no message with this id")]
    MessageNotFound,
    /// No such chat.
    #[error("this device has no chat with this id")]
    ChatNotFound,
    /// No such group.
    #[error("this device is in no group with this id")]
    GroupNotFound,
    /// No such upload of this device.
    #[error(
        "this device has no upload with this mediaId; an upload expires after a day, or earlier when its message is cancelled or media.max_total_bytes is reached"
    )]
    UploadNotFound,
    /// The message has no file.
    #[error("this message has no file")]
    NoMedia,
    /// The file of the message was deleted.
    #[error("the file of this message was deleted")]
    MediaGone,
    /// The person or group has no picture.
    #[error("this person or group has no picture, or does not show it to this account")]
    NoPicture,
    /// The file has no thumbnail.
    #[error("this file has no thumbnail")]
    NoThumbnail,
    /// The file is empty.
    #[error("the file is empty; send at least one byte")]
    EmptyFile,
    /// The limit of concurrent uploads is reached.
    #[error("too many files are being uploaded; try again in a moment")]
    TooManyUploads,
    /// The limit of concurrent uploads of one device or user is reached.
    #[error("{0} files of this device or user are being uploaded; try again when one of them is complete")]
    TooManyUploadsOfDevice(usize),
    /// The limit of uploaded bytes in a minute is reached.
    #[error(
        "the clients of this device, or this user, sent {limit} bytes of files in a minute, as many as media.max_upload_bytes_per_minute allows; try again in {retry_after_seconds} seconds"
    )]
    UploadRateExceeded {
        /// The limit.
        limit: u64,
        /// Seconds until the minute is over.
        retry_after_seconds: u64,
    },
    /// The quota of a device's files is reached.
    #[error(
        "the files that clients stored for this device, or that this user stored, may take {0} bytes (media.max_bytes_per_device); delete messages with files, or wait until unsent uploads expire after a day"
    )]
    MediaQuotaExceeded(u64),
    /// A file could not be stored or read.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// No such key.
    #[error("there is no API key with this id")]
    KeyNotFound,
    /// No such webhook.
    #[error("there is no webhook with this id")]
    WebhookNotFound,
    /// No such dead letter.
    #[error("this webhook has no dead letter with this id")]
    DeadLetterNotFound,
    /// No such rule.
    #[error("there is no rule with this id")]
    RuleNotFound,
    /// The rule comes from the settings or is built in.
    #[error(
        "this rule comes from the settings or is built in and cannot be changed here; create a rule before it"
    )]
    FixedRule,
    /// The limit of rules is reached.
    #[error("there are {0} rules, the maximum for one device and for all; delete one first")]
    TooManyRules(usize),
    /// A limit of mutes is reached.
    #[error("{0}")]
    TooManyMutes(&'static str),
    /// No such sound.
    #[error("there is no sound of this name")]
    SoundNotFound,
    /// No such subscription.
    #[error("you have no subscription with this id")]
    SubscriptionNotFound,
    /// A limit of push subscriptions is reached.
    #[error("{0}")]
    TooManySubscriptions(&'static str),
    /// The limit of webhooks is reached.
    #[error("there are {0} webhooks, as many as webhooks.max_endpoints allows")]
    TooManyWebhooks(usize),
    /// The limit of webhooks of one device is reached.
    #[error("this device has {0} webhooks, as many as webhooks.max_per_device allows; delete one first")]
    TooManyWebhooksOfDevice(usize),
    /// The limit of concurrent webhook tests is reached.
    #[error("{0} webhooks are being tested; try again when one test has ended")]
    TooManyTests(usize),
    /// The limit of concurrent tests of one device is reached.
    #[error(
        "{0} webhooks of this device are being tested, as many as webhooks.max_tests_per_device allows; try again when one is done"
    )]
    TooManyTestsOfDevice(usize),
    /// The limit of tests of one device in a minute is reached.
    #[error(
        "webhooks of this device were tested {limit} times in a minute, as many as webhooks.max_tests_per_minute allows; try again in {retry_after_seconds} seconds"
    )]
    TestRateExceeded {
        /// The limit.
        limit: u64,
        /// Seconds until the minute is over.
        retry_after_seconds: u64,
    },
    /// The engine has no such control call, or is disabled.
    #[error("there is no such call for this device")]
    NoSuchCall,
    /// A field is invalid.
    #[error("{field}: {message}")]
    Invalid {
        /// The path of the field.
        field: String,
        /// The mistake and the valid values.
        message: String,
    },
    /// The daemon cannot serve requests now.
    #[error("{message}")]
    NotReady {
        /// The stable code of the cause.
        code: &'static str,
        /// The cause, for operators.
        message: String,
    },
    /// The id is in use.
    #[error("there is a device with this id already")]
    DeviceExists,
    /// The data of a deleted device with this id is still being removed.
    #[error("the data of a deleted device with this id is still being removed; try again in a moment")]
    DeviceBeingDeleted,
    /// The limit of devices is reached.
    #[error("there are {0} devices, as many as devices.max allows")]
    TooManyDevices(usize),
    /// The request is not possible in the device's state.
    #[error("{0}")]
    WrongState(String),
    /// A file in the devices directory sets this.
    #[error("{0} is set by this device's file in the devices directory; change it there")]
    SetByFile(String),
    /// The message is not queued.
    #[error("this message is not queued: it was sent, is being sent, or has failed")]
    NotQueued,
    /// No account is linked.
    #[error("no account is linked to this device; start it and scan its QR code first")]
    NotLinked,
    /// The device is not connected.
    #[error("the device is not connected to its network now")]
    Offline,
    /// The account would have to be available to its contacts, which its settings forbid.
    #[error("the account must be available for that: set settings.whatsapp.presence to auto or available")]
    PresenceUnavailable,
    /// The device is being linked with a passkey.
    #[error("the device is being linked with a passkey; finish or cancel that first (…/passkey)")]
    PasskeyPending,
    /// No step of a link with a passkey is pending, or the other one is.
    #[error("this step of a link with a passkey is not pending; GET …/passkey shows the pending one")]
    NoPasskeyPending,
    /// The compared code is not the pending one.
    #[error("the pending code is another one; compare the code that …/passkey shows now with the phone")]
    PasskeyCodeChanged,
    /// A browser's response was refused before it left.
    #[error("{field}: {message}")]
    InvalidPasskeyResponse {
        /// The path of the field.
        field: &'static str,
        /// The mistake and the valid values.
        message: &'static str,
    },
    /// The limit of responses of one attempt is reached.
    #[error("this attempt had {0} responses, the maximum; cancel it and scan a new QR code")]
    TooManyPasskeyResponses(u32),
    /// The key was set by the environment.
    #[error("this key is set by WHARF_API_KEY; change it there")]
    KeyFromEnvironment,
    /// The idempotency key was used with another request.
    #[error("this Idempotency-Key was used with another request in the last 24 hours; use a new one")]
    IdempotencyMismatch,
    /// The engine does not support the request.
    #[error("this device's engine does not support that")]
    NotSupported,
    /// The request is valid but cannot be carried out.
    #[error("{message}")]
    Impossible {
        /// The stable code.
        code: &'static str,
        /// The reason, for people.
        message: String,
    },
    /// The new key would have more rights than its creator.
    #[error("a key cannot grant more rights than it has: {0}")]
    WiderKey(String),
    /// The signature of a callback is missing or wrong.
    #[error("the signature is missing or wrong")]
    BadSignature,
    /// The token of a callback's verification is not the configured one.
    #[error("the verification is refused: the token is not this device's")]
    VerificationRefused,
    /// The callback is signed but malformed.
    #[error("{0}")]
    BadCallback(String),
    /// The callback cannot be ingested now.
    #[error("{0}")]
    CallbackNotNow(String),
    /// The device's outbox is full.
    #[error("{0} messages of this device are queued, the maximum; try again when some were sent")]
    OutboxFull(usize),
    /// The request is not implemented.
    #[error("{0} is not implemented")]
    NotBuilt(&'static str),
    /// Only the account's phone has what is requested, and it does not answer.
    #[error(
        "the network no longer has the file, and the account's phone does not answer; try again when it is online"
    )]
    PhoneOffline,
    /// The request body exceeds its limit.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
    /// The export cannot be parsed.
    #[error("{0}")]
    BadImport(String),
    /// The import ended early.
    #[error("{source}; {imported} messages are imported; repeat the import to add the others")]
    ImportCut {
        /// Messages that are stored.
        imported: u64,
        /// The cause.
        #[source]
        source: Box<Self>,
    },
    /// The limit of concurrent imports is reached.
    #[error("{0} imports are running, the maximum; try again when one has ended")]
    TooManyImports(usize),
    /// The limit of concurrent imports into one device is reached.
    #[error(
        "{0} imports into this device are running, as many as import.max_running_per_device allows; try again when one has ended"
    )]
    TooManyImportsOfDevice(usize),
    /// The daemon is shutting down.
    #[error("the daemon is shutting down")]
    ShuttingDown,
    /// The store failed.
    #[error("{}", storage_sentence(.0))]
    Store(#[from] StoreError),
}

/// The kind of an error, which the edges map to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input is malformed or invalid.
    Invalid,
    /// Not authenticated.
    Unauthorized,
    /// Not allowed.
    Forbidden,
    /// The resource does not exist.
    NotFound,
    /// The resource is in the wrong state.
    Conflict,
    /// The request is valid but cannot be carried out.
    Impossible,
    /// The input exceeds a size limit.
    TooLarge,
    /// The input has a type that is not accepted.
    UnsupportedType,
    /// A count or rate limit is reached.
    TooMany,
    /// Not implemented.
    NotBuilt,
    /// The daemon is overloaded or shutting down.
    Unavailable,
    /// A bug or a broken database.
    Internal,
}

impl ServiceError {
    /// An invalid field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// A file of more than `limit` bytes.
    #[must_use]
    pub fn media_too_large(limit: u64) -> Self {
        Self::Media(MediaError::TooLarge(limit))
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::DeviceNotFound => "device_not_found",
            Self::MessageNotFound => "message_not_found",
            Self::ChatNotFound => "chat_not_found",
            Self::GroupNotFound => "group_not_found",
            Self::UploadNotFound => "media_not_found",
            Self::NoMedia => "no_media",
            Self::MediaGone | Self::Media(MediaError::Gone) => "media_gone",
            Self::NoThumbnail => "no_thumbnail",
            Self::NoPicture => "no_picture",
            Self::EmptyFile => "empty_file",
            Self::TooManyUploads | Self::TooManyUploadsOfDevice(_) => "too_many_uploads",
            Self::UploadRateExceeded { .. } => "upload_rate_exceeded",
            Self::MediaQuotaExceeded(_) => "media_quota_exceeded",
            Self::Media(MediaError::TooLarge(_)) => "media_too_large",
            Self::Media(MediaError::Incomplete(_)) => "upload_incomplete",
            Self::Media(MediaError::TooSlow) => "upload_too_slow",
            Self::Media(MediaError::Storage(error)) if is_full(error) => "disk_full",
            Self::Media(MediaError::Unavailable(_)) => "media_store_unavailable",
            Self::Media(MediaError::Storage(_)) => "media_store_failed",
            Self::KeyNotFound => "key_not_found",
            Self::WebhookNotFound => "webhook_not_found",
            Self::DeadLetterNotFound => "dead_letter_not_found",
            Self::RuleNotFound => "rule_not_found",
            Self::FixedRule => "fixed_rule",
            Self::TooManyRules(_) => "too_many_rules",
            Self::TooManyMutes(_) => "too_many_mutes",
            Self::SoundNotFound => "sound_not_found",
            Self::SubscriptionNotFound => "subscription_not_found",
            Self::TooManySubscriptions(_) => "too_many_subscriptions",
            Self::TooManyWebhooks(_) | Self::TooManyWebhooksOfDevice(_) => "too_many_webhooks",
            Self::TooManyTests(_) | Self::TooManyTestsOfDevice(_) | Self::TestRateExceeded { .. } => {
                "too_many_tests"
            }
            Self::NoSuchCall => "not_found",
            Self::Invalid { .. } => "invalid_field",
            Self::DeviceExists => "device_exists",
            Self::DeviceBeingDeleted => "device_being_deleted",
            Self::TooManyDevices(_) => "too_many_devices",
            Self::WrongState(_) => "wrong_state",
            Self::SetByFile(_) => "set_by_file",
            Self::NotQueued => "not_queued",
            Self::NotLinked => "device_not_linked",
            Self::Offline => "device_offline",
            Self::PresenceUnavailable => "presence_unavailable",
            Self::PhoneOffline => "phone_offline",
            Self::PasskeyPending => "passkey_pending",
            Self::NoPasskeyPending => "no_passkey_pending",
            Self::PasskeyCodeChanged => "passkey_code_changed",
            Self::InvalidPasskeyResponse { .. } => "passkey_response_invalid",
            Self::TooManyPasskeyResponses(_) => "too_many_passkey_responses",
            Self::KeyFromEnvironment => "key_from_environment",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::NotSupported => "not_supported_by_engine",
            Self::Impossible { code, .. } | Self::NotReady { code, .. } => code,
            Self::WiderKey(_) => "wider_key",
            Self::BadSignature => "bad_signature",
            Self::VerificationRefused => "verification_refused",
            Self::BadCallback(_) => "bad_callback",
            Self::CallbackNotNow(_) => "callback_not_now",
            Self::OutboxFull(_) => "outbox_full",
            Self::NotBuilt(_) => "not_implemented",
            Self::TooLarge(_) => "too_large",
            Self::BadImport(_) => "invalid_import",
            Self::ImportCut { source, .. } => source.code(),
            Self::TooManyImports(_) | Self::TooManyImportsOfDevice(_) => "too_many_imports",
            Self::ShuttingDown => "shutting_down",
            Self::Store(StoreError::Busy) => "store_busy",
            Self::Store(StoreError::Closed) => "shutting_down",
            Self::Store(StoreError::DiskFull) => "disk_full",
            Self::Store(StoreError::RolledBack) => "store_unavailable",
            Self::Store(StoreError::Database(_) | StoreError::Unreadable(_) | StoreError::Panicked) => {
                "store_failed"
            }
        }
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::DeviceNotFound
            | Self::MessageNotFound
            | Self::ChatNotFound
            | Self::GroupNotFound
            | Self::UploadNotFound
            | Self::NoMedia
            | Self::MediaGone
            | Self::NoThumbnail
            | Self::NoPicture
            | Self::Media(MediaError::Gone)
            | Self::KeyNotFound
            | Self::WebhookNotFound
            | Self::DeadLetterNotFound
            | Self::RuleNotFound
            | Self::SoundNotFound
            | Self::SubscriptionNotFound
            | Self::NoSuchCall => ErrorKind::NotFound,
            Self::Invalid { .. }
            | Self::EmptyFile
            | Self::BadCallback(_)
            | Self::BadImport(_)
            | Self::Media(MediaError::Incomplete(_) | MediaError::TooSlow) => ErrorKind::Invalid,
            Self::TooLarge(_) | Self::Media(MediaError::TooLarge(_)) => ErrorKind::TooLarge,
            Self::ImportCut { source, .. } => source.kind(),
            Self::Media(MediaError::Storage(error)) if !is_full(error) => ErrorKind::Internal,
            Self::Media(MediaError::Storage(_) | MediaError::Unavailable(_)) | Self::TooManyUploads => {
                ErrorKind::Unavailable
            }
            Self::DeviceExists
            | Self::DeviceBeingDeleted
            | Self::TooManyDevices(_)
            | Self::TooManyWebhooks(_)
            | Self::TooManyWebhooksOfDevice(_)
            | Self::FixedRule
            | Self::TooManyRules(_)
            | Self::TooManyMutes(_)
            | Self::TooManySubscriptions(_)
            | Self::WrongState(_)
            | Self::SetByFile(_)
            | Self::NotQueued
            | Self::NotLinked
            | Self::Offline
            | Self::PresenceUnavailable
            | Self::PhoneOffline
            | Self::PasskeyPending
            | Self::NoPasskeyPending
            | Self::PasskeyCodeChanged
            | Self::KeyFromEnvironment => ErrorKind::Conflict,
            Self::IdempotencyMismatch
            | Self::NotSupported
            | Self::InvalidPasskeyResponse { .. }
            | Self::Impossible { .. } => ErrorKind::Impossible,
            Self::WiderKey(_) | Self::VerificationRefused => ErrorKind::Forbidden,
            Self::BadSignature => ErrorKind::Unauthorized,
            Self::OutboxFull(_)
            | Self::TooManyPasskeyResponses(_)
            | Self::TooManyImports(_)
            | Self::TooManyImportsOfDevice(_)
            | Self::TooManyTests(_)
            | Self::TooManyTestsOfDevice(_)
            | Self::TestRateExceeded { .. }
            | Self::UploadRateExceeded { .. }
            | Self::MediaQuotaExceeded(_)
            | Self::TooManyUploadsOfDevice(_) => ErrorKind::TooMany,
            Self::NotBuilt(_) => ErrorKind::NotBuilt,
            Self::ShuttingDown
            | Self::NotReady { .. }
            | Self::CallbackNotNow(_)
            | Self::Store(
                StoreError::Busy | StoreError::Closed | StoreError::DiskFull | StoreError::RolledBack,
            ) => ErrorKind::Unavailable,
            Self::Store(StoreError::Database(_) | StoreError::Unreadable(_) | StoreError::Panicked) => {
                ErrorKind::Internal
            }
        }
    }

    /// Seconds after which a retry may succeed.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Store(StoreError::Busy | StoreError::RolledBack) | Self::DeviceBeingDeleted => Some(1),
            Self::Store(StoreError::DiskFull)
            | Self::NotReady { .. }
            | Self::OutboxFull(_)
            | Self::TooManyImports(_)
            | Self::TooManyImportsOfDevice(_) => Some(30),
            Self::UploadRateExceeded { retry_after_seconds, .. }
            | Self::TestRateExceeded { retry_after_seconds, .. } => Some(*retry_after_seconds),
            Self::ImportCut { source, .. } => source.retry_after_seconds(),
            Self::TooManyUploads
            | Self::TooManyTests(_)
            | Self::TooManyTestsOfDevice(_)
            | Self::TooManyUploadsOfDevice(_)
            | Self::Media(MediaError::Unavailable(_)) => Some(5),
            Self::Media(MediaError::Storage(error)) if is_full(error) => Some(30),
            Self::Store(StoreError::Closed) | Self::ShuttingDown | Self::CallbackNotNow(_) => Some(5),
            _ => None,
        }
    }

    /// The invalid field.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid { field, .. } => Some(field),
            Self::InvalidPasskeyResponse { field, .. } => Some(field),
            _ => None,
        }
    }
}

/// Checks that the device exists.
///
/// # Errors
/// If there is no such device, or the store fails.
pub(in crate::service) fn require_device(store: &Reader<'_>, device: &DeviceId) -> Result<(), ServiceError> {
    if store.has_device(device)? { Ok(()) } else { Err(ServiceError::DeviceNotFound) }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

fn storage_sentence(error: &StoreError) -> &'static str {
    match error {
        StoreError::Busy => "too many writes are waiting; try again in a moment",
        StoreError::Closed => "the daemon is shutting down",
        StoreError::DiskFull => "the disk is full; nothing new can be stored until there is space",
        StoreError::RolledBack => "the write could not be stored; try again in a moment",
        StoreError::Database(_) | StoreError::Unreadable(_) | StoreError::Panicked => {
            "the database failed; the log has the cause"
        }
    }
}

impl From<SettingError> for ServiceError {
    fn from(error: SettingError) -> Self {
        Self::Invalid { field: error.field, message: error.message }
    }
}

impl From<SessionError> for ServiceError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Offline => Self::Offline,
            SessionError::NotSupported => Self::NotSupported,
            SessionError::PresenceUnavailable => Self::PresenceUnavailable,
            SessionError::NotInGroup => {
                Self::Impossible { code: "refused_by_network", message: error.to_string() }
            }
            SessionError::Refused(why) => Self::Impossible {
                code: "refused_by_network",
                message: format!("the network refused: {why}"),
            },
        }
    }
}

impl From<ControlError> for ServiceError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::NotFound => Self::NoSuchCall,
            ControlError::Invalid { field, message } => Self::Invalid { field, message },
            ControlError::Impossible { code, message } => Self::Impossible { code, message },
            ControlError::NotBuilt(what) => Self::NotBuilt(what),
            ControlError::Unauthorized => Self::BadSignature,
            ControlError::Storage => Self::Impossible {
                code: "network_storage_failed",
                message: "the simulated network could not store it".into(),
            },
        }
    }
}

impl From<CallbackError> for ServiceError {
    fn from(error: CallbackError) -> Self {
        match error {
            CallbackError::NotTaken => Self::NoSuchCall,
            CallbackError::Unauthorized => Self::BadSignature,
            CallbackError::Forbidden => Self::VerificationRefused,
            CallbackError::Invalid(why) => Self::BadCallback(why),
            CallbackError::NotNow(why) => Self::CallbackNotNow(why),
        }
    }
}
