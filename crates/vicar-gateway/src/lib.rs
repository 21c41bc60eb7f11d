//! HTTP and WebDAV as whoever signs in.
//!
//! A request comes in by [`serve`] (listeners, TLS, limits, cross-site rules), learns whose it is in [`signin`], is done
//! by a share as exactly that person, and leaves one line in [`audit`].
//!
//! The types that matter: [`serve::Gateway`] (the front), [`signin::SignIn`] (who is it), [`audit::AuditLog`] (what
//! happened), [`limit::Limits`] (how much of everything).
//!
//! This crate never touches a path that a client named except as that client, and never decides who may have a file: the
//! kernel does.
#![forbid(unsafe_code)]

pub mod audit;
pub mod body;
pub mod dav;
pub mod limit;
pub mod lock;
pub mod origin;
pub mod page;
pub mod serve;
pub mod share;
pub mod signin;
pub mod tls;
