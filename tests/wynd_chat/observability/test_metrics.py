"""What `/metrics` holds: the specification's names, and never more series than at first."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.wynd_chat.observability.clocks import HandClock
from wynd_chat.observability.metrics import METRICS_CONTENT_TYPE, Levels, LoopLag, Metrics

SPECIFIED = (
    "connections messages deliver_seconds commit_seconds queue_bytes dropped closes resumes "
    "rate_limited auth rooms users_online db_bytes upload_bytes loop_lag_seconds"
)


@pytest.fixture
def metrics() -> Metrics:
    """Metrics of a server that just started."""
    return Metrics()


def samples(metrics: Metrics) -> dict[str, float]:
    """Return what is served, by name and labels."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        f"{sample.name}{sorted(sample.labels.values()) or ''}": sample.value
        for family in families
        for sample in family.samples
    }


def test_every_name_of_the_specification_is_there(metrics: Metrics) -> None:
    names = {family.name for family in text_string_to_metric_families(metrics.render().decode())}
    assert {f"wynd_chat_{name}" for name in SPECIFIED.split()} <= names
    assert all(name.startswith(("wynd_chat_", "process_")) for name in names)
    assert METRICS_CONTENT_TYPE.startswith("text/plain")


def test_there_are_no_summaries(metrics: Metrics) -> None:
    types = {family.type for family in text_string_to_metric_families(metrics.render().decode())}
    assert types == {"counter", "gauge", "histogram"}


def test_what_happens_is_counted(metrics: Metrics) -> None:
    metrics.opened("text")
    metrics.opened("json")
    metrics.closed("json", 1000)
    metrics.posted("json", "text")
    metrics.refused(429)
    metrics.resumed("gap")
    metrics.authenticated("failed")
    metrics.dropped("slow", 3)
    metrics.delivered(0.003)
    metrics.committed(0.004)
    metrics.set_ready(True)
    metrics.set_unsafe(2)
    metrics.set_levels(
        Levels(rooms=3, users_online=2, queue_bytes=10, db_bytes=4096, upload_bytes=5)
    )
    served = samples(metrics)
    assert served["wynd_chat_connections['text']"] == 1
    assert served["wynd_chat_connections['json']"] == 0
    assert served["wynd_chat_closes_total['1000']"] == 1
    assert served["wynd_chat_messages_total['json', 'text']"] == 1
    assert served["wynd_chat_refusals_total['429']"] == 1
    assert served["wynd_chat_resumes_total['gap']"] == 1
    assert served["wynd_chat_auth_total['failed']"] == 1
    assert served["wynd_chat_dropped_total['slow']"] == 3
    assert served["wynd_chat_deliver_seconds_count"] == 1
    assert served["wynd_chat_deliver_seconds_bucket['0.005']"] == 1
    assert served["wynd_chat_deliver_seconds_bucket['0.002']"] == 0
    assert served["wynd_chat_commit_seconds_sum"] == pytest.approx(0.004)
    assert served["wynd_chat_ready"] == 1
    assert served["wynd_chat_unsafe_settings"] == 2
    assert served["wynd_chat_rooms"] == 3
    assert served["wynd_chat_db_bytes"] == 4096


def test_totals_that_others_count_are_taken_over(metrics: Metrics) -> None:
    metrics.rate_limited({"messages": 2})
    metrics.rate_limited({"messages": 5, "frames": 1})
    metrics.rate_limited({"messages": 5, "frames": 1, "something new": 1})
    served = samples(metrics)
    assert served["wynd_chat_rate_limited_total['messages']"] == 5
    assert served["wynd_chat_rate_limited_total['frames']"] == 1
    assert served["wynd_chat_rate_limited_total['other']"] == 1


def test_the_number_of_series_never_grows(metrics: Metrics) -> None:
    before = samples(metrics).keys()
    for code in range(900, 5100):
        metrics.closed(f"face {code}", code)
        metrics.refused(code)
        metrics.posted("json", f"kind {code}")
        metrics.resumed(str(code))
        metrics.authenticated(f"user {code}")
        metrics.rate_limited({f"address {code}": 1})
        metrics.dropped(str(code))
    assert samples(metrics).keys() == before
    assert samples(metrics)["wynd_chat_auth_total['other']"] == 4200


def test_two_servers_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.opened("text")
    assert samples(second)["wynd_chat_connections['text']"] == 0


async def test_the_lag_of_the_loop_is_measured(metrics: Metrics) -> None:
    clock = HandClock()
    lag = LoopLag(metrics, clock)
    lag.start()
    await clock.advance(1.0)
    assert samples(metrics)["wynd_chat_loop_lag_seconds_bucket['0.001']"] == 2
    await clock.advance(0.5, late_by=0.3)
    served = samples(metrics)
    assert served["wynd_chat_loop_lag_seconds_count"] == 3
    assert served["wynd_chat_loop_lag_seconds_sum"] == pytest.approx(0.3)
    lag.stop()
    lag.stop()
    await clock.advance(5)
    assert samples(metrics)["wynd_chat_loop_lag_seconds_count"] == 3
