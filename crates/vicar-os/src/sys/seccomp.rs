//! System call filters: built from rules, installed for good.
#![expect(unsafe_code, reason = "prctl(PR_SET_SECCOMP) takes a pointer to the filter and has no safe wrapper")]

use rustix::io::Errno;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is made.
    Allow,
    /// It fails with this error and is not made.
    Fail(Errno),
}

/// When a rule applies, by the lower half of an argument: what the kernel reads of an `int` or of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Always.
    Always,
    /// When an argument has any of these bits.
    AnyBit {
        /// Which argument, from 0.
        argument: u8,
        /// The bits.
        bits: u32,
    },
    /// When an argument is this.
    Is {
        /// Which argument, from 0.
        argument: u8,
        /// The value.
        value: u32,
    },
    /// When an argument is not the null pointer.
    IsPointer {
        /// Which argument, from 0.
        argument: u8,
    },
}

/// One rule; the first that applies decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The number of the call.
    pub(crate) call: libc::c_long,
    /// When it applies.
    pub(crate) when: When,
    /// What becomes of the call then.
    pub(crate) verdict: Verdict,
}

/// Calls that would make a task which keeps the client's identity for life (a ring of one's own makes such tasks too), a
/// program that could regain the server's, or the use of another process's memory and descriptors or of the server's keys.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_clone,
    libc::SYS_clone3,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_io_uring_setup,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
];

/// First call number of the x32 interface, which shares the x86-64 architecture value.
const X32: u32 = 0x4000_0000;

const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7FFF_0000;
const FAIL: u32 = 0x0005_0000;
const FAIL_WITH_EPERM: u32 = FAIL | 1;
const OFFSET_OF_NUMBER: u32 = 0;
const OFFSET_OF_ARCHITECTURE: u32 = 4;
const OFFSET_OF_ARGUMENTS: u32 = 16;

const fn step(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

const fn jump(code: u16, k: u32, if_true: u8, if_false: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt: if_true, jf: if_false, k }
}

const fn verdict(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Allow => ALLOW,
        // Error numbers are between 1 and 4095, which is what fits.
        Verdict::Fail(errno) => FAIL | (errno.raw_os_error().unsigned_abs() & 0xFFF),
    }
}

/// Where the lower half of an argument is; both architectures are little-endian.
const fn lower_half(argument: u8) -> u32 {
    OFFSET_OF_ARGUMENTS.saturating_add((argument as u32).saturating_mul(8))
}

/// Builds the program: another architecture and the x32 interface fail with EPERM, then the first rule that applies
/// decides, then `otherwise`.
fn program(rules: &[Rule], otherwise: Verdict) -> Vec<libc::sock_filter> {
    let mut filter = vec![
        step(LOAD_WORD, OFFSET_OF_ARCHITECTURE),
        jump(JUMP_EQUAL, ARCHITECTURE, 1, 0),
        step(RETURN, FAIL_WITH_EPERM),
        step(LOAD_WORD, OFFSET_OF_NUMBER),
        jump(JUMP_GREATER_OR_EQUAL, X32, 0, 1),
        step(RETURN, FAIL_WITH_EPERM),
    ];
    for rule in rules {
        // A number that does not fit cannot be a system call; refusing x32's range is then the same as refusing it.
        let number = u32::try_from(rule.call).unwrap_or(X32);
        let decide = step(RETURN, verdict(rule.verdict));
        let again = step(LOAD_WORD, OFFSET_OF_NUMBER);
        match rule.when {
            When::Always => filter.extend([jump(JUMP_EQUAL, number, 0, 1), decide]),
            When::AnyBit { argument, bits } => filter.extend([
                jump(JUMP_EQUAL, number, 0, 4),
                step(LOAD_WORD, lower_half(argument)),
                jump(JUMP_ANY_BIT, bits, 0, 1),
                decide,
                again,
            ]),
            When::Is { argument, value } => filter.extend([
                jump(JUMP_EQUAL, number, 0, 4),
                step(LOAD_WORD, lower_half(argument)),
                jump(JUMP_EQUAL, value, 0, 1),
                decide,
                again,
            ]),
            When::IsPointer { argument } => filter.extend([
                jump(JUMP_EQUAL, number, 0, 6),
                step(LOAD_WORD, lower_half(argument)),
                jump(JUMP_EQUAL, 0, 0, 2),
                step(LOAD_WORD, lower_half(argument).saturating_add(4)),
                jump(JUMP_EQUAL, 0, 1, 0),
                decide,
                again,
            ]),
        }
    }
    filter.push(step(RETURN, verdict(otherwise)));
    filter
}

/// Makes the calling thread unable to create tasks and rings, execute programs, touch another process's memory or use keys, for good.
///
/// Also sets `no_new_privs` on the thread, which the filter needs.
///
/// # Source
/// seccomp(2), prctl(2) PR_SET_NO_NEW_PRIVS.
pub(crate) fn refuse_tasks_programs_and_keys() -> Result<(), Errno> {
    let refused = |&call| Rule { call, when: When::Always, verdict: Verdict::Fail(Errno::PERM) };
    let rules: Vec<Rule> = REFUSED.iter().map(refused).collect();
    install(&rules, Verdict::Allow)
}

/// Filters the calls of the calling thread, and of every thread and process it makes, for good.
///
/// Also sets `no_new_privs` on the thread, which the filter needs.
///
/// # Source
/// seccomp(2), prctl(2) PR_SET_NO_NEW_PRIVS.
pub(crate) fn install(rules: &[Rule], otherwise: Verdict) -> Result<(), Errno> {
    rustix::thread::set_no_new_privs(true)?;
    let mut filter = program(rules, otherwise);
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_too_long| Errno::INVAL)?,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY:
    // 1. `program` and the instructions it points to are alive during the call; the kernel copies them.
    // 2. `len` is the number of instructions behind the pointer.
    let result =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0_usize, 0_usize) };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filtered_thread_makes_no_task_and_no_ring_and_runs_no_program() {
        std::thread::spawn(|| {
            refuse_tasks_programs_and_keys().unwrap();
            let thread = std::thread::Builder::new().spawn(|| ()).map(|_| ());
            assert_eq!(thread.unwrap_err().raw_os_error(), Some(libc::EPERM));
            let program = std::process::Command::new("/bin/true").status();
            assert_eq!(program.unwrap_err().raw_os_error(), Some(libc::EPERM));
            assert!(matches!(crate::sys::ring::Queue::open(1), Err(crate::sys::ring::NoRing::Setup(Errno::PERM))));
        })
        .join()
        .unwrap();
        std::thread::spawn(|| ()).join().unwrap();
    }
}
