//! PROPPATCH: all of it or nothing.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use http::{Response, StatusCode};
use vicar_os::AsClient;
use vicar_os::fs::{Errno, FileId, FsError, Links, Node, XATTR_VALUE_LIMIT};

use super::conditional::{self, Purpose};
use super::failure::{Failure, status_of};
use super::guard::{self, Change as TouchChange, Touch};
use super::propfind::{propstat, read_store};
use super::request::{Call, small_body};
use super::{Inner, RequestBody, answer};
use crate::body::ReplyBody;
use crate::dav::body as asked;
use crate::dav::href;
use crate::dav::property::{Change, Live, STORE_NAME};
use crate::dav::xml::{Element, escape_into};

pub(super) async fn serve(call: &Call<'_>, body: RequestBody) -> Result<Response<ReplyBody>, Failure> {
    let changes = asked::proppatch(&small_body(body).await?).map_err(|error| Failure::of_xml(&error))?;
    let (path, inner, headers, slash) =
        (call.path(), Arc::clone(call.inner), Arc::clone(&call.headers), call.target.slash);
    let (touch, is_directory) = call
        .run(move |as_client, root| {
            let of = |error: FsError| Failure::of(&error);
            let node = root.look(as_client, &path, Links::Follow).map_err(of)?;
            let stat = *node.stat();
            if !stat.kind.is_served() {
                return Err(Failure::FORBIDDEN);
            }
            if slash && !stat.is_directory() {
                return Err(Failure::NOT_FOUND);
            }
            if let Some(status) = conditional::refusal(&headers, Some(&stat), Purpose::Change) {
                return Err(Failure::status(status));
            }
            let above = guard::above_path(as_client, root, &path, &inner).map_err(of)?;
            let touch = Touch { path, id: Some(stat.id), above, change: TouchChange::Content };
            Ok((touch, stat.is_directory()))
        })
        .await?;
    let id = touch.id;
    guard::admit(call, &[touch]).await?;
    let (path, inner, wanted) = (call.path(), Arc::clone(call.inner), changes.clone());
    let outcome = if changes.iter().any(|change| Live::find(change.name()).is_some()) {
        Outcome::Protected
    } else {
        call.run(move |as_client, root| {
            let node = root.look(as_client, &path, Links::Follow).map_err(|error| Failure::of(&error))?;
            if Some(node.stat().id) != id {
                return Err(Failure::CONFLICT);
            }
            Ok(store(as_client, &node, &inner, wanted))
        })
        .await?
    };
    let mut out = String::from(answer::MULTISTATUS_OPEN);
    out.push_str("<D:response><D:href>");
    escape_into(&href::of(&call.path(), is_directory), &mut out);
    out.push_str("</D:href>");
    outcome.write(&changes, &mut out);
    out.push_str("</D:response>\n");
    out.push_str(answer::MULTISTATUS_CLOSE);
    Ok(answer::xml(StatusCode::MULTI_STATUS, out))
}

enum Outcome {
    /// All of it is stored, or none with this status.
    All(StatusCode),
    /// Some of it cannot be set by anybody, so the rest is not set either.
    Protected,
}

fn store(as_client: &AsClient<'_>, node: &Node, inner: &Inner, changes: Vec<Change>) -> Outcome {
    let _one_at_a_time = inner.patching.turn(node.stat().id);
    let mut dead = read_store(as_client, node);
    for change in changes {
        dead.apply(change);
    }
    let stored = if dead.all().is_empty() {
        match node.remove_xattr(as_client, STORE_NAME) {
            // A file system without attributes has none to remove.
            Err(error) if error.is(Errno::OPNOTSUPP) => Ok(()),
            done => done,
        }
    } else {
        let value = dead.to_stored();
        if value.len() > XATTR_VALUE_LIMIT {
            return Outcome::All(StatusCode::INSUFFICIENT_STORAGE);
        }
        node.set_xattr(as_client, STORE_NAME, &value)
    };
    Outcome::All(match stored {
        Ok(()) => StatusCode::OK,
        Err(error) => match error.errno() {
            Some(Errno::OPNOTSUPP | Errno::TOOBIG | Errno::RANGE) => StatusCode::INSUFFICIENT_STORAGE,
            Some(_) | None => status_of(&error),
        },
    })
}

impl Outcome {
    fn write(&self, changes: &[Change], out: &mut String) {
        let names = |wanted: &dyn Fn(&Change) -> bool| {
            let mut names = String::new();
            for change in changes.iter().filter(|change| wanted(change)) {
                Element::empty(change.name().clone()).write(&mut names);
            }
            names
        };
        match self {
            Self::All(status) => propstat(&names(&|_| true), *status, out),
            Self::Protected => {
                let is_live = |change: &Change| Live::find(change.name()).is_some();
                let others = names(&|change| !is_live(change));
                out.push_str("<D:propstat><D:prop>");
                out.push_str(&names(&is_live));
                out.push_str("</D:prop>");
                answer::status_line(StatusCode::FORBIDDEN, out);
                out.push_str("<D:error><D:cannot-modify-protected-property/></D:error></D:propstat>");
                if !others.is_empty() {
                    propstat(&others, StatusCode::FAILED_DEPENDENCY, out);
                }
            }
        }
    }
}

/// Lets one change of properties of an inode at a time through: each reads, changes and writes the store.
///
/// Other inodes do not wait: the file system of one may be slow, or never answer.
#[derive(Debug, Default)]
pub(super) struct Patching {
    busy: Mutex<HashSet<FileId>>,
    done: Condvar,
}

impl Patching {
    /// Waits until nobody changes this inode's properties; the turn ends when it is dropped.
    fn turn(&self, id: FileId) -> Turn<'_> {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.done.wait_while(busy, |busy| busy.contains(&id));
        waited.unwrap_or_else(PoisonError::into_inner).insert(id);
        Turn { patching: self, id }
    }
}

/// The right to change the properties of one inode.
struct Turn<'a> {
    patching: &'a Patching,
    id: FileId,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.patching.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        self.patching.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn one_inode_is_changed_by_one_at_a_time_and_others_do_not_wait() {
        let patching = Patching::default();
        // These two shared a place in a table of 32 locks once.
        let (one, other) = (FileId { device: 1, inode: 1 }, FileId { device: 1, inode: 33 });
        let held = patching.turn(one);
        drop(patching.turn(other));
        std::thread::scope(|scope| {
            let (told, tells) = mpsc::channel();
            let patching = &patching;
            scope.spawn(move || {
                drop(patching.turn(one));
                told.send(()).unwrap();
            });
            assert!(tells.recv_timeout(Duration::from_millis(50)).is_err());
            drop(held);
            tells.recv_timeout(Duration::from_secs(60)).unwrap();
        });
        assert!(patching.busy.lock().unwrap().is_empty());
    }
}
