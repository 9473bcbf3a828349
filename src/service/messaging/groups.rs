//! Groups: those that the account is in, and what it asks the network to do with them.

use std::collections::HashSet;

use super::group_changes::{GroupChangeOrigin, store_group, store_group_change, store_group_left};
use super::own_changes::OwnChangeKey;
use crate::domain::group::{Group, GroupChange, Participant, Role};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::engine::{GroupAnswer, GroupRequest, MembersChange, SessionError};
use crate::service::{GroupQuery, ListedGroup, Messaging, ServiceError};
use crate::store::{StoreError, Tx};

/// Whether each participant could be changed, and else why not, as a stable code.
pub type MemberAnswers = Vec<(Jid, Result<(), &'static str>)>;

impl Messaging {
    /// Groups by name, and how many there are without the limit.
    ///
    /// # Errors
    /// When there is no such device, its engine has no groups, or the store fails.
    pub async fn groups(
        &self,
        device: &DeviceId,
        query: GroupQuery,
    ) -> Result<(Vec<ListedGroup>, i64), ServiceError> {
        self.has_groups(device)?;
        let device = device.clone();
        self.store.read(move |store| Ok(store.groups(&device, &query)?)).await
    }

    /// One group, with who is in it. One that is not known here is asked for at the network.
    ///
    /// # Errors
    /// When there is no such device or group, its engine has no groups, or the store fails.
    pub async fn group(&self, device: &DeviceId, id: &Jid) -> Result<Group, ServiceError> {
        self.has_groups(device)?;
        let (of, group) = (device.clone(), id.clone());
        if let Some(group) = self.store.read(move |store| store.group(&of, &group)).await? {
            return Ok(group);
        }
        let Ok(session) = self.registry.session(device) else { return Err(ServiceError::GroupNotFound) };
        match session.group(GroupRequest::Info(id.clone())).await {
            Ok(GroupAnswer::Group(group)) if group.id == *id => {
                let group = self.canonicalize(device, group).await?;
                self.ingest_groups(device, vec![group.clone()], false).await?;
                Ok(group)
            }
            Ok(_) | Err(SessionError::Refused(_) | SessionError::Offline | SessionError::NotInGroup) => {
                Err(ServiceError::GroupNotFound)
            }
            Err(error @ SessionError::NotSupported) => Err(error.into()),
        }
    }

    /// Makes a group.
    ///
    /// # Errors
    /// When there is no such device, its engine has no groups, it is not connected, or the network refuses.
    pub async fn create_group(
        &self,
        device: &DeviceId,
        subject: String,
        participants: Vec<Jid>,
    ) -> Result<Group, ServiceError> {
        self.has_groups(device)?;
        let participants = self.canonicalize(device, participants).await?;
        let request = GroupRequest::Create { subject, participants };
        let GroupAnswer::Group(group) = self.registry.session(device)?.group(request).await? else {
            return Err(ServiceError::NotSupported);
        };
        let group = self.canonicalize(device, group).await?;
        let (id, made, now) = (device.clone(), group.clone(), self.clock.now());
        self.store
            .write_patiently(move |tx| {
                let me = tx.device(&id)?.and_then(|device| device.account?.jid());
                store_group(tx, &id, &made, me.as_ref(), now)
            })
            .await?;
        self.chat_changed(device, &group.id);
        Ok(group)
    }

    /// Adds, removes, promotes or demotes participants. Answers for each whether it could be done.
    ///
    /// # Errors
    /// When there is no such device or group, its engine has no groups, it is not connected, or the network
    /// refuses altogether.
    pub async fn change_members(
        &self,
        device: &DeviceId,
        group: &Jid,
        change: MembersChange,
        participants: Vec<Jid>,
    ) -> Result<MemberAnswers, ServiceError> {
        self.known_group(device, group).await?;
        let participants = self.canonicalize(device, participants).await?;
        let (told, role) = match change {
            MembersChange::Add => (GroupChange::Add, Role::Member),
            MembersChange::Remove => (GroupChange::Remove, Role::Member),
            MembersChange::Promote => (GroupChange::Promote, Role::Admin),
            MembersChange::Demote => (GroupChange::Demote, Role::Member),
        };
        let asked: Vec<_> = participants.iter().map(|id| Participant { id: id.clone(), role }).collect();
        let mut told =
            GroupChangeOrigin { participants: asked, ..GroupChangeOrigin::of(group.clone(), told) };
        let request = GroupRequest::Participants { group: group.clone(), change, participants };
        let (answer, echo) = self.ask_to_change(device, request, &told).await?;
        let GroupAnswer::Participants(answers) = answer else { return Err(ServiceError::NotSupported) };
        let done = |id: &Jid| answers.iter().any(|(who, outcome)| who == id && outcome.is_ok());
        told.participants.retain(|participant| done(&participant.id));
        self.changed_by_us(device, told, echo).await?;
        Ok(answers)
    }

    /// Names a group.
    ///
    /// # Errors
    /// As [`Messaging::change_members`].
    pub async fn name_group(
        &self,
        device: &DeviceId,
        group: &Jid,
        subject: String,
    ) -> Result<(), ServiceError> {
        let request = GroupRequest::Subject { group: group.clone(), subject: subject.clone() };
        let told = GroupChangeOrigin {
            text: Some(subject),
            ..GroupChangeOrigin::of(group.clone(), GroupChange::Subject)
        };
        self.change_group(device, request, told).await
    }

    /// Describes a group; empty takes the description away.
    ///
    /// # Errors
    /// As [`Messaging::change_members`].
    pub async fn describe_group(
        &self,
        device: &DeviceId,
        group: &Jid,
        description: String,
    ) -> Result<(), ServiceError> {
        let request = GroupRequest::Description { group: group.clone(), description: description.clone() };
        let told = GroupChangeOrigin {
            text: Some(description),
            ..GroupChangeOrigin::of(group.clone(), GroupChange::Description)
        };
        self.change_group(device, request, told).await
    }

    /// The address by which people come into a group.
    ///
    /// # Errors
    /// As [`Messaging::change_members`].
    pub async fn invite_link(&self, device: &DeviceId, group: &Jid) -> Result<String, ServiceError> {
        self.known_group(device, group).await?;
        match self.ask_about(device, group, GroupRequest::InviteLink(group.clone())).await? {
            GroupAnswer::Link(link) => Ok(link),
            _ => Err(ServiceError::NotSupported),
        }
    }

    /// Makes that address void. Answers the new one.
    ///
    /// # Errors
    /// As [`Messaging::change_members`].
    pub async fn revoke_invite_link(&self, device: &DeviceId, group: &Jid) -> Result<String, ServiceError> {
        self.known_group(device, group).await?;
        let told = GroupChangeOrigin::of(group.clone(), GroupChange::InviteLink);
        let request = GroupRequest::RevokeInviteLink(group.clone());
        let (answer, echo) = self.ask_to_change(device, request, &told).await?;
        self.changed_by_us(device, told, echo).await?;
        match answer {
            GroupAnswer::Link(link) => Ok(link),
            // What the new one is has to be asked for.
            _ => self.invite_link(device, group).await,
        }
    }

    /// Leaves a group. Its chat stays.
    ///
    /// # Errors
    /// As [`Messaging::change_members`].
    pub async fn leave_group(&self, device: &DeviceId, group: &Jid) -> Result<(), ServiceError> {
        self.known_group(device, group).await?;
        match self.registry.session(device)?.group(GroupRequest::Leave(group.clone())).await {
            // Out already: only we did not know.
            Ok(_) | Err(SessionError::NotInGroup) => Ok(self.out_of_group(device, group).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// Our account is not in a group any more.
    async fn out_of_group(&self, device: &DeviceId, group: &Jid) -> Result<(), StoreError> {
        let (id, of, now) = (device.clone(), group.clone(), self.clock.now());
        if self.store.write_patiently(move |tx| store_group_left(tx, &id, &of, now)).await? {
            self.chat_changed(device, group);
        }
        Ok(())
    }

    /// Asks the network about a group that is known here, which ends when the network says that we are not in
    /// it.
    async fn ask_about(
        &self,
        device: &DeviceId,
        group: &Jid,
        request: GroupRequest,
    ) -> Result<GroupAnswer, ServiceError> {
        let answer = self.registry.session(device)?.group(request).await;
        if answer == Err(SessionError::NotInGroup) {
            self.out_of_group(device, group).await?;
        }
        Ok(answer?)
    }

    /// Groups as they are; with `complete`, the account is in no others.
    pub(in crate::service) async fn ingest_groups(
        &self,
        device: &DeviceId,
        groups: Vec<Group>,
        complete: bool,
    ) -> Result<(), StoreError> {
        if complete {
            let told: HashSet<Jid> = groups.iter().map(|group| group.id.clone()).collect();
            let id = device.clone();
            let mut known = self.store.read(move |store| store.group_ids(&id)).await?;
            known.retain(|group| !told.contains(group));
            for group in &known {
                self.out_of_group(device, group).await?;
            }
        }
        for group in groups {
            let (id, of, now) = (device.clone(), group.id.clone(), self.clock.now());
            let may_be_old = self.own_changes.are_due(device, &of, now);
            let write = move |tx: &Tx<'_>| {
                if may_be_old && tx.has_group(&id, &group.id)? {
                    return Ok(false);
                }
                store_group(tx, &id, &group, None, now)
            };
            if self.store.write_patiently(write).await? {
                self.chat_changed(device, &of);
            }
        }
        Ok(())
    }

    /// A change to a group, told by the network.
    pub(in crate::service) async fn ingest_group_change(
        &self,
        device: &DeviceId,
        told: GroupChangeOrigin,
    ) -> Result<(), StoreError> {
        let _applying = self.own_changes.applying.lock().await;
        if self.own_changes.is_one(device, &told, self.clock.now()) {
            return Ok(());
        }
        self.apply_group_change(device, told).await
    }

    async fn apply_group_change(&self, device: &DeviceId, told: GroupChangeOrigin) -> Result<(), StoreError> {
        let (id, of, now) = (device.clone(), told.group.clone(), self.clock.now());
        let write = move |tx: &Tx<'_>| store_group_change(tx, &id, &told, now);
        if self.store.write_patiently(write).await? {
            self.chat_changed(device, &of);
        }
        Ok(())
    }

    async fn change_group(
        &self,
        device: &DeviceId,
        request: GroupRequest,
        told: GroupChangeOrigin,
    ) -> Result<(), ServiceError> {
        self.known_group(device, &told.group).await?;
        let (_, echo) = self.ask_to_change(device, request, &told).await?;
        self.changed_by_us(device, told, echo).await
    }

    /// Asks the network for a change that it will tell of as well.
    async fn ask_to_change(
        &self,
        device: &DeviceId,
        request: GroupRequest,
        told: &GroupChangeOrigin,
    ) -> Result<(GroupAnswer, OwnChangeKey), ServiceError> {
        self.registry.session(device)?;
        let echo = self.own_changes.expect(device, told.clone(), self.clock.now());
        match self.ask_about(device, &told.group, request).await {
            Ok(answer) => Ok((answer, echo)),
            Err(error) => {
                self.own_changes.forget(device, echo, self.clock.now());
                Err(error)
            }
        }
    }

    /// The network did what we asked for.
    async fn changed_by_us(
        &self,
        device: &DeviceId,
        told: GroupChangeOrigin,
        echo: OwnChangeKey,
    ) -> Result<(), ServiceError> {
        if self.own_changes.answered(device, echo, self.clock.now()) {
            self.apply_group_change(device, told).await?;
        } else {
            // The echo may still be on its way into the store.
            drop(self.own_changes.applying.lock().await);
        }
        Ok(())
    }

    async fn known_group(&self, device: &DeviceId, group: &Jid) -> Result<(), ServiceError> {
        self.has_groups(device)?;
        let (of, id) = (device.clone(), group.clone());
        if self.store.read(move |store| store.has_group(&of, &id)).await? {
            return Ok(());
        }
        self.group(device, group).await.map(|_| ())
    }

    fn has_groups(&self, device: &DeviceId) -> Result<(), ServiceError> {
        let engine = self.registry.engine_of(device)?;
        match self.registry.capabilities(&engine) {
            Some(capabilities) if capabilities.groups => Ok(()),
            _ => Err(ServiceError::NotSupported),
        }
    }
}
