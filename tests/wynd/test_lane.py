"""The base of a lane: the native one and its plain twin keep and show the same."""

from __future__ import annotations

import gc
import weakref
from collections import deque
from contextvars import copy_context
from typing import Any

import pytest

from wynd.lane import LaneBase, PlainLaneBase

# Where the native module is not built, both are the plain one.
BOTH = pytest.mark.parametrize("base", [LaneBase, PlainLaneBase], ids=["public", "plain"])


class Thing:
    """Something that can be watched."""


@BOTH
def test_a_new_lane_is_opening_and_idle(base: Any) -> None:
    handle, context, handlers = Thing(), copy_context(), Thing()
    lane = base(handle, context, handlers, "what a subclass takes")
    assert (lane.handle, lane.context, lane.handlers) == (handle, context, handlers)
    assert (lane.task, lane.queue, lane.busy, lane.opening) == (None, None, 0, True)


@BOTH
def test_what_changes_is_read_back(base: Any) -> None:
    lane = base(Thing(), copy_context(), Thing())
    task, queue, handlers = Thing(), deque([1]), Thing()
    lane.task, lane.queue, lane.handlers = task, queue, handlers
    lane.busy += 2
    lane.opening = False
    assert (lane.task, lane.queue, lane.handlers) == (task, queue, handlers)
    assert (lane.busy, lane.opening) == (2, False)
    lane.task = lane.queue = None
    assert (lane.task, lane.queue) == (None, None)


@BOTH
def test_a_lane_lets_go_of_what_it_kept(base: Any) -> None:
    handlers = Thing()
    lane = base(Thing(), copy_context(), handlers)
    watch = weakref.ref(handlers)
    del handlers
    lane.handlers = None
    assert watch() is None


@BOTH
def test_a_lane_in_a_cycle_is_found_by_the_collector(base: Any) -> None:
    handlers = Thing()
    lane = base(Thing(), copy_context(), handlers)
    handlers.lane = lane  # type: ignore[attr-defined]
    watch = weakref.ref(handlers)
    del lane, handlers
    gc.collect()
    assert watch() is None
