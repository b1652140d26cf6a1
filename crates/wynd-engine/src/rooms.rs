//! Rooms: who is in which, and what each does about members that do not keep up.
//! Knows slots of connections and no bytes.
//!
//! A room lists its members, a member its rooms, and each entry says where the other one is: joining,
//! leaving and closing cost no search among members. The order of members means nothing.

use std::collections::HashMap;

use crate::ids::RoomId;
use crate::lanes::DropRule;

/// What happens to a room member whose outbox would pass the hard limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomPolicy {
    /// It leaves all rooms, its queue is freed, and it is closed with this code and reason.
    Close {
        /// Close code.
        code: u16,
        /// Close reason, at most 123 bytes.
        reason: String,
    },
    /// The room's oldest waiting messages are dropped.
    DropOldest,
    /// The new message is dropped.
    DropNewest,
    /// Of each key only the newest message is kept.
    Latest,
}

impl Default for RoomPolicy {
    fn default() -> Self {
        Self::Close {
            code: 1013,
            reason: "Too slow.".to_owned(),
        }
    }
}

impl RoomPolicy {
    pub(crate) fn drop_rule(&self) -> Option<DropRule> {
        match self {
            Self::Close { .. } => None,
            Self::DropOldest => Some(DropRule::Oldest),
            Self::DropNewest => Some(DropRule::Newest),
            Self::Latest => Some(DropRule::Latest),
        }
    }
}

/// A connection in a room's list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) slot: u32,
    /// Where the connection lists the room.
    pub(crate) nth: u32,
}

/// A room in a connection's list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    pub(crate) room: RoomId,
    /// Where the room lists the connection.
    pub(crate) index: u32,
}

#[derive(Debug)]
pub(crate) struct Room {
    name: Box<str>,
    /// Never used again for another room, unlike its id.
    pub(crate) serial: u64,
    pub(crate) members: Vec<Member>,
    pub(crate) policy: RoomPolicy,
}

/// All rooms with a member, by name and by id.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    places: Vec<Option<Room>>,
    free: Vec<RoomId>,
    by_name: HashMap<Box<str>, RoomId>,
    policies: Vec<(Box<str>, RoomPolicy)>,
    next_serial: u64,
}

impl Rooms {
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn find(&self, name: &str) -> Option<RoomId> {
        self.by_name.get(name).copied()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: RoomId) -> Option<&mut Room> {
        self.places.get_mut(id.0 as usize)?.as_mut()
    }

    /// Adds a policy; the first that matches a name counts. Rooms that exist are judged anew.
    pub(crate) fn set_policy(&mut self, pattern: &str, policy: RoomPolicy) {
        match self.policies.iter_mut().find(|(old, _)| **old == *pattern) {
            Some(entry) => entry.1 = policy,
            None => self.policies.push((pattern.into(), policy)),
        }
        for room in self.places.iter_mut().flatten() {
            room.policy = policy_of(&self.policies, &room.name);
        }
    }

    /// The room of that name, made if there is none.
    pub(crate) fn find_or_make(&mut self, name: &str) -> RoomId {
        if let Some(id) = self.find(name) {
            return id;
        }
        self.next_serial += 1;
        let room = Room {
            name: name.into(),
            serial: self.next_serial,
            members: Vec::new(),
            policy: policy_of(&self.policies, name),
        };
        let id = if let Some(id) = self.free.pop() {
            self.places[id.0 as usize] = Some(room);
            id
        } else {
            self.places.push(Some(room));
            RoomId(u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX))
        };
        self.by_name.insert(name.into(), id);
        id
    }

    /// Lists a connection in a room; returns what the connection has to list.
    pub(crate) fn add(&mut self, id: RoomId, slot: u32, nth: usize) -> Option<Membership> {
        let room = self.get_mut(id)?;
        let index = u32::try_from(room.members.len()).ok()?;
        let nth = u32::try_from(nth).ok()?;
        room.members.push(Member { slot, nth });
        Some(Membership { room: id, index })
    }

    /// Strikes a connection from a room; returns the member that took its place, if any: its
    /// connection has to note its new index.
    pub(crate) fn strike(&mut self, membership: Membership) -> Option<Member> {
        let room = self.get_mut(membership.room)?;
        let index = membership.index as usize;
        if index >= room.members.len() {
            return None;
        }
        room.members.swap_remove(index);
        let moved = room.members.get(index).copied();
        if room.members.is_empty() {
            self.forget(membership.room);
        }
        moved
    }

    /// Notes that a connection lists a room elsewhere.
    pub(crate) fn note_nth(&mut self, membership: Membership, nth: usize) {
        let member = self
            .get_mut(membership.room)
            .and_then(|room| room.members.get_mut(membership.index as usize));
        if let (Some(member), Ok(nth)) = (member, u32::try_from(nth)) {
            member.nth = nth;
        }
    }

    fn forget(&mut self, id: RoomId) {
        if let Some(room) = self.places.get_mut(id.0 as usize).and_then(Option::take) {
            self.by_name.remove(&room.name);
            self.free.push(id);
        }
    }
}

fn policy_of(policies: &[(Box<str>, RoomPolicy)], name: &str) -> RoomPolicy {
    let found = policies
        .iter()
        .find(|(pattern, _)| matches_pattern(pattern.as_bytes(), name.as_bytes()));
    found.map(|(_, policy)| policy.clone()).unwrap_or_default()
}

/// Whether `name` matches `pattern`, in which `*` stands for any run of bytes. Goes back only to the
/// last `*`, so the cost is at most the product of the lengths.
fn matches_pattern(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, n));
            p += 1;
        } else if pattern.get(p) == name.get(n) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            (p, n) = (after, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_patterns_match_any_run_at_a_star() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("ticker.*", "ticker.eur", true),
            ("ticker.*", "ticker", false),
            ("*.eur", "a.b.eur", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("", "", true),
            ("", "x", false),
            ("x", "X", false),
        ] {
            let matches = matches_pattern(pattern.as_bytes(), name.as_bytes());
            assert_eq!(matches, expected, "{pattern} {name}");
        }
    }

    #[test]
    fn test_the_first_matching_policy_counts_also_for_rooms_that_exist() {
        let mut rooms = Rooms::default();
        let id = rooms.find_or_make("ticker.eur");
        assert_eq!(rooms.get_mut(id).unwrap().policy, RoomPolicy::default());
        rooms.set_policy("ticker.*", RoomPolicy::Latest);
        rooms.set_policy("*", RoomPolicy::DropNewest);
        assert_eq!(rooms.get_mut(id).unwrap().policy, RoomPolicy::Latest);
        let other = rooms.find_or_make("lobby");
        assert_eq!(rooms.get_mut(other).unwrap().policy, RoomPolicy::DropNewest);
    }

    #[test]
    fn test_a_room_is_forgotten_with_its_last_member_and_gets_a_new_serial() {
        let mut rooms = Rooms::default();
        let id = rooms.find_or_make("a");
        let serial = rooms.get_mut(id).unwrap().serial;
        let membership = rooms.add(id, 1, 0).unwrap();
        assert!(rooms.strike(membership).is_none());
        assert_eq!((rooms.len(), rooms.find("a")), (0, None));
        let again = rooms.find_or_make("a");
        assert_eq!(again, id);
        assert_ne!(rooms.get_mut(again).unwrap().serial, serial);
    }

    #[test]
    fn test_striking_tells_who_moved() {
        let mut rooms = Rooms::default();
        let id = rooms.find_or_make("a");
        let first = rooms.add(id, 10, 0).unwrap();
        rooms.add(id, 11, 4).unwrap();
        let moved = rooms.strike(first).unwrap();
        assert_eq!((moved.slot, moved.nth), (11, 4));
        assert!(rooms.strike(Membership { room: id, index: 9 }).is_none());
    }
}
