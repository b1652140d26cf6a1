//! The checks, which `cargo test -p wynd-protocol` replays the corpora with: one source for both.

#[path = "../../crates/wynd-protocol/tests/fuzzing/mod.rs"]
mod fuzzing;

/// Runs the check of the target of this name, which panics on a broken rule.
pub fn check(target: &str, input: &[u8]) {
    let found = fuzzing::TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = found.expect("a target of this name");
    check(input);
}
