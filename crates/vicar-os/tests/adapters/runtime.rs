use crate::scratch::{Scratch, client, server};
use crate::status;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use vicar_os::adapter::tokio::{AttachError, Clients, reset_threads};
use vicar_os::{ClientThreadOptions, EnterError, Misuse, Server};

pub(crate) fn hooked(server: &Server) -> Runtime {
    reset_threads(Builder::new_multi_thread().worker_threads(2).enable_all(), server).build().unwrap()
}

pub(crate) fn without_the_hook_it_is_refused() {
    let server = server();
    let threads = server.client_threads(ClientThreadOptions::default()).unwrap();
    let plain = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let refused = plain.block_on(Clients::attach(&server, threads.clone())).map(|_| ());
    assert_eq!(refused, Err(AttachError::NoHook));
    // A hook set afterwards takes the place of ours.
    let mut builder = Builder::new_current_thread();
    let replaced = reset_threads(&mut builder, &server).on_thread_start(|| ()).build().unwrap();
    assert_eq!(replaced.block_on(Clients::attach(&server, threads.clone())).map(|_| ()), Err(AttachError::NoHook));
    assert!(hooked(&server).block_on(Clients::attach(&server, threads.clone())).is_ok());
    let single = reset_threads(&mut Builder::new_current_thread(), &server).build().unwrap();
    assert!(single.block_on(Clients::attach(&server, threads.clone())).is_ok());
    // Polled where there is no runtime at all.
    let mut outside = Box::pin(Clients::attach(&server, threads));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match outside.as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => assert_eq!(answer.map(|_| ()), Err(AttachError::NoRuntime)),
        std::task::Poll::Pending => panic!("it waits for a runtime that is not there"),
    }
}

/// What a thread is that the runtime makes for a job given while this thread acts as the client.
fn born_while_acting(server: &Server, runtime: &Runtime) -> [String; 4] {
    let alice = client(server, 61_001, &[61_300]);
    let job =
        server.run_as(&alice, |_| runtime.handle().spawn_blocking(|| ["Uid", "Gid", "Groups", "CapEff"].map(status)));
    runtime.block_on(job.unwrap()).unwrap()
}

pub(crate) fn a_thread_born_as_a_client_is_the_server() {
    let server = server();
    let own = ["Uid", "Gid", "Groups", "CapEff"].map(status);
    let runtime = hooked(&server);
    assert_eq!(server.inherited_threads(), 0);
    assert_eq!(born_while_acting(&server, &runtime), own);
    assert_eq!(server.inherited_threads(), 1);
}

/// The defect that the hook is for; without it the test above could not fail.
pub(crate) fn without_the_hook_a_thread_born_as_a_client_stays_it() {
    let server = server();
    // It has no thread but those it makes for jobs: another one could take the job.
    let runtime = Builder::new_current_thread().build().unwrap();
    let [users, _, groups, _] = born_while_acting(&server, &runtime);
    assert_eq!((users.as_str(), groups.as_str()), ("65520 61001 0 61001", "61001 61300"));
}

pub(crate) fn its_threads_never_act() {
    let server = server();
    let alice = client(&server, 61_001, &[]);
    let runtime = hooked(&server);
    let refused = Err(EnterError::Misuse(Misuse::RuntimeThread));
    let act = {
        let (server, alice) = (server.clone(), alice.clone());
        move || server.run_as(&alice, |_| ())
    };
    assert_eq!(
        runtime
            .block_on(runtime.spawn({
                let act = act.clone();
                async move { act() }
            }))
            .unwrap(),
        refused
    );
    assert_eq!(runtime.block_on(runtime.spawn_blocking(act.clone())).unwrap(), refused);
    assert_eq!(runtime.block_on(async { act() }), refused);
    // A thread the runtime made stays its thread in code that knows nothing of it.
    assert_eq!(act(), Ok(()));
    let adopted = {
        let server = server.clone();
        move || vicar_os::ClientThread::adopt(&server, 0o022).map(|_| ()).is_err()
    };
    // Last: parts of adopting cannot be undone.
    assert!(runtime.block_on(runtime.spawn_blocking(adopted)).unwrap());
}

pub(crate) fn tasks_of_many_clients_leave_its_threads_alone() {
    let scratch = Scratch::new();
    for uid in 61_001..61_005 {
        scratch.file(&uid.to_string(), 0o600, uid, uid);
    }
    let server = server();
    let runtime = hooked(&server);
    let stop = Arc::new(AtomicBool::new(false));
    // Reads the ids of every thread that is no client thread, all the while.
    let watch = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut readings = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                for task in std::fs::read_dir("/proc/self/task").unwrap() {
                    let place = task.unwrap().path();
                    let Ok(text) = std::fs::read_to_string(place.join("status")) else { continue };
                    let line =
                        |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
                    if line("Name:").starts_with("client-") {
                        continue;
                    }
                    // A client thread that got its name and its place between two lines of its file has the name now.
                    let is_server = (line("Uid:"), line("Gid:")) == ("0\t0\t0\t0".into(), "0\t0\t0\t0".into());
                    let name = std::fs::read_to_string(place.join("comm")).unwrap_or_default();
                    assert!(is_server || name.starts_with("client-"), "{name}{text}");
                    readings += 1;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            readings
        })
    };
    runtime.block_on(async {
        let threads = server.client_threads(ClientThreadOptions { threads: 3, ..ClientThreadOptions::default() });
        let clients = Clients::attach(&server, threads.unwrap()).await.unwrap();
        let mut tasks = Vec::new();
        for number in 0..200_u32 {
            let uid = 61_001 + number % 4;
            let (clients, client) = (clients.clone(), client(&server, uid, &[]));
            let (own, other) = (scratch.path(&uid.to_string()), scratch.path(&(61_001 + (number + 1) % 4).to_string()));
            tasks.push(tokio::spawn(async move {
                for _ in 0..10 {
                    let (own, other) = (own.clone(), other.clone());
                    let read = clients
                        .run(&client, move |as_client| {
                            (as_client.shown().uid.raw(), std::fs::read(own).is_ok(), std::fs::read(other).is_ok())
                        })
                        .await;
                    assert_eq!(read, Ok((uid, true, false)));
                    assert_eq!(status("Uid"), "0 0 0 0");
                    tokio::task::yield_now().await;
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    stop.store(true, Ordering::Relaxed);
    assert!(watch.join().unwrap() > 10);
    assert_eq!(server.inherited_threads(), 0);
}
