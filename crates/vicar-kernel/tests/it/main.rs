//! The routines of vicar-kernel from outside: one module a section of the specification's test cases.
//!
//! A function named `t001_...` is the case of that number. Cases whose routine does not exist here yet are absent.
#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

mod anonymous;
mod apart;
mod capture;
mod claims;
mod concurrency;
mod cv;
mod elevate;
mod fixture;
mod foreign;
mod gate;
mod impersonate;
mod information;
mod job;
mod ledger;
mod logon;
mod matrix;
mod nt;
mod numbers;
mod open;
mod pipe;
mod policies;
mod pool;
mod property;
mod statuses;
mod subject;
mod token;
mod watch;
mod work;
