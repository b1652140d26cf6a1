"""Who may connect: caps and counts, with the clock as an argument."""

from __future__ import annotations

import pytest

from wynd.engines.admission import Admission, TokenBucket, counted_address
from wynd.limits import Limits
from wynd.request import ClientInfo


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", None),
        ("127.9.9.9", None),
        ("::1", None),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:127.0.0.1", None),
        ("testclient", None),
        ("", None),
    ],
)
def test_what_counts_as_one_address(host: str, counted: str | None) -> None:
    assert counted_address(ClientInfo(host, 1)) == counted


def test_unix_sockets_are_not_counted() -> None:
    assert counted_address(ClientInfo("192.0.2.1")) is None


def test_connections_of_one_address_are_capped_and_given_back() -> None:
    admission = Admission(Limits(connections_per_address_max=2), 0.0)
    client, other = ClientInfo("192.0.2.1", 1), ClientInfo("192.0.2.2", 1)
    for _ in range(2):
        assert admission.judge(client, 0, 0.0) is None
        admission.enter(client)
    assert admission.judge(client, 0, 0.0) == 429
    assert admission.judge(other, 0, 0.0) is None
    admission.leave(client)
    assert admission.judge(client, 0, 0.0) is None
    assert admission.hits == {"connections_per_address_max": 1}


def test_loopback_is_exempt_from_the_cap_per_address() -> None:
    admission = Admission(Limits(connections_per_address_max=1), 0.0)
    client = ClientInfo("127.0.0.1", 1)
    for _ in range(5):
        assert admission.judge(client, 0, 0.0) is None
        admission.enter(client)


def test_connections_in_all_are_capped() -> None:
    admission = Admission(Limits(connections_max=1), 0.0)
    client = ClientInfo("", None)
    assert admission.judge(client, 0, 0.0) is None
    admission.enter(client)
    assert admission.judge(client, 0, 0.0) == 503
    admission.leave(client)
    assert admission.judge(client, 0, 0.0) is None


def test_memory_at_its_limit_refuses() -> None:
    admission = Admission(Limits(process_bytes_max=10), 0.0)
    assert admission.judge(ClientInfo(""), 9, 0.0) is None
    assert admission.judge(ClientInfo(""), 10, 0.0) == 503
    assert admission.hits == {"process_bytes_max": 1}


def test_new_connections_per_second_are_capped() -> None:
    admission = Admission(Limits(connections_per_second_max=2.0), 0.0)
    client = ClientInfo("")
    assert [admission.judge(client, 0, 0.0) for _ in range(3)] == [None, None, 503]
    assert [admission.judge(client, 0, 0.5) for _ in range(2)] == [None, 503]


class TestTokenBucket:
    def test_a_burst_of_one_second_then_the_average(self) -> None:
        bucket = TokenBucket(10.0, 0.0)
        assert sum(bucket.take(0.0) for _ in range(100)) == 10
        assert sum(bucket.take(1.0 + n / 1000) for n in range(1000)) == 19

    def test_a_pause_saves_up_no_more_than_the_burst(self) -> None:
        bucket = TokenBucket(5.0, 0.0)
        assert sum(bucket.take(1000.0) for _ in range(100)) == 5

    def test_less_than_one_a_second_still_lets_one_pass(self) -> None:
        bucket = TokenBucket(0.1, 0.0)
        assert [bucket.take(now) for now in (0.0, 5.0, 10.1)] == [True, False, True]
