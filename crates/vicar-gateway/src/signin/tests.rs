use super::hash::{Cost, PasswordHash};
use super::*;
use account::LogonRefused;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use vicar_os::{KernelGid, KernelUid};

fn identity(uid: u32, groups: &[u32]) -> UnixIdentity {
    UnixIdentity::new(
        KernelUid::new(uid).unwrap(),
        KernelGid::new(uid).unwrap(),
        groups.iter().map(|gid| KernelGid::new(*gid).unwrap()),
    )
    .unwrap()
}

#[derive(Default)]
struct World {
    groups: Mutex<Vec<u32>>,
    asked: AtomicUsize,
    logons: AtomicUsize,
    concurrent: AtomicUsize,
    most_concurrent: AtomicUsize,
}

struct Fake(Arc<World>);

impl Accounts for Fake {
    fn resolve(&self, name: &str) -> Result<Account, AccountError> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        match name {
            "alice" => Ok(Account { name: name.into(), identity: identity(61_001, &self.0.groups.lock().unwrap()) }),
            _ => Err(AccountError::NotAllowed("no-such-account")),
        }
    }
    fn authenticate(&self, service: &str, user: &str, password: &str, _: &str) -> Result<Account, AccountError> {
        if user == "system" {
            return Err(AccountError::Denied("not-admitted"));
        }
        let now = self.0.concurrent.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        self.0.most_concurrent.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        self.0.concurrent.fetch_sub(1, Ordering::SeqCst);
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        match (service, user, password) {
            ("vicar", "alice", "right") => {
                Ok(Account { name: "Alice".into(), identity: identity(61_001, &self.0.groups.lock().unwrap()) })
            }
            (_, "expired", _) => Err(AccountError::NotAllowed("account-expired")),
            (_, "down", _) => Err(AccountError::Unavailable("supervisor-ended")),
            _ => Err(AccountError::Denied("password")),
        }
    }
}

impl Logon<usize> for Fake {
    fn logon(&self, identity: &UnixIdentity) -> Result<usize, LogonRefused> {
        if identity.uid().raw() == 61_009 {
            return Err(LogonRefused);
        }
        Ok(self.0.logons.fetch_add(1, Ordering::SeqCst))
    }
}

fn sign_in(method: Method, limits: SignInLimits) -> (Arc<World>, Arc<SignIn<usize>>) {
    let world = Arc::new(World::default());
    let sign_in =
        SignIn::new(method, Some(Box::new(Fake(Arc::clone(&world)))), Box::new(Fake(Arc::clone(&world))), limits);
    (world, Arc::new(sign_in.unwrap()))
}

const LIMITS: SignInLimits = SignInLimits { parallel: 2, waiting: 100 };

fn pam() -> Method {
    Method::Pam { service: "vicar".into() }
}

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials::new(user, password).unwrap()
}

async fn ask(sign_in: &SignIn<usize>, user: &str, password: &str) -> Result<Arc<SignedIn<usize>>, (u16, &'static str)> {
    sign_in
        .sign_in(credentials(user, password), "127.0.0.1", "127.0.0.1".parse().ok())
        .await
        .map_err(|refusal| (refusal.status.as_u16(), refusal.reason))
}

#[tokio::test(start_paused = true)]
async fn a_verified_credential_is_remembered_and_a_refused_one_is_not() {
    let (world, sign_in) = sign_in(pam(), LIMITS);
    for _ in 0..5 {
        let person = ask(&sign_in, "alice", "right").await.unwrap();
        assert_eq!((&*person.name, person.client), ("Alice", 0));
    }
    assert_eq!(world.asked.load(Ordering::SeqCst), 1);
    for _ in 0..2 {
        assert_eq!(ask(&sign_in, "alice", "wrong").await.unwrap_err(), (401, "password"));
    }
    assert_eq!(world.asked.load(Ordering::SeqCst), 3);
    assert_eq!(ask(&sign_in, "expired", "x").await.unwrap_err(), (403, "account-expired"));
    assert_eq!(ask(&sign_in, "down", "x").await.unwrap_err(), (503, "supervisor-ended"));
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_wait_longer_and_longer_and_the_right_one_never() {
    let (_, sign_in) = sign_in(pam(), LIMITS);
    // The first two wait for nothing but the constant time. The check itself is a part of that, and takes real time.
    for held_back in [0, 0, 250, 500, 1_000, 2_000].map(Duration::from_millis) {
        let (slept, worked) = (tokio::time::Instant::now(), Instant::now());
        assert!(ask(&sign_in, "alice", "wrong").await.is_err());
        let (slept, whole) = (slept.elapsed(), SOONEST_REFUSAL + held_back);
        assert!(
            slept <= whole + Duration::from_millis(1) && slept + worked.elapsed() >= whole,
            "{slept:?} of {whole:?}"
        );
    }
    let start = tokio::time::Instant::now();
    assert!(ask(&sign_in, "alice", "right").await.is_ok());
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_takes_as_long_whether_the_password_was_looked_at_or_not() {
    for user in ["alice", "system"] {
        let (_, sign_in) = sign_in(pam(), LIMITS);
        let (slept, worked) = (tokio::time::Instant::now(), Instant::now());
        assert_eq!(ask(&sign_in, user, "wrong").await.unwrap_err().0, 401);
        let took = slept.elapsed().saturating_add(worked.elapsed());
        assert!(took >= SOONEST_REFUSAL && slept.elapsed() <= SOONEST_REFUSAL + Duration::from_millis(1), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_checks_are_bounded_and_the_crowd_is_told_to_come_back() {
    let (world, sign_in) = sign_in(pam(), SignInLimits { parallel: 2, waiting: 12 });
    let tasks: Vec<_> = (0..20)
        .map(|index| {
            let sign_in = Arc::clone(&sign_in);
            tokio::spawn(async move { ask(&sign_in, &format!("u{index}"), "x").await.map(drop) })
        })
        .collect();
    let mut busy = 0;
    for task in tasks {
        if task.await.unwrap() == Err((503, "sign-in-busy")) {
            busy += 1;
        }
    }
    assert!((1..=14).contains(&busy), "{busy}");
    assert!(world.most_concurrent.load(Ordering::SeqCst) <= 2);
    assert!(ask(&sign_in, "alice", "right").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_check_serves_all_who_came_with_the_same_credential() {
    let (world, sign_in) = sign_in(pam(), SignInLimits { parallel: 1, waiting: 100 });
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let sign_in = Arc::clone(&sign_in);
            tokio::spawn(async move { ask(&sign_in, "alice", "right").await.is_ok() })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(world.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_file_signs_in_system_accounts_and_numeric_people() {
    let hash = |password: &str| PasswordHash::of(password, Cost::Random).unwrap().as_str().to_owned();
    let text = format!(
        "alice:{}\nguest@61005:61005:{}\ngone:{}\nnot-here@61009:1:{}\n",
        hash("a"),
        hash("g"),
        hash("x"),
        hash("n")
    );
    let file = PasswordFile::parse(text.as_bytes(), Path::new("p"), file::Root::Refused).unwrap();
    let (world, sign_in) = sign_in(Method::File(file), LIMITS);
    assert_eq!(ask(&sign_in, "alice", "a").await.unwrap().identity.uid().raw(), 61_001);
    assert_eq!(ask(&sign_in, "guest", "g").await.unwrap().identity.uid().raw(), 61_005);
    assert_eq!(world.asked.load(Ordering::SeqCst), 1);
    assert_eq!(ask(&sign_in, "guest", "a").await.unwrap_err(), (401, "password"));
    assert_eq!(ask(&sign_in, "nobody", "a").await.unwrap_err(), (401, "password"));
    assert_eq!(ask(&sign_in, "gone", "x").await.unwrap_err(), (403, "no-such-account"));
    assert_eq!(ask(&sign_in, "not-here", "n").await.unwrap_err(), (403, "cannot-act-as-user"));
}

#[test]
fn the_context_stays_while_the_identity_does_and_changes_with_the_groups() {
    let world = Arc::new(World::default());
    let shared = Shared {
        method: pam(),
        accounts: Some(Box::new(Fake(Arc::clone(&world)))),
        logon: Box::new(Fake(Arc::clone(&world))),
        verified: Cache::new(LIFETIME, 8),
        contexts: Cache::new(LIFETIME, 8),
    };
    let key = Keyed::new().unwrap().key(["context", "alice", "vicar"]);
    let check = || shared.check(&credentials("alice", "right"), "-", &key).unwrap().client;
    assert_eq!((check(), check()), (0, 0));
    world.groups.lock().unwrap().push(61_050);
    assert_eq!((check(), check()), (1, 1));
}

#[tokio::test]
async fn without_a_supervisor_nobody_signs_in_by_account() {
    let world = Arc::new(World::default());
    let sign_in = SignIn::new(pam(), None, Box::new(Fake(world)), LIMITS).unwrap();
    assert_eq!(ask(&sign_in, "alice", "right").await.unwrap_err(), (503, "sign-in-unavailable"));
}
