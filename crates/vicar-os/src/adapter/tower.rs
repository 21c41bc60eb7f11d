//! Tower: a layer that gives every request its client.
//!
//! [`ImpersonateLayer`] asks an [`Identify`] who sent a request and puts [`Impersonated`] into the request's extensions;
//! a request of nobody is answered with the [`Refusal`]'s status and does not reach the service. The service does the
//! client's work through [`Impersonated::run`].
//!
//! Nothing is switched here: the identity begins in the closure and ends with it.

use super::tokio::Clients;
use crate::{Answer, AsClient, ClientContext};
use ::tower_layer::Layer;
use ::tower_service::Service;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use http::{Request, Response, StatusCode, request};
use pin_project_lite::pin_project;

/// Why a request has no client: the status it is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub StatusCode);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no client for this request: {}", self.0)
    }
}

impl core::error::Error for Refusal {}

/// Says whose request it is, from its head and what the server put into its extensions when the connection was made.
///
/// Called on a thread of the runtime: it must not block. Who a client is is proved before, once a connection or by a
/// cache, and the [`ClientContext`] made then is handed out here.
pub trait Identify {
    /// The client, or how to refuse.
    ///
    /// # Errors
    /// - [`Refusal`]; the service does not see the request.
    fn identify(&self, head: &request::Parts) -> Result<ClientContext, Refusal>;
}

impl<F: Fn(&request::Parts) -> Result<ClientContext, Refusal>> Identify for F {
    fn identify(&self, head: &request::Parts) -> Result<ClientContext, Refusal> {
        self(head)
    }
}

/// The client of a request, and where its work is done.
#[derive(Clone, Debug)]
pub struct Impersonated {
    client: ClientContext,
    clients: Clients,
}

impl Impersonated {
    /// Who the client is.
    #[must_use]
    pub fn client(&self) -> &ClientContext {
        &self.client
    }

    /// Runs `work` as the client; see [`Clients::run`].
    pub fn run<R: Send + 'static>(&self, work: impl FnOnce(&AsClient<'_>) -> R + Send + 'static) -> Answer<R> {
        self.clients.run(&self.client, work)
    }
}

/// Makes services whose requests have a client.
///
/// # Cost
/// One call of the [`Identify`], one entry of the request's extensions.
#[derive(Clone, Debug)]
pub struct ImpersonateLayer<I> {
    clients: Clients,
    identify: I,
}

impl<I: Identify> ImpersonateLayer<I> {
    /// Requests are of whom `identify` says; their work is done by `clients`.
    pub fn new(clients: Clients, identify: I) -> Self {
        Self { clients, identify }
    }
}

impl<S, I: Clone> Layer<S> for ImpersonateLayer<I> {
    type Service = Impersonate<S, I>;

    fn layer(&self, inner: S) -> Self::Service {
        Impersonate { inner, clients: self.clients.clone(), identify: self.identify.clone() }
    }
}

/// The service that [`ImpersonateLayer`] makes.
#[derive(Clone, Debug)]
pub struct Impersonate<S, I> {
    inner: S,
    clients: Clients,
    identify: I,
}

impl<S, I, B, R> Service<Request<B>> for Impersonate<S, I>
where
    S: Service<Request<B>, Response = Response<R>>,
    I: Identify,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        match self.identify.identify(&head) {
            Ok(client) => {
                head.extensions.insert(Impersonated { client, clients: self.clients.clone() });
                let asked = Some(self.inner.call(Request::from_parts(head, body)));
                // Not looked at when the service was asked.
                Answering { asked, refusal: StatusCode::OK }
            }
            Err(refusal) => {
                drop((head, body));
                Answering { asked: None, refusal: refusal.0 }
            }
        }
    }
}

pin_project! {
    /// The service's own answer, or the refusal.
    #[derive(Debug)]
    pub struct Answering<F> {
        #[pin]
        asked: Option<F>,
        refusal: StatusCode,
    }
}

impl<F, R, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.asked.as_pin_mut() {
            Some(asked) => asked.poll(cx),
            None => {
                let mut response = Response::new(R::default());
                *response.status_mut() = *this.refusal;
                Poll::Ready(Ok(response))
            }
        }
    }
}
