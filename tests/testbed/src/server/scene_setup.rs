//! The scene of an account begins: at a scan its people and groups are there, and what its phone tells a
//! device that it links is ready.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use waproto::whatsapp as wa;

use super::state::Account;
use super::{World, app_state};
use crate::phone::app_state::Deed;
use crate::phone::blobs::announce;
use crate::phone::history::Past;
use crate::scene::{Scene, Settings, Who};

/// Puts an account into the scene that the settings describe, under a name. The same again changes nothing.
///
/// # Errors
/// When there are more groups than may be.
pub fn begin(world: &World, account: &Arc<Account>, settings: Settings, push_name: &str) -> Result<()> {
    rename(account, push_name)?;
    if account.lock().scene.settings == settings {
        return Ok(());
    }
    let number = |who: &Who| world.directory.who(who).map(|person| person.number.clone());
    let mut scene = Scene::new(settings, number);
    world.groups.clear(&account.number);
    for circle in scene.groups(&account.number, number) {
        world.groups.put(&account.number, circle).map_err(|_| anyhow!("there are too many groups"))?;
    }
    let named = scene.contacts.iter().filter_map(|contact| {
        let person = world.directory.somebody(&contact.number)?;
        let (hidden, name) = (scene.hidden.contains(&contact.number), contact.name.clone()?);
        let jid = if hidden { person.lid_jid(0) } else { person.jid(0) };
        Some(Deed::Contact { jid, lid: (!hidden).then(|| person.lid_jid(0)), name })
    });
    let deeds: Vec<Deed> = named.collect();
    {
        let mut state = account.lock();
        state.strangers.extend(scene.hidden.iter().cloned());
        scene.push_name = std::mem::take(&mut state.scene.push_name);
        state.scene = scene;
    }
    app_state::write(account, &deeds)?;
    Ok(())
}

/// The phone's owner takes a name, unless they have it or it is none.
///
/// # Errors
/// When the collection of settings is full.
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
    app_state::write(account, &[Deed::PushName(push_name.to_owned())])?;
    Ok(())
}

/// The phone was in use before: there is something in its collections, as a device takes the first change of an
/// empty one for what was there before.
///
/// # Errors
/// When a collection is full.
pub fn used_before(account: &Account) -> Result<()> {
    for deed in [Deed::Favorites, Deed::ChatLock] {
        let unused = {
            let state = account.lock();
            state.collections.get(deed.collection()).is_none_or(|collection| collection.version() == 0)
        };
        if unused {
            app_state::write(account, &[deed])?;
        }
    }
    Ok(())
}

/// What the phone tells a device that it just linked: the messages that announce its history, in order.
///
/// # Errors
/// When the media store does not take it.
pub fn history(world: &World, account: &Account) -> Result<Vec<wa::Message>> {
    let (scene, push_name, hidden) = {
        let state = account.lock();
        (state.scene.clone(), state.push_name.clone(), state.strangers.clone())
    };
    let groups = world.groups.of(&account.number);
    let lid = |number: &str| world.directory.somebody(number).map(|person| person.lid_jid(0));
    let past = Past {
        scene: &scene,
        groups: &groups,
        me: &account.number,
        push_name: &push_name,
        lid: &lid,
        hidden: &hidden,
        now: wacore::time::now_secs(),
    };
    past.blobs().iter().map(|blob| announce(&world.media, blob)).collect()
}
