//! The share as the front's handler.

use super::handler::{Answer, Answering, Handler};
use crate::body::RequestBody;
use crate::share::{Caller, Share};
use crate::signin::account::SignedIn;
use http::Request;
use std::sync::Arc;
use vicar_os::ClientContext;

impl Handler<ClientContext> for Share {
    fn answer(&self, person: Arc<SignedIn<ClientContext>>, request: Request<RequestBody>) -> Answering<'_> {
        Box::pin(async move {
            let caller = Caller { name: Arc::clone(&person.name), client: person.client.clone() };
            let reply = self.serve(&caller, request).await;
            Answer { response: reply.response, op: reply.facts.op, path: reply.facts.path, shown: reply.facts.shown }
        })
    }
}
