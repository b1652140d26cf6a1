"""`Metrics`: what the chat counts and measures, for `/metrics`.

Decides names and labels. Every label has a fixed set of values, all there from the start, so the
number of series never grows; what is not in a set counts as "other". Users, rooms and addresses are
never labels. Where and to whom `/metrics` is served is the gateway's affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from wynd_chat.domain.events import MessageKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["METRICS_CONTENT_TYPE", "Levels", "LoopLag", "Metrics"]

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"

FACES = ("text", "json", "rest", OTHER)
KINDS = (*(kind.value for kind in MessageKind), OTHER)
DROP_REASONS = ("slow", "publish", OTHER)  # ephemeral events of slow readers; broker's wake-ups
CLOSE_CODES = (
    *("1000", "1001", "1002", "1005", "1006", "1007", "1008", "1009", "1011", "1012", "1013"),
    *("4000", "4008", "4010", "4012", "4029", "4500", "4501", "4503", "4509", OTHER),
)
RESUMES = ("recovered", "gap", OTHER)
BUCKETS = (
    *("frames", "messages", "commands", "joins", "new_directs", "uploads", "logins"),
    *("registrations", "connections", OTHER),
)
AUTH_RESULTS = ("ok", "failed", "expired", "limited", OTHER)
STATUSES = ("400", "401", "403", "408", "413", "426", "429", "431", "500", "503", OTHER)

# Seconds. A commit takes a disk's sync, a delivery a turn of the loop after it.
COMMIT_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
DELIVER_BUCKETS = COMMIT_BUCKETS
LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
LAG_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What is read anew for each answer. Bytes are bytes."""

    rooms: int
    users_online: int
    queue_bytes: int
    """Unsent bytes of all connections."""
    db_bytes: int
    upload_bytes: int


class Metrics:
    """All series of one server, in a registry of its own.

    Methods may be called from any thread and never raise for an unknown label.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, CPU, descriptors; named process_*
        self._connections = self._gauge("connections", "Open connections.", face=FACES)
        self._messages = self._counter("messages_total", "Messages stored.", face=FACES, kind=KINDS)
        self._dropped = self._counter(
            "dropped_total", "Events and wake-ups dropped.", reason=DROP_REASONS
        )
        self._closes = self._counter("closes_total", "Connections ended.", code=CLOSE_CODES)
        self._refusals = self._counter(
            "refusals_total", "Upgrades and requests refused.", status=STATUSES
        )
        self._resumes = self._counter("resumes_total", "Rooms resumed by sync.", result=RESUMES)
        self._limited = self._counter(
            "rate_limited_total", "Refusals by a rate limit.", bucket=BUCKETS
        )
        self._auth = self._counter("auth_total", "Credentials checked.", result=AUTH_RESULTS)
        self._deliver = self._histogram(
            "deliver_seconds", "From commit to the last send of an event.", DELIVER_BUCKETS
        )
        self._commit = self._histogram(
            "commit_seconds", "One commit of the store, sync included.", COMMIT_BUCKETS
        )
        self._lag = self._histogram("loop_lag_seconds", "How late the event loop is.", LAG_BUCKETS)
        self._queue_bytes = self._plain("queue_bytes", "Unsent bytes of all connections.")
        self._rooms = self._plain("rooms", "Public rooms that are not archived.")
        self._online = self._plain("users_online", "Users with a connection.")
        self._db_bytes = self._plain("db_bytes", "Size of the database.")
        self._upload_bytes = self._plain("upload_bytes", "Size of all stored files.")
        self._ready = self._plain("ready", "1 while /readyz says yes.")
        self._unsafe = self._plain("unsafe_settings", "Unsafe settings in force.")
        self._told: dict[str, int] = {}

    # Connections

    def opened(self, face: str) -> None:
        """Count a connection that opened."""
        self._of(self._connections, face).inc()

    def closed(self, face: str, code: int) -> None:
        """Count a connection that ended, with the code in force."""
        self._of(self._connections, face).dec()
        self._of(self._closes, str(code)).inc()

    def refused(self, status: int, count: int = 1) -> None:
        """Count upgrades or requests that were refused."""
        self._of(self._refusals, str(status)).inc(count)

    def resumed(self, result: str, count: int = 1) -> None:
        """Count rooms of a `sync`: "recovered" or "gap"."""
        self._of(self._resumes, result).inc(count)

    def authenticated(self, result: str, count: int = 1) -> None:
        """Count checks of credentials: "ok", "failed", "expired", "limited"."""
        self._of(self._auth, result).inc(count)

    # Messages

    def posted(self, face: str, kind: str) -> None:
        """Count a message that was stored; repeats do not count."""
        key = (face if face in FACES else OTHER, kind if kind in KINDS else OTHER)
        self._messages[key].inc()

    def delivered(self, seconds: float) -> None:
        """Note how long an event took from its commit to its last send."""
        self._deliver.observe(seconds)

    def committed(self, seconds: float) -> None:
        """Note how long a commit took."""
        self._commit.observe(seconds)

    def dropped(self, reason: str, count: int = 1) -> None:
        """Count what was dropped: "slow", "publish"."""
        self._of(self._dropped, reason).inc(count)

    def rate_limited(self, counts: Mapping[str, int]) -> None:
        """Take over how often each limit has refused since the start, by its name."""
        for bucket, total in counts.items():
            self._of(self._limited, bucket).inc(max(0, total - self._told.get(bucket, 0)))
            self._told[bucket] = total

    # Levels

    def lagged(self, seconds: float) -> None:
        """Note how late the loop was."""
        self._lag.observe(seconds)

    def set_levels(self, levels: Levels) -> None:
        """Set what is read anew for each answer."""
        self._rooms.set(levels.rooms)
        self._online.set(levels.users_online)
        self._queue_bytes.set(levels.queue_bytes)
        self._db_bytes.set(levels.db_bytes)
        self._upload_bytes.set(levels.upload_bytes)

    def set_ready(self, is_ready: bool) -> None:
        """Set what `/readyz` says."""
        self._ready.set(1 if is_ready else 0)

    def set_unsafe(self, count: int) -> None:
        """Set how many unsafe settings are in force."""
        self._unsafe.set(count)

    def render(self) -> bytes:
        """Return all series in Prometheus' text format; its type is `METRICS_CONTENT_TYPE`."""
        return generate_latest(self.registry)

    # Making series: each combination of labels is there from the start

    def _counter(self, name: str, text: str, **labels: Iterable[str]) -> dict[Any, Counter]:
        made = Counter(f"wynd_chat_{name}", text, tuple(labels), registry=self.registry)
        return _children(made, labels)

    def _gauge(self, name: str, text: str, **labels: Iterable[str]) -> dict[Any, Gauge]:
        made = Gauge(f"wynd_chat_{name}", text, tuple(labels), registry=self.registry)
        return _children(made, labels)

    def _plain(self, name: str, text: str) -> Gauge:
        return Gauge(f"wynd_chat_{name}", text, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"wynd_chat_{name}", text, buckets=buckets, registry=self.registry)

    @staticmethod
    def _of(children: dict[Any, Any], label: str) -> Any:
        return children.get(label) or children[OTHER]


class _Clock(Protocol):
    """What of a clock the sampler needs."""

    def monotonic(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[..., Any], *arguments: Any) -> Any: ...


class LoopLag:
    """Measures how late the event loop is: a call is ordered, and comes when it comes."""

    def __init__(self, metrics: Metrics, clock: _Clock, every_s: float = LAG_EVERY_S) -> None:
        self._metrics = metrics
        self._clock = clock
        self._every_s = every_s
        self._timer: Any = None

    def start(self) -> None:
        """Begin; on the loop."""
        self._order()

    def stop(self) -> None:
        """End; twice is once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _order(self) -> None:
        due = self._clock.monotonic() + self._every_s
        self._timer = self._clock.call_later(self._every_s, self._called, due)

    def _called(self, due: float) -> None:
        self._metrics.lagged(max(0.0, self._clock.monotonic() - due))
        if self._timer is not None:
            self._order()


def _children(made: Any, labels: Mapping[str, Iterable[str]]) -> dict[Any, Any]:
    """Return every child by its label, or by the tuple of them where there are several."""
    combinations = list(product(*labels.values()))
    if len(labels) == 1:
        return {values[0]: made.labels(*values) for values in combinations}
    return {values: made.labels(*values) for values in combinations}
