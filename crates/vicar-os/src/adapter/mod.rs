//! Bridges to asynchronous servers, each behind the feature of its name.
//!
//! The rule that all of them keep: no thread of a runtime ever takes a client's identity on, because the next task on
//! that thread is somebody else's. What is done as a client is a closure on [`ClientThreads`](crate::ClientThreads), and
//! the evidence [`AsClient`](crate::AsClient) cannot leave it, so that no future holds an identity across an await.

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tower")]
pub mod tower;
