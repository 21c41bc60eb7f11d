//! The run: the same batch by the yardstick and by every road, each on its own copy of the tree.

use crate::files;
use crate::hostile::attack;
use crate::keeper::{Keeper, SEALED, YARDSTICK};
use crate::numbers::Numbers;
use crate::operation::Batch;
use crate::people::{COUNT, USERS, identity};
use crate::road::{Act, ROADS};
use crate::sealed::{self, Sealed};
use crate::watchdog::{Declared, Watchdog};
use crate::worker::Workers;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vicar_os::{ClientContext, LogonKind, StartOptions, Starting};

const SEED: &str = "VICAR_DIFFERENTIAL_SEED";

/// Operations on one tree before it is compared and made anew.
const ROUND: usize = 5000;

pub(crate) fn every_road_is_the_client() {
    run(200_000, Duration::from_secs(60));
}

pub(crate) fn a_million_operations() {
    run(1_000_000, Duration::from_secs(3600));
}

fn run(wanted: usize, limit: Duration) {
    let given = std::env::var(SEED).ok().map(|seed| seed.parse::<u64>().unwrap());
    let mut seed = given.unwrap_or_else(|| u64::from(std::process::id()) << 20);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // As root: the trees, the people who are themselves for good, and one of them who attacks.
    let mut keeper = Keeper::start();
    let mut workers = Workers::start(&keeper.copy(YARDSTICK));
    let attacker = attack(USERS[0], "quiet");
    let mut starting = Starting::begin(StartOptions::default()).unwrap();
    let sealer = sealed::fork(&mut starting);
    let server = starting.finish().unwrap();
    let sealed = Sealed::new(&server, sealer);
    let clients: Vec<ClientContext> =
        (0..COUNT).map(|who| server.logon(LogonKind::Network, &identity(who)).unwrap()).collect();
    let declared = Arc::new(Declared::default());
    let watchdog = Watchdog::start(&declared);
    let started = Instant::now();
    let roads;
    let (mut done, mut allowed, mut rounds, mut kept) = (0, 0, 0_u32, Duration::ZERO);
    {
        let acts: Vec<(&str, Act)> = ROADS.iter().map(|road| (road.name, (road.start)(&server))).collect();
        let rings = files::Road::with_rings(&server, keeper.copy(files::RING));
        let mut by_files: Vec<files::Road> =
            rings.into_iter().chain([files::Road::without_ring(&server, keeper.copy(files::NO_RING))]).collect();
        let copies: Vec<&str> =
            acts.iter().map(|(name, _)| *name).chain([SEALED]).chain(by_files.iter().map(|road| road.name)).collect();
        roads = copies.len();
        while done < wanted && started.elapsed() < limit {
            let building = Instant::now();
            keeper.build(seed);
            kept += building.elapsed();
            by_files.iter_mut().for_each(files::Road::next_round);
            let mut numbers = Numbers(seed);
            let mut here = 0;
            while here < ROUND {
                let step = numbers.next();
                let batch = Batch::of(step);
                let who = batch.who;
                workers.give(who, step);
                let mut said = Vec::new();
                for (name, act) in &acts {
                    let (root, declared) = (keeper.copy(name), Arc::clone(&declared));
                    let job = move || {
                        let _acting = declared.acts_for(who);
                        Batch::of(step).perform(&root)
                    };
                    said.push((*name, act(&clients[who], Box::new(job)).unwrap()));
                }
                said.push((SEALED, sealed.perform(&clients[who], step, &keeper.copy(SEALED))));
                for road in &mut by_files {
                    said.push((road.name, road.perform(&clients[who], &batch, &declared)));
                }
                let truth = workers.take(who);
                for (name, found) in &said {
                    assert!(*found == truth, "{}", report(name, seed, &batch, &truth, found));
                }
                here += batch.operations.len();
                allowed += truth.lines().filter(|line| !line.starts_with("errno ")).count();
            }
            let comparing = Instant::now();
            let same = keeper.compare(&copies);
            kept += comparing.elapsed();
            assert_eq!(same, "ok", "{SEED}={seed}");
            (done, seed, rounds) = (done + here, seed + 1, rounds + 1);
        }
        for road in &by_files {
            println!("counted: {}: {}", road.name, road.tally);
            assert!(road.tally.submitted() * 2 >= done && road.tally.all() == done, "{}", road.tally);
        }
        let submissions = files::submissions();
        println!("counted: {submissions} submissions to rings, by the kernel's count");
        assert!(by_files.len() < 2 || submissions > u64::try_from(done).unwrap(), "{submissions}");
    }
    let (seconds, watched) = (started.elapsed().as_secs(), watchdog.end());
    println!(
        "counted: {done} operations on {rounds} trees by each of {roads} roads, {} in all; {allowed} allowed; \
         {seconds} s of which {} for the trees; {watched:?}",
        done * roads,
        kept.as_secs()
    );
    assert!(done > 2_000 && allowed > done / 20 && allowed < done, "{allowed} of {done} were allowed");
    assert!(watched.acting > 10, "{watched:?}");
    if let Some(mut attacker) = attacker {
        while !attacker.has_been_round(2) {
            assert!(started.elapsed() < limit, "nobody attacks");
            std::thread::sleep(Duration::from_millis(10));
        }
        let report = attacker.end();
        println!("{} hostile attempts", report.tries);
        report.all_refused();
    }
}

/// What differed, and how to see it again.
fn report(road: &str, seed: u64, batch: &Batch, truth: &str, found: &str) -> String {
    let mut text = format!("{road} differs from {}; again with {SEED}={seed}\n", identity(batch.who));
    for (index, operation) in batch.operations.iter().enumerate() {
        let (truth, found) = (truth.lines().nth(index), found.lines().nth(index));
        let mark = if truth == found { ' ' } else { '!' };
        text.push_str(&format!("{mark} {operation:?}\n    {truth:?}\n    {found:?}\n"));
    }
    text
}
