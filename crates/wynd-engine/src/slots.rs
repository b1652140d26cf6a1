//! A slab whose slots count their tenants, so that an id never means a later one.

use crate::ids::ConnId;

#[derive(Debug)]
struct Slot<T> {
    /// Generation of the present tenant, or of the next. Never 0, which listeners use in tokens.
    generation: u32,
    tenant: Option<T>,
}

/// Values under ids that are never used again.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Values held.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Slots ever used at the same time; ids have smaller slots.
    pub(crate) fn capacity(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Takes a value in; `None` gives it up when 2^32 - 1 are held.
    pub(crate) fn insert(&mut self, value: T) -> Option<ConnId> {
        let slot = if let Some(slot) = self.free.pop() {
            slot
        } else {
            let slot = u32::try_from(self.slots.len()).ok()?;
            self.slots.push(Slot {
                generation: 1,
                tenant: None,
            });
            slot
        };
        let place = self.slots.get_mut(slot as usize)?;
        place.tenant = Some(value);
        Some(ConnId::new(slot, place.generation))
    }

    /// Gives a value back and retires its id.
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<T> {
        let slot = self.slots.get_mut(id.slot() as usize)?;
        if slot.generation != id.generation() {
            return None;
        }
        let tenant = slot.tenant.take()?;
        slot.generation = slot.generation.checked_add(1).unwrap_or(1);
        self.free.push(id.slot());
        Some(tenant)
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnId) -> Option<&T> {
        let slot = self.slots.get(id.slot() as usize)?;
        if slot.generation != id.generation() {
            return None;
        }
        slot.tenant.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.slot() as usize)?;
        if slot.generation != id.generation() {
            return None;
        }
        slot.tenant.as_mut()
    }

    /// The present tenant of a slot, for holders that are told of every departure.
    #[inline]
    pub(crate) fn tenant_mut(&mut self, slot: u32) -> Option<(ConnId, &mut T)> {
        let place = self.slots.get_mut(slot as usize)?;
        let tenant = place.tenant.as_mut()?;
        Some((ConnId::new(slot, place.generation), tenant))
    }

    /// All ids held, for rare sweeps.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        (0..self.capacity())
            .zip(&self.slots)
            .filter(|(_, place)| place.tenant.is_some())
            .map(|(slot, place)| ConnId::new(slot, place.generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_an_id_never_reaches_a_later_tenant() {
        let mut slots = Slots::new();
        let first = slots.insert('a').unwrap();
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.insert('b').unwrap();
        assert_eq!(second.slot(), first.slot());
        assert_ne!(second, first);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&'b'));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn test_made_up_ids_find_nothing() {
        let mut slots: Slots<char> = Slots::new();
        for number in [0, 1, u64::MAX, 1 << 32] {
            assert_eq!(slots.get(ConnId::from_u64(number)), None);
            assert_eq!(slots.remove(ConnId::from_u64(number)), None);
        }
        assert!(slots.tenant_mut(3).is_none());
    }

    #[test]
    fn test_generations_skip_zero() {
        let mut slots = Slots::new();
        let id = slots.insert('a').unwrap();
        slots.slots[0].generation = u32::MAX;
        assert_eq!(slots.remove(ConnId::new(id.slot(), u32::MAX)), Some('a'));
        let next = slots.insert('b').unwrap();
        assert_eq!(next.generation(), 1);
    }

    #[test]
    fn test_ids_lists_what_is_held() {
        let mut slots = Slots::new();
        let a = slots.insert('a').unwrap();
        let b = slots.insert('b').unwrap();
        slots.remove(a);
        assert_eq!(slots.ids().collect::<Vec<_>>(), [b]);
        assert_eq!(slots.tenant_mut(b.slot()), Some((b, &mut 'b')));
    }
}
