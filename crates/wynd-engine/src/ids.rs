//! Newtypes for everything the engine names by a number, so that no bare integer crosses its API.

use std::fmt;

/// A connection: slot in the shard's slab and the generation of that slot.
///
/// Never reused: a command for a connection that is gone finds another generation and does
/// nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(u64);

impl ConnId {
    pub(crate) fn new(slot: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(slot))
    }

    /// The id as one number, for tokens and for Python.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// The id a number stands for; any number is harmless.
    pub fn from_u64(value: u64) -> Self {
        Self(value)
    }

    pub(crate) fn slot(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }

    pub(crate) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnId({}.{})", self.slot(), self.generation())
    }
}

/// A listener; the caller chooses the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub u32);

/// A room of this shard; valid while the room has a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RoomId(pub(crate) u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_slot_and_generation_survive_the_round_trip() {
        let id = ConnId::new(7, 0xffff_fffe);
        let back = ConnId::from_u64(id.as_u64());
        assert_eq!((back.slot(), back.generation()), (7, 0xffff_fffe));
        assert_eq!(format!("{back:?}"), "ConnId(7.4294967294)");
    }
}
