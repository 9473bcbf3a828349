//! Links a device by a code that the user types on the phone. A code is shown only while the device waits for it.

use std::time::Duration;

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::state::State;
use crate::engine::PairingCode;
use crate::service::{Fleet, ServiceError};

/// Time limit for a device that just started to connect.
const PATIENCE: Duration = Duration::from_secs(10);

impl Fleet {
    /// A pairing code for the phone with this number (digits), such as `ABCD-1234`, and the time of its expiry.
    ///
    /// # Errors
    /// If there is no such device, its engine has no such codes, it is not waiting to be linked, or the
    /// network refuses.
    pub async fn pairing_code(
        &self,
        device: &DeviceId,
        phone_number: &str,
    ) -> Result<(String, Millis), ServiceError> {
        let engine = self.registry.engine_of(device)?;
        if !self.registry.capabilities(&engine).is_some_and(|capabilities| capabilities.pairing_code) {
            return Err(ServiceError::NotSupported);
        }
        match tokio::time::timeout(PATIENCE, self.until_it_waits_for_a_link(device)).await {
            Ok(waits) => waits?,
            Err(_) => return Err(wrong_state("the device is still connecting; try again in a moment")),
        }
        let now = self.clock.now();
        let PairingCode { code, valid_ms } =
            self.registry.linking_session(device)?.pairing_code(phone_number).await?;
        Ok((grouped(&code), now.plus(i64::try_from(valid_ms).unwrap_or(i64::MAX))))
    }

    async fn until_it_waits_for_a_link(&self, device: &DeviceId) -> Result<(), ServiceError> {
        let mut news = self.store.follow(device);
        loop {
            news.mark_unchanged();
            let id = device.clone();
            let stored =
                self.store.read(move |store| store.device(&id)?.ok_or(ServiceError::DeviceNotFound)).await?;
            match (&stored.state, &stored.account) {
                (State::Qr { .. }, _) => return Ok(()),
                (State::Connecting { .. }, None) => {}
                (State::Passkey { .. }, _) => return Err(ServiceError::PasskeyPending),
                (
                    State::Created | State::Stopped { .. } | State::LoggedOut { .. } | State::Failed { .. },
                    _,
                ) => {
                    return Err(wrong_state(
                        "the device is not waiting to be linked; start it first (POST …/start)",
                    ));
                }
                (
                    State::Connecting { .. }
                    | State::Pairing { .. }
                    | State::Ready { .. }
                    | State::Reconnecting { .. },
                    _,
                ) => {
                    return Err(wrong_state(
                        "the device is linked to an account already; log it out first (POST …/logout)",
                    ));
                }
            }
            tokio::select! {
                _ = news.changed() => {}
                () = self.tasks.soft().cancelled() => return Err(ServiceError::ShuttingDown),
            }
        }
    }
}

fn wrong_state(sentence: &str) -> ServiceError {
    ServiceError::WrongState(sentence.to_owned())
}

/// The code in two halves, as phones display it.
fn grouped(code: &str) -> String {
    let bare: String = code.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    match bare.split_at_checked(4) {
        Some((first, second)) if bare.len() == 8 => format!("{first}-{second}"),
        _ => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn pairing_code_is_shown_in_two_halves() {
        assert_eq!((grouped("ABCD1234"), grouped("ABCD-1234")), ("ABCD-1234".into(), "ABCD-1234".into()));
        assert_eq!(grouped("odd"), "odd");
    }
}
