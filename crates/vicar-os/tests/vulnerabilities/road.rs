//! The roads on which a server acts as a client. A new road is added to [`ROADS`], and every test runs over it.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use vicar_os::{ClientContext, ClientThread, ClientThreadOptions, ClientThreads, DEFAULT_UMASK, Server, ThreadHandle};

/// Something to do as a client, and what is said about it.
pub(crate) type Job = Box<dyn FnOnce() -> String + Send>;

/// Does a job as a client; an error says why it was not done.
pub(crate) type Act = Box<dyn Fn(&ClientContext, Job) -> Result<String, String>>;

/// One way of acting.
pub(crate) struct Road {
    pub(crate) name: &'static str,
    /// Prepares the road. After the last use the value is dropped, and with it the threads.
    pub(crate) start: fn(&Server) -> Act,
}

/// Every road of a server. The irrevocable drop is no server's and is made before there is one.
pub(crate) const ROADS: &[Road] = &[
    Road { name: "scoped", start: scoped },
    Road { name: "threads", start: threads },
    Road { name: "own thread", start: own_thread },
    Road { name: "mailbox", start: mailbox },
];

fn scoped(server: &Server) -> Act {
    let server = server.clone();
    Box::new(move |client, job| server.run_as(client, |_| job()).map_err(|error| error.to_string()))
}

/// Two threads, so that the clients of a test take turns on them.
fn threads(server: &Server) -> Act {
    let threads: ClientThreads =
        server.client_threads(ClientThreadOptions { threads: 2, ..ClientThreadOptions::default() }).unwrap();
    Box::new(move |client, job| threads.run_blocking(client, |_| job()).map_err(|error| error.to_string()))
}

/// A thread of the caller's own that was given over for good.
fn own_thread(server: &Server) -> Act {
    type Order = (ClientContext, Job, std::sync::mpsc::Sender<Result<String, String>>);
    let (give, orders) = channel::<Order>();
    let server = server.clone();
    let thread = std::thread::spawn(move || {
        let mut own = ClientThread::adopt(&server, DEFAULT_UMASK).unwrap();
        while let Ok((client, job, answer)) = orders.recv() {
            let done = own.run(&client, |_| job()).map_err(|error| error.to_string());
            let _ = answer.send(done);
        }
    });
    let thread = Arc::new(Ending { give: Some(give), thread: Some(thread) });
    Box::new(move |client, job| {
        let (answer, answered) = channel();
        let give = thread.give.as_ref().unwrap();
        give.send((client.clone(), job, answer)).map_err(|_ended| "the thread has ended".to_owned())?;
        answered.recv().map_err(|_ended| "the job panicked".to_owned())?
    })
}

/// A job for the thread that was told whom to act as, and where its answer goes.
type Order = (Job, std::sync::mpsc::Sender<Result<String, String>>);

/// Another thread, which is told whom to act as and then what to do.
fn mailbox(server: &Server) -> Act {
    let (give, orders) = channel::<Option<Order>>();
    let (tell, told) = channel::<ThreadHandle>();
    let own = server.clone();
    let thread = std::thread::spawn(move || {
        let mut thread = ClientThread::adopt(&own, DEFAULT_UMASK).unwrap().register().unwrap();
        tell.send(thread.handle()).unwrap();
        loop {
            let _ = thread.wait(None);
            // What follows every request: a job, or nothing when the request was refused.
            match orders.recv() {
                Ok(Some((job, answer))) => {
                    let _ = answer.send(thread.run(|_| job()).map_err(|error| error.to_string()));
                }
                Ok(None) => {}
                Err(_ended) => return,
            }
        }
    });
    let handle = told.recv().ok();
    let thread = Told { server: server.clone(), handle, ending: Ending { give: Some(give), thread: Some(thread) } };
    Box::new(move |client, job| {
        let ended = "the thread has ended".to_owned();
        let (Some(handle), Some(give)) = (&thread.handle, &thread.ending.give) else { return Err(ended) };
        let asked = thread.server.impersonate_on(handle, client, PATIENCE);
        let (answer, answered) = channel();
        let order = asked.is_ok().then_some((job, answer));
        give.send(order).map_err(|_ended| ended)?;
        asked.map_err(|error| error.to_string())?;
        answered.recv().map_err(|_ended| "the job panicked".to_owned())?
    })
}

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the thread that waits for requests: the last one tells it to look for what follows, which is nothing.
struct Told {
    server: Server,
    handle: Option<ThreadHandle>,
    ending: Ending<Option<Order>>,
}

impl Drop for Told {
    fn drop(&mut self) {
        drop(self.ending.give.take());
        if let Some(handle) = &self.handle {
            let _ = self.server.revert_on(handle, PATIENCE);
        }
    }
}

/// Waits for its thread when it is dropped.
struct Ending<T> {
    give: Option<std::sync::mpsc::Sender<T>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        drop(self.give.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
