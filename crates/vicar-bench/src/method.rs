//! The ways of doing an operation as the client.

use std::time::Duration;

use crate::op::Op;

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Method {
    /// Not as the client at all: the measure of the others.
    Plain,
    /// setgroups, setresgid, setresuid before and after each operation, by raw calls on the calling thread.
    Naive,
    /// `Server::run_as` around each operation.
    RunAs,
    /// A client thread that already holds the client; entered once per operation.
    Sticky,
    /// A client thread that must take on another client for every operation.
    Alternate,
    /// One job per operation handed to the client threads, and waited for.
    Pool,
    /// As `Pool`, thirty-two operations a job.
    PoolBatch,
    /// As `Sticky`, and every tenth operation is another client's.
    Sticky90,
    /// As `Pool` with one thread, and every tenth operation is another client's.
    Pool90,
    /// As `Pool90`; ten jobs, of one client, are handed over before the first is waited for.
    Pool90Ten,
    /// A sealed worker, asked through shared memory and one message each way; one operation a message.
    Sealed,
    /// As `Sealed`, thirty-two operations a message.
    SealedBatch,
    /// One operation a submission to a ring that keeps both of two clients, who take turns.
    Ring,
    /// As `Ring`, eight operations a submission.
    Ring8,
    /// As `Ring`, thirty-two operations a submission.
    Ring32,
    /// The C library's setgroups, setegid, seteuid before and after each operation, nothing else running.
    Libc1,
    /// The same with sixteen idle threads in the process.
    Libc16,
    /// The same with 128 idle threads in the process.
    Libc128,
    /// setfsuid alone before and after: forgets groups and keeps most capabilities.
    Setfsuid,
    /// A child process per operation that drops to the client for good.
    Fork,
}

impl Method {
    /// The name in reports and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Naive => "naive",
            Self::RunAs => "run_as",
            Self::Sticky => "sticky",
            Self::Alternate => "alternate",
            Self::Pool => "pool",
            Self::PoolBatch => "pool_batch",
            Self::Sticky90 => "sticky90",
            Self::Pool90 => "pool90",
            Self::Pool90Ten => "pool90_ten",
            Self::Sealed => "sealed",
            Self::SealedBatch => "sealed_batch",
            Self::Ring => "ring",
            Self::Ring8 => "ring8",
            Self::Ring32 => "ring32",
            Self::Libc1 => "libc1",
            Self::Libc16 => "libc16",
            Self::Libc128 => "libc128",
            Self::Setfsuid => "setfsuid",
            Self::Fork => "fork",
        }
    }

    /// What it is, for people.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Plain => "the server's own call, no impersonation",
            Self::Naive => "raw switch there and back, each operation",
            Self::RunAs => "vicar: run_as, each operation",
            Self::Sticky => "vicar: client thread, same client again",
            Self::Alternate => "vicar: client thread, two clients in turn",
            Self::Pool => "vicar: one job an operation, handed over",
            Self::PoolBatch => "vicar: one job for 32 operations",
            Self::Sticky90 => "vicar: client thread, 90 % the same client",
            Self::Pool90 => "vicar: one job an operation, 90 % the same client",
            Self::Pool90Ten => "vicar: the same, ten jobs handed over at a time",
            Self::Sealed => "vicar: sealed worker, one operation a message",
            Self::SealedBatch => "vicar: sealed worker, 32 operations a message",
            Self::Ring => "vicar: ring, two clients in turn",
            Self::Ring8 => "vicar: ring, two clients, 8 at a time",
            Self::Ring32 => "vicar: ring, two clients, 32 at a time",
            Self::Libc1 => "libc wrappers, no other thread",
            Self::Libc16 => "libc wrappers, 16 idle threads",
            Self::Libc128 => "libc wrappers, 128 idle threads",
            Self::Setfsuid => "setfsuid alone (unsafe: groups, capabilities)",
            Self::Fork => "a child process per operation",
        }
    }

    /// Whether it is somebody else's way and not ours.
    pub(crate) const fn is_peer(self) -> bool {
        match self {
            Self::Plain
            | Self::RunAs
            | Self::Sticky
            | Self::Alternate
            | Self::Pool
            | Self::PoolBatch
            | Self::Sticky90
            | Self::Pool90
            | Self::Pool90Ten
            | Self::Sealed
            | Self::SealedBatch
            | Self::Ring
            | Self::Ring8
            | Self::Ring32 => false,
            Self::Naive | Self::Libc1 | Self::Libc16 | Self::Libc128 | Self::Setfsuid | Self::Fork => true,
        }
    }

    /// Whether it does this operation as a client would have it done: a sealed worker hands an open file over, and whoever
    /// has that reads it.
    pub(crate) const fn does(self, op: Op) -> bool {
        !matches!((self, op), (Self::Sealed | Self::SealedBatch, Op::Read))
    }

    /// Whether the number of the client's groups can matter to it.
    pub(crate) const fn knows_groups(self) -> bool {
        !matches!(self, Self::Plain | Self::Setfsuid)
    }
}

/// A method that is set up in this process.
pub(crate) trait Running {
    /// Does `count` operations and returns how long they took.
    ///
    /// # Errors
    /// What failed, in words; the measurement is void.
    fn time(&mut self, count: u32) -> Result<Duration, String>;
}
