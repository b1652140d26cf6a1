//! Messages that say who they are: a tag no other has, and bytes that follow from it.

use wynd_protocol::MessageKind;

/// Bytes of the tag.
pub const TAG_BYTES: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    pub tag: u32,
    pub size: usize,
    pub kind: MessageKind,
}

impl Message {
    pub fn payload(self) -> Vec<u8> {
        let mut payload = format!("{:08x}", self.tag).into_bytes();
        payload.reserve(self.size);
        let mut state = u64::from(self.tag) | 1 << 40;
        while payload.len() < self.size {
            // One in three is noise, which compresses badly.
            if self.tag % 3 == 0 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                payload.extend(state.to_be_bytes().map(|byte| b' ' + byte % 64));
            } else {
                payload.extend_from_slice(b"all work and no play makes a dull test ");
            }
        }
        payload.truncate(self.size.max(TAG_BYTES));
        payload
    }
}

/// The tag of a payload.
pub fn tag_of(payload: &[u8]) -> Option<u32> {
    let tag = std::str::from_utf8(payload.get(..TAG_BYTES)?).ok()?;
    u32::from_str_radix(tag, 16).ok()
}

/// A message for a peer.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub message: Message,
    /// A room's policy may drop it.
    pub is_optional: bool,
}
