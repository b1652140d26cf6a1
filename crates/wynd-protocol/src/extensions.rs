//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1): offers with parameters.
//! Knows no extension; which offer is taken is decided in `negotiation`.

use crate::head::{is_token, is_token_byte};

/// One offered extension, in the order of the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The registered name.
    pub name: &'a str,
    /// The parameters in their order, repeats included.
    pub parameters: Vec<Parameter<'a>>,
}

/// One parameter of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The name.
    pub name: &'a str,
    /// The value, unquoted; `None` for a parameter that is only a name.
    pub value: Option<String>,
}

/// The field does not follow the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Parse one field value: at least one offer; offers may come in several fields.
///
/// # Errors
///
/// [`Malformed`] if the value is not `1#( token *( ";" token [ "=" ( token / quoted token ) ] ) )`.
/// Empty list elements are skipped, as for every list (RFC 9110 §5.6.1.2).
pub fn parse(value: &[u8]) -> Result<Vec<Offer<'_>>, Malformed> {
    let mut parser = Parser { rest: value };
    let mut offers = Vec::new();
    loop {
        parser.skip_blanks();
        match parser.rest.first() {
            None => break,
            Some(b',') => parser.rest = parser.rest.get(1..).unwrap_or(&[]),
            Some(_) => {
                offers.push(parser.offer()?);
                parser.skip_blanks();
                if !matches!(parser.rest.first(), None | Some(b',')) {
                    return Err(Malformed);
                }
            }
        }
    }
    if offers.is_empty() {
        return Err(Malformed);
    }
    Ok(offers)
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn offer(&mut self) -> Result<Offer<'a>, Malformed> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        while self.take(b';') {
            self.skip_blanks();
            let name = self.token()?;
            let value = if self.take(b'=') {
                self.skip_blanks();
                Some(self.value()?)
            } else {
                None
            };
            parameters.push(Parameter { name, value });
        }
        Ok(Offer { name, parameters })
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        let is_end = |byte: &u8| !is_token_byte(*byte);
        let end = self.rest.iter().position(is_end).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end).ok_or(Malformed)?;
        self.rest = rest;
        if token.is_empty() {
            return Err(Malformed);
        }
        std::str::from_utf8(token).map_err(|_| Malformed)
    }

    fn value(&mut self) -> Result<String, Malformed> {
        let Some((b'"', mut rest)) = self.rest.split_first() else {
            return self.token().map(str::to_owned);
        };
        let mut value = String::new();
        loop {
            let (byte, after) = rest.split_first().ok_or(Malformed)?;
            rest = after;
            let byte = match byte {
                b'"' => break,
                b'\\' => {
                    let (escaped, after) = rest.split_first().ok_or(Malformed)?;
                    rest = after;
                    escaped
                }
                other => other,
            };
            value.push(char::from(*byte));
        }
        self.rest = rest;
        // §9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF".
        if is_token(value.as_bytes()) {
            Ok(value)
        } else {
            Err(Malformed)
        }
    }

    /// Skip blanks, and `byte` if it follows; return whether it did.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_of_browsers_are_parsed() {
        let offers =
            parse(b"permessage-deflate; client_max_window_bits, x;a=\"1\\0\" ; b = c").unwrap();
        assert_eq!(offers.len(), 2);
        assert_eq!(offers[0].name, "permessage-deflate");
        assert_eq!(offers[0].parameters[0].value, None);
        assert_eq!(offers[1].parameters[0].value.as_deref(), Some("10"));
        assert_eq!(offers[1].parameters[1].value.as_deref(), Some("c"));
    }

    #[test]
    fn malformed_fields_are_refused() {
        let malformed: [&[u8]; 14] = [
            b"",
            b" ",
            b",",
            b";",
            b"a b",
            b"a;",
            b"a;;b",
            b"a;=1",
            b"a;b=",
            b"a;b=\"",
            b"a;b=\"\"",
            b"a;b=\"c d\"",
            b"a;b=\"c\\",
            b"a\xff",
        ];
        for value in malformed {
            assert_eq!(parse(value), Err(Malformed), "{value:?}");
        }
    }

    #[test]
    fn empty_elements_are_skipped() {
        assert_eq!(parse(b", a ,, b,").map(|offers| offers.len()), Ok(2));
    }
}
