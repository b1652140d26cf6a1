//! What happened: a hash of all of it, and the last of it in words for whoever reads a failure.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;

/// Events that are told, unless `WYND_TRACE` says another number.
const KEPT: usize = 80;

#[derive(Debug)]
struct Notes {
    hash: u64,
    count: u64,
    kept: usize,
    last: VecDeque<(u64, &'static str, u64, u64)>,
}

/// Clones write the same trace, so that it outlives a simulation that panics.
#[derive(Clone, Debug)]
pub struct Trace(Rc<RefCell<Notes>>);

impl Trace {
    pub fn new() -> Self {
        Self(Rc::new(RefCell::new(Notes {
            hash: 0xcbf2_9ce4_8422_2325,
            count: 0,
            kept: crate::number("WYND_TRACE").map_or(KEPT, |kept| usize::try_from(kept).unwrap()),
            last: VecDeque::new(),
        })))
    }

    /// Notes that `what` happened at a millisecond, with two numbers that tell which.
    pub fn note(&self, at: u64, what: &'static str, a: u64, b: u64) {
        let mut notes = self.0.borrow_mut();
        let words = what.bytes().map(u64::from).chain([at, a, b]);
        // FNV-1a, a word at a time.
        let hash = words.fold(notes.hash, |hash, word| {
            (hash ^ word).wrapping_mul(0x0100_0000_01b3)
        });
        notes.hash = hash;
        notes.count += 1;
        if notes.last.len() == notes.kept {
            notes.last.pop_front();
        }
        notes.last.push_back((at, what, a, b));
    }

    pub fn hash(&self) -> u64 {
        self.0.borrow().hash
    }

    /// The last events, oldest first.
    pub fn told(&self) -> String {
        let notes = self.0.borrow();
        let mut told = format!("the last of {} events:\n", notes.count);
        for (at, what, a, b) in &notes.last {
            let _ = writeln!(told, "{at:>8} ms  {what} {a} {b}");
        }
        told
    }
}
