//! Groups: members, permissions, events and persistence.

use super::*;
use crate::domain::group::{Group, GroupChange, Role};
use crate::domain::jid::Jid;
use crate::engine::{GroupAnswer, GroupRequest, MembersChange, SessionError};

const GROUP: &str = "120363000000000001@g.us";
const OTHER: &str = "15550110002@c.us";
const UNREGISTERED: &str = "15550190001@c.us";

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn street(admin: bool) -> Value {
    json!({ "groups": [{ "id": GROUP, "subject": "Street", "participants": [CONTACT], "admin": admin }] })
}

impl Running {
    async fn ask(&self, request: GroupRequest) -> Result<GroupAnswer, SessionError> {
        self.session.group(request).await
    }

    async fn info(&self, group: &Jid) -> Group {
        match self.ask(GroupRequest::Info(group.clone())).await {
            Ok(GroupAnswer::Group(group)) => group,
            other => panic!("{other:?}"),
        }
    }

    async fn change(&self, change: MembersChange, who: &[&str]) -> Vec<Result<(), &'static str>> {
        let participants = who.iter().map(|who| jid(who)).collect();
        match self.ask(GroupRequest::Participants { group: jid(GROUP), change, participants }).await {
            Ok(GroupAnswer::Participants(outcomes)) => outcomes.into_iter().map(|(_, o)| o).collect(),
            other => panic!("{other:?}"),
        }
    }
}

type Change = (GroupChange, Vec<(String, Role)>, Option<String>);

/// `(change, people with their roles, text)` of each delivered change.
fn changes(recorder: &Recorder) -> Vec<Change> {
    let change = |event| match event {
        EngineEvent::GroupChanged { change, participants, text, .. } => {
            Some((change, participants.into_iter().map(|p| (p.id.to_string(), p.role)).collect(), text))
        }
        _ => None,
    };
    recorder.all().into_iter().filter_map(change).collect()
}

fn me(recorder: &Recorder) -> Jid {
    let account = recorder.all().into_iter().find_map(|event| match event {
        EngineEvent::Opened(account) => account.jid(),
        _ => None,
    });
    account.unwrap()
}

#[tokio::test]
async fn configured_groups_include_the_account() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(street(false)).await;
    let groups_of = |recorder: &Recorder| {
        recorder.all().into_iter().find_map(|event| match event {
            EngineEvent::Groups { groups, .. } => Some(groups),
            _ => None,
        })
    };
    daemon.recorder.until("groups", |recorder| groups_of(recorder).is_some()).await;
    let groups = groups_of(&daemon.recorder).unwrap();
    assert_eq!((groups.len(), groups[0].subject.as_str()), (1, "Street"));
    let roles: Vec<(Jid, Role)> = groups[0].participants.iter().map(|p| (p.id.clone(), p.role)).collect();
    assert_eq!(roles, [(jid(CONTACT), Role::Superadmin), (me(&daemon.recorder), Role::Member)]);
    assert_eq!(running.info(&jid(GROUP)).await, groups[0]);
    running.stop().await;
}

#[tokio::test]
async fn created_group_survives_restart() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    let me = me(&daemon.recorder);
    let create = GroupRequest::Create {
        subject: "Choir".into(),
        participants: vec![jid(CONTACT), jid(UNREGISTERED), me.clone(), jid(CONTACT)],
    };
    let GroupAnswer::Group(made) = running.ask(create).await.unwrap() else { panic!() };
    assert_eq!((made.subject.as_str(), made.owner.as_ref()), ("Choir", Some(&me)));
    let roles: Vec<(Jid, Role)> = made.participants.iter().map(|p| (p.id.clone(), p.role)).collect();
    assert_eq!(roles, [(me.clone(), Role::Superadmin), (jid(CONTACT), Role::Member)]);
    daemon.recorder.until("its making", |recorder| changes(recorder).len() == 1).await;
    assert!(
        daemon.recorder.all().contains(&EngineEvent::Groups { groups: vec![made.clone()], complete: false })
    );
    assert_eq!(changes(&daemon.recorder)[0].0, GroupChange::Created);
    let sent = running.send(&made.id.to_string(), "A1", "sing").await;
    assert_eq!(sent, SendOutcome::Sent { participants: vec![jid(CONTACT)] });
    running.stop().await;

    let daemon = daemon.restart(dir.path()).await;
    let running = daemon.connect(json!({})).await;
    daemon.recorder.until_opened().await;
    assert_eq!(running.info(&made.id).await, made);
    running.stop().await;
}

#[tokio::test]
async fn member_changes_have_a_result_each() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(street(true)).await;
    let me = me(&daemon.recorder).to_string();
    let added = running.change(MembersChange::Add, &[OTHER, UNREGISTERED, CONTACT]).await;
    assert_eq!(added, [Ok(()), Err("not_on_network"), Err("already_in_group")]);
    assert_eq!(running.change(MembersChange::Promote, &[OTHER]).await, [Ok(())]);
    assert_eq!(running.change(MembersChange::Demote, &[OTHER]).await, [Ok(())]);
    let removed = running.change(MembersChange::Remove, &[OTHER, UNREGISTERED, &me]).await;
    assert_eq!(removed, [Ok(()), Err("not_in_group"), Err("not_allowed")]);
    daemon.recorder.until("four changes", |recorder| changes(recorder).len() == 4).await;
    let one = |change, role| (change, vec![(OTHER.to_owned(), role)], None);
    let expected = [
        one(GroupChange::Add, Role::Member),
        one(GroupChange::Promote, Role::Admin),
        one(GroupChange::Demote, Role::Member),
        one(GroupChange::Remove, Role::Member),
    ];
    assert_eq!(changes(&daemon.recorder), expected);
    running.stop().await;
}

#[tokio::test]
async fn subject_description_and_link_change() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(street(true)).await;
    let group = jid(GROUP);
    let subject = GroupRequest::Subject { group: group.clone(), subject: "Road".into() };
    running.ask(subject).await.unwrap();
    for text in ["Cobbled", ""] {
        let description = GroupRequest::Description { group: group.clone(), description: text.into() };
        running.ask(description).await.unwrap();
    }
    let info = running.info(&group).await;
    assert_eq!((info.subject.as_str(), info.description), ("Road", None));

    let link = GroupRequest::InviteLink(group.clone());
    let GroupAnswer::Link(first) = running.ask(link.clone()).await.unwrap() else { panic!() };
    assert!(first.starts_with("https://chat.invalid/") && first.len() == 43, "{first}");
    assert_eq!(running.ask(link.clone()).await, Ok(GroupAnswer::Link(first.clone())));
    let GroupAnswer::Link(second) = running.ask(GroupRequest::RevokeInviteLink(group)).await.unwrap() else {
        panic!()
    };
    assert_ne!(first, second);
    assert_eq!(running.ask(link).await, Ok(GroupAnswer::Link(second)));
    daemon.recorder.until("four changes", |recorder| changes(recorder).len() == 4).await;
    let changed: Vec<_> =
        changes(&daemon.recorder).into_iter().map(|(change, _, text)| (change, text)).collect();
    let expected = [
        (GroupChange::Subject, Some("Road".to_owned())),
        (GroupChange::Description, Some("Cobbled".to_owned())),
        (GroupChange::Description, Some(String::new())),
        (GroupChange::InviteLink, None),
    ];
    assert_eq!(changed, expected);
    running.stop().await;
}

#[tokio::test]
async fn non_admin_and_non_member_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(street(false)).await;
    let refused = |result: Result<GroupAnswer, SessionError>| match result {
        Err(SessionError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    let group = jid(GROUP);
    for request in [
        GroupRequest::Subject { group: group.clone(), subject: "Mine".into() },
        GroupRequest::InviteLink(group.clone()),
        GroupRequest::Participants {
            group: group.clone(),
            change: MembersChange::Add,
            participants: vec![jid(OTHER)],
        },
    ] {
        assert_eq!(refused(running.ask(request).await), "only admins may change this group");
    }
    let unknown = GroupRequest::Info(jid("120363000000000077@g.us"));
    assert_eq!(running.ask(unknown).await, Err(SessionError::NotInGroup));

    assert_eq!(running.ask(GroupRequest::Leave(group.clone())).await, Ok(GroupAnswer::Done));
    assert_eq!(running.ask(GroupRequest::Info(group.clone())).await, Err(SessionError::NotInGroup));
    assert_eq!(
        running.ask(GroupRequest::Leave(group)).await,
        Ok(GroupAnswer::Done),
        "the account already left"
    );
    assert_eq!(outcome(&running.send(GROUP, "A1", "x").await), ("permanent", "not_in_group"));
    daemon.recorder.until("the leave", |recorder| changes(recorder).len() == 1).await;
    assert_eq!(changes(&daemon.recorder)[0].0, GroupChange::Leave);
    running.stop().await;
}

#[tokio::test]
async fn other_person_changes_group() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(street(false)).await;
    let me = me(&daemon.recorder);
    let post = async |mut body: Value| {
        body["author"] = json!(CONTACT);
        body["groupId"] = body.get("groupId").cloned().unwrap_or(json!(GROUP));
        daemon.post("group", body).await
    };
    post(json!({ "change": "add", "participants": [OTHER] })).await.unwrap();
    post(json!({ "change": "subject", "subject": "Road" })).await.unwrap();
    post(json!({ "change": "promote", "participants": [me] })).await.unwrap();
    let answer = post(json!({ "change": "leave", "participants": [OTHER] })).await.unwrap();
    assert_eq!(answer["group"]["subject"], "Road");
    let words: Vec<GroupChange> = changes(&daemon.recorder).into_iter().map(|change| change.0).collect();
    let expected = [GroupChange::Add, GroupChange::Subject, GroupChange::Promote, GroupChange::Leave];
    assert_eq!(words, expected);
    // As an admin the account may make the same changes.
    running.ask(GroupRequest::Subject { group: jid(GROUP), subject: "Path".into() }).await.unwrap();

    let choir = "120363000000000009@g.us";
    let made = json!({ "groupId": choir, "change": "created", "subject": "Choir", "participants": [OTHER] });
    post(made).await.unwrap();
    assert_eq!(running.info(&jid(choir)).await.participants.len(), 3);

    for (body, field) in [
        (json!({ "change": "dance" }), "change"),
        (json!({ "change": "add" }), "participants"),
        (json!({ "change": "subject" }), "subject"),
        (json!({ "change": "remove", "participants": ["15550110009"] }), "participants[0]"),
        (json!({ "groupId": CONTACT, "change": "picture" }), "groupId"),
    ] {
        let wrong = post(body.clone()).await;
        assert!(
            matches!(&wrong, Err(ControlError::Invalid { field: f, .. }) if f == field),
            "{body} {wrong:?}"
        );
    }
    let nowhere = json!({ "groupId": "120363000000000077@g.us", "change": "picture" });
    assert_eq!(code_of(post(nowhere).await.unwrap_err()), "group_unknown");
    running.stop().await;
}

#[tokio::test]
async fn writer_becomes_group_member() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(json!({ "ackServerMs": 0 })).await;
    daemon.post("incoming", json!({ "from": OTHER, "groupId": GROUP, "body": "hi" })).await.unwrap();
    let sent = running.send(GROUP, "A1", "x").await;
    assert_eq!(sent, SendOutcome::Sent { participants: vec![jid(OTHER)] });
    assert_eq!(running.info(&jid(GROUP)).await.participants.len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn log_out_removes_changed_groups() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let running = daemon.connect_linked(street(true)).await;
    running.ask(GroupRequest::Subject { group: jid(GROUP), subject: "Road".into() }).await.unwrap();
    let key = format!("simulator/group/{GROUP}");
    assert!(daemon.vault.0.lock().contains_key(&key));
    running.session.log_out().await.unwrap();
    assert!(daemon.vault.0.lock().is_empty());
    running.ended().await;

    let running = daemon.connect_linked(street(true)).await;
    let opened = |recorder: &Recorder| {
        recorder.all().iter().filter(|event| matches!(event, EngineEvent::Opened(_))).count()
    };
    daemon.recorder.until("opened again", |recorder| opened(recorder) == 2).await;
    assert_eq!(running.info(&jid(GROUP)).await.subject, "Street");
    running.stop().await;
}
