//! Groups: creation, queries, changes and leaving, with notifications to all members.

use serde_json::json;
use testbed::scene::Role;
use wacore::iq::groups::{GroupCreateOptions, GroupParticipantOptions, GroupSubject};
use wacore::stanza::groups::GroupNotificationAction;
use wacore::types::events::Event;
use wacore_binary::Jid;

use crate::device::Device;
use crate::{PHONE, account, testbed};

const ANNE: &str = "15550110001";
const BEN: &str = "15550110002";
const UNREGISTERED: &str = "15550190001";
const OTHER_PHONE: &str = "15550100002";

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_settings_exist() {
    let testbed = testbed().await;
    let account = account(&testbed, PHONE, &json!({ "groups": 2, "contacts": 3 }));
    let device = Device::linked(&testbed, &account).await;
    let groups = device.client().groups().get_participating().await.unwrap();
    let mut subjects: Vec<_> = groups.values().map(|group| group.subject.clone()).collect();
    subjects.sort();
    assert_eq!(subjects, ["Group 1", "Group 2"]);
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn device_creates_changes_and_leaves_group() {
    let testbed = testbed().await;
    let me = account(&testbed, PHONE, &json!({}));
    let mut device = Device::linked(&testbed, &me).await;
    let client = device.client();
    let people = [ANNE, UNREGISTERED].map(|number| GroupParticipantOptions::new(Jid::pn(number)));
    let options = GroupCreateOptions::new("Sailing").with_participants(people.to_vec());
    let made = client.groups().create_group(options).await.unwrap();
    let group = made.metadata.id.clone();
    assert_eq!(made.metadata.participants.len(), 2, "both are members");
    device.next("word of the group", |event| change(event, "create")).await;

    let outcomes = client.groups().add_participants(&group, &[Jid::pn(BEN), Jid::pn(ANNE)]).await.unwrap();
    let errors: Vec<_> = outcomes.iter().map(|outcome| outcome.error.as_deref()).collect();
    assert_eq!(errors, [None, Some("409")]);
    device.next("word of who came", |event| change(event, "add")).await;
    client.groups().promote_participants(&group, &[Jid::pn(BEN)]).await.unwrap();
    device.next("word of the admin", |event| change(event, "promote")).await;
    client.groups().set_subject(&group, GroupSubject::new("Rowing").unwrap()).await.unwrap();
    device.next("word of the name", |event| change(event, "subject")).await;
    let first = client.groups().get_invite_link(&group, false).await.unwrap();
    let second = client.groups().get_invite_link(&group, true).await.unwrap();
    assert_ne!(first, second);
    client.groups().remove_participants(&group, &[Jid::pn(ANNE)]).await.unwrap();

    let circle = testbed.world().groups.find(PHONE, &group.to_string()).unwrap();
    assert_eq!(circle.subject, "Rowing");
    assert_eq!((circle.role_of(BEN), circle.role_of(ANNE)), (Some(Role::Admin), None));
    client.groups().leave(&group).await.unwrap();
    assert!(testbed.world().groups.of(PHONE).is_empty());
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_can_change_group() {
    let testbed = testbed().await;
    let groups = json!({ "groups": [{ "id": "1@g.us", "subject": "Theirs", "participants": [ANNE], "admin": false }] });
    let account = account(&testbed, PHONE, &groups);
    let device = Device::linked(&testbed, &account).await;
    let group: Jid = "1@g.us".parse().unwrap();
    let subject = GroupSubject::new("Mine").unwrap();
    assert!(device.client().groups().set_subject(&group, subject).await.is_err());
    assert_eq!(testbed.world().groups.find(PHONE, "1@g.us").unwrap().subject, "Theirs");
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn created_group_is_shared_by_accounts() {
    let testbed = testbed().await;
    let (one, two) = (account(&testbed, PHONE, &json!({})), account(&testbed, OTHER_PHONE, &json!({})));
    let first = Device::linked(&testbed, &one).await;
    let mut second = Device::linked(&testbed, &two).await;
    let people = vec![GroupParticipantOptions::new(Jid::pn(OTHER_PHONE))];
    let options = GroupCreateOptions::new("Both").with_participants(people);
    let made = first.client().groups().create_group(options).await.unwrap();
    second.next("word of the group", |event| change(event, "create")).await;
    let groups = second.client().groups().get_participating().await.unwrap();
    assert!(groups.values().any(|group| group.id == made.metadata.id));
    testbed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn group_with_hidden_number_uses_lids() {
    let testbed = testbed().await;
    let settings =
        json!({ "groups": 1, "contacts": [{ "number": ANNE, "lidOnly": true }, { "number": BEN }] });
    let account = account(&testbed, PHONE, &settings);
    let device = Device::linked(&testbed, &account).await;
    let groups = device.client().groups().get_participating().await.unwrap();
    let members: Vec<_> = groups.values().flat_map(|group| group.participants.clone()).collect();
    assert!(members.iter().all(|member| member.jid.is_lid()));
    let hidden = testbed.world().directory.get_or_create(ANNE).unwrap().lid_jid(0);
    let anne = members.iter().find(|member| member.jid == hidden).unwrap();
    assert_eq!(anne.phone_number, None);
    testbed.stop().await;
}

fn change(event: &Event, expected: &str) -> Option<()> {
    let Event::GroupUpdate(update) = event else { return None };
    let tag = match &update.action {
        GroupNotificationAction::Create { .. } => "create",
        GroupNotificationAction::Add { .. } => "add",
        GroupNotificationAction::Promote { .. } => "promote",
        GroupNotificationAction::Subject { .. } => "subject",
        _ => "another",
    };
    (tag == expected).then_some(())
}
