//! What each method does, step by step, for both ways of getting answers.

use super::{FileAnswer, Lock, Way};
use crate::client::ClientContext;
use crate::fs::{
    Access, BeneathPath, Directory, Entry, Errno, FsError, Links, Name, Node, Replace, Space, Stat, Time, magic_path,
    space_of,
};
use crate::pool::RunError;
use crate::ring::{Batch, Content, Done, Inode, OpenFor, Operation, projected};
use crate::{AsClient, KernelGid, KernelUid};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{AtFlags, CWD, FlockOperation, Gid, Timespec, Timestamps, UTIME_NOW, Uid};
use std::ffi::{CStr, CString};
use std::path::Path;

/// How often a path is walked again when a rename disturbed it.
const TRIES: u32 = crate::fs::TRIES;

async fn one<W: Way>(way: &W, client: &ClientContext, operation: Operation) -> FileAnswer<Done> {
    for _ in 1..TRIES {
        let mut results = way.submit(client, Batch::of(operation.clone())).await?;
        match results.pop().ok_or(RunError::Closed)? {
            Err(error) if error.is(Errno::AGAIN) || error.is(Errno::INTR) => {}
            result => return Ok(result),
        }
    }
    let mut results = way.submit(client, Batch::of(operation)).await?;
    results.pop().ok_or(RunError::Closed)
}

/// Takes what the operation is known to give; anything else is not what was asked for.
fn take<T>(answer: FileAnswer<Done>, part: impl FnOnce(Done) -> Option<T>) -> FileAnswer<T> {
    let other = FsError::Os { operation: "submit", errno: Errno::IO };
    Ok(answer?.and_then(|done| part(done).ok_or(other)))
}

fn nothing(done: Done) -> Option<()> {
    matches!(done, Done::Nothing).then_some(())
}

fn content_of(done: Done) -> Option<Content> {
    if let Done::Content(content) = done { Some(content) } else { None }
}

fn inode_of(done: Done) -> Option<Inode> {
    if let Done::Inode(inode) = done { Some(inode) } else { None }
}

pub(super) async fn root<W: Way>(way: &W, client: &ClientContext, path: &Path) -> FileAnswer<Inode> {
    let who = projected(client)?;
    let path = path.to_owned();
    way.on_thread(client, move |as_client| Inode::root(as_client, &path, who)).await
}

pub(super) async fn look<W: Way>(
    way: &W,
    client: &ClientContext,
    directory: &Inode,
    path: &BeneathPath,
    links: Links,
) -> FileAnswer<Inode> {
    take(one(way, client, Operation::look(directory, path, links)).await, inode_of)
}

pub(super) async fn open_file<W: Way>(
    way: &W,
    client: &ClientContext,
    directory: &Inode,
    path: &BeneathPath,
    open_for: OpenFor,
) -> FileAnswer<Content> {
    let looked = match look(way, client, directory, path, Links::Follow).await? {
        Ok(looked) => looked,
        Err(error) => return Ok(Err(error)),
    };
    match Operation::open(directory, path, &looked, open_for) {
        Ok(operation) => take(one(way, client, operation).await, content_of),
        Err(error) => Ok(Err(error)),
    }
}

pub(super) async fn reopen<W: Way>(
    way: &W,
    client: &ClientContext,
    looked: &Inode,
    open_for: OpenFor,
) -> FileAnswer<Content> {
    match Operation::reopen(looked, open_for) {
        Ok(operation) => take(one(way, client, operation).await, content_of),
        Err(error) => Ok(Err(error)),
    }
}

pub(super) async fn create<W: Way>(
    way: &W,
    client: &ClientContext,
    directory: &Inode,
    name: &Name,
    mode: u32,
) -> FileAnswer<Content> {
    take(one(way, client, Operation::create(directory, name, mode)).await, content_of)
}

pub(super) async fn create_nameless<W: Way>(
    way: &W,
    client: &ClientContext,
    directory: &Inode,
    mode: u32,
) -> FileAnswer<Content> {
    take(one(way, client, Operation::create_nameless(directory, mode)).await, content_of)
}

pub(super) async fn name_it<W: Way>(
    way: &W,
    client: &ClientContext,
    content: &Content,
    directory: &Inode,
    name: &Name,
) -> FileAnswer<()> {
    take(one(way, client, Operation::name_it(content, directory, name)).await, nothing)
}

pub(super) async fn stat<W: Way>(way: &W, client: &ClientContext, directory: &Inode, name: &Name) -> FileAnswer<Stat> {
    let part = |done| if let Done::Stat(stat) = done { Some(stat) } else { None };
    take(one(way, client, Operation::stat(directory, name)).await, part)
}

pub(super) async fn make_directory<W: Way>(
    way: &W,
    client: &ClientContext,
    directory: &Inode,
    name: &Name,
    mode: u32,
) -> FileAnswer<()> {
    take(one(way, client, Operation::make_directory(directory, name, mode)).await, nothing)
}

pub(super) async fn unlink<W: Way>(way: &W, client: &ClientContext, directory: &Inode, name: &Name) -> FileAnswer<()> {
    take(one(way, client, Operation::unlink(directory, name)).await, nothing)
}

pub(super) async fn remove_directory<W: Way>(
    way: &W,
    client: &ClientContext,
    directory: &Inode,
    name: &Name,
) -> FileAnswer<()> {
    take(one(way, client, Operation::remove_directory(directory, name)).await, nothing)
}

pub(super) async fn rename<W: Way>(
    way: &W,
    client: &ClientContext,
    directory: &Inode,
    name: &Name,
    to: &Inode,
    to_name: &Name,
    replace: Replace,
) -> FileAnswer<()> {
    take(one(way, client, Operation::rename(directory, name, to, to_name, replace)).await, nothing)
}

pub(super) async fn link<W: Way>(
    way: &W,
    client: &ClientContext,
    directory: &Inode,
    name: &Name,
    to: &Inode,
    to_name: &Name,
) -> FileAnswer<()> {
    take(one(way, client, Operation::link(directory, name, to, to_name)).await, nothing)
}

pub(super) async fn make_link<W: Way>(
    way: &W,
    client: &ClientContext,
    directory: &Inode,
    name: &Name,
    text: &CStr,
) -> FileAnswer<()> {
    take(one(way, client, Operation::make_link(directory, name, text)).await, nothing)
}

pub(super) async fn attribute<W: Way>(
    way: &W,
    client: &ClientContext,
    of: &Inode,
    name: &str,
) -> FileAnswer<Option<Vec<u8>>> {
    let part = |done| if let Done::Attribute(value) = done { Some(value) } else { None };
    match Operation::attribute(of, name) {
        Ok(operation) => take(one(way, client, operation).await, part),
        Err(error) => Ok(Err(error)),
    }
}

pub(super) async fn set_attribute<W: Way>(
    way: &W,
    client: &ClientContext,
    of: &Inode,
    name: &str,
    value: &[u8],
) -> FileAnswer<()> {
    match Operation::set_attribute(of, name, value) {
        Ok(operation) => take(one(way, client, operation).await, nothing),
        Err(error) => Ok(Err(error)),
    }
}

pub(super) async fn socket<W: Way>(
    way: &W,
    client: &ClientContext,
    domain: i32,
    kind: i32,
    protocol: i32,
) -> FileAnswer<OwnedFd> {
    let part = |done| if let Done::Socket(socket) = done { Some(socket) } else { None };
    take(one(way, client, Operation::socket(domain, kind, protocol)).await, part)
}

pub(super) async fn read<W: Way>(
    way: &W,
    client: &ClientContext,
    content: &Content,
    offset: u64,
    len_bytes: usize,
) -> FileAnswer<Vec<u8>> {
    let part = |done| if let Done::Bytes(bytes) = done { Some(bytes) } else { None };
    match Operation::read(content, offset, len_bytes) {
        Ok(operation) => take(one(way, client, operation).await, part),
        Err(error) => Ok(Err(error)),
    }
}

pub(super) async fn write<W: Way>(
    way: &W,
    client: &ClientContext,
    content: &Content,
    offset: u64,
    bytes: Vec<u8>,
) -> FileAnswer<usize> {
    let part = |done| if let Done::Written(count) = done { Some(count) } else { None };
    match Operation::write(content, offset, bytes) {
        Ok(operation) => take(one(way, client, operation).await, part),
        Err(error) => Ok(Err(error)),
    }
}

/// Does something with an inode on a thread of its client.
async fn with_node<W: Way, R: Send + 'static>(
    way: &W,
    client: &ClientContext,
    of: &Inode,
    work: impl FnOnce(&AsClient<'_>, Node) -> Result<R, FsError> + Send + 'static,
) -> FileAnswer<R> {
    if !of.is_of(&projected(client)?) {
        return Ok(Err(FsError::ForeignRoot));
    }
    let of = of.clone();
    way.on_thread(client, move |as_client| work(as_client, of.node()?)).await
}

pub(super) async fn set_mode<W: Way>(way: &W, client: &ClientContext, of: &Inode, mode: u32) -> FileAnswer<()> {
    with_node(way, client, of, move |as_client, node| node.set_mode(as_client, mode)).await
}

pub(super) async fn set_owner<W: Way>(
    way: &W,
    client: &ClientContext,
    of: &Inode,
    uid: Option<KernelUid>,
    gid: Option<KernelGid>,
) -> FileAnswer<()> {
    let (uid, gid) = (uid.map(|uid| Uid::from_raw(uid.raw())), gid.map(|gid| Gid::from_raw(gid.raw())));
    with_node(way, client, of, move |_, node| {
        rustix::fs::chown(magic_path(node.as_fd()), uid, gid).map_err(FsError::os("set owner"))
    })
    .await
}

pub(super) async fn set_times<W: Way>(
    way: &W,
    client: &ClientContext,
    of: &Inode,
    read: Option<Time>,
    changed: Option<Time>,
) -> FileAnswer<()> {
    let stamp = |time: Option<Time>| match time {
        Some(Time { seconds, nanos }) => Timespec { tv_sec: seconds, tv_nsec: nanos.into() },
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    let times = Timestamps { last_access: stamp(read), last_modification: stamp(changed) };
    with_node(way, client, of, move |_, node| {
        let path = magic_path(node.as_fd());
        rustix::fs::utimensat(CWD, path, &times, AtFlags::empty()).map_err(FsError::os("set times"))
    })
    .await
}

pub(super) async fn list<W: Way>(
    way: &W,
    client: &ClientContext,
    directory: &Inode,
    limit: usize,
) -> FileAnswer<Vec<Entry>> {
    with_node(way, client, directory, move |as_client, node| Directory::of(node)?.list(as_client, limit)).await
}

pub(super) async fn read_link<W: Way>(way: &W, client: &ClientContext, of: &Inode) -> FileAnswer<CString> {
    with_node(way, client, of, |as_client, node| node.read_link(as_client)).await
}

pub(super) async fn truncate<W: Way>(way: &W, client: &ClientContext, of: &Inode, len_bytes: u64) -> FileAnswer<()> {
    with_node(way, client, of, move |as_client, node| {
        let file = node.open_write(as_client)?;
        rustix::fs::ftruncate(&file, len_bytes).map_err(FsError::os("truncate"))
    })
    .await
}

pub(super) async fn access<W: Way>(way: &W, client: &ClientContext, of: &Inode, access: Access) -> FileAnswer<()> {
    with_node(way, client, of, move |as_client, node| node.access(as_client, access)).await
}

pub(super) async fn space<W: Way>(way: &W, client: &ClientContext, of: &Inode) -> FileAnswer<Space> {
    with_node(way, client, of, |_, node| space_of(node.as_fd())).await
}

pub(super) async fn remove_attribute<W: Way>(
    way: &W,
    client: &ClientContext,
    of: &Inode,
    name: &str,
) -> FileAnswer<()> {
    let name = name.to_owned();
    with_node(way, client, of, move |as_client, node| node.remove_xattr(as_client, &name)).await
}

pub(super) async fn attribute_names<W: Way>(way: &W, client: &ClientContext, of: &Inode) -> FileAnswer<Vec<Vec<u8>>> {
    with_node(way, client, of, |as_client, node| node.xattr_names(as_client)).await
}

pub(super) async fn lock<W: Way>(way: &W, client: &ClientContext, content: &Content, lock: Lock) -> FileAnswer<()> {
    let operation = match lock {
        Lock::Shared => FlockOperation::NonBlockingLockShared,
        Lock::Exclusive => FlockOperation::NonBlockingLockExclusive,
        Lock::Unlock => FlockOperation::Unlock,
    };
    let content = content.clone();
    way.on_thread(client, move |_| rustix::fs::flock(&content, operation).map_err(FsError::os("lock"))).await
}
