//! Offers of extensions: the grammar, what a server answers, and whether a client may take it.
//!
//! Layout: five bytes for the server's policy, five for what our client offers; then a field value.

use wynd_protocol::extensions::{parse, Offer};
use wynd_protocol::{choose, DeflateOffer, DeflateParameters};

use super::Script;

const NAME: &str = "permessage-deflate";

pub(super) fn check(input: &[u8]) {
    let mut script = Script::new(input);
    let most = parameters(&mut script);
    let offered = DeflateOffer {
        parameters: parameters(&mut script),
        has_client_window: script.byte() & 1 == 1,
    };
    judge_own(offered, most);
    let Ok(offers) = parse(script.rest()) else {
        return;
    };
    assert!(!offers.is_empty());
    let written = write(&offers);
    let again = parse(written.as_bytes());
    assert_eq!(
        again.as_ref(),
        Ok(&offers),
        "what was parsed is written alike"
    );
    judge_agreement(&offers, most);
    // A client that gets this as an answer takes only what it asked for.
    if let Some(agreed) = offered.judge(&offers) {
        let asked = offered.parameters;
        assert_eq!(offers.len(), 1);
        assert!(agreed.server_no_context_takeover || !asked.server_no_context_takeover);
        assert!(agreed.client_no_context_takeover || !asked.client_no_context_takeover);
        assert!(agreed.server_max_window_bits <= asked.server_max_window_bits);
        assert!(agreed.client_max_window_bits <= asked.client_max_window_bits);
    }
}

fn parameters(script: &mut Script<'_>) -> DeflateParameters {
    let flags = script.byte();
    DeflateParameters {
        server_no_context_takeover: flags & 1 == 1,
        client_no_context_takeover: flags & 2 == 2,
        server_max_window_bits: 9 + script.byte() % 7,
        client_max_window_bits: 9 + script.byte() % 7,
    }
}

/// Our client's offer is taken by our server, and our client takes the answer.
fn judge_own(offered: DeflateOffer, most: DeflateParameters) {
    let field = offered.field();
    let offers = parse(field.as_bytes()).expect("our own offer");
    let agreement = choose(&offers, most).expect("our own offer is taken");
    let answer = agreement.answer();
    let answered = parse(answer.as_bytes()).expect("our own answer");
    let agreed = offered.judge(&answered).expect("our own answer is taken");
    let theirs = agreement.parameters;
    // Each side may keep less than the other allows, never more.
    assert_eq!(
        agreed.server_no_context_takeover,
        theirs.server_no_context_takeover
    );
    assert_eq!(agreed.server_max_window_bits, theirs.server_max_window_bits);
    assert!(agreed.client_no_context_takeover >= theirs.client_no_context_takeover);
    assert!(agreed.client_max_window_bits <= theirs.client_max_window_bits);
}

/// An answer is a subset of the offer it takes, and within the policy.
fn judge_agreement(offers: &[Offer<'_>], most: DeflateParameters) {
    let Some(agreement) = choose(offers, most) else {
        let plain = |offer: &Offer<'_>| offer.name == NAME && offer.parameters.is_empty();
        assert!(!offers.iter().any(plain), "the plain offer is always taken");
        return;
    };
    let parameters = agreement.parameters;
    assert!((9..=most.server_max_window_bits).contains(&parameters.server_max_window_bits));
    // A window that the policy does not allow is used for single messages only.
    assert!(
        parameters.client_max_window_bits <= most.client_max_window_bits
            || parameters.client_no_context_takeover
    );
    assert!(parameters.server_no_context_takeover || !most.server_no_context_takeover);
    assert!(parameters.client_no_context_takeover || !most.client_no_context_takeover);
    let text = agreement.answer();
    let answer = parse(text.as_bytes()).expect("our own answer");
    let [answer] = &answer[..] else {
        panic!("one answer, not {answer:?}");
    };
    assert_eq!(answer.name, NAME);
    let is_met = |offer: &&Offer<'_>| offer.name == NAME && meets(answer, offer);
    assert!(
        offers.iter().any(|offer| is_met(&offer)),
        "{answer:?} meets none of {offers:?}"
    );
}

/// Whether `answer` keeps the rules of RFC 7692 §7.1 for `offer`.
fn meets(answer: &Offer<'_>, offer: &Offer<'_>) -> bool {
    let has = |offer: &Offer<'_>, name: &str| offer.parameters.iter().any(|p| p.name == name);
    let bits = |offer: &Offer<'_>, name: &str| {
        let found = offer.parameters.iter().find(|p| p.name == name)?;
        found.value.as_ref()?.parse::<u8>().ok()
    };
    let names: Vec<_> = answer.parameters.iter().map(|p| p.name).collect();
    let is_single = names
        .iter()
        .all(|n| names.iter().filter(|m| m == &n).count() == 1);
    let known = [
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
    ];
    let is_known = names.iter().all(|name| known.contains(name));
    let keeps_context = !has(offer, known[0]) || has(answer, known[0]);
    let server = bits(offer, known[2])
        .is_none_or(|most| bits(answer, known[2]).is_some_and(|bits| bits <= most));
    let client = !has(answer, known[3])
        || (has(offer, known[3])
            && bits(answer, known[3])
                .is_some_and(|got| got <= bits(offer, known[3]).unwrap_or(15)));
    is_single && is_known && keeps_context && server && client
}

fn write(offers: &[Offer<'_>]) -> String {
    let mut fields = Vec::new();
    for offer in offers {
        let mut field = offer.name.to_owned();
        for parameter in &offer.parameters {
            field += "; ";
            field += parameter.name;
            if let Some(value) = &parameter.value {
                field = field + "=\"" + value + "\"";
            }
        }
        fields.push(field);
    }
    fields.join(", ")
}
