//! NT client impersonation, enforced by the Linux kernel.
//!
//! A server holds a [`Server`], gets a [`ClientContext`] for each client that signed in, and does the client's work in
//! a closure that receives [`AsClient`], the evidence that this thread holds the client's identity now: effective user,
//! effective group and every supplementary group. When the closure returns, panics or never starts, the thread is what
//! it was before; a thread that cannot get back ends the process.
//!
//! The types that matter: [`UnixIdentity`] (who), [`ClientContext`] (who, how far, as captured), [`Server::run_as`] (on
//! this thread), [`ClientThreads`] (on threads that rest powerless), [`fs`] (file operations that need [`AsClient`]).
//!
//! This crate never decides policy: whether a server may act as a client is decided by `vicar-kernel`, and what the
//! client may do is decided by the Linux kernel.

pub mod adapter;
pub mod capability;
mod client;
pub mod delegation;
pub mod elevated;
mod enter;
pub mod fs;
mod identity;
pub mod machine;
mod mailbox;
mod packet;
mod pool;
mod project;
pub mod question;
pub mod restricted;
pub mod ring;
pub mod sealed;
mod server;
pub mod sidmap;
pub mod source;
pub mod supervisor;
pub mod switch;

mod sync;
mod sys;
#[cfg(test)]
mod testing;
pub mod tracking;

pub use client::ClientContext;
pub use delegation::{DelegatedCredential, DelegationError, InitiateError, Initiator, Service, Turn};
pub use enter::{AsClient, EnterError, Misuse, Shown, acts_as_client};
pub use identity::{IdentityError, KernelGid, KernelUid, UnixIdentity};
pub use mailbox::{MailboxError, MailboxThread, SafePoint, ThreadHandle};
pub use pool::{
    AdoptError, Answer, ClientThread, ClientThreadOptions, ClientThreads, DEFAULT_UMASK, PoolError, RunError,
};
pub use project::{ProjectError, Projection, RootClients, project};
pub use question::{Could, Question, Want};
pub use server::{
    AnonymousError, LogonError, Powerless, Refused, SelfTest, Server, StartError, StartOptions, StartReport, Starting,
    TrialError,
};
pub use switch::powers::Powers;
pub use tracking::{MoreGroups, RefreshError, Stop, Tracked};
pub use vicar_kernel::{GateStep, LogonKind, Qos, Reach, Tracking};
pub use vicar_nt::ImpersonationLevel;
