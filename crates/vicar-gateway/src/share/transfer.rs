//! COPY and MOVE: the new content stands before the old one goes.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Response, StatusCode};
use vicar_os::AsClient;
use vicar_os::fs::{
    BeneathPath, Directory, Errno, FileId, FsError, Limits, Links, Name, Reach, Replace, Root, Stat, building_name,
    copy_tree,
};

use super::conditional::{self, Purpose};
use super::failure::Failure;
use super::guard::{self, Change, Touch};
use super::remove::{Removal, remove, tree_limits};
use super::request::Call;
use super::{Inner, RequestBody, answer};
use crate::body::ReplyBody;
use crate::dav::condition::Depth;
use crate::dav::href::Target;

pub(super) async fn serve(call: &mut Call<'_>, body: RequestBody) -> Result<Response<ReplyBody>, Failure> {
    // RFC 2518 clients may send a body that RFC 4918 took away.
    drop(body);
    let destination = call.read_destination()?;
    let kind = if call.op == "move" { Transfer::Move } else { Transfer::Copy };
    let reach = match call.depth()? {
        None | Some(Depth::Infinity) => Reach::Whole,
        Some(Depth::Zero) => Reach::Alone,
        Some(Depth::One) => return Err(Failure::BAD_REQUEST),
    };
    let overwrite = match call.text("overwrite")?.map(str::trim) {
        None | Some("T" | "t") => Overwrite::Allowed,
        Some("F" | "f") => Overwrite::Refused,
        Some(_) => return Err(Failure::BAD_REQUEST),
    };
    let order = Order {
        kind,
        source: call.path(),
        source_slash: call.target.slash,
        destination,
        reach,
        overwrite,
        uid: call.uid(),
        limits: tree_limits(call),
    };
    let (headers, inner) = (Arc::clone(&call.headers), Arc::clone(call.inner));
    let asked = order.clone();
    let touches = call
        .run(move |as_client, root| {
            let scene = Scene::find(as_client, root, &asked)?;
            scene.check(as_client, root, &asked, &headers)?;
            scene.touches(as_client, root, &asked, &inner)
        })
        .await?;
    guard::admit(call, &touches).await?;
    let inner = Arc::clone(call.inner);
    let status = call
        .run(move |as_client, root| {
            let scene = Scene::find(as_client, root, &order)?;
            // What is there may have changed meanwhile; what was admitted is what is done.
            let admitted = touches.last().is_some_and(|touch| touch.id == scene.there.map(|stat| stat.id));
            if !admitted {
                return Err(Failure::CONFLICT);
            }
            match order.kind {
                Transfer::Copy => scene.copy(as_client, root, &order, &inner)?,
                Transfer::Move => scene.rename(as_client, root, &order, &inner)?,
            }
            Ok(if scene.there.is_some() { StatusCode::NO_CONTENT } else { StatusCode::CREATED })
        })
        .await?;
    Ok(answer::bare(status))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transfer {
    Copy,
    Move,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overwrite {
    Allowed,
    Refused,
}

/// What was asked for.
#[derive(Clone, Debug)]
struct Order {
    kind: Transfer,
    source: BeneathPath,
    source_slash: bool,
    destination: Target,
    reach: Reach,
    overwrite: Overwrite,
    uid: u32,
    limits: Limits,
}

/// The two places, opened.
struct Scene {
    source: (Directory, Name),
    source_stat: Stat,
    destination: (Directory, Name),
    there: Option<Stat>,
}

fn of(error: FsError) -> Failure {
    Failure::of(&error)
}

impl Scene {
    fn find(as_client: &AsClient<'_>, root: &Root, order: &Order) -> Result<Self, Failure> {
        if order.source.is_here() || order.destination.path.is_here() {
            return Err(Failure::FORBIDDEN);
        }
        let source = root.parent(as_client, &order.source).map_err(of)?;
        let source_stat = match order.kind {
            Transfer::Move => source.0.stat(as_client, &source.1).map_err(of)?,
            Transfer::Copy => *root.look(as_client, &order.source, Links::Follow).map_err(of)?.stat(),
        };
        let destination =
            root.parent(as_client, &order.destination.path).map_err(|error| Failure::of_parent(&error))?;
        let there = match destination.0.stat(as_client, &destination.1) {
            Ok(stat) => Some(stat),
            Err(error) if error.is(Errno::NOENT) => None,
            Err(error) => return Err(of(error)),
        };
        Ok(Self { source, source_stat, destination, there })
    }

    /// Refuses what makes no sense: onto itself, into itself, over what holds the source.
    fn check(&self, as_client: &AsClient<'_>, root: &Root, order: &Order, headers: &HeaderMap) -> Result<(), Failure> {
        let is_directory = self.source_stat.is_directory();
        if order.source_slash && !is_directory {
            return Err(Failure::NOT_FOUND);
        }
        // A directory moves with everything in it (RFC 4918 9.9.2).
        if is_directory && order.kind == Transfer::Move && order.reach == Reach::Alone {
            return Err(Failure::BAD_REQUEST);
        }
        if order.destination.slash && !is_directory && self.there.is_none() {
            return Err(Failure::CONFLICT);
        }
        if let Some(status) = conditional::refusal(headers, Some(&self.source_stat), Purpose::Change) {
            return Err(Failure::status(status));
        }
        if self.there.is_some_and(|there| there.id == self.source_stat.id)
            || order.destination.path.contains(&order.source)
            || is_directory && order.source.contains(&order.destination.path)
        {
            return Err(Failure::FORBIDDEN);
        }
        // Paths may lead through links; inodes do not lie.
        let mut above = vec![self.destination.0.id()];
        above.extend(self.destination.0.ancestors(as_client, root).map_err(of)?);
        if is_directory && above.contains(&self.source_stat.id) {
            return Err(Failure::FORBIDDEN);
        }
        if let Some(there) = self.there.filter(Stat::is_directory) {
            let mut above = vec![self.source.0.id()];
            above.extend(self.source.0.ancestors(as_client, root).map_err(of)?);
            if above.contains(&there.id) {
                return Err(Failure::FORBIDDEN);
            }
        }
        if self.there.is_some() && order.overwrite == Overwrite::Refused {
            return Err(Failure::PRECONDITION);
        }
        Ok(())
    }

    /// What has to be free of other people's locks; the destination comes last.
    fn touches(
        &self,
        as_client: &AsClient<'_>,
        root: &Root,
        order: &Order,
        inner: &Inner,
    ) -> Result<Vec<Touch>, Failure> {
        let mut touches = Vec::new();
        if order.kind == Transfer::Move {
            touches.push(Touch {
                path: order.source.clone(),
                id: Some(self.source_stat.id),
                above: guard::above(as_client, root, &self.source.0, inner).map_err(of)?,
                change: Change::Tree,
            });
        }
        touches.push(Touch {
            path: order.destination.path.clone(),
            id: self.there.map(|there| there.id),
            above: guard::above(as_client, root, &self.destination.0, inner).map_err(of)?,
            change: Change::Tree,
        });
        Ok(touches)
    }

    fn copy(&self, as_client: &AsClient<'_>, root: &Root, order: &Order, inner: &Inner) -> Result<(), Failure> {
        let (directory, name) = (&self.destination.0, &self.destination.1);
        let built = self.build(as_client, root, order)?;
        self.swap_in(as_client, &built, order, inner)?;
        if let Some(there) = self.there.filter(|there| !there.is_directory()) {
            // The lock of whoever was asked for its token goes on, on what stands there now.
            let stat = directory.stat(as_client, name).map_err(of)?;
            inner.locks.follow(there.id, stat.id, Instant::now());
        }
        Ok(())
    }

    /// Copies the source to an unguessable name beside the destination.
    fn build(&self, as_client: &AsClient<'_>, root: &Root, order: &Order) -> Result<Name, Failure> {
        let name = building_name(as_client).map_err(of)?;
        let node = match order.kind {
            Transfer::Copy => root.look(as_client, &order.source, Links::Follow),
            Transfer::Move => self.source.0.look(as_client, &self.source.1),
        }
        .map_err(of)?;
        copy_tree(as_client, node, (&self.destination.0, &name), order.reach, order.limits)
            .map_err(|failed| of(failed.error))?;
        Ok(name)
    }

    /// Gives what was built the name of the destination, and then removes what was there.
    fn swap_in(&self, as_client: &AsClient<'_>, built: &Name, order: &Order, inner: &Inner) -> Result<(), Failure> {
        let (directory, name) = (&self.destination.0, &self.destination.1);
        let removal = || Removal { inner, uid: order.uid, limits: order.limits };
        let placed = match self.there {
            None => rename_new(as_client, (directory, built), (directory, name)),
            Some(there) if !there.is_directory() && !self.source_stat.is_directory() => {
                return directory.rename(as_client, built, directory, name, Replace::File).map_err(|error| {
                    let _ = directory.unlink(as_client, built);
                    of(error)
                });
            }
            Some(_) => exchange(as_client, (directory, built), (directory, name)),
        };
        if let Err(error) = placed {
            let unlimited = Limits { entries: usize::MAX, ..order.limits };
            let removal = Removal { limits: unlimited, ..removal() };
            let _ = discard(as_client, directory, built, removal);
            return Err(of(error));
        }
        match self.there {
            None => Ok(()),
            // The names have changed places: the old content has the unguessable one.
            Some(there) => remove(as_client, directory, built, &order.destination.path, there.id, removal()),
        }
    }

    fn rename(&self, as_client: &AsClient<'_>, root: &Root, order: &Order, inner: &Inner) -> Result<(), Failure> {
        let (from, to) = ((&self.source.0, &self.source.1), (&self.destination.0, &self.destination.1));
        let renamed = match self.there {
            None => rename_new(as_client, from, to),
            Some(there) if !there.is_directory() && !self.source_stat.is_directory() => {
                from.0.rename(as_client, from.1, to.0, to.1, Replace::File)
            }
            Some(_) => exchange(as_client, from, to),
        };
        match renamed {
            Ok(()) => {}
            Err(error) if error.is(Errno::XDEV) => return self.move_across(as_client, root, order, inner),
            Err(error) => return Err(of(error)),
        }
        let now = Instant::now();
        inner.locks.end(self.source_stat.id, &order.source, now);
        let Some(there) = self.there else { return Ok(()) };
        if !there.is_directory() && !self.source_stat.is_directory() {
            inner.locks.end(there.id, &order.destination.path, now);
            return Ok(());
        }
        // The names have changed places: the old content is where the source was.
        let removal = Removal { inner, uid: order.uid, limits: order.limits };
        inner.locks.end(there.id, &order.destination.path, now);
        remove(as_client, from.0, from.1, &order.source, there.id, removal)
    }

    /// Between file systems a move is a copy and then a removal.
    fn move_across(&self, as_client: &AsClient<'_>, root: &Root, order: &Order, inner: &Inner) -> Result<(), Failure> {
        let built = self.build(as_client, root, order)?;
        self.swap_in(as_client, &built, order, inner)?;
        let removal = Removal { inner, uid: order.uid, limits: order.limits };
        remove(as_client, &self.source.0, &self.source.1, &order.source, self.source_stat.id, removal)
    }
}

/// Renames to a name that is free; where the file system cannot promise that, it was free a moment ago.
fn rename_new(as_client: &AsClient<'_>, from: (&Directory, &Name), to: (&Directory, &Name)) -> Result<(), FsError> {
    match from.0.rename(as_client, from.1, to.0, to.1, Replace::Never) {
        Err(error) if error.is(Errno::INVAL) => from.0.rename(as_client, from.1, to.0, to.1, Replace::File),
        done => done,
    }
}

/// Lets two names change places; where the file system cannot do that in one step, in three, each undone if the next fails.
fn exchange(as_client: &AsClient<'_>, one: (&Directory, &Name), two: (&Directory, &Name)) -> Result<(), FsError> {
    match one.0.rename(as_client, one.1, two.0, two.1, Replace::Exchange) {
        Err(error) if error.is(Errno::INVAL) || error.is(Errno::OPNOTSUPP) || error.is(Errno::NOSYS) => {}
        done => return done,
    }
    let aside = building_name(as_client)?;
    two.0.rename(as_client, two.1, two.0, &aside, Replace::File)?;
    one.0.rename(as_client, one.1, two.0, two.1, Replace::File).inspect_err(|_| {
        let _ = two.0.rename(as_client, &aside, two.0, two.1, Replace::File);
    })?;
    two.0.rename(as_client, &aside, one.0, one.1, Replace::File)
}

fn discard(as_client: &AsClient<'_>, directory: &Directory, name: &Name, removal: Removal<'_>) -> Result<(), Failure> {
    // No lock was ever made on something with this name or inode.
    let nobody = FileId { device: u64::MAX, inode: u64::MAX };
    let path = BeneathPath::parse(name.as_bytes()).map_err(|_| Failure::CONFLICT)?;
    remove(as_client, directory, name, &path, nobody, removal)
}
