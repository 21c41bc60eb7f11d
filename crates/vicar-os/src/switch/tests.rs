//! Each credential call made to fail, at each position.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]

use super::calls::{CredentialCalls, Kernel, Observed};
use super::place::{Base, Step, Target, ThreadPlace};
use crate::testing::{alone, passes_alone};
use crate::{KernelGid, KernelUid, UnixIdentity};
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use std::cell::{Cell, RefCell};
use std::os::unix::process::ExitStatusExt as _;
use std::rc::Rc;
use std::sync::Arc;

/// The kernel, but the calls whose numbers are in `fail` answer EAGAIN without being made.
#[derive(Clone, Debug)]
struct Failing {
    made: Rc<Cell<usize>>,
    fail: Rc<RefCell<Vec<usize>>>,
}

impl Failing {
    fn new() -> Self {
        Self { made: Rc::default(), fail: Rc::default() }
    }

    fn arm(&self, fail: &[usize]) {
        self.made.set(0);
        *self.fail.borrow_mut() = fail.to_vec();
    }

    fn next<T>(&self, call: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        let number = self.made.get();
        self.made.set(number + 1);
        if self.fail.borrow().contains(&number) { Err(Errno::AGAIN) } else { call() }
    }
}

impl CredentialCalls for Failing {
    fn set_groups(&self, groups: &[Gid]) -> Result<(), Errno> {
        self.next(|| Kernel.set_groups(groups))
    }
    fn set_group_ids(&self, real: Option<Gid>, effective: Option<Gid>, saved: Option<Gid>) -> Result<(), Errno> {
        self.next(|| Kernel.set_group_ids(real, effective, saved))
    }
    fn set_user_ids(&self, real: Option<Uid>, effective: Option<Uid>, saved: Option<Uid>) -> Result<(), Errno> {
        self.next(|| Kernel.set_user_ids(real, effective, saved))
    }
    fn set_capabilities(&self, effective: CapabilitySet, permitted: CapabilitySet) -> Result<(), Errno> {
        self.next(|| Kernel.set_capabilities(effective, permitted))
    }
    fn observe(&self) -> Result<Observed, Errno> {
        self.next(|| Kernel.observe())
    }
}

fn target(uid: u32, groups: &[u32]) -> Arc<Target> {
    let groups = groups.iter().map(|gid| KernelGid::new(*gid).unwrap());
    let identity = UnixIdentity::new(KernelUid::new(uid).unwrap(), KernelGid::new(uid).unwrap(), groups).unwrap();
    Arc::new(Target::new(&identity))
}

/// The thread as it is, as a server: root, or the user 61000 with the two capabilities.
fn base(kind: ServerKind) -> Arc<Base> {
    const KEPT: CapabilitySet = super::powers::KEPT;
    match kind {
        ServerKind::Root => Kernel.set_capabilities(KEPT, KEPT).unwrap(),
        ServerKind::User => {
            rustix::thread::set_keep_capabilities(true).unwrap();
            let (uid, gid) = (Some(Uid::from_raw(61_000)), Some(Gid::from_raw(61_000)));
            Kernel.set_groups(&[]).unwrap();
            Kernel.set_group_ids(gid, gid, gid).unwrap();
            Kernel.set_user_ids(uid, uid, uid).unwrap();
            Kernel.set_capabilities(KEPT, KEPT).unwrap();
        }
    }
    let observed = Kernel.observe().unwrap();
    Arc::new(Base {
        uid: Uid::from_raw(observed.user_ids[0]),
        gid: Gid::from_raw(observed.group_ids[0]),
        groups: observed.groups.iter().map(|gid| Gid::from_raw(*gid)).collect(),
        capabilities: observed.permitted,
        anonymous_uid: Uid::from_raw(61_999),
        anonymous_gid: Gid::from_raw(61_999),
    })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum ServerKind {
    Root,
    User,
}

/// Fails every call of a switch in turn until one attempt makes no failing call; returns how many positions there were.
fn sweep(
    place: &mut ThreadPlace<Failing>,
    calls: &Failing,
    to: &Arc<Target>,
    is_before: &dyn Fn(&Observed) -> bool,
) -> usize {
    let mut seen = Vec::new();
    for position in 0.. {
        calls.arm(&[position]);
        match place.enter(to) {
            Ok(_) => {
                calls.arm(&[]);
                return seen.len();
            }
            Err(error) => {
                calls.arm(&[]);
                assert_eq!(error.errno, libc::EAGAIN);
                assert!(is_before(&Kernel.observe().unwrap()), "after a failure at {position} ({error})");
                seen.push(error.step);
            }
        }
        assert!(position < 20, "no end: {seen:?}");
    }
    unreachable!()
}

fn every_failure_restores(kind: ServerKind) -> (usize, usize, usize) {
    let base = base(kind);
    let calls = Failing::new();
    let mut place = ThreadPlace::of_server_thread(calls.clone(), &base).unwrap();
    let (alice, bob) = (target(61_001, &[61_100, 61_200]), target(61_002, &[61_200]));
    let from_server = sweep(&mut place, &calls, &alice, &|seen| base.is_server(seen));
    let observed = Kernel.observe().unwrap();
    assert!(base.is_client(&observed, &alice));
    assert_eq!(observed.user_ids, [61_999, 61_001, base.uid.as_raw()]);
    let hop = sweep(&mut place, &calls, &bob, &|seen| base.is_client(seen, &alice));
    assert!(base.is_client(&Kernel.observe().unwrap(), &bob));
    // The same groups again: the list is not set.
    let same_groups = sweep(&mut place, &calls, &target(61_003, &[61_003]), &|seen| base.is_client(seen, &bob));
    place.leave();
    assert!(base.is_server(&Kernel.observe().unwrap()));
    (from_server, hop, same_groups)
}

#[test]
fn a_failure_at_any_position_leaves_a_root_server_where_it_was() {
    passes_alone("switch::tests::a_failure_at_any_position_leaves_a_root_server_where_it_was", || {
        // setgroups, setresgid, setresuid, observe; raised first when the thread is a client.
        assert_eq!(every_failure_restores(ServerKind::Root), (4, 5, 5));
    });
}

#[test]
fn a_failure_at_any_position_leaves_a_server_that_is_not_root_where_it_was() {
    passes_alone("switch::tests::a_failure_at_any_position_leaves_a_server_that_is_not_root_where_it_was", || {
        // One call more: capabilities are lowered by hand.
        assert_eq!(every_failure_restores(ServerKind::User), (5, 6, 6));
    });
}

#[test]
fn ten_thousand_alternations_of_a_server_that_is_not_root_end_where_they_began() {
    passes_alone("switch::tests::ten_thousand_alternations_of_a_server_that_is_not_root_end_where_they_began", || {
        let base = base(ServerKind::User);
        let mut place = ThreadPlace::of_server_thread(Kernel, &base).unwrap();
        let people = [target(61_001, &[61_100]), target(61_002, &[61_200, 61_300]), target(61_003, &[])];
        for round in 0..10_000 {
            place.enter(&people[round % 3]).unwrap();
            if round % 7 == 0 {
                place.leave();
            }
        }
        place.leave();
        assert!(base.is_server(&Kernel.observe().unwrap()));
    });
}

/// Leaves a client's identity while call number `fail` fails: the process must abort, not go on.
fn aborts_when_leaving_fails(name: &str, kind: ServerKind, fail: usize) {
    let status = alone(name, || {
        let base = base(kind);
        let calls = Failing::new();
        let mut place = ThreadPlace::of_server_thread(calls.clone(), &base).unwrap();
        place.enter(&target(61_001, &[61_100])).unwrap();
        calls.arm(&[fail]);
        place.leave();
    });
    if let Some(status) = status {
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{name}: {status}");
    }
}

macro_rules! leaving_aborts {
    ($($name:ident: $kind:ident, $fail:literal;)*) => {
        $(#[test]
        fn $name() {
            aborts_when_leaving_fails(concat!("switch::tests::", stringify!($name)), ServerKind::$kind, $fail);
        })*
    };
}

leaving_aborts! {
    a_root_server_that_cannot_take_its_user_back_aborts: Root, 0;
    a_root_server_that_cannot_take_its_group_back_aborts: Root, 1;
    a_root_server_that_cannot_take_its_groups_back_aborts: Root, 2;
    a_root_server_that_cannot_see_itself_aborts: Root, 3;
    a_server_that_cannot_raise_its_capabilities_aborts: User, 0;
    a_server_that_cannot_take_its_user_back_aborts: User, 1;
    a_server_that_cannot_take_its_group_back_aborts: User, 2;
    a_server_that_cannot_take_its_groups_back_aborts: User, 3;
    a_server_that_cannot_see_itself_aborts: User, 4;
}

#[test]
fn a_switch_that_fails_and_cannot_be_undone_aborts() {
    let name = "switch::tests::a_switch_that_fails_and_cannot_be_undone_aborts";
    let status = alone(name, || {
        let base = base(ServerKind::Root);
        let calls = Failing::new();
        let mut place = ThreadPlace::of_server_thread(calls.clone(), &base).unwrap();
        // setresuid fails, and so does giving the group back.
        calls.arm(&[2, 3]);
        let _ = place.enter(&target(61_001, &[61_100]));
    });
    if let Some(status) = status {
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{status}");
    }
}

#[test]
fn a_thread_that_is_not_the_server_is_not_taken_over() {
    passes_alone("switch::tests::a_thread_that_is_not_the_server_is_not_taken_over", || {
        let base = base(ServerKind::Root);
        let mut place = ThreadPlace::of_server_thread(Kernel, &base).unwrap();
        place.enter(&target(61_001, &[61_100])).unwrap();
        let inherited = Arc::clone(&base);
        std::thread::spawn(move || {
            let refused = ThreadPlace::of_server_thread(Kernel, &inherited).unwrap_err();
            assert_eq!(refused.step, Step::Verify);
        })
        .join()
        .unwrap();
        place.leave();
        std::thread::spawn(move || drop(ThreadPlace::of_server_thread(Kernel, &base).unwrap())).join().unwrap();
    });
}

#[test]
fn a_changed_identity_is_noticed() {
    let name = "switch::tests::a_changed_identity_is_noticed";
    let status = alone(name, || {
        let base = base(ServerKind::Root);
        let mut place = ThreadPlace::of_server_thread(Kernel, &base).unwrap();
        place.enter(&target(61_001, &[61_100])).unwrap();
        Kernel.set_user_ids(None, Some(base.uid), None).unwrap();
        place.verify();
    });
    if let Some(status) = status {
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{status}");
    }
}
