//! Axum: [`Impersonated`] as an extractor.
//!
//! A handler that takes `Impersonated` gets the client that
//! [`ImpersonateLayer`](super::tower::ImpersonateLayer) found; on a router without the layer the request is answered
//! with 500 and the handler does not run: it never works as the server instead.

use super::tower::Impersonated;
use ::axum_core::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;

impl<S: Sync> FromRequestParts<S> for Impersonated {
    type Rejection = StatusCode;

    async fn from_request_parts(head: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        head.extensions.get::<Self>().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
