//! The objects and routines of NT client impersonation.
//!
//! A [`System`] is a world of its own: it hands out LUIDs, keeps the logon sessions, counts token references and holds
//! the [`Policy`]. In it live [`Token`]s (fixed identity, swappable immutable state), [`Process`]es with a primary token
//! and [`Thread`]s that may wear a client's token for a while. A [`ClientContext`] is what a server keeps of a client;
//! the [`gate`] decides whether a process may really act as it.
//!
//! ```text
//! System ── logon ──> LogonSession ── create_token ──> TokenRef
//!                                                        │ ClientContext::from_token / capture / from_subject  (Qos)
//!                                                        v
//! Thread ── prepare ──> Pending ── commit ──> thread record ── reference_impersonation / SubjectContext::capture
//!            (gate)                (no failure)
//! ```
//!
//! # Examples
//! ```
//! use vicar_kernel::{ClientContext, GateStep, Locality, LogonKind, Outcome, Policy, Process, Profile, Qos, Reach};
//! use vicar_kernel::{System, Thread, TokenKind, TokenSpec, Tracking};
//! use vicar_nt::{ImpersonationLevel, Luid, NtStatus, token::TokenState, well_known};
//!
//! # fn main() -> Result<(), NtStatus> {
//! let system = System::new(Profile::V4, Policy::strict());
//! let sign_in = |uid| {
//!     let state = TokenState::builder(well_known::unix_user(uid)).build().map_err(|_| NtStatus::INVALID_PARAMETER)?;
//!     let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"Example ", origin: Luid::ZERO };
//!     system.logon(LogonKind::Network, None)?.create_token(spec)
//! };
//! let server = Thread::new(&Process::new(&system, sign_in(1000)?)?);
//! let qos = Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
//!
//! // The same user: the server may act as it.
//! let own = ClientContext::from_token(&sign_in(1000)?, qos, Locality::Local)?;
//! assert_eq!(server.impersonate(&own)?, Outcome::AsRequested);
//!
//! // Somebody else, and no impersonate privilege: the server may only know who it is.
//! let other = ClientContext::from_token(&sign_in(1001)?, qos, Locality::Local)?;
//! assert_eq!(server.impersonate(&other)?, Outcome::Downgraded { step: GateStep::User });
//! server.revert();
//! assert!(!server.is_impersonating());
//! # Ok(())
//! # }
//! ```
//!
//! This crate deliberately never opens a file, makes a system call of its own or keeps a global, and looks at a clock only to
//! stop waiting: the same inputs give the same decisions on every platform, and a test may make as many systems as it likes. Making an operating system obey
//! is somebody else's work.
#![forbid(unsafe_code)]

pub mod access;
pub mod anonymous;
pub mod audit;
pub mod block;
pub mod client;
pub mod elevate;
pub mod gate;
pub mod handle;
pub mod impersonate;
pub mod irql;
pub mod job;
pub mod ledger;
pub mod logon;
pub mod nt;
pub mod object;
pub mod own;
pub mod pipe;
pub mod policy;
pub mod pool;
pub mod process;
pub mod qos;
pub mod subject;
mod sync;
pub mod system;
mod tally;
pub mod thread;
pub mod token;
pub mod user;
pub mod verifier;
pub mod work;

pub use anonymous::AnonymousLogon;
pub use block::ThreadBlock;
pub use client::{ClientContext, ClientParts, Refreshed, TokenControl};
pub use elevate::{Elevator, Request};
pub use gate::{GateInput, GateStep, Verdict};
pub use handle::{OpenAs, TokenHandle};
pub use impersonate::{Impersonation, OnOpen, Outcome, Pending, Terms};
pub use irql::Irql;
pub use job::{Job, JobLimit};
pub use ledger::{Ledger, NotHeld, ObjectId, ObjectKind, ObjectRef};
pub use logon::{LogonKind, LogonSession};
pub use own::{EffectiveState, OwnThread, SeenSubject};
pub use pipe::{Pipe, PipeClient, PipeNames};
pub use policy::{Policy, Profile};
pub use pool::Pool;
pub use process::{Process, ProcessRef};
pub use qos::{Locality, Qos, Reach, Tracking};
pub use subject::{SubjectContext, SubjectTokens};
pub use system::System;
pub use thread::{Effective, Thread, ThreadRef};
pub use token::{Duplicate, Snapshot, Token, TokenKind, TokenRef, TokenSpec};
pub use work::{WorkItem, WorkQueue};
