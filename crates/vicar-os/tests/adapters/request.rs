use crate::runtime::hooked;
use crate::scratch::{Scratch, client, server};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tower::{Layer as _, ServiceExt as _};
use vicar_os::adapter::tokio::Clients;
use vicar_os::adapter::tower::{ImpersonateLayer, Impersonated, Refusal};
use vicar_os::{ClientContext, ClientThreadOptions, Server};

async fn clients(server: &Server) -> Clients {
    Clients::attach(server, server.client_threads(ClientThreadOptions::default()).unwrap()).await.unwrap()
}

/// Who a request's `x-who` says it is of: a test's stand-in for a connection whose peer is known.
fn by_header(
    people: HashMap<&'static str, ClientContext>,
) -> impl Fn(&http::request::Parts) -> Result<ClientContext, Refusal> + Clone {
    move |head| {
        let who = head.headers.get("x-who").and_then(|who| who.to_str().ok());
        let who = who.ok_or(Refusal(StatusCode::UNAUTHORIZED))?;
        people.get(who).cloned().ok_or(Refusal(StatusCode::FORBIDDEN))
    }
}

fn request(path: &str, who: Option<&str>) -> Request<Body> {
    let builder = Request::builder().uri(path);
    who.into_iter().fold(builder, |builder, who| builder.header("x-who", who)).body(Body::empty()).unwrap()
}

pub(crate) fn it_reaches_the_service_with_its_client_or_not_at_all() {
    let server = server();
    hooked(&server).block_on(async {
        let people = HashMap::from([("alice", client(&server, 61_001, &[])), ("bob", client(&server, 61_002, &[]))]);
        let asked = Arc::new(AtomicUsize::new(0));
        let service = {
            let asked = Arc::clone(&asked);
            tower::service_fn(move |request: Request<Body>| {
                asked.fetch_add(1, Ordering::Relaxed);
                async move {
                    let who = request.extensions().get::<Impersonated>().unwrap().clone();
                    let uid = who.run(|as_client| as_client.shown().uid.raw()).await.unwrap();
                    assert_eq!(uid, who.client().identity().uid().raw());
                    Ok::<_, Infallible>(Response::new(uid.to_string()))
                }
            })
        };
        let service = ImpersonateLayer::new(clients(&server).await, by_header(people)).layer(service);
        for (who, status, body, calls) in [
            (Some("alice"), StatusCode::OK, "61001", 1),
            (None, StatusCode::UNAUTHORIZED, "", 1),
            (Some("carol"), StatusCode::FORBIDDEN, "", 1),
            (Some("bob"), StatusCode::OK, "61002", 2),
        ] {
            let answer = service.clone().oneshot(request("/", who)).await.unwrap();
            assert_eq!((answer.status(), answer.body().as_str()), (status, body), "{who:?}");
            assert_eq!(asked.load(Ordering::Relaxed), calls, "{who:?}");
        }
    });
}

pub(crate) fn the_extractor_gives_the_client_or_500() {
    let scratch = Scratch::new();
    scratch.file("a", 0o600, 61_001, 61_001);
    let path = scratch.path("a");
    let server = server();
    hooked(&server).block_on(async {
        let people = HashMap::from([("alice", client(&server, 61_001, &[])), ("bob", client(&server, 61_002, &[]))]);
        let handler = move |who: Impersonated| async move {
            match who.run(|_| std::fs::read_to_string(path)).await {
                Ok(Ok(text)) => (StatusCode::OK, text),
                Ok(Err(error)) => (StatusCode::FORBIDDEN, error.kind().to_string()),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            }
        };
        let bare: Router = Router::new().route("/a", get(handler.clone()));
        let router = bare.clone().layer(ImpersonateLayer::new(clients(&server).await, by_header(people)));
        for (router, who, status, body) in [
            (&router, Some("alice"), StatusCode::OK, "a"),
            (&router, Some("bob"), StatusCode::FORBIDDEN, "permission denied"),
            (&router, None, StatusCode::UNAUTHORIZED, ""),
            (&bare, Some("alice"), StatusCode::INTERNAL_SERVER_ERROR, ""),
        ] {
            let answer = router.clone().oneshot(request("/a", who)).await.unwrap();
            let found = answer.status();
            let text = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!((found, &*text), (status, body.as_bytes()), "{who:?}");
        }
    });
}

pub(crate) fn an_inner_layer_replaces_the_client_of_an_outer_one() {
    let server = server();
    hooked(&server).block_on(async {
        let (alice, bob) = (client(&server, 61_001, &[]), client(&server, 61_002, &[]));
        let service = tower::service_fn(|request: Request<Body>| async move {
            let who = request.extensions().get::<Impersonated>().unwrap().client().identity().uid().raw();
            Ok::<_, Infallible>(Response::new(who.to_string()))
        });
        let clients = clients(&server).await;
        let inner = ImpersonateLayer::new(clients.clone(), move |_: &http::request::Parts| Ok(bob.clone()));
        let outer = ImpersonateLayer::new(clients, move |_: &http::request::Parts| Ok(alice.clone()));
        let answer = outer.layer(inner.layer(service)).oneshot(request("/", None)).await.unwrap();
        assert_eq!(answer.body(), "61002");
    });
}
