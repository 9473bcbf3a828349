//! Tests that the invariants of the state machine hold for any sequence of inputs.

use super::*;
use proptest::prelude::*;

fn account() -> Account {
    Account { phone_number: "15550100001".to_owned(), client_name: "Shop".to_owned() }
}

fn options() -> serde_json::Map<String, serde_json::Value> {
    serde_json::Map::from_iter([("challenge".to_owned(), "abc".into())])
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => Just(Input::Start),
        1 => Just(Input::Stop(Reason::StoppedByOperator)),
        1 => Just(Input::LogOut),
        1 => Just(Input::Resume),
        4 => ("[a-z]{4}", 1_i64..60_000).prop_map(|(code, valid_ms)| Input::Code { code, valid_ms }),
        1 => Just(Input::CodesExhausted),
        3 => (1_i64..60_000).prop_map(|valid_ms| Input::PasskeyRequested { options: options(), valid_ms }),
        3 => ("[A-Z]{4}", 1_i64..60_000).prop_map(|(code, valid_ms)| Input::PasskeySigned { code, valid_ms }),
        1 => Just(Input::PasskeyEnded(Reason::PasskeyTimeout)),
        4 => Just(Input::Scanned(account())),
        6 => Just(Input::Opened(account())),
        3 => Just(Input::LinkLost(Reason::LinkDropped)),
        1 => Just(Input::Panicked { limit: 3 }),
        1 => Just(Input::LoggedOut(Reason::LoggedOutOnPhone)),
        1 => Just(Input::Fatal(Reason::Banned)),
    ]
}

fn emitted(effects: &[Effect]) -> Vec<&Event> {
    effects.iter().filter_map(|e| if let Effect::Emit(event) = e { Some(&**event) } else { None }).collect()
}

#[test]
fn device_links_step_by_step() {
    let mut state = State::Created;
    let mut names = Vec::new();
    let inputs = [
        Input::Start,
        Input::Code { code: "a".into(), valid_ms: 60_000 },
        Input::Code { code: "b".into(), valid_ms: 20_000 },
        Input::Scanned(account()),
        Input::Opened(account()),
    ];
    for (at, input) in (0..).zip(inputs) {
        let (next, effects) = step(&state, input, Millis(at)).unwrap();
        names.extend(emitted(&effects).iter().map(|e| e.name()));
        state = next;
    }
    assert_eq!(names, ["state", "state", "qr", "qr", "state", "authenticated", "state", "ready"]);
    assert_eq!(state, State::Ready { since: Millis(4), attempt: 0 });
}

#[test]
fn device_with_passkey_links_step_by_step() {
    let mut state = State::Qr { code: "a".into(), attempt: 1, expires_at: Millis(60_000), since: Millis(0) };
    let mut names = Vec::new();
    let inputs = [
        Input::PasskeyRequested { options: options(), valid_ms: 300_000 },
        Input::PasskeySigned { code: "ABCD-1234".into(), valid_ms: 120_000 },
        Input::Scanned(account()),
    ];
    for (at, input) in (1..).zip(inputs) {
        let (next, effects) = step(&state, input, Millis(at)).unwrap();
        names.extend(emitted(&effects).iter().map(|e| e.name()));
        state = next;
    }
    assert_eq!(names, ["state", "passkey:request", "passkey:confirmation", "state", "authenticated"]);
    assert_eq!(state, State::Pairing { since: Millis(3) });
}

#[test]
fn passkey_is_asked_for_only_after_a_scan() {
    let asked = || Input::PasskeyRequested { options: options(), valid_ms: 1 };
    for state in [State::Created, State::Ready { since: Millis(0), attempt: 0 }] {
        step(&state, asked(), Millis(1)).unwrap_err();
    }
    let (waiting, _) = step(&State::Pairing { since: Millis(0) }, asked(), Millis(1)).unwrap();
    let code = Input::Code { code: "b".into(), valid_ms: 1 };
    step(&waiting, code, Millis(2)).unwrap_err();
}

#[test]
fn failed_passkey_is_not_retried() {
    let (waiting, _) = step(
        &State::Pairing { since: Millis(0) },
        Input::PasskeyRequested { options: options(), valid_ms: 1 },
        Millis(1),
    )
    .unwrap();
    for ended in [
        Input::PasskeyEnded(Reason::PasskeyFailed),
        Input::LinkLost(Reason::LinkDropped),
        Input::Panicked { limit: 3 },
    ] {
        let (state, effects) = step(&waiting, ended, Millis(2)).unwrap();
        assert_eq!(state, State::Stopped { reason: Reason::PasskeyFailed, since: Millis(2) });
        let names: Vec<_> = emitted(&effects).iter().map(|e| e.name()).collect();
        assert_eq!(names, ["state", "passkey:error"]);
        assert!(effects.contains(&Effect::Close));
    }
}

#[test]
fn flapping_link_backs_off_and_stable_link_resets() {
    let flapping = State::Ready { since: Millis(0), attempt: 4 };
    let (state, _) = step(&flapping, Input::LinkLost(Reason::LinkDropped), Millis(1_000)).unwrap();
    assert_eq!(state.attempt(), 5);
    let (state, _) = step(&flapping, Input::LinkLost(Reason::LinkDropped), Millis(STABLE_AFTER_MS)).unwrap();
    assert_eq!(state.attempt(), 1);
}

#[test]
fn consecutive_panics_end_as_failed() {
    let mut state = State::Connecting { attempt: 0, since: Millis(0), reason: None };
    for _ in 0..3 {
        state = step(&state, Input::Panicked { limit: 3 }, Millis(1)).unwrap().0;
    }
    assert_eq!(state, State::Failed { reason: Reason::EnginePanicked, since: Millis(1) });
}

#[test]
fn invalid_input_error_names_state_and_input() {
    let error = step(&State::Created, Input::Opened(account()), Millis(0)).unwrap_err();
    assert_eq!(error.to_string(), "the input 'opened' is not valid for a device in state 'created'");
}

proptest! {
    #[test]
    fn state_is_rebuilt_from_log(inputs in prop::collection::vec((any_input(), 0_i64..90_000), 0..60)) {
        let (mut state, mut rebuilt, mut now) = (State::Created, State::Created, Millis(1_000));
        for (input, wait) in inputs {
            now = now.plus(wait);
            let Ok((next, effects)) = step(&state, input, now) else { continue };
            for event in emitted(&effects) {
                rebuilt = rebuilt.replay(event, now);
            }
            state = next;
            prop_assert_eq!(&state, &rebuilt);
        }
    }

    #[test]
    fn stored_state_round_trips(inputs in prop::collection::vec(any_input(), 0..30)) {
        let mut state = State::Created;
        for input in inputs {
            if let Ok((next, _)) = step(&state, input, Millis(7)) { state = next; }
            let text = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state.clone());
        }
    }

    #[test]
    fn every_transition_emits_its_events(inputs in prop::collection::vec(any_input(), 0..60)) {
        let mut state = State::Created;
        for input in inputs {
            let Ok((next, effects)) = step(&state, input, Millis(5)) else { continue };
            let names: Vec<_> = emitted(&effects).iter().map(|e| e.name()).collect();
            let states = names.iter().filter(|n| **n == "state").count();
            let is_same = state.name() == next.name() && matches!(next.name(), "qr" | "passkey");
            prop_assert_eq!(states, usize::from(!is_same));
            prop_assert_eq!(names.contains(&"disconnected"), state.is_ready() && !next.is_ready());
            prop_assert_eq!(names.contains(&"qr"), next.name() == "qr");
            let asks = names.contains(&"passkey:request") || names.contains(&"passkey:confirmation");
            prop_assert_eq!(asks, next.name() == "passkey");
            if !next.is_active() {
                prop_assert!(effects.contains(&Effect::Close));
                prop_assert!(next.reason().is_some());
            }
            state = next;
        }
    }
}
