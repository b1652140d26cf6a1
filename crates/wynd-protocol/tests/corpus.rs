//! Replays what fuzzing left behind: every input of `fuzz/corpus`, and every one that once broke
//! something, `fuzz/crashes`. A new target needs its corpus; a fixed crash stays.
#![cfg(not(miri))] // thousands of inputs; the checks run on a few of them under Miri's eyes elsewhere

mod fuzzing;

use std::fs;
use std::path::{Path, PathBuf};

/// Files of a folder in the order of their names; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
#[expect(clippy::print_stdout, reason = "what is left out says why")]
fn every_input_of_the_corpora_and_every_past_crash_keeps_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    if !root.is_dir() {
        println!("left out: the folder fuzz is not here (a source distribution)");
        return;
    }
    for (target, check) in fuzzing::TARGETS {
        let corpus = files(&root.join("corpus").join(target));
        assert!(!corpus.is_empty(), "{target} has no corpus");
        for path in [corpus, files(&root.join("crashes").join(target))].concat() {
            let input = fs::read(&path).unwrap();
            let kept = std::panic::catch_unwind(|| check(&input));
            assert!(kept.is_ok(), "{} breaks a rule, see above", path.display());
        }
        check(b"");
    }
}

#[test]
fn every_folder_belongs_to_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    for folder in ["corpus", "crashes", "fuzz_targets"] {
        for path in files(&root.join(folder)) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let is_target = fuzzing::TARGETS.iter().any(|(target, _)| *target == name);
            assert!(is_target, "{} belongs to no target", path.display());
        }
    }
}
