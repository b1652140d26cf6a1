//! UTF-8 as it arrives (RFC 6455 §8.1): any cut of a text is judged like the whole text.
//! Fails at the first byte that no valid continuation could follow; keeps at most three bytes.

/// Checks one text that arrives in parts.
///
/// ```text
///             push                        push
///  complete ───────► inside a character ───────► complete …   finish: valid only when complete
///      └───────────────────┴── impossible byte ──► Err, and the text is lost
/// ```
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Utf8Validator {
    /// The first bytes of a character whose end has not arrived.
    tail: [u8; 4],
    /// How many of them there are: 0 to 3.
    tail_len: u8,
}

/// The text holds a byte that is impossible at its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidUtf8;

impl Utf8Validator {
    /// Check the next part.
    pub(crate) fn push(&mut self, part: &[u8]) -> Result<(), InvalidUtf8> {
        let rest = if self.tail_len == 0 {
            part
        } else {
            self.complete_tail(part)?
        };
        // `simdutf8` tells, like the standard library, an impossible byte (`error_len` is `Some`)
        // from a text that merely stops inside a character.
        match simdutf8::compat::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(InvalidUtf8),
            Err(error) => self.keep_tail(rest.get(error.valid_up_to()..).unwrap_or(&[])),
        }
    }

    /// Check that the text does not stop inside a character.
    pub(crate) fn finish(self) -> Result<(), InvalidUtf8> {
        if self.tail_len == 0 {
            Ok(())
        } else {
            Err(InvalidUtf8)
        }
    }

    /// Take bytes from `part` until the open character ends; return the bytes after it.
    fn complete_tail<'a>(&mut self, mut part: &'a [u8]) -> Result<&'a [u8], InvalidUtf8> {
        while let Some((&byte, after)) = part.split_first() {
            let len = usize::from(self.tail_len);
            let slot = self.tail.get_mut(len).ok_or(InvalidUtf8)?;
            *slot = byte;
            part = after;
            self.tail_len += 1;
            let tail = self.tail.get(..=len).ok_or(InvalidUtf8)?;
            match std::str::from_utf8(tail) {
                Ok(_) => {
                    self.tail_len = 0;
                    break;
                }
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
                Err(_) => {}
            }
        }
        Ok(part)
    }

    fn keep_tail(&mut self, tail: &[u8]) -> Result<(), InvalidUtf8> {
        // An unfinished character has at most three bytes; anything else would be a fault of the
        // validator, and refusing the text is the safe answer to it.
        let space = self.tail.get_mut(..tail.len()).ok_or(InvalidUtf8)?;
        space.copy_from_slice(tail);
        self.tail_len = u8::try_from(tail.len()).map_err(|_| InvalidUtf8)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plain twin: whether the standard library sees an impossible byte in the whole.
    fn is_possible(text: &[u8]) -> bool {
        match std::str::from_utf8(text) {
            Ok(_) => true,
            Err(error) => error.error_len().is_none(),
        }
    }

    fn assert_like_twin(text: &[u8], cut: usize) {
        let mut validator = Utf8Validator::default();
        let first = validator.push(&text[..cut]);
        assert_eq!(
            first.is_ok(),
            is_possible(&text[..cut]),
            "{text:x?} cut at {cut}"
        );
        if first.is_ok() {
            let second = validator.push(&text[cut..]);
            assert_eq!(second.is_ok(), is_possible(text), "{text:x?} cut at {cut}");
            if second.is_ok() {
                let whole = std::str::from_utf8(text).is_ok();
                assert_eq!(validator.finish().is_ok(), whole, "{text:x?} cut at {cut}");
            }
        }
    }

    #[test]
    fn every_pair_of_leading_bytes_is_judged_like_the_standard_library() {
        let step = if cfg!(miri) { 23 } else { 1 }; // Miri takes an hour for all
        for first in (0..=255).step_by(step) {
            for second in (0..=255).step_by(step) {
                for rest in [&[][..], &[0x80], &[0x80, 0x80], b"a"] {
                    let text = [&[first, second], rest].concat();
                    for cut in 0..=text.len() {
                        assert_like_twin(&text, cut);
                    }
                }
            }
        }
    }

    #[test]
    fn impossible_bytes_fail_at_once_in_the_middle_of_a_character() {
        let cases: [&[u8]; 7] = [
            b"\xc0",                                                 // only overlong forms
            b"\xe0\x9f",                                             // overlong
            b"\xed\xa0",                                             // surrogate
            b"\xf0\x8f",                                             // overlong
            b"\xf4\x90",                                             // beyond U+10FFFF
            b"\xf5",                                                 // beyond U+10FFFF
            b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0", // Autobahn 6.3
        ];
        for text in cases {
            let mut validator = Utf8Validator::default();
            let mut failed_at = None;
            for (at, byte) in text.iter().enumerate() {
                if validator.push(&[*byte]).is_err() {
                    failed_at = Some(at);
                    break;
                }
            }
            assert_eq!(failed_at, Some(text.len() - 1), "{text:x?}");
        }
    }

    #[test]
    fn long_text_is_valid_at_every_cut() {
        let text = "κόσμε – 𝄞 – plain letters to reach the vector path – ".repeat(8);
        for cut in 0..=text.len() {
            assert_like_twin(text.as_bytes(), cut);
        }
    }

    #[test]
    fn empty_parts_change_nothing() {
        let mut validator = Utf8Validator::default();
        assert_eq!(validator.push(b"\xe2"), Ok(()));
        assert_eq!(validator.push(b""), Ok(()));
        assert_eq!(validator.finish(), Err(InvalidUtf8));
        assert_eq!(validator.push(b"\x82\xac"), Ok(()));
        assert_eq!(validator.finish(), Ok(()));
    }
}
