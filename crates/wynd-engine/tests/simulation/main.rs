//! A shard with a network, peers and an application that are all drawn from one seed.
//!
//! | File | Decides |
//! |---|---|
//! | `chance`, `trace` | the seed's decisions; what is told of a failure |
//! | `world` | virtual time, the agenda, what a seed makes of limits and habits |
//! | `network` | how bytes travel, and what goes wrong on the way |
//! | `peer`, `message` | what a peer says and has to see |
//! | `turn` | when the driver polls, dispatches, applies and flushes |
//! | `app`, `whims` | what the application does |
//! | `model` | what its commands have to come to |
//! | `checks` | the invariants |
//!
//! `WYND_SEEDS=10000` runs more seeds, `WYND_SEED=7` one, `WYND_TRACE=9000` tells more of its events;
//! see docs/explanation/simulation.md.

mod app;
mod chance;
mod checks;
mod message;
mod model;
mod network;
mod peer;
#[path = "../support/mod.rs"]
mod support;
mod trace;
mod turn;
mod whims;
mod world;

use std::panic::{self, catch_unwind, AssertUnwindSafe};

use trace::Trace;
use world::World;

/// Seeds of an ordinary run.
const SEEDS: u64 = 200;

/// Runs one seed; returns the hash of everything that happened, or a text about what went wrong.
fn simulate(seed: u64) -> Result<u64, String> {
    let trace = Trace::new();
    let told = trace.clone();
    // The world does not outlive its panic; only the trace is looked at.
    let run = AssertUnwindSafe(|| World::new(seed, trace.clone()).run());
    let Err(panic) = catch_unwind(run) else {
        return Ok(told.hash());
    };
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words");
    Err(format!(
        "seed {seed}: {words}\n{}\nreplay: WYND_SEED={seed} cargo test -p wynd-engine --test \
         simulation a_shard_keeps",
        told.told()
    ))
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} must be a number, not {value:?}")))
}

/// Simulates seeds; the first failures end the test, each with the command that replays it.
fn simulate_all(seeds: impl Iterator<Item = u64>) {
    const FAILURES_MAX: usize = 3;
    let loud = panic::take_hook();
    panic::set_hook(Box::new(|_| {})); // what a world panics with is told below
    let failures: Vec<String> = seeds
        .filter_map(|seed| simulate(seed).err())
        .take(FAILURES_MAX)
        .collect();
    panic::set_hook(loud);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn test_a_shard_keeps_its_promises_under_any_seed() {
    match number("WYND_SEED") {
        Some(seed) => simulate_all(std::iter::once(seed)),
        None => simulate_all(0..number("WYND_SEEDS").unwrap_or(SEEDS)),
    }
}

#[test]
fn test_a_seed_gives_the_same_events_every_time() {
    for seed in [1, 2, 3] {
        assert_eq!(simulate(seed), simulate(seed));
    }
    assert_ne!(simulate(1), simulate(2));
}
