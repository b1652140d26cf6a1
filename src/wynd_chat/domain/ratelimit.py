"""How often something may be done: token buckets, sliding counts, growing delays, strikes.

Time is an argument: seconds that never go back. Over the limit something is refused with the time
to wait, never queued. What is limited how much is in `limits`; what a flood ends in, elsewhere.

Bounds of memory: at most `capacity` keys. A key of `Buckets` or `SlidingCount` that would be judged
as a new one (its bucket is full, its window empty) is forgotten when another one comes. At the
capacity, the key that was used longest ago is forgotten: under so many keys, it starts afresh.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Backoff", "Buckets", "Rate", "SlidingCount", "Strikes", "TokenBucket"]

CAPACITY = 100_000  # keys; ten times the connections of a server, about 20 MB
_SLACK = 1e-6  # who waits just as long as told is not refused because of rounding


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many per second in the long run.

    Raises:
        ValueError: a value that is not positive.
    """

    burst: int
    per_second: float

    def __post_init__(self) -> None:
        if self.burst < 1:
            raise ValueError(f"burst must be 1 or more, not {self.burst!r}")
        if self.per_second <= 0:
            raise ValueError(f"per_second must be above 0, not {self.per_second!r}")

    @classmethod
    def every(cls, count: int, seconds: float) -> Rate:
        """Return the rate of `count` per `seconds`, all of them at once if need be."""
        return cls(count, count / seconds)


class TokenBucket:
    """A bucket that is full at first; each permission takes a token, time brings them back.

    Between any two moments at most burst + per_second * time is permitted.
    """

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, now: float, cost: int = 1) -> float | None:
        """Take `cost` tokens; return None, or the seconds until there are so many.

        A refusal takes nothing. A cost above the burst can never be paid.

        Raises:
            ValueError: such a cost.
        """
        if cost > self._rate.burst:
            raise ValueError(f"cost {cost} is above the burst of {self._rate.burst}")
        self._refill(now)
        if self._tokens + _SLACK >= cost:
            self._tokens -= cost
            return None
        return (cost - self._tokens) / self._rate.per_second

    def is_full(self, now: float) -> bool:
        """Tell whether the bucket is as good as a new one."""
        self._refill(now)
        return self._tokens >= self._rate.burst

    def _refill(self, now: float) -> None:
        if now > self._at:
            grown = self._tokens + (now - self._at) * self._rate.per_second
            self._tokens = min(float(self._rate.burst), grown)
            self._at = now


class Buckets:
    """A token bucket for each key, such as a user's id or an address."""

    __slots__ = ("_buckets", "_capacity", "_rate")

    def __init__(self, rate: Rate, capacity: int = CAPACITY) -> None:
        self._rate = rate
        self._capacity = capacity
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, now: float, cost: int = 1) -> float | None:
        """Take from a key's bucket; return None, or the seconds to wait when refused.

        Raises:
            ValueError: a cost above the burst.
        """
        bucket = self._buckets.get(key)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[key] = TokenBucket(self._rate, now)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(now, cost)

    def forget(self, key: Hashable) -> None:
        """Forget a key, so that it starts afresh; none is no error."""
        self._buckets.pop(key, None)

    def _make_room(self, now: float) -> None:
        """Drop the oldest while they are full: two for each new one, so that they grow fewer."""
        for _ in range(2):
            if not self._buckets:
                return
            oldest = next(iter(self._buckets))
            if len(self._buckets) < self._capacity and not self._buckets[oldest].is_full(now):
                return
            del self._buckets[oldest]


class SlidingCount:
    """At most `limit` within any `window_s` seconds, for each key: such as logins per address.

    Raises:
        ValueError: a limit below 1.
    """

    __slots__ = ("_capacity", "_limit", "_times", "_window_s")

    def __init__(self, limit: int, window_s: float, capacity: int = CAPACITY) -> None:
        if limit < 1:
            raise ValueError(f"limit must be 1 or more, not {limit!r}")
        self._limit = limit
        self._window_s = window_s
        self._capacity = capacity
        self._times: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._times)

    def take(self, key: Hashable, now: float) -> float | None:
        """Count one; return None, or the seconds to wait when refused. A refusal is not counted."""
        wait = self.wait(key, now)
        if wait is not None:
            return wait
        times = self._times.get(key)
        if times is None:
            self._make_room(now)
            times = self._times[key] = deque(maxlen=self._limit)
        else:
            self._times.move_to_end(key)
        times.append(max(now, times[-1]) if times else now)
        return None

    def wait(self, key: Hashable, now: float) -> float | None:
        """Return None where one would be permitted, else the seconds to wait. Counts nothing."""
        times = self._times.get(key)
        if times is None or len(times) < self._limit or self._is_over(times[0], now):
            return None
        return self._window_s - (now - times[0])  # rounded so, it is never above the window

    def forget(self, key: Hashable) -> None:
        """Forget a key, so that it starts afresh; none is no error."""
        self._times.pop(key, None)

    def _make_room(self, now: float) -> None:
        for _ in range(2):
            if not self._times:
                return
            oldest = next(iter(self._times))
            is_over = self._is_over(self._times[oldest][-1], now)
            if len(self._times) < self._capacity and not is_over:
                return
            del self._times[oldest]

    def _is_over(self, time: float, now: float) -> bool:
        return time <= now - self._window_s + _SLACK


class Backoff:
    """Lets a key try again ever later, such as an account whose password somebody guesses.

    The first `free` tries follow each other at once; after each further one there is a delay, which
    doubles up to `delay_max_s`. `forgive` ends that; so does `window_s` without a try.
    """

    __slots__ = ("_capacity", "_delay_max_s", "_free", "_tries", "_window_s")

    def __init__(
        self,
        free: int = 3,
        delay_max_s: float = 30.0,
        window_s: float = 900.0,
        capacity: int = CAPACITY,
    ) -> None:
        self._free = free
        self._delay_max_s = delay_max_s
        self._window_s = window_s
        self._capacity = capacity
        self._tries: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()  # how many, when last

    def __len__(self) -> int:
        return len(self._tries)

    def take(self, key: Hashable, now: float) -> float | None:
        """Count a try; return None, or the seconds to wait when refused. No refusal is counted."""
        count, last = self._tries.get(key, (0, now))
        if now >= last + self._window_s:
            count = 0
        delay = 0.0
        if count >= self._free:
            delay = min(2.0 ** (count - self._free), self._delay_max_s)
        if now + _SLACK < last + delay:
            return last + delay - now
        if key not in self._tries and len(self._tries) >= self._capacity:
            self._tries.popitem(last=False)
        self._tries[key] = (min(count + 1, self._free + 64), now)
        self._tries.move_to_end(key)
        return None

    def forgive(self, key: Hashable) -> None:
        """Forget a key's tries: the last one was right."""
        self._tries.pop(key, None)


@dataclass(slots=True)
class _Struck:
    """The last strikes of one key, and how many refusals the newest has."""

    times: deque[float]
    refusals: int = 0


class Strikes:
    """Counts refusals, for each key; those within `merge_s` seconds are one strike.

    A client that sends twenty lines at once and then waits has one strike, not ten. One that goes
    on and on is to be listened to no more until its strike is over (`rest`), so that a flood costs
    what `patience` refusals a second cost.
    """

    __slots__ = ("_capacity", "_limit", "_merge_s", "_patience", "_strikes", "_window_s")

    def __init__(
        self,
        limit: int = 3,
        window_s: float = 60.0,
        merge_s: float = 1.0,
        capacity: int = CAPACITY,
        patience: int = 50,
    ) -> None:
        self._limit = limit
        self._window_s = window_s
        self._merge_s = merge_s
        self._capacity = capacity
        self._patience = patience
        self._strikes: OrderedDict[Hashable, _Struck] = OrderedDict()

    def __len__(self) -> int:
        return len(self._strikes)

    def strike(self, key: Hashable, now: float) -> bool:
        """Count a refusal; return whether it is a flood: strike `limit` within `window_s`."""
        struck = self._strikes.get(key)
        if struck is None:
            if len(self._strikes) >= self._capacity:
                self._strikes.popitem(last=False)
            struck = self._strikes[key] = _Struck(deque(maxlen=self._limit))
        else:
            self._strikes.move_to_end(key)
        times = struck.times
        if not times or now >= times[-1] + self._merge_s:
            times.append(now)
            struck.refusals = 0
        struck.refusals += 1
        return len(times) == self._limit and times[0] > now - self._window_s

    def rest(self, key: Hashable, now: float) -> float:
        """Return for how many seconds a key is to be listened to no more; 0.0 for most."""
        struck = self._strikes.get(key)
        if struck is None or struck.refusals < self._patience:
            return 0.0
        return max(struck.times[-1] + self._merge_s - now, 0.0)

    def forget(self, key: Hashable) -> None:
        """Forget a key, such as a connection that has gone; none is no error."""
        self._strikes.pop(key, None)
