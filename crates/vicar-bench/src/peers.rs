//! The ways of others: raw calls around each operation, the C library's wrappers, setfsuid, a child per operation.
//!
//! Identity is changed here and not in `vicar-os` because these are the faults we measure. Each method proves once that
//! the kernel took it for the client, and for the server again, before it is timed.

use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Gid, Uid, WaitOptions};

use crate::method::Running;
use crate::op::Target;
use crate::scratch::{self, CLIENT};

/// An operation with something done before and after it.
struct Around<B, A> {
    target: Target,
    before: B,
    after: A,
    /// Threads that do nothing; they end when this is dropped.
    _idle: Vec<mpsc::Sender<()>>,
}

impl<B, A> Around<B, A>
where
    B: FnMut() -> Result<(), String> + 'static,
    A: FnMut() -> Result<(), String> + 'static,
{
    /// Proves that `before` makes the thread the client and `after` the server again.
    fn proven(mut self) -> Result<Box<dyn Running>, String> {
        (self.before)()?;
        let client = self.target.must_be_client();
        (self.after)()?;
        client?;
        self.target.must_be_server()?;
        Ok(Box::new(self))
    }
}

impl<B, A> Running for Around<B, A>
where
    B: FnMut() -> Result<(), String>,
    A: FnMut() -> Result<(), String>,
{
    fn time(&mut self, count: u32) -> Result<Duration, String> {
        let start = Instant::now();
        for _ in 0..count {
            (self.before)()?;
            let done = self.target.run();
            (self.after)()?;
            done?;
        }
        Ok(start.elapsed())
    }
}

/// Starts threads that wait for nothing.
fn idle(count: usize) -> Result<Vec<mpsc::Sender<()>>, String> {
    (0..count)
        .map(|_| {
            let (ends, waits) = mpsc::channel::<()>();
            std::thread::Builder::new()
                .stack_size(64 << 10)
                .spawn(move || {
                    let _ended = waits.recv();
                })
                .map_err(|error| format!("thread: {error}"))?;
            Ok(ends)
        })
        .collect()
}

/// Nothing around the operation. One more thread stands by: a server has threads, and a descriptor table that threads
/// share costs a little more.
pub(crate) fn plain(target: &Target) -> Result<Box<dyn Running>, String> {
    target.must_be_server()?;
    Ok(Box::new(Around { target: target.clone(), before: || Ok(()), after: || Ok(()), _idle: idle(1)? }))
}

/// Names a raw call that failed.
fn raw(call: &'static str) -> impl Fn(rustix::io::Errno) -> String {
    move |errno| format!("{call}: {errno}")
}

/// The client's groups as the kernel takes them.
fn kernel_groups(count: u32) -> Vec<Gid> {
    scratch::groups(CLIENT, count).map(Gid::from_raw).collect()
}

/// setgroups, setresgid, setresuid on this thread alone, there and back.
pub(crate) fn naive(target: &Target, groups: u32) -> Result<Box<dyn Running>, String> {
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    let groups = kernel_groups(groups);
    let before = move || {
        set_thread_groups(&groups).map_err(raw("setgroups"))?;
        set_thread_res_gid(None, Gid::from_raw(CLIENT), None).map_err(raw("setresgid"))?;
        set_thread_res_uid(None, Uid::from_raw(CLIENT), None).map_err(raw("setresuid"))
    };
    let after = || {
        set_thread_res_uid(None, Uid::ROOT, None).map_err(raw("setresuid"))?;
        set_thread_res_gid(None, Gid::ROOT, None).map_err(raw("setresgid"))?;
        set_thread_groups(&[]).map_err(raw("setgroups"))
    };
    Around { target: target.clone(), before, after, _idle: idle(1)? }.proven()
}

/// Turns the answer of a C function into a result.
fn c(call: &'static str, answer: libc::c_int) -> Result<(), String> {
    if answer < 0 { Err(format!("{call}: {}", io::Error::last_os_error())) } else { Ok(()) }
}

/// The C library's setgroups: every thread of the process is signalled to follow.
fn libc_setgroups(groups: &[libc::gid_t]) -> Result<(), String> {
    #[expect(
        unsafe_code,
        clippy::disallowed_methods,
        reason = "the wrapper that changes the whole process is what this row measures"
    )]
    // SAFETY:
    // 1. The pointer and the length are those of one slice, valid for reading during the call.
    // 2. The function keeps neither.
    let answer = unsafe { libc::setgroups(groups.len(), groups.as_ptr()) };
    c("setgroups", answer)
}

/// The C library's setegid.
fn libc_setegid(gid: libc::gid_t) -> Result<(), String> {
    #[expect(
        unsafe_code,
        clippy::disallowed_methods,
        reason = "the wrapper that changes the whole process is what this row measures"
    )]
    // SAFETY: 1. The function takes a number and touches no memory of ours.
    let answer = unsafe { libc::setegid(gid) };
    c("setegid", answer)
}

/// The C library's seteuid.
fn libc_seteuid(uid: libc::uid_t) -> Result<(), String> {
    #[expect(
        unsafe_code,
        clippy::disallowed_methods,
        reason = "the wrapper that changes the whole process is what this row measures"
    )]
    // SAFETY: 1. The function takes a number and touches no memory of ours.
    let answer = unsafe { libc::seteuid(uid) };
    c("seteuid", answer)
}

/// The C library's wrappers, there and back, with `threads` idle threads to be told.
pub(crate) fn libc_wrappers(target: &Target, groups: u32, threads: usize) -> Result<Box<dyn Running>, String> {
    let groups: Vec<libc::gid_t> = scratch::groups(CLIENT, groups).collect();
    let before = move || {
        libc_setgroups(&groups)?;
        libc_setegid(CLIENT)?;
        libc_seteuid(CLIENT)
    };
    let after = || {
        libc_seteuid(0)?;
        libc_setegid(0)?;
        libc_setgroups(&[])
    };
    Around { target: target.clone(), before, after, _idle: idle(threads)? }.proven()
}

/// setfsuid: answers with the old id, whether it worked or not.
fn fsuid(uid: libc::uid_t) {
    // SAFETY: 1. The function takes a number and touches no memory of ours.
    #[expect(unsafe_code, reason = "rustix has no setfsuid, because it cannot report failure")]
    let _old = unsafe { libc::setfsuid(uid) };
}

/// setfsuid there and back.
pub(crate) fn setfsuid(target: &Target) -> Result<Box<dyn Running>, String> {
    let before = || {
        fsuid(CLIENT);
        Ok(())
    };
    let after = || {
        fsuid(0);
        Ok(())
    };
    Around { target: target.clone(), before, after, _idle: idle(1)? }.proven()
}

/// A child process per operation.
struct Fork {
    target: Target,
    groups: Vec<Gid>,
}

impl Fork {
    /// Does `work` in a child that is the client for good.
    fn in_child(&self, work: impl Fn(&Target) -> Result<(), String>) -> Result<(), String> {
        // SAFETY:
        // 1. This process has one thread (`fork` starts none), so the child finds no lock held by a thread it lacks.
        // 2. The child ends in `_exit` below and never returns into the caller.
        #[expect(unsafe_code, reason = "a child per request is what this row measures; std can only fork to exec")]
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let done = self.become_client().and_then(|()| work(&self.target));
            if let Err(why) = &done {
                eprintln!("vicar-bench: child: {why}");
            }
            let code = libc::c_int::from(done.is_err());
            // SAFETY: 1. The function does not return and runs no destructor or handler of the parent's.
            #[expect(unsafe_code, reason = "exit would run what belongs to the parent")]
            unsafe {
                libc::_exit(code)
            }
        }
        c("fork", pid)?;
        match rustix::process::waitpid(rustix::process::Pid::from_raw(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) if status.exit_status() == Some(0) => Ok(()),
            Ok(_) => Err("the child failed".to_owned()),
            Err(errno) => Err(format!("waitpid: {errno}")),
        }
    }

    fn become_client(&self) -> Result<(), String> {
        use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
        let (uid, gid) = (Uid::from_raw(CLIENT), Gid::from_raw(CLIENT));
        set_thread_groups(&self.groups).map_err(raw("setgroups"))?;
        set_thread_res_gid(gid, gid, gid).map_err(raw("setresgid"))?;
        set_thread_res_uid(uid, uid, uid).map_err(raw("setresuid"))
    }
}

impl Running for Fork {
    fn time(&mut self, count: u32) -> Result<Duration, String> {
        let start = Instant::now();
        for _ in 0..count {
            self.in_child(Target::run)?;
        }
        Ok(start.elapsed())
    }
}

/// A child process per operation that drops to the client for good.
pub(crate) fn fork(target: &Target, groups: u32) -> Result<Box<dyn Running>, String> {
    let fork = Fork { target: target.clone(), groups: kernel_groups(groups) };
    fork.in_child(Target::must_be_client)?;
    target.must_be_server()?;
    Ok(Box::new(fork))
}
