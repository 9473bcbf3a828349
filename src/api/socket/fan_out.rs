//! Live events: one task for each device writes every new entry to all sockets that have caught up.
//!
//! Each socket has its own position, so that it gets every entry once and in order. A socket whose buffer is full
//! leaves the group and reads the log itself; it delays no other socket.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;
use serde_json::value::RawValue;
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};
use tokio::sync::{Notify, oneshot};

use super::session::Session;
use crate::domain::ids::DeviceId;
use crate::service::{Cursor, Item, LogEntry, Services};

/// Entries that are written to a socket at once, so that they leave in one write.
const BATCH: usize = 64;
/// Packets after which the task yields, so that the sockets' writers run.
const YIELD_AFTER: usize = 512;

/// The groups of all devices with live sockets.
#[derive(Default)]
pub(super) struct FanOut {
    groups: Mutex<HashMap<DeviceId, Arc<Group>>>,
}

/// The entries that a socket has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// All entries up to this one.
    pub(super) seq: i64,
    /// Packets of the next entry; an entry with an older name has two packets.
    pub(super) packets: usize,
}

impl Progress {
    /// All entries up to `seq`.
    pub(super) fn at(seq: i64) -> Self {
        Self { seq, packets: 0 }
    }
}

/// Why a socket is no longer in its group.
pub(super) enum Leave {
    /// Its buffer is full.
    Full(Progress),
    /// The group is ahead of it; it must read on.
    Behind(Box<Cursor>),
    /// It got the last entry of a deleted device.
    DeviceGone,
    /// The log cannot be followed now.
    Ended(Progress),
}

/// The result of a write to one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteResult {
    All,
    Full,
    Closed,
}

/// The names under which an entry is emitted: that of its event, and the older one where there is one.
pub(super) fn entry_names(kind: &str) -> impl Iterator<Item = &str> {
    let older = (kind == "message:ack").then_some("message-ack");
    std::iter::once(kind).chain(older)
}

/// Whether the entry is the last of its log.
pub(super) fn is_last(entry: &LogEntry) -> bool {
    entry.kind == "device-deleted"
}

/// A live socket. It leaves the group when the receiver of `leave` is dropped.
struct Member {
    socket: Arc<Socket>,
    session: Arc<Session>,
    progress: Progress,
    /// The last entry of `progress`, for the case that the task panics.
    reached: Arc<AtomicI64>,
    leave: oneshot::Sender<Leave>,
}

impl Member {
    /// Writes the items that the socket does not have.
    fn write(&mut self, services: &Services, items: &[Item]) -> WriteResult {
        if self.leave.is_closed() {
            return WriteResult::Closed;
        }
        for item in items {
            let written = match item {
                Item::Logged(entry) => self.write_entry(services, entry),
                Item::Live(entry) => self.emit(entry.kind, &entry.payload),
            };
            if written != WriteResult::All {
                return written;
            }
        }
        WriteResult::All
    }

    fn write_entry(&mut self, services: &Services, entry: &LogEntry) -> WriteResult {
        if entry.seq <= self.progress.seq {
            return WriteResult::All;
        }
        if !self.session.is_kept_from(services, entry) {
            for name in entry_names(&entry.kind).skip(self.progress.packets) {
                let written = self.emit(name, &entry.payload);
                if written != WriteResult::All {
                    return written;
                }
                self.progress.packets += 1;
            }
        }
        self.progress = Progress::at(entry.seq);
        self.reached.store(entry.seq, Ordering::Relaxed);
        WriteResult::All
    }

    fn emit(&self, event: &str, payload: &RawValue) -> WriteResult {
        match self.socket.emit(event, payload) {
            Ok(()) => WriteResult::All,
            Err(SendError::Socket(SocketError::InternalChannelFull)) => WriteResult::Full,
            Err(SendError::Socket(_)) => WriteResult::Closed,
            Err(SendError::Serialize(error)) => {
                // Not reached: all payloads are JSON already.
                tracing::error!(%error, event, "a socket payload cannot be encoded");
                WriteResult::All
            }
        }
    }

    /// Ends the membership. Without a receiver the socket has left by itself.
    fn leave(self, leave: Leave) {
        let _ = self.leave.send(leave);
    }

    /// Ends the membership after a write that failed.
    fn leave_after(self, written: WriteResult) {
        let progress = self.progress;
        if written == WriteResult::Full {
            self.leave(Leave::Full(progress));
        }
    }
}

/// A socket that joins, with the cursor by which it has caught up.
struct Arrival {
    member: Member,
    cursor: Cursor,
}

/// The sockets that join and leave between two batches. Bounded by the number of sockets.
#[derive(Default)]
struct Group {
    arrivals: Mutex<Vec<Arrival>>,
    changed: Notify,
}

/// A socket's place in its group, which it leaves when this is dropped.
pub(super) struct Membership {
    group: Arc<Group>,
    reached: Arc<AtomicI64>,
    left: oneshot::Receiver<Leave>,
}

impl Membership {
    /// Waits until the socket has left the group.
    pub(super) async fn left(mut self) -> Leave {
        // Without an answer the socket is closed, the daemon drains, or the task has panicked.
        let ended = || Leave::Ended(Progress::at(self.reached.load(Ordering::Relaxed)));
        (&mut self.left).await.unwrap_or_else(|_| ended())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.left.close();
        self.group.changed.notify_one();
    }
}

impl FanOut {
    /// Adds a socket that has caught up with its log. Its first member starts the task of a device.
    pub(super) fn join(
        self: &Arc<Self>,
        services: &Services,
        socket: Arc<Socket>,
        session: Arc<Session>,
        cursor: Cursor,
    ) -> Membership {
        let (leave, left) = oneshot::channel();
        let device = session.device.clone();
        let reached = Arc::new(AtomicI64::new(cursor.position()));
        let progress = Progress::at(cursor.position());
        let member = Member { socket, session, progress, reached: reached.clone(), leave };
        let mut groups = self.groups.lock();
        if let Some(group) = groups.get(&device) {
            group.arrivals.lock().push(Arrival { member, cursor });
            group.changed.notify_one();
            return Membership { group: group.clone(), reached, left };
        }
        let group = Arc::new(Group::default());
        groups.insert(device.clone(), group.clone());
        drop(groups);
        let task = GroupTask {
            fan_out: self.clone(),
            services: services.clone(),
            device,
            group: group.clone(),
            cursor,
            members: vec![member],
        };
        services.tasks().spawn("socket-fan-out", task.run());
        Membership { group, reached, left }
    }

    /// Removes this group; the device may have another one by now.
    fn remove(&self, device: &DeviceId, group: &Arc<Group>) {
        let mut groups = self.groups.lock();
        if groups.get(device).is_some_and(|current| Arc::ptr_eq(current, group)) {
            groups.remove(device);
        }
    }
}

/// The task of one device.
struct GroupTask {
    fan_out: Arc<FanOut>,
    services: Services,
    device: DeviceId,
    group: Arc<Group>,
    cursor: Cursor,
    members: Vec<Member>,
}

impl GroupTask {
    async fn run(mut self) {
        let soft = self.services.tasks().soft().clone();
        let mut batch = Vec::with_capacity(1);
        let mut since_yield = 0;
        loop {
            tokio::select! {
                biased;
                () = soft.cancelled() => return,
                () = self.group.changed.notified() => {
                    if self.update_members() {
                        return;
                    }
                }
                first = self.cursor.next() => {
                    let Some(first) = first else { return self.end() };
                    self.fill(&mut batch, first);
                    if self.emit(&batch).await {
                        return self.close();
                    }
                    since_yield += batch.len();
                    batch.clear();
                    // A socket's buffer has room for a few batches.
                    if since_yield >= BATCH {
                        since_yield = 0;
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }

    /// Removes members that left and adds those that joined. True when the group is empty and closed.
    fn update_members(&mut self) -> bool {
        self.members.retain(|member| !member.leave.is_closed());
        self.admit_arrivals();
        self.members.is_empty() && self.close_if_empty()
    }

    fn admit_arrivals(&mut self) {
        let arrivals = std::mem::take(&mut *self.group.arrivals.lock());
        for arrival in arrivals {
            self.admit(arrival);
        }
    }

    /// Brings a joining socket to the group's position with the entries that its own cursor has in memory.
    fn admit(&mut self, Arrival { mut member, mut cursor }: Arrival) {
        while cursor.position() < self.cursor.position() {
            let Some(item) = cursor.try_next() else { return member.leave(Leave::Behind(Box::new(cursor))) };
            let written = member.write(&self.services, &[item]);
            if written != WriteResult::All {
                return member.leave_after(written);
            }
        }
        self.members.push(member);
    }

    /// True when no socket joined since; no socket can join afterwards.
    fn close_if_empty(&self) -> bool {
        let mut groups = self.fan_out.groups.lock();
        let empty = self.group.arrivals.lock().is_empty();
        if empty {
            groups.remove(&self.device);
        }
        empty
    }

    /// Lets no further socket join, and returns all members.
    fn dissolve(&mut self) -> Vec<Member> {
        self.fan_out.remove(&self.device, &self.group);
        self.admit_arrivals();
        std::mem::take(&mut self.members)
    }

    /// Adds to `first` what follows it in memory.
    fn fill(&mut self, batch: &mut Vec<Item>, first: Item) {
        batch.push(first);
        while batch.len() < BATCH {
            let Some(item) = self.cursor.try_next() else { return };
            batch.push(item);
        }
    }

    /// Writes a batch to each member. True when the device is deleted.
    async fn emit(&mut self, batch: &[Item]) -> bool {
        let mut packets = 0;
        let mut index = 0;
        while index < self.members.len() {
            match self.members[index].write(&self.services, batch) {
                WriteResult::All => index += 1,
                failed => self.members.swap_remove(index).leave_after(failed),
            }
            packets += batch.len();
            if packets >= YIELD_AFTER {
                packets = 0;
                tokio::task::yield_now().await;
            }
        }
        batch.iter().any(|item| matches!(item, Item::Logged(entry) if is_last(entry)))
    }

    /// Ends the group: the log cannot be followed.
    fn end(mut self) {
        for member in self.dissolve() {
            let progress = member.progress;
            member.leave(Leave::Ended(progress));
        }
    }

    /// Ends the group of a deleted device, whose last entry all members got.
    fn close(mut self) {
        for member in self.dissolve() {
            member.leave(Leave::DeviceGone);
        }
    }
}

/// A task that panics leaves no group behind that sockets could join.
impl Drop for GroupTask {
    fn drop(&mut self) {
        self.fan_out.remove(&self.device, &self.group);
        self.group.arrivals.lock().clear();
    }
}
