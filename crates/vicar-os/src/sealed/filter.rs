//! Which system calls a sealed process may make.

use super::bounds::Bounds;
use crate::switch::calls;
use crate::sys::seccomp::{self, Rule, Verdict, When};
use libc::c_long;
use rustix::io::Errno;

/// What a sealed process is for. Each purpose has a system call filter of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Works on bytes and descriptors that it was handed: a hostile parser. Only calls for memory, time and descriptors that
    /// are open pass; it opens nothing by name, makes no task, no socket and no executable memory.
    Parse,
    /// Makes file calls by name as well. No task, no program, no socket, no executable memory.
    Files,
    /// Executes programs. What passes is everything but a list of calls: changing ids, tracing, keyrings, mounts,
    /// namespaces, io_uring, BPF, userfaultfd, performance counters and what only a system's administrator needs.
    Execute,
}

/// Installs the filter of a purpose on the calling thread.
pub(crate) fn install(purpose: Purpose, bounds: &Bounds) -> Result<(), Errno> {
    let (rules, otherwise) = rules(purpose, bounds);
    seccomp::install(&rules, otherwise)
}

fn rules(purpose: Purpose, bounds: &Bounds) -> (Vec<Rule>, Verdict) {
    let mut rules = Vec::new();
    // Landlock knows nothing of modes, owners, attributes and times.
    match bounds {
        Bounds::Everything => {}
        Bounds::ReadOnly => {
            rules.extend(refuse(CHANGES_BY_NAME));
            rules.extend(refuse(CHANGES_BY_DESCRIPTOR));
            rules.extend(requests(CHANGING_REQUESTS));
        }
        Bounds::Beneath(beneath) => {
            rules.extend(refuse(CHANGES_BY_NAME));
            // With a null pointer the call is about its descriptor.
            rules.push(fail(libc::SYS_utimensat, When::IsPointer { argument: 1 }, Errno::PERM));
            if beneath.is_read_only() {
                rules.extend(refuse(CHANGES_BY_DESCRIPTOR));
                rules.extend(requests(CHANGING_REQUESTS));
            }
        }
    }
    match purpose {
        Purpose::Parse => {
            rules.extend(WITHOUT_CODE.iter().chain(WITHOUT_SIGNALS).copied());
            rules.extend(allow(OPEN_DESCRIPTORS));
            (rules, Verdict::Fail(Errno::PERM))
        }
        Purpose::Files => {
            rules.extend(WITHOUT_CODE.iter().chain(WITHOUT_SIGNALS).copied());
            rules.extend(allow(OPEN_DESCRIPTORS));
            rules.extend(allow(BY_NAME));
            (rules, Verdict::Fail(Errno::PERM))
        }
        Purpose::Execute => {
            rules.extend(refuse(calls::NUMBERS));
            rules.extend(refuse(NEVER));
            rules.extend(requests(&[libc::TIOCSTI, libc::TIOCLINUX]));
            rules.push(fail(libc::SYS_clone, NAMESPACES, Errno::PERM));
            rules.push(fail(libc::SYS_unshare, NAMESPACES, Errno::PERM));
            // Its flags are in memory, where no filter sees them; whoever hears this uses clone.
            rules.push(fail(libc::SYS_clone3, When::Always, Errno::NOSYS));
            (rules, Verdict::Allow)
        }
    }
}

const fn fail(call: c_long, when: When, errno: Errno) -> Rule {
    Rule { call, when, verdict: Verdict::Fail(errno) }
}

fn refuse(calls: &[c_long]) -> impl Iterator<Item = Rule> {
    calls.iter().map(|&call| fail(call, When::Always, Errno::PERM))
}

fn allow(calls: &[c_long]) -> impl Iterator<Item = Rule> {
    calls.iter().map(|&call| Rule { call, when: When::Always, verdict: Verdict::Allow })
}

/// Refuses ioctl requests. The kernel reads the lower half of the number.
fn requests(numbers: &[u64]) -> impl Iterator<Item = Rule> {
    let lower = |number: u64| u32::try_from(number & 0xFFFF_FFFF).unwrap_or(0);
    numbers
        .iter()
        .map(move |&number| fail(libc::SYS_ioctl, When::Is { argument: 1, value: lower(number) }, Errno::PERM))
}

/// Namespace flags of clone and unshare, CLONE_NEWTIME apart, which clone reads as a signal's number.
const NAMESPACES: When = When::AnyBit {
    argument: 0,
    bits: (libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP)
        .unsigned_abs(),
};

/// Memory that is both written and executed is what an attacker needs first.
const WITHOUT_CODE: &[Rule] = &[
    fail(libc::SYS_mmap, When::AnyBit { argument: 2, bits: EXECUTABLE }, Errno::PERM),
    fail(libc::SYS_mprotect, When::AnyBit { argument: 2, bits: EXECUTABLE }, Errno::PERM),
];
const EXECUTABLE: u32 = libc::PROT_EXEC.unsigned_abs();

/// A descriptor that is ready sends its owner a signal, and the signal may be SIGKILL: naming an owner is signalling.
pub(crate) const WITHOUT_SIGNALS: &[Rule] = &[
    fail(libc::SYS_fcntl, When::Is { argument: 1, value: libc::F_SETOWN.unsigned_abs() }, Errno::PERM),
    fail(libc::SYS_fcntl, When::Is { argument: 1, value: F_SETOWN_EX }, Errno::PERM),
    fail(libc::SYS_fcntl, When::Is { argument: 1, value: F_SETSIG }, Errno::PERM),
];
/// Numbers that the C library's crate does not have; they are the same on both architectures.
const F_SETSIG: u32 = 10;
const F_SETOWN_EX: u32 = 15;

/// Memory, time, randomness, and descriptors that are open.
const OPEN_DESCRIPTORS: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_shutdown,
    libc::SYS_ppoll,
    libc::SYS_memfd_create,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// File calls by name, and those on descriptors that only somebody who opens files needs.
const BY_NAME: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_truncate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    SYS_FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_flistxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_getcwd,
    libc::SYS_umask,
    libc::SYS_flock,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
];

/// Numbers that the C library's crate does not have; they are the same on both architectures.
const SYS_FCHMODAT2: c_long = 452;
const SYS_SETXATTRAT: c_long = 463;
const SYS_REMOVEXATTRAT: c_long = 466;
const SYS_OPEN_TREE_ATTR: c_long = 467;
const SYS_FILE_SETATTR: c_long = 469;

/// Changes of modes, owners, attributes and times by name.
const CHANGES_BY_NAME: &[c_long] = &[
    libc::SYS_fchmodat,
    SYS_FCHMODAT2,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    SYS_SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    SYS_REMOVEXATTRAT,
    SYS_FILE_SETATTR,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
];

/// The same by descriptor; a file that is open for reading is enough for them.
const CHANGES_BY_DESCRIPTOR: &[c_long] =
    &[libc::SYS_fchmod, libc::SYS_fchown, libc::SYS_fsetxattr, libc::SYS_fremovexattr, libc::SYS_utimensat];

/// Requests that change a file or directory which is open for reading: flags, version, project, encryption, verity, FAT
/// attributes; making and removing Btrfs subvolumes and their snapshots, and changing their flags.
const CHANGING_REQUESTS: &[u64] = &[
    0x4008_6602,
    0x4004_6602,
    0x4008_7602,
    0x4004_7602,
    0x401C_5820,
    0x800C_6613,
    0x4080_6685,
    0x4004_7211,
    0x5000_9401,
    0x5000_940E,
    0x5000_940F,
    0x5000_9417,
    0x5000_9418,
    0x5000_943F,
    0x4008_941A,
];

/// What a program of a client has no business with, besides changes of identity.
const NEVER: &[c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    SYS_OPEN_TREE_ATTR,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_open_by_handle_at,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_vhangup,
    libc::SYS_lookup_dcookie,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::signal;

    /// What fcntl(2) says to a filtered thread: of reading flags, of an owner, and of the owner's signal.
    fn said(purpose: Purpose) -> [Result<(), Errno>; 3] {
        const SET_SIGNAL: i32 = F_SETSIG.cast_signed();
        std::thread::spawn(move || {
            let (near, _far) = crate::packet::pair().unwrap();
            let own = rustix::process::getpid().as_raw_nonzero().get();
            install(purpose, &Bounds::Everything).unwrap();
            [(libc::F_GETFL, 0), (libc::F_SETOWN, own), (SET_SIGNAL, libc::SIGURG)]
                .map(|(command, value)| signal::own(&near, command, value))
        })
        .join()
        .unwrap()
    }

    #[test]
    fn only_what_executes_programs_can_have_a_signal_sent() {
        for purpose in [Purpose::Parse, Purpose::Files] {
            assert_eq!(said(purpose), [Ok(()), Err(Errno::PERM), Err(Errno::PERM)], "{purpose:?}");
        }
        assert_eq!(said(Purpose::Execute), [Ok(()); 3]);
    }

    #[test]
    fn requests_that_change_have_the_numbers_of_their_headers() {
        // _IOW and _IOR of asm-generic/ioctl.h: direction, length, type, number.
        let request = |direction: u64, len: u64, kind: u8, number: u64| {
            direction << 30 | len << 16 | u64::from(kind) << 8 | number
        };
        let expected = [
            request(1, 8, b'f', 2),
            request(1, 4, b'f', 2),
            request(1, 8, b'v', 2),
            request(1, 4, b'v', 2),
            request(1, 28, b'X', 32),
            request(2, 12, b'f', 19),
            request(1, 128, b'f', 133),
            request(1, 4, b'r', 17),
            request(1, 4096, 0x94, 1),
            request(1, 4096, 0x94, 14),
            request(1, 4096, 0x94, 15),
            request(1, 4096, 0x94, 23),
            request(1, 4096, 0x94, 24),
            request(1, 4096, 0x94, 63),
            request(1, 8, 0x94, 26),
        ];
        assert_eq!(CHANGING_REQUESTS, expected);
    }
}
