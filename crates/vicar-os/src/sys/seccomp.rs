//! The system call filter of client threads.
#![expect(unsafe_code, reason = "prctl(PR_SET_SECCOMP) takes a pointer to the filter and has no safe wrapper")]

use rustix::io::Errno;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// Calls that would make a task which keeps the client's identity for life, a program that could regain the server's, or
/// the use of keys that belong to the server.
#[cfg(target_arch = "x86_64")]
const REFUSED: &[libc::c_long] = &[
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
];
#[cfg(target_arch = "aarch64")]
const REFUSED: &[libc::c_long] = &[
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
];

/// First call number of the x32 interface, which shares the x86-64 architecture value.
const X32: u32 = 0x4000_0000;

const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7FFF_0000;
const FAIL_WITH_EPERM: u32 = 0x0005_0001;
const OFFSET_OF_NUMBER: u32 = 0;
const OFFSET_OF_ARCHITECTURE: u32 = 4;

const fn step(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

const fn jump(code: u16, k: u32, if_true: u8, if_false: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt: if_true, jf: if_false, k }
}

/// Builds the program: another architecture, the x32 interface and each refused call fail with EPERM.
fn program() -> Vec<libc::sock_filter> {
    let mut filter = vec![
        step(LOAD_WORD, OFFSET_OF_ARCHITECTURE),
        jump(JUMP_EQUAL, ARCHITECTURE, 1, 0),
        step(RETURN, FAIL_WITH_EPERM),
        step(LOAD_WORD, OFFSET_OF_NUMBER),
        jump(JUMP_GREATER_OR_EQUAL, X32, 0, 1),
        step(RETURN, FAIL_WITH_EPERM),
    ];
    for &call in REFUSED {
        // A number that does not fit cannot be a system call; refusing x32's range is then the same as refusing it.
        filter.push(jump(JUMP_EQUAL, u32::try_from(call).unwrap_or(X32), 0, 1));
        filter.push(step(RETURN, FAIL_WITH_EPERM));
    }
    filter.push(step(RETURN, ALLOW));
    filter
}

/// Makes the calling thread unable to create tasks, execute programs, touch another process's memory or use keys, for good.
///
/// Also sets `no_new_privs` on the thread, which the filter needs.
///
/// # Source
/// seccomp(2), prctl(2) PR_SET_NO_NEW_PRIVS.
pub(crate) fn refuse_tasks_programs_and_keys() -> Result<(), Errno> {
    rustix::thread::set_no_new_privs(true)?;
    let mut filter = program();
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
    fn a_filtered_thread_makes_no_task_and_runs_no_program() {
        std::thread::spawn(|| {
            refuse_tasks_programs_and_keys().unwrap();
            let thread = std::thread::Builder::new().spawn(|| ()).map(|_| ());
            assert_eq!(thread.unwrap_err().raw_os_error(), Some(libc::EPERM));
            let program = std::process::Command::new("/bin/true").status();
            assert_eq!(program.unwrap_err().raw_os_error(), Some(libc::EPERM));
        })
        .join()
        .unwrap();
        std::thread::spawn(|| ()).join().unwrap();
    }
}
