//! Groups of the account, and changes to them that clients request.
//!
//! A requested change is applied once, by the network's answer or by its echo, whichever comes first.

use std::collections::HashSet;

use super::group_changes::{GroupChangeOrigin, store_group, store_group_change, store_group_left};
use super::own_changes::OwnChangeKey;
use crate::domain::group::{Group, GroupChange, Participant, Role};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::engine::{GroupAnswer, GroupRequest, MembersChange, SessionError};
use crate::service::{GroupQuery, ListedGroup, Messaging, ServiceError};
use crate::store::{StoreError, Tx};

/// For each participant: success, or a stable code for the reason of the failure.
pub type MemberAnswers = Vec<(Jid, Result<(), &'static str>)>;

impl Messaging {
    /// Groups by name, and the total number without the limit.
    ///
    /// # Errors
    /// When there is no such device, its engine has no groups, or the store fails.
    pub async fn groups(
        &self,
        device: &DeviceId,
        query: GroupQuery,
    ) -> Result<(Vec<ListedGroup>, i64), ServiceError> {
        self.has_groups(device)?;
        let of = device.clone();
        self.store.read_of(device, move |store| Ok(store.groups(&of, &query)?)).await
    }

    /// One group with its participants. A group that is not in the store is fetched from the network.
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
            Err(error @ (SessionError::NotSupported | SessionError::PresenceUnavailable)) => {
                Err(error.into())
            }
        }
    }

    /// Creates a group.
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

    /// Adds, removes, promotes or demotes participants. Returns the result for each of them.
    ///
    /// # Errors
    /// When there is no such device or group, or its engine has no groups. When the device is not connected,
    /// or the network refuses the whole request.
    pub async fn change_members(
        &self,
        device: &DeviceId,
        group: &Jid,
        change: MembersChange,
        participants: Vec<Jid>,
    ) -> Result<MemberAnswers, ServiceError> {
        self.require_group(device, group).await?;
        let participants = self.canonicalize(device, participants).await?;
        let (kind, role) = match change {
            MembersChange::Add => (GroupChange::Add, Role::Member),
            MembersChange::Remove => (GroupChange::Remove, Role::Member),
            MembersChange::Promote => (GroupChange::Promote, Role::Admin),
            MembersChange::Demote => (GroupChange::Demote, Role::Member),
        };
        let requested: Vec<_> = participants.iter().map(|id| Participant { id: id.clone(), role }).collect();
        let mut change_made =
            GroupChangeOrigin { participants: requested, ..GroupChangeOrigin::of(group.clone(), kind) };
        let request = GroupRequest::Participants { group: group.clone(), change, participants };
        let (answer, echo) = self.request_change(device, request, &change_made).await?;
        let GroupAnswer::Participants(answers) = answer else { return Err(ServiceError::NotSupported) };
        let done = |id: &Jid| answers.iter().any(|(who, outcome)| who == id && outcome.is_ok());
        change_made.participants.retain(|participant| done(&participant.id));
        self.apply_accepted(device, change_made, echo).await?;
        Ok(answers)
    }

    /// Sets the subject of a group.
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
        let change = GroupChangeOrigin {
            text: Some(subject),
            ..GroupChangeOrigin::of(group.clone(), GroupChange::Subject)
        };
        self.change_group(device, request, change).await
    }

    /// Sets the description of a group; an empty one removes it.
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
        let change = GroupChangeOrigin {
            text: Some(description),
            ..GroupChangeOrigin::of(group.clone(), GroupChange::Description)
        };
        self.change_group(device, request, change).await
    }

    /// The link by which people join a group.
    ///
    /// # Errors
    /// As [`Messaging::change_members`].
    pub async fn invite_link(&self, device: &DeviceId, group: &Jid) -> Result<String, ServiceError> {
        self.require_group(device, group).await?;
        match self.request_about(device, group, GroupRequest::InviteLink(group.clone())).await? {
            GroupAnswer::Link(link) => Ok(link),
            _ => Err(ServiceError::NotSupported),
        }
    }

    /// Revokes the invitation link. Returns the new one.
    ///
    /// # Errors
    /// As [`Messaging::change_members`].
    pub async fn revoke_invite_link(&self, device: &DeviceId, group: &Jid) -> Result<String, ServiceError> {
        self.require_group(device, group).await?;
        let change = GroupChangeOrigin::of(group.clone(), GroupChange::InviteLink);
        let request = GroupRequest::RevokeInviteLink(group.clone());
        let (answer, echo) = self.request_change(device, request, &change).await?;
        self.apply_accepted(device, change, echo).await?;
        match answer {
            GroupAnswer::Link(link) => Ok(link),
            // The answer has no link, so it is fetched.
            _ => self.invite_link(device, group).await,
        }
    }

    /// Leaves a group. Its chat stays in the store.
    ///
    /// # Errors
    /// As [`Messaging::change_members`].
    pub async fn leave_group(&self, device: &DeviceId, group: &Jid) -> Result<(), ServiceError> {
        self.require_group(device, group).await?;
        match self.registry.session(device)?.group(GroupRequest::Leave(group.clone())).await {
            // The account was out of the group already; the store did not have that yet.
            Ok(_) | Err(SessionError::NotInGroup) => Ok(self.out_of_group(device, group).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a group that our account is no longer in.
    async fn out_of_group(&self, device: &DeviceId, group: &Jid) -> Result<(), StoreError> {
        let (id, of, now) = (device.clone(), group.clone(), self.clock.now());
        if self.store.write_patiently(move |tx| store_group_left(tx, &id, &of, now)).await? {
            self.chat_changed(device, group);
        }
        Ok(())
    }

    /// Sends a request about a stored group. Removes the group if the network answers that we are not in it.
    async fn request_about(
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

    /// Stores the full state of groups; with `complete`, all other stored groups are removed.
    pub(in crate::service) async fn ingest_groups(
        &self,
        device: &DeviceId,
        groups: Vec<Group>,
        complete: bool,
    ) -> Result<(), StoreError> {
        if complete {
            let present: HashSet<Jid> = groups.iter().map(|group| group.id.clone()).collect();
            let id = device.clone();
            let mut gone = self.store.read(move |store| store.group_ids(&id)).await?;
            gone.retain(|group| !present.contains(group));
            for group in &gone {
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

    /// Ingests a change to a group from the network.
    pub(in crate::service) async fn ingest_group_change(
        &self,
        device: &DeviceId,
        change: GroupChangeOrigin,
    ) -> Result<(), StoreError> {
        let _applying = self.own_changes.applying.lock().await;
        if self.own_changes.is_one(device, &change, self.clock.now()) {
            return Ok(());
        }
        self.apply_group_change(device, change).await
    }

    async fn apply_group_change(
        &self,
        device: &DeviceId,
        change: GroupChangeOrigin,
    ) -> Result<(), StoreError> {
        let (id, of, now) = (device.clone(), change.group.clone(), self.clock.now());
        let write = move |tx: &Tx<'_>| store_group_change(tx, &id, &change, now);
        if self.store.write_patiently(write).await? {
            self.chat_changed(device, &of);
        }
        Ok(())
    }

    async fn change_group(
        &self,
        device: &DeviceId,
        request: GroupRequest,
        change: GroupChangeOrigin,
    ) -> Result<(), ServiceError> {
        self.require_group(device, &change.group).await?;
        let (_, echo) = self.request_change(device, request, &change).await?;
        self.apply_accepted(device, change, echo).await
    }

    /// Requests a change whose echo the network will send as well.
    async fn request_change(
        &self,
        device: &DeviceId,
        request: GroupRequest,
        change: &GroupChangeOrigin,
    ) -> Result<(GroupAnswer, OwnChangeKey), ServiceError> {
        self.registry.session(device)?;
        let echo = self.own_changes.expect(device, change.clone(), self.clock.now());
        match self.request_about(device, &change.group, request).await {
            Ok(answer) => Ok((answer, echo)),
            Err(error) => {
                self.own_changes.forget(device, echo, self.clock.now());
                Err(error)
            }
        }
    }

    /// Applies a change that the network accepted, unless its echo was applied before.
    async fn apply_accepted(
        &self,
        device: &DeviceId,
        change: GroupChangeOrigin,
        echo: OwnChangeKey,
    ) -> Result<(), ServiceError> {
        if self.own_changes.answered(device, echo, self.clock.now()) {
            self.apply_group_change(device, change).await?;
        } else {
            // The echo may still be in a write; wait for it.
            drop(self.own_changes.applying.lock().await);
        }
        Ok(())
    }

    async fn require_group(&self, device: &DeviceId, group: &Jid) -> Result<(), ServiceError> {
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
