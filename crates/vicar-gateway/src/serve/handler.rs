//! What the front hands a request to.

use crate::body::{ReplyBody, RequestBody};
use crate::signin::account::SignedIn;
use core::pin::Pin;
use http::{Request, Response};
use std::sync::Arc;

/// What a share made of a request.
#[derive(Debug)]
pub struct Answer {
    /// The reply.
    pub response: Response<ReplyBody>,
    /// What was done, in one word, for the audit log.
    pub op: &'static str,
    /// The path, decoded.
    pub path: String,
    /// Where a copy or a move goes, decoded.
    pub destination: Option<String>,
    /// User and group id as the kernel showed them on the thread that did the work.
    pub shown: Option<(u32, u32)>,
}

/// An answer that is being worked out.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Answers requests as the person who signed in.
///
/// A handler that panics costs its own request a 500; one that is dropped leaves whatever it had begun to finish.
pub trait Handler<C>: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, person: Arc<SignedIn<C>>, request: Request<RequestBody>) -> Answering<'_>;
}
