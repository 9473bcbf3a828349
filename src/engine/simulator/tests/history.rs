//! The history synchronisation and its progress.

use super::*;
use crate::domain::event::HistoryPhase;
use crate::engine::{Answer, Incoming, IncomingChange, Query};

fn progress(recorder: &Recorder) -> Vec<(HistoryPhase, u64, Option<u64>)> {
    let step = |event| match event {
        EngineEvent::HistoryProgress { done, total, phase } => Some((phase, done, total)),
        _ => None,
    };
    recorder.all().into_iter().filter_map(step).collect()
}

async fn until_complete(daemon: &Daemon) {
    let complete =
        |recorder: &Recorder| progress(recorder).last().is_some_and(|p| p.0 == HistoryPhase::Complete);
    daemon.recorder.until("complete", complete).await;
}

#[tokio::test]
async fn progress_follows_each_batch() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "contacts": 201, "groups": 21, "history": 250 })).await;
    until_complete(&daemon).await;
    let expected = [
        (HistoryPhase::Contacts, 200, Some(201)),
        (HistoryPhase::Contacts, 201, Some(201)),
        (HistoryPhase::Groups, 20, Some(21)),
        (HistoryPhase::Groups, 21, Some(21)),
        (HistoryPhase::Messages, 200, Some(250)),
        (HistoryPhase::Messages, 250, Some(250)),
        (HistoryPhase::Complete, 250, Some(250)),
    ];
    assert_eq!(progress(&daemon.recorder), expected);
    running.stop().await;
}

#[tokio::test]
async fn history_has_texts_places_quotes_and_a_reaction() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "contacts": 3, "groups": 1, "history": 100 })).await;
    until_complete(&daemon).await;
    let history: Vec<Incoming> = daemon
        .recorder
        .all()
        .into_iter()
        .filter_map(|event| if let EngineEvent::History(batch) = event { Some(batch) } else { None })
        .flatten()
        .collect();
    assert_eq!(history.len(), 100);
    let places = history.iter().filter(|m| matches!(m.content, Content::Location(_))).count();
    assert_eq!(places, 10);
    let quotes: Vec<&Incoming> = history.iter().filter(|m| m.quoted.is_some()).collect();
    assert_eq!(quotes.len(), 10);
    for message in quotes {
        let quoted = message.quoted.as_ref().unwrap();
        let original = history.iter().find(|m| m.network_id == quoted.id.network).unwrap();
        assert_eq!((&original.body, &original.chat), (&quoted.body, &message.chat));
        assert!(original.timestamp < message.timestamp);
    }
    let reacted = daemon.recorder.all().into_iter().find_map(|event| match event {
        EngineEvent::PastChanges(changes) => match &changes[..] {
            [IncomingChange::Reaction { id, .. }] => Some(id.clone()),
            _ => None,
        },
        _ => None,
    });
    let reacted = reacted.expect("no reaction");
    assert!(history.iter().any(|m| m.from_me && m.network_id == reacted.network));
    running.stop().await;
}

#[tokio::test]
async fn empty_history_has_no_progress() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({})).await;
    daemon.say("first").await.unwrap();
    assert_eq!(progress(&daemon.recorder), []);
    running.stop().await;
}

#[tokio::test]
async fn contact_has_configured_picture() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let picture = "https://pictures.invalid/bakery.jpg";
    let running = daemon.connect_linked(json!({ "contacts": [{ "id": CONTACT, "picture": picture }] })).await;
    let ask = |who: &str| running.session.query(Query::ProfilePicture(who.parse().unwrap()));
    assert_eq!(ask(CONTACT).await, Ok(Answer::ProfilePicture(Some(picture.into()))));
    assert_eq!(ask("15550110002").await, Ok(Answer::ProfilePicture(None)));
    running.stop().await;
}
