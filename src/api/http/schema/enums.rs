//! The schemas of device states and of binary content.

use utoipa::ToSchema;

/// The state of a device.
#[derive(ToSchema)]
#[schema(as = DeviceState, rename_all = "snake_case")]
pub enum StateWord {
    Created,
    Connecting,
    Qr,
    Passkey,
    Pairing,
    Ready,
    Reconnecting,
    Stopped,
    LoggedOut,
    Failed,
}

/// The status of a device, in the words that dashboards compare.
#[derive(ToSchema)]
#[schema(as = DashboardStatus, rename_all = "lowercase")]
pub enum DashboardWord {
    Ready,
    Qr,
    Connecting,
    Disconnected,
    Error,
}

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Binary(Vec<u8>);

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::domain::clock::Millis;
    use crate::domain::passkey::PasskeyStep;
    use crate::domain::reason::Reason;
    use crate::domain::state::State;

    #[test]
    fn every_word_of_a_state_is_in_the_document() {
        let document: Value = serde_json::from_str(&crate::api::openapi_json()).unwrap();
        let words = |name: &str| document["components"]["schemas"][name]["enum"].as_array().unwrap().clone();
        let since = Millis(1);
        let reason = Reason::ALL[0];
        let states = [
            State::Created,
            State::Connecting { attempt: 0, since, reason: None },
            State::Qr { code: String::new(), attempt: 1, expires_at: since, since },
            State::Passkey {
                step: PasskeyStep::Confirmation { code: String::new() },
                expires_at: since,
                since,
            },
            State::Pairing { since },
            State::Ready { since, attempt: 0 },
            State::Reconnecting { attempt: 1, reason, since },
            State::Stopped { reason, since },
            State::LoggedOut { reason, since },
            State::Failed { reason, since },
        ];
        assert_eq!(words("DeviceState"), states.each_ref().map(State::name));
        for state in states {
            assert!(words("DashboardStatus").contains(&state.rest_status().into()), "{state:?}");
        }
    }
}
