//! The share as the front's handler.

use super::handler::{Answer, Answering, Handler};
use crate::body::RequestBody;
use crate::share::{Caller, Facts, Share};
use crate::signin::account::SignedIn;
use http::Request;
use std::sync::Arc;
use vicar_os::ClientContext;

impl Handler<ClientContext> for Share {
    fn answer(&self, person: Arc<SignedIn<ClientContext>>, request: Request<RequestBody>) -> Answering<'_> {
        Box::pin(async move {
            let caller = Caller { name: Arc::clone(&person.name), client: person.client.clone() };
            let reply = self.serve(&caller, request).await;
            let Facts { op, path, destination, shown } = reply.facts;
            Answer { response: reply.response, op, path, destination, shown }
        })
    }
}
