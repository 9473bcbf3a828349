//! Applies a scan's scene to an account: its people, groups and profile name, and the history for newly
//! linked devices.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use waproto::whatsapp as wa;

use super::state::Account;
use super::{World, app_state};
use crate::phone::app_state::PhoneAction;
use crate::phone::blobs::announce;
use crate::phone::history::HistoryBuilder;
use crate::scene::{PersonRef, Scene, Settings};

/// Applies settings and profile name to an account; idempotent.
///
/// # Errors
/// If there are too many groups.
pub fn apply(world: &World, account: &Arc<Account>, settings: Settings, push_name: &str) -> Result<()> {
    rename(account, push_name)?;
    if account.lock().scene.settings == settings {
        return Ok(());
    }
    let number = |who: &PersonRef| world.directory.resolve(who).map(|person| person.number.clone());
    let mut scene = Scene::new(settings, number);
    world.groups.clear(&account.number);
    for group_state in scene.groups(&account.number, number) {
        world.groups.put(&account.number, group_state).map_err(|_| anyhow!("there are too many groups"))?;
    }
    let named = scene.contacts.iter().filter_map(|contact| {
        let person = world.directory.get_or_create(&contact.number)?;
        let (hidden, name) = (scene.hidden.contains(&contact.number), contact.name.clone()?);
        let jid = if hidden { person.lid_jid(0) } else { person.jid(0) };
        Some(PhoneAction::Contact { jid, lid: (!hidden).then(|| person.lid_jid(0)), name })
    });
    let actions: Vec<PhoneAction> = named.collect();
    {
        let mut state = account.lock();
        state.hidden_numbers.extend(scene.hidden.iter().cloned());
        scene.push_name = std::mem::take(&mut state.scene.push_name);
        state.scene = scene;
    }
    app_state::write(account, &actions)?;
    Ok(())
}

/// Sets the profile name, unless it is empty or unchanged.
///
/// # Errors
/// If the collection of settings is full.
pub fn rename(account: &Account, push_name: &str) -> Result<()> {
    let same = account.lock().scene.push_name == push_name;
    if same || push_name.is_empty() {
        return Ok(());
    }
    {
        let mut state = account.lock();
        push_name.clone_into(&mut state.push_name);
        push_name.clone_into(&mut state.scene.push_name);
    }
    app_state::write(account, &[PhoneAction::PushName(push_name.to_owned())])?;
    Ok(())
}

/// Writes a first record to empty collections, because a device treats the first change of an empty
/// collection as older than the link.
///
/// # Errors
/// If a collection is full.
pub fn seed_collections(account: &Account) -> Result<()> {
    for phone_action in [PhoneAction::Favorites, PhoneAction::ChatLock] {
        let unused = {
            let state = account.lock();
            state
                .collections
                .get(phone_action.collection())
                .is_none_or(|collection| collection.version() == 0)
        };
        if unused {
            app_state::write(account, &[phone_action])?;
        }
    }
    Ok(())
}

/// The messages that announce the history to a newly linked device, in order.
///
/// # Errors
/// If the media store refuses a blob.
pub fn history(world: &World, account: &Account) -> Result<Vec<wa::Message>> {
    let (scene, push_name, hidden) = {
        let state = account.lock();
        (state.scene.clone(), state.push_name.clone(), state.hidden_numbers.clone())
    };
    let groups = world.groups.of(&account.number);
    let lid = |number: &str| world.directory.get_or_create(number).map(|person| person.lid_jid(0));
    let history = HistoryBuilder {
        scene: &scene,
        groups: &groups,
        me: &account.number,
        push_name: &push_name,
        lid: &lid,
        hidden: &hidden,
        now: wacore::time::now_secs(),
    };
    history.blobs().iter().map(|blob| announce(&world.media, blob)).collect()
}
