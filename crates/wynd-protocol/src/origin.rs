//! Who may connect from a browser: the `Origin` field against `Host` or a list (RFC 6455 §10.2).
//! Compares scheme, host and port as whole parts, never as text of the URL.

use std::error::Error;
use std::fmt;

/// Which Origins may open a connection. A request without `Origin` comes from no browser and is
/// always allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origins {
    /// Host and port of the Origin equal `Host`. An `https` Origin passes, an `http` one only if
    /// the request did not come over TLS.
    #[default]
    SameHost,
    /// Any Origin, `null` included.
    Any,
    /// An Origin that one of these rules names.
    List(Vec<OriginRule>),
}

/// One allowed Origin: `scheme://host[:port]`, with `*.` before the host for all its subdomains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRule {
    scheme: String,
    /// In lower case; without the `*.` of a wildcard.
    host: String,
    port: Option<u16>,
    /// Whether one or more whole labels must stand before `host`.
    is_wildcard: bool,
}

/// A rule that is not of the form `scheme://host[:port]` or `scheme://*.host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRuleError {
    rule: String,
}

impl fmt::Display for OriginRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "origin rule {:?} is not scheme://host[:port] or scheme://*.host[:port]",
            self.rule
        )
    }
}

impl Error for OriginRuleError {}

impl OriginRule {
    /// Parse a rule. Without a port it means the default port of its scheme.
    ///
    /// # Errors
    ///
    /// Anything else than `scheme://[*.]host[:port]` in ASCII: a path, userinfo, a `*` elsewhere.
    pub fn parse(text: &str) -> Result<Self, OriginRuleError> {
        let wrong = || OriginRuleError {
            rule: text.to_owned(),
        };
        let (scheme, authority) = text.split_once("://").ok_or_else(wrong)?;
        let (is_wildcard, authority) = match authority.strip_prefix("*.") {
            Some(authority) => (true, authority),
            None => (false, authority),
        };
        if !is_scheme(scheme) {
            return Err(wrong());
        }
        let (host, port) = split_authority(authority).ok_or_else(wrong)?;
        if !is_origin_authority(authority, host) || (is_wildcard && host.starts_with('[')) {
            return Err(wrong());
        }
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_ascii_lowercase(),
            port: port.or(default_port(scheme)),
            is_wildcard,
        })
    }

    fn allows(&self, origin: &Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(origin.scheme)
            && self.port == origin.port
            && self.allows_host(origin.host)
    }

    fn allows_host(&self, host: &str) -> bool {
        if !self.is_wildcard {
            return self.host.eq_ignore_ascii_case(host);
        }
        let split = host.len().checked_sub(self.host.len());
        let Some((labels, suffix)) = split.and_then(|at| host.split_at_checked(at)) else {
            return false;
        };
        // `*` stands for whole labels: what comes before the suffix ends in a dot, and each label
        // before that is one.
        suffix.eq_ignore_ascii_case(&self.host)
            && labels
                .strip_suffix('.')
                .is_some_and(|labels| labels.split('.').all(|label| !label.is_empty()))
    }
}

impl Origins {
    /// Return whether a request with this `Origin` and `Host` may become a connection; `secure`
    /// says that it came over TLS.
    pub fn allows(&self, origin: Option<&[u8]>, host: &str, secure: bool) -> bool {
        let Some(origin) = origin else {
            return true;
        };
        match self {
            Self::Any => true,
            Self::SameHost => {
                Origin::parse(origin).is_some_and(|origin| origin.is_same_host(host, secure))
            }
            Self::List(rules) => Origin::parse(origin)
                .is_some_and(|origin| rules.iter().any(|rule| rule.allows(&origin))),
        }
    }
}

/// A serialised origin (RFC 6454 §6.2) other than `null`.
#[derive(Debug, PartialEq, Eq)]
struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    /// The port, that of the scheme if none is given; `None` for schemes without one.
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = split_authority(authority)?;
        let is_origin = is_scheme(scheme) && is_origin_authority(authority, host);
        is_origin.then_some(Self {
            scheme,
            host,
            port: port.or(default_port(scheme)),
        })
    }

    fn is_same_host(&self, host_field: &str, secure: bool) -> bool {
        let is_https = self.scheme.eq_ignore_ascii_case("https");
        let is_http = self.scheme.eq_ignore_ascii_case("http");
        // A page that came without TLS can be anybody's; it must not reach into one that did.
        if !is_https && (!is_http || secure) {
            return false;
        }
        let Some((host, port)) = split_authority(host_field) else {
            return false;
        };
        // Behind a proxy that ends TLS only the page knows the scheme, so a `Host` without a port
        // means the default port of the Origin's scheme.
        let port = port.or(default_port(self.scheme));
        self.host.eq_ignore_ascii_case(host) && self.port == port
    }
}

/// Split `host[:port]` (RFC 3986 §3.2); `None` if it is not of that form, or has userinfo.
pub(crate) fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, after) = if authority.starts_with('[') {
        let end = authority.find(']')?.checked_add(1)?;
        authority.split_at_checked(end)?
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        authority.split_at_checked(end)?
    };
    if !is_host(host) {
        return None;
    }
    let port = match after.strip_prefix(':') {
        None if after.is_empty() => None,
        // RFC 3986 §3.2.3 allows an empty port.
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        None | Some(_) => return None,
    };
    Some((host, port))
}

/// Return whether `host` is an IP literal in brackets or a registered name (RFC 3986 §3.2.2). The
/// comma is left out, though the grammar has it: it is how joined duplicates look.
fn is_host(host: &str) -> bool {
    if let Some(literal) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return literal.contains(':')
            && literal
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.');
    }
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte))
}

/// Return whether browsers would write this authority, which begins with `host`, in an Origin.
fn is_origin_authority(authority: &str, host: &str) -> bool {
    is_origin_host(host) && authority.get(host.len()..).is_some_and(is_origin_port)
}

/// Return whether browsers would write `host` in an Origin: an IP literal, or letters, digits,
/// hyphens and underscores in labels. Names beyond ASCII come as punycode.
fn is_origin_host(host: &str) -> bool {
    let is_end = |byte: Option<u8>, also: u8| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == also)
    };
    host.starts_with('[')
        || is_end(host.bytes().next(), b'_')
            && is_end(host.bytes().next_back(), b'.')
            && !host.contains("..")
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// Return whether browsers would write this behind a host: nothing, or a port without zeros before
/// it. That it is a number was seen before.
fn is_origin_port(port: &str) -> bool {
    port.is_empty() || port == ":0" || (port != ":" && !port.starts_with(":0"))
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss") {
        Some(443)
    } else if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("ws") {
        Some(80)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same_host(origin: &str, host: &str, secure: bool) -> bool {
        Origins::SameHost.allows(Some(origin.as_bytes()), host, secure)
    }

    fn listed(rule: &str, origin: &str) -> bool {
        let rules = vec![OriginRule::parse(rule).unwrap()];
        Origins::List(rules).allows(Some(origin.as_bytes()), "unrelated.test", true)
    }

    #[test]
    fn same_host_matrix() {
        let allowed = [
            ("http://example.org", "example.org", false),
            ("http://example.org", "example.org:80", false),
            ("http://example.org:80", "example.org", false),
            ("http://EXAMPLE.org", "example.ORG", false),
            ("https://example.org", "example.org", true),
            ("https://example.org", "example.org", false), // TLS ends at a proxy
            ("https://example.org", "example.org:443", true),
            ("https://example.org:8443", "example.org:8443", true),
            ("http://localhost:8080", "localhost:8080", false),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", false),
            ("http://[::1]:8080", "[::1]:8080", false),
            ("http://example.org:0", "example.org:0", false),
            ("http://example.org", "example.org:", false), // RFC 3986 §3.2.3
            ("http://example.org", "example.org:080", false),
            ("http://_a-b.example.", "_a-b.example.", false),
            (
                "https://xn--bcher-kva.example",
                "xn--bcher-kva.example",
                true,
            ),
        ];
        for (origin, host, secure) in allowed {
            assert!(same_host(origin, host, secure), "{origin} {host} {secure}");
        }
        let refused = [
            ("http://example.org", "example.org", true), // downgraded page
            ("null", "example.org", false),
            ("", "example.org", false),
            ("example.org", "example.org", false),
            ("http://", "example.org", false),
            ("http://example.org.evil.test", "example.org", false),
            ("http://evilexample.org", "example.org", false),
            ("http://www.example.org", "example.org", false),
            ("http://example.org:8080", "example.org", false),
            ("http://example.org", "example.org:8080", false),
            ("http://example.org:443", "example.org", false),
            ("https://example.org", "example.org:80", false),
            ("http://example.org@evil.test", "example.org", false),
            ("http://evil.test@example.org", "example.org", false),
            ("http://evil.test#@example.org", "example.org", false),
            ("http://example.org/", "example.org", false),
            ("http://example.org/path", "example.org", false),
            ("http://example.org?x", "example.org", false),
            ("http://example.org http://evil.test", "example.org", false),
            ("http://example.org, http://evil.test", "example.org", false),
            ("ftp://example.org", "example.org", false),
            ("ws://example.org", "example.org", false),
            ("file://", "example.org", false),
            ("chrome-extension://example.org", "example.org", false),
            ("http://example.org.", "example.org", false),
            ("http://example.org:080808080", "example.org", false),
            ("http://example.org:080", "example.org", false),
            ("http://example.org:", "example.org", false),
            ("http://example.org:00", "example.org:0", false),
            ("http://example.org:+80", "example.org", false),
            ("http://example-", "example-", false),
            ("http://-example", "-example", false),
            ("http://.example", ".example", false),
            ("http://example..org", "example..org", false),
            ("http://example.org:65616", "example.org", false),
            ("http://bücher.example", "xn--bcher-kva.example", false),
            ("http://%65xample.org", "example.org", false),
            ("http://[::1]evil", "[::1]", false),
            ("http://[::1]x", "[::1]", false),
            ("://example.org", "example.org", false),
        ];
        for (origin, host, secure) in refused {
            assert!(!same_host(origin, host, secure), "{origin} {host} {secure}");
        }
    }

    #[test]
    fn list_matrix() {
        let allowed = [
            ("https://example.org", "https://example.org"),
            ("https://example.org", "https://example.org:443"),
            ("https://example.org:443", "HTTPS://Example.Org"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("https://*.example.org", "https://chat.example.org"),
            ("https://*.example.org", "https://a.b.example.org"),
            ("https://*.example.org:8443", "https://a.example.org:8443"),
            ("app://bundle", "app://bundle"),
        ];
        for (rule, origin) in allowed {
            assert!(listed(rule, origin), "{rule} {origin}");
        }
        let refused = [
            ("https://example.org", "http://example.org"),
            ("https://example.org", "https://example.org:8443"),
            ("https://example.org", "https://www.example.org"),
            ("https://example.org", "https://example.org.evil.test"),
            ("https://example.org", "null"),
            ("https://*.example.org", "https://example.org"),
            ("https://*.example.org", "https://evilexample.org"),
            ("https://*.example.org", "https://.example.org"),
            ("https://*.example.org", "https://a..example.org"),
            ("https://*.example.org", "https://a.example.org.evil.test"),
            ("https://*.example.org", "https://evil.test/.example.org"),
            ("https://*.example.org", "https://evil.test#.example.org"),
            ("https://*.example.org", "https://evil.test:443.example.org"),
            ("https://*.example.org", "https://a.example.org:8443"),
            ("https://*.example.org", "http://a.example.org"),
            ("https://*.example.org", "https://ä.example.org"),
        ];
        for (rule, origin) in refused {
            assert!(!listed(rule, origin), "{rule} {origin}");
        }
    }

    #[test]
    fn wrong_rules_are_refused_with_the_form() {
        let wrong = [
            "",
            "*",
            "example.org",
            "https://",
            "https://*",
            "https://*.",
            "https://a.*.org",
            "https://*a.org",
            "https://example.org/",
            "https://u@example.org",
            "https://a:b",
            "https://a:99999",
            "https://a:0443",
            "https://a:",
            "https://a..b",
            "https://*.-a",
            "https://bücher.example",
            "1x://a",
            "https://*.[::1]",
            "null",
        ];
        for rule in wrong {
            let error = OriginRule::parse(rule).expect_err(rule);
            assert!(error.to_string().contains("scheme://host[:port]"));
        }
    }

    #[test]
    fn absent_origin_passes_and_any_takes_null() {
        for origins in [Origins::SameHost, Origins::Any, Origins::List(vec![])] {
            assert!(origins.allows(None, "example.org", true));
        }
        assert!(Origins::Any.allows(Some(b"null"), "example.org", true));
        assert!(!Origins::List(vec![]).allows(Some(b"https://a"), "a", true));
    }
}
