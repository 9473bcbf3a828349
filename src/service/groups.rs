//! Groups: those that the account is in, and what it asks the network to do with them.

use super::group_changes::{Told, store_group, store_group_change};
use super::{Core, GroupQuery, ListedGroup, ServiceError};
use crate::domain::group::{Group, GroupChange, Participant, Role};
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::engine::{GroupAnswer, GroupRequest, MembersChange, SessionError};
use crate::store::StoreError;

/// Whether each participant could be changed, and else why not, as a stable code.
pub type MemberAnswers = Vec<(Jid, Result<(), &'static str>)>;

impl Core {
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
        self.read(move |store| Ok(store.groups(&device, &query)?)).await
    }

    /// One group, with who is in it. One that is not known here is asked for at the network.
    ///
    /// # Errors
    /// When there is no such device or group, its engine has no groups, or the store fails.
    pub async fn group(&self, device: &DeviceId, id: &Jid) -> Result<Group, ServiceError> {
        self.has_groups(device)?;
        let (of, group) = (device.clone(), id.clone());
        if let Some(group) = self.read(move |store| Ok(store.group(&of, &group)?)).await? {
            return Ok(group);
        }
        let Ok(session) = self.session(device) else { return Err(ServiceError::GroupNotFound) };
        match session.group(GroupRequest::Info(id.clone())).await {
            Ok(GroupAnswer::Group(group)) if group.id == *id => {
                self.ingest_groups(device, vec![group.clone()]).await?;
                Ok(group)
            }
            Ok(_) | Err(SessionError::Refused(_) | SessionError::Offline) => Err(ServiceError::GroupNotFound),
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
        let request = GroupRequest::Create { subject, participants };
        let GroupAnswer::Group(group) = self.session(device)?.group(request).await? else {
            return Err(ServiceError::NotSupported);
        };
        let (id, made, now) = (device.clone(), group.clone(), self.now());
        self.store()
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
        let request = GroupRequest::Participants { group: group.clone(), change, participants };
        let GroupAnswer::Participants(answers) = self.session(device)?.group(request).await? else {
            return Err(ServiceError::NotSupported);
        };
        let (change, role) = match change {
            MembersChange::Add => (GroupChange::Add, Role::Member),
            MembersChange::Remove => (GroupChange::Remove, Role::Member),
            MembersChange::Promote => (GroupChange::Promote, Role::Admin),
            MembersChange::Demote => (GroupChange::Demote, Role::Member),
        };
        let changed = answers.iter().filter(|(_, outcome)| outcome.is_ok());
        let participants = changed.map(|(id, _)| Participant { id: id.clone(), role }).collect();
        self.changed_by_us(device, Told { participants, ..Told::of(group.clone(), change) }).await?;
        Ok(answers)
    }

    /// Names a group.
    ///
    /// # Errors
    /// As [`Core::change_members`].
    pub async fn name_group(
        &self,
        device: &DeviceId,
        group: &Jid,
        subject: String,
    ) -> Result<(), ServiceError> {
        let request = GroupRequest::Subject { group: group.clone(), subject: subject.clone() };
        let told = Told { text: Some(subject), ..Told::of(group.clone(), GroupChange::Subject) };
        self.change_group(device, request, told).await
    }

    /// Describes a group; empty takes the description away.
    ///
    /// # Errors
    /// As [`Core::change_members`].
    pub async fn describe_group(
        &self,
        device: &DeviceId,
        group: &Jid,
        description: String,
    ) -> Result<(), ServiceError> {
        let request = GroupRequest::Description { group: group.clone(), description: description.clone() };
        let told = Told { text: Some(description), ..Told::of(group.clone(), GroupChange::Description) };
        self.change_group(device, request, told).await
    }

    /// The address by which people come into a group.
    ///
    /// # Errors
    /// As [`Core::change_members`].
    pub async fn invite_link(&self, device: &DeviceId, group: &Jid) -> Result<String, ServiceError> {
        self.known_group(device, group).await?;
        match self.session(device)?.group(GroupRequest::InviteLink(group.clone())).await? {
            GroupAnswer::Link(link) => Ok(link),
            _ => Err(ServiceError::NotSupported),
        }
    }

    /// Makes that address void. Answers the new one.
    ///
    /// # Errors
    /// As [`Core::change_members`].
    pub async fn revoke_invite_link(&self, device: &DeviceId, group: &Jid) -> Result<String, ServiceError> {
        self.known_group(device, group).await?;
        let session = self.session(device)?;
        let link = match session.group(GroupRequest::RevokeInviteLink(group.clone())).await? {
            GroupAnswer::Link(link) => link,
            // The old one is void; what the new one is has to be asked for.
            GroupAnswer::Done => match session.group(GroupRequest::InviteLink(group.clone())).await? {
                GroupAnswer::Link(link) => link,
                _ => return Err(ServiceError::NotSupported),
            },
            _ => return Err(ServiceError::NotSupported),
        };
        self.changed_by_us(device, Told::of(group.clone(), GroupChange::InviteLink)).await?;
        Ok(link)
    }

    /// Leaves a group. Its chat stays.
    ///
    /// # Errors
    /// As [`Core::change_members`].
    pub async fn leave_group(&self, device: &DeviceId, group: &Jid) -> Result<(), ServiceError> {
        self.known_group(device, group).await?;
        self.session(device)?.group(GroupRequest::Leave(group.clone())).await?;
        let (id, of, now) = (device.clone(), group.clone(), self.now());
        self.store()
            .write_patiently(move |tx| {
                let me = tx.device(&id)?.and_then(|device| device.account?.jid());
                let participants = me.into_iter().map(|id| Participant { id, role: Role::Member }).collect();
                let told = Told { participants, ..Told::of(of.clone(), GroupChange::Leave) };
                store_group_change(tx, &id, &told, now)?;
                tx.remove_group(&id, &of)
            })
            .await?;
        Ok(())
    }

    /// Groups as they are.
    pub(super) async fn ingest_groups(
        &self,
        device: &DeviceId,
        groups: Vec<Group>,
    ) -> Result<(), StoreError> {
        for group in groups {
            let (id, of, now) = (device.clone(), group.id.clone(), self.now());
            let write = self.store().write_patiently(move |tx| store_group(tx, &id, &group, None, now));
            if write.await? {
                self.chat_changed(device, &of);
            }
        }
        Ok(())
    }

    /// A change to a group. `true` when that was news.
    pub(super) async fn ingest_group_change(
        &self,
        device: &DeviceId,
        told: Told,
    ) -> Result<bool, StoreError> {
        let (id, of, now) = (device.clone(), told.group.clone(), self.now());
        let news = self.store().write_patiently(move |tx| store_group_change(tx, &id, &told, now)).await?;
        if news {
            self.chat_changed(device, &of);
        }
        Ok(news)
    }

    async fn change_group(
        &self,
        device: &DeviceId,
        request: GroupRequest,
        told: Told,
    ) -> Result<(), ServiceError> {
        self.known_group(device, &told.group).await?;
        self.session(device)?.group(request).await?;
        self.changed_by_us(device, told).await
    }

    /// The network did what we asked for; whether its echo was faster makes no difference.
    async fn changed_by_us(&self, device: &DeviceId, told: Told) -> Result<(), ServiceError> {
        self.ingest_group_change(device, told).await?;
        Ok(())
    }

    async fn known_group(&self, device: &DeviceId, group: &Jid) -> Result<(), ServiceError> {
        self.has_groups(device)?;
        let (of, id) = (device.clone(), group.clone());
        if self.read(move |store| Ok(store.has_group(&of, &id)?)).await? {
            return Ok(());
        }
        self.group(device, group).await.map(|_| ())
    }

    fn has_groups(&self, device: &DeviceId) -> Result<(), ServiceError> {
        let engine = self.engine_of(device)?;
        match self.capabilities(&engine) {
            Some(capabilities) if capabilities.groups => Ok(()),
            _ => Err(ServiceError::NotSupported),
        }
    }
}
