//! Negotiation of permessage-deflate (RFC 7692 §5, §7.1): which offer a server takes and how it
//! answers, what a client offers and which answers it takes. Compresses nothing.
//!
//! 1. An offer with an unknown, repeated or invalid parameter is declined (§7), and the next tried.
//! 2. No window is promised that the compressor does not keep: zlib has none of 256 bytes, so an
//!    offer that asks the sender for one is declined.
//! 3. An answer holds what the offer made obligatory, and `client_max_window_bits` only if the
//!    offer had it (§7.1.2.2).

use std::fmt::Write as _;

use crate::extensions::{Offer, Parameter};

/// The registered name (§7).
const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT: &str = "client_no_context_takeover";
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";

/// Smallest window that zlib compresses with; it takes 8 for 9, which would break the promise.
pub const WINDOW_BITS_MIN: u8 = 9;

/// Largest window of DEFLATE, 32 KiB.
pub const WINDOW_BITS_MAX: u8 = 15;

/// Parameters of permessage-deflate: in a server's policy the most it grants, else what was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeflateParameters {
    /// The server compresses each message on its own (§7.1.1.1).
    pub server_no_context_takeover: bool,
    /// The client compresses each message on its own (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// Base-2 logarithm of the server's window, 9 to 15 (§7.1.2.1).
    pub server_max_window_bits: u8,
    /// Base-2 logarithm of the client's window, 8 to 15 (§7.1.2.2).
    pub client_max_window_bits: u8,
}

impl DeflateParameters {
    /// No context on either side: nothing is kept between messages.
    pub const SHARED: Self = Self {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: WINDOW_BITS_MAX,
        client_max_window_bits: WINDOW_BITS_MAX,
    };
}

/// An offer that the server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// What holds for the connection.
    pub parameters: DeflateParameters,
    names_server_window: bool,
    names_client_window: bool,
}

impl Agreement {
    /// Return the value of `Sec-WebSocket-Extensions` in the answer.
    pub fn answer(&self) -> String {
        let parameters = &self.parameters;
        let mut answer = NAME.to_owned();
        for (holds, name) in [
            (parameters.server_no_context_takeover, SERVER_NO_CONTEXT),
            (parameters.client_no_context_takeover, CLIENT_NO_CONTEXT),
        ] {
            if holds {
                let _ = write!(answer, "; {name}");
            }
        }
        let windows = [
            (
                self.names_server_window,
                SERVER_WINDOW,
                parameters.server_max_window_bits,
            ),
            (
                self.names_client_window,
                CLIENT_WINDOW,
                parameters.client_max_window_bits,
            ),
        ];
        for (is_named, name, bits) in windows {
            if is_named {
                let _ = write!(answer, "; {name}={bits}");
            }
        }
        answer
    }
}

/// Choose the first offer that can be met within `most`; `None` declines them all.
pub fn choose(offers: &[Offer<'_>], most: DeflateParameters) -> Option<Agreement> {
    offers.iter().find_map(|offer| agree(offer, most))
}

fn agree(offer: &Offer<'_>, most: DeflateParameters) -> Option<Agreement> {
    let asked = Asked::read(offer, false)?;
    let server_max_window_bits = most
        .server_max_window_bits
        .min(asked.server_window.unwrap_or(WINDOW_BITS_MAX));
    if server_max_window_bits < WINDOW_BITS_MIN {
        return None;
    }
    let client_window = match asked.client_window {
        Window::Absent => WINDOW_BITS_MAX,
        Window::Any => most.client_max_window_bits,
        Window::Bits(bits) => most.client_max_window_bits.min(bits),
    };
    // A client that cannot be told to use a smaller window may not keep one between messages.
    let is_too_large = client_window > most.client_max_window_bits;
    Some(Agreement {
        parameters: DeflateParameters {
            server_no_context_takeover: most.server_no_context_takeover || asked.server_no_context,
            client_no_context_takeover: most.client_no_context_takeover
                || asked.client_no_context
                || is_too_large,
            server_max_window_bits,
            client_max_window_bits: client_window,
        },
        // §7.1.2.1: "A server accepts an extension negotiation offer with this parameter by
        // including the "server_max_window_bits" extension parameter".
        names_server_window: asked.server_window.is_some()
            || server_max_window_bits < WINDOW_BITS_MAX,
        names_client_window: asked.client_window != Window::Absent
            && client_window < WINDOW_BITS_MAX,
    })
}

/// What a client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateOffer {
    /// What it asks for and promises; windows of 15 are not written.
    pub parameters: DeflateParameters,
    /// Whether the server may choose the client's window.
    pub has_client_window: bool,
}

impl DeflateOffer {
    /// Return the value of `Sec-WebSocket-Extensions` in the request.
    pub fn field(&self) -> String {
        let parameters = &self.parameters;
        let offer = Agreement {
            parameters: *parameters,
            names_server_window: parameters.server_max_window_bits < WINDOW_BITS_MAX,
            names_client_window: self.has_client_window
                && parameters.client_max_window_bits < WINDOW_BITS_MAX,
        };
        let mut field = offer.answer();
        if self.has_client_window && !offer.names_client_window {
            let _ = write!(field, "; {CLIENT_WINDOW}");
        }
        field
    }

    /// Judge the extensions of an answer; `None` if it breaks a rule or promises less than was
    /// asked for, and then the client must fail the connection (§7.1).
    pub fn judge(&self, answered: &[Offer<'_>]) -> Option<DeflateParameters> {
        let [answer] = answered else {
            return None;
        };
        let asked = &self.parameters;
        let answer = Asked::read(answer, true)?;
        if asked.server_no_context_takeover && !answer.server_no_context {
            return None;
        }
        let server_window = match answer.server_window {
            Some(bits) if bits > asked.server_max_window_bits => return None,
            None if asked.server_max_window_bits < WINDOW_BITS_MAX => return None,
            answered => answered.unwrap_or(WINDOW_BITS_MAX),
        };
        let client_window = match answer.client_window {
            Window::Absent => asked.client_max_window_bits,
            Window::Bits(bits)
                if self.has_client_window
                    && (WINDOW_BITS_MIN..=asked.client_max_window_bits).contains(&bits) =>
            {
                bits
            }
            Window::Any | Window::Bits(_) => return None,
        };
        Some(DeflateParameters {
            server_no_context_takeover: answer.server_no_context,
            client_no_context_takeover: answer.client_no_context
                || asked.client_no_context_takeover,
            server_max_window_bits: server_window,
            client_max_window_bits: client_window,
        })
    }
}

/// `client_max_window_bits` as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Absent,
    /// Without a value: the server may choose (§7.1.2.2).
    Any,
    Bits(u8),
}

/// The parameters of one well-formed offer or answer.
struct Asked {
    server_no_context: bool,
    client_no_context: bool,
    server_window: Option<u8>,
    client_window: Window,
}

impl Asked {
    /// Read an offer; `None` if its name is another or a parameter is unknown, repeated or invalid.
    /// In an answer every window has a value.
    fn read(offer: &Offer<'_>, is_answer: bool) -> Option<Self> {
        if offer.name != NAME {
            return None;
        }
        let mut asked = Self {
            server_no_context: false,
            client_no_context: false,
            server_window: None,
            client_window: Window::Absent,
        };
        for parameter in &offer.parameters {
            let is_first = match parameter.name {
                SERVER_NO_CONTEXT if parameter.value.is_none() => {
                    !std::mem::replace(&mut asked.server_no_context, true)
                }
                CLIENT_NO_CONTEXT if parameter.value.is_none() => {
                    !std::mem::replace(&mut asked.client_no_context, true)
                }
                SERVER_WINDOW => asked.server_window.replace(bits(parameter)?).is_none(),
                CLIENT_WINDOW => {
                    let window = if parameter.value.is_none() && !is_answer {
                        Window::Any
                    } else {
                        Window::Bits(bits(parameter)?)
                    };
                    std::mem::replace(&mut asked.client_window, window) == Window::Absent
                }
                _ => return None,
            };
            if !is_first {
                return None;
            }
        }
        Some(asked)
    }
}

/// §7.1.2: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
fn bits(parameter: &Parameter<'_>) -> Option<u8> {
    match parameter.value.as_deref()? {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(15),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extensions::parse;

    const MOST: DeflateParameters = DeflateParameters {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };

    fn answer(field: &str, most: DeflateParameters) -> Option<String> {
        choose(&parse(field.as_bytes()).unwrap(), most).map(|agreed| agreed.answer())
    }

    #[test]
    fn offers_are_answered_with_what_they_make_obligatory() {
        let small = DeflateParameters {
            server_max_window_bits: 12,
            client_max_window_bits: 11,
            ..MOST
        };
        let shared = DeflateParameters::SHARED;
        let d = "permessage-deflate";
        let both = "server_no_context_takeover; client_no_context_takeover";
        let cases = [
            ("", MOST, String::new()),
            ("; client_max_window_bits", MOST, String::new()),
            ("; client_max_window_bits", shared, format!("; {both}")),
            (
                "; server_no_context_takeover",
                MOST,
                "; server_no_context_takeover".to_owned(),
            ),
            (
                "; server_max_window_bits=15",
                MOST,
                "; server_max_window_bits=15".to_owned(),
            ),
            (
                "; server_max_window_bits=10",
                shared,
                format!("; {both}; server_max_window_bits=10"),
            ),
            (
                "; client_max_window_bits=8",
                MOST,
                "; client_max_window_bits=8".to_owned(),
            ),
            (
                "; client_max_window_bits",
                small,
                "; server_max_window_bits=12; client_max_window_bits=11".to_owned(),
            ),
            // Without the parameter the client's window stays large, so it may not keep it.
            (
                "",
                small,
                "; client_no_context_takeover; server_max_window_bits=12".to_owned(),
            ),
        ];
        for (offer, most, expected) in cases {
            let answered = answer(&format!("{d}{offer}"), most);
            assert_eq!(answered, Some(format!("{d}{expected}")), "{offer}");
        }
    }

    #[test]
    fn offers_that_cannot_be_met_are_declined_and_the_next_is_tried() {
        let d = "permessage-deflate";
        for wrong in [
            "server_max_window_bits=8", // zlib has no such window
            "server_max_window_bits",
            "server_max_window_bits=07",
            "server_max_window_bits=010",
            "server_max_window_bits=16",
            "server_max_window_bits=99999999999999999999",
            "client_max_window_bits=7",
            "client_max_window_bits=+9",
            "server_no_context_takeover=1",
            "client_no_context_takeover; client_no_context_takeover",
            "server_max_window_bits=9; server_max_window_bits=9",
            "client_max_window_bits; client_max_window_bits=9",
            "x",
        ] {
            assert_eq!(answer(&format!("{d}; {wrong}"), MOST), None, "{wrong}");
            let twice = format!("{d}; {wrong}, other, {d}");
            assert_eq!(answer(&twice, MOST).as_deref(), Some(d), "{wrong}");
        }
        assert_eq!(answer("x-webkit-deflate-frame", MOST), None);
    }

    #[test]
    fn answers_are_judged_by_what_was_offered() {
        let plain = DeflateOffer {
            parameters: MOST,
            has_client_window: true,
        };
        assert_eq!(plain.field(), "permessage-deflate; client_max_window_bits");
        let strict = DeflateOffer {
            parameters: DeflateParameters {
                server_no_context_takeover: true,
                server_max_window_bits: 10,
                client_max_window_bits: 11,
                ..MOST
            },
            has_client_window: false,
        };
        let judge = |offer: &DeflateOffer, answer: &str| {
            let field = format!("permessage-deflate{answer}");
            offer.judge(&parse(field.as_bytes()).unwrap())
        };
        assert_eq!(judge(&plain, ""), Some(MOST));
        let agreed = judge(
            &plain,
            "; client_max_window_bits=9; server_max_window_bits=8",
        );
        let agreed = agreed.unwrap();
        assert_eq!(
            (agreed.client_max_window_bits, agreed.server_max_window_bits),
            (9, 8)
        );
        let agreed = judge(
            &strict,
            "; server_no_context_takeover; server_max_window_bits=9",
        );
        assert_eq!(agreed.unwrap().client_max_window_bits, 11);
        for wrong in [
            "; client_max_window_bits",
            "; client_max_window_bits=8",
            "; x",
            ", permessage-deflate",
        ] {
            assert_eq!(judge(&plain, wrong), None, "{wrong}");
        }
        for wrong in [
            "",
            "; server_no_context_takeover",
            "; server_max_window_bits=10",
            "; server_no_context_takeover; server_max_window_bits=11",
            "; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9",
        ] {
            assert_eq!(judge(&strict, wrong), None, "{wrong}");
        }
    }
}
