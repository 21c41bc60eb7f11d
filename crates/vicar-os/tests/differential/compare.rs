//! The run: the same batches by the yardstick and by every road, each on its own copy of the tree and in its own time; then
//! every answer is compared with the yardstick's, and what is left behind.

use crate::files;
use crate::hostile::attack;
use crate::keeper::{Keeper, SEALED, YARDSTICK};
use crate::lane::{Lane, Round};
use crate::people::{COUNT, USERS, identity};
use crate::road::ROADS;
use crate::sealed::{self, Sealed};
use crate::watchdog::{Declared, Watchdog};
use crate::worker::Workers;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vicar_os::{ClientContext, LogonKind, StartOptions, Starting};

const SEED: &str = "VICAR_DIFFERENTIAL_SEED";
const OPERATIONS: &str = "VICAR_DIFFERENTIAL_OPERATIONS";

fn given<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// The same operations every time: what they find, they find always.
pub(crate) fn every_road_is_the_client() {
    run(given(OPERATIONS).unwrap_or(200_000), given(SEED).unwrap_or(20_261_124), Duration::from_secs(560));
}

/// Others every time.
pub(crate) fn a_million_operations() {
    let seed = given(SEED).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_secs() << 20
    });
    run(given(OPERATIONS).unwrap_or(1_000_000), seed, Duration::from_secs(3500));
}

/// Ends when so many distinct operations have been done by each road; fails when they were not within the limit. An
/// operation is another one if it is done by somebody else, in another tree, or with any other argument.
fn run(wanted: usize, first_seed: u64, limit: Duration) {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // As root: the trees, the people who are themselves for good, and one of them who attacks.
    let mut keeper = Keeper::start();
    let workers = Workers::start();
    let attacker = attack(USERS[0], "quiet");
    let mut starting = Starting::begin(StartOptions::default()).unwrap();
    let sealer = sealed::fork(&mut starting);
    let server = starting.finish().unwrap();
    let clients: Arc<Vec<ClientContext>> =
        Arc::new((0..COUNT).map(|who| server.logon(LogonKind::Network, &identity(who)).unwrap()).collect());
    let declared = Arc::new(Declared::default());
    let watchdog = Watchdog::start(&declared);
    let copies = keeper.copies();
    let root_of = move |copy: &'static str| -> Box<dyn Fn(u32) -> PathBuf + Send> {
        let copies = copies.clone();
        Box::new(move |round| copies.root(round, copy))
    };
    let mut lanes = vec![Lane::yardstick(workers, root_of(YARDSTICK))];
    for road in ROADS {
        lanes.push(Lane::road(road, &server, &clients, &declared, root_of(road.name)));
    }
    lanes.push(Lane::sealed(Sealed::new(&server, sealer), &clients, root_of(SEALED)));
    let rings = files::Road::with_rings(&server);
    let has_rings = rings.is_some();
    for road in rings.into_iter().chain([files::Road::without_ring(&server)]) {
        let root = root_of(road.name);
        lanes.push(Lane::files(road, &clients, &declared, root));
    }
    let names: Vec<&str> = lanes.iter().skip(1).map(|lane| lane.name).collect();

    let started = Instant::now();
    let (mut distinct, mut done, mut allowed, mut number) = (HashSet::new(), 0_usize, 0, 0_u32);
    let mut round = Round::of(0, first_seed);
    keeper.tell_build(&round);
    keeper.is_ok(&round);
    // While the roads are in one tree, the last one is compared and the next one made.
    let mut compared = None;
    while distinct.len() < wanted {
        assert!(started.elapsed() < limit, "{} distinct operations in {limit:?}, {wanted} wanted", distinct.len());
        let this = Arc::new(round);
        lanes.iter().for_each(|lane| lane.give(&this));
        let next = Round::of(number + 1, first_seed + u64::from(number) + 1);
        keeper.tell_build(&next);
        for batch in &this.batches {
            for operation in &batch.operations {
                let mut hasher = DefaultHasher::new();
                (this.seed, batch.who, format!("{operation:?}")).hash(&mut hasher);
                distinct.insert(hasher.finish());
            }
            done += batch.operations.len();
        }
        let said: Vec<Vec<String>> = lanes.iter_mut().map(Lane::take).collect();
        for (index, batch) in this.batches.iter().enumerate() {
            let truth = &said[0][index];
            for (name, found) in names.iter().zip(&said[1..]) {
                assert!(found[index] == *truth, "{}", this.report(name, SEED, batch, truth, &found[index]));
            }
            allowed += truth.lines().filter(|line| !line.starts_with("errno ")).count();
        }
        if let Some(last) = compared.replace(Arc::clone(&this)) {
            keeper.is_ok(&last);
        }
        keeper.is_ok(&next);
        keeper.tell_compare(&this, &names);
        (round, number) = (next, number + 1);
    }
    keeper.is_ok(&compared.unwrap());
    let seconds = started.elapsed().as_secs_f64();
    for lane in &lanes {
        println!("counted: {}: {:.1} s", lane.name, lane.took.as_secs_f64());
        let Some(tally) = &lane.tally else { continue };
        println!("counted: {}: {tally}", lane.name);
        assert!(tally.submitted() * 2 >= done && tally.all() == done, "{tally}");
    }
    let submissions = files::submissions();
    println!("counted: {submissions} submissions to rings, by the kernel's count");
    assert!(!has_rings || submissions > u64::try_from(done).unwrap(), "{submissions}");
    drop(lanes);
    let watched = watchdog.end();
    println!(
        "counted: {} distinct operations ({done} with those done twice) on {number} trees by each of {} roads, {} in all; \
         {allowed} allowed; {seconds:.0} s; {SEED}={first_seed}; {watched:?}",
        distinct.len(),
        names.len(),
        distinct.len() * names.len(),
    );
    assert!(allowed > done / 20 && allowed < done, "{allowed} of {done} were allowed");
    assert!(watched.acting > 10, "{watched:?}");
    if let Some(mut attacker) = attacker {
        while !attacker.has_been_round(2) {
            assert!(started.elapsed() < limit, "nobody attacks");
            std::thread::sleep(Duration::from_millis(10));
        }
        let report = attacker.end();
        println!("counted: {} hostile attempts", report.tries);
        report.all_refused();
    }
}
