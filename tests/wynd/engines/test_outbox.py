"""The portable engine's outbox: bytes, policies, what is dropped; also against a plain model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wynd.engines.base import Opcode, Policy, Prepared
from wynd.engines.outbox import Entry, Frame, Ledger, Outbox, Verdict, byte_length, framed

SOFT = 60
HARD = 100
CLOSE = Policy.close()


def entry(
    text: str = "x" * 18, room: str | None = "room", key: str | None = None, droppable: bool = False
) -> Entry:
    """Return an entry of 20 bytes unless `text` says otherwise."""
    return Entry(Frame(Opcode.TEXT, text), room, key, droppable)


def texts(outbox: Outbox) -> list[str]:
    """Take everything out, as the writer does."""
    taken = []
    while (frame := outbox.begin()) is not None:
        taken.append(frame.event["text"])
        outbox.finish()
    return taken


class TestFrames:
    @pytest.mark.parametrize(
        ("message", "size"),
        [("", 2), ("x" * 125, 127), ("x" * 126, 130), (b"x" * 65_535, 65_539), ("ü", 4)],
    )
    def test_the_header_counts(self, message: str | bytes, size: int) -> None:
        assert Frame(Opcode.TEXT, message).size == size

    def test_64_bit_lengths_have_a_longer_header(self) -> None:
        assert Frame(Opcode.BINARY, bytes(65_536)).size == 65_546

    def test_a_lone_surrogate_has_no_length(self) -> None:
        with pytest.raises(ValueError, match="surrogate"):
            byte_length("\udc00")

    def test_prepared_messages_are_framed_once(self) -> None:
        prepared = Prepared("ü")
        first = framed(Opcode.TEXT, prepared)
        assert framed(Opcode.TEXT, prepared) is first
        assert first.event == {"type": "websocket.send", "text": "ü"}
        binary = framed(Opcode.BINARY, Prepared(b"x"))
        assert binary.event == {"type": "websocket.send", "bytes": b"x"}


class TestPolicies:
    def fill(self, *entries: Entry, policy: Policy = CLOSE) -> tuple[Outbox, Ledger]:
        ledger = Ledger()
        outbox = Outbox(ledger)
        for one in entries:
            assert outbox.push(one, policy, SOFT, HARD) is Verdict.QUEUED
        return outbox, ledger

    def test_close_overflows(self) -> None:
        outbox, ledger = self.fill(*[entry() for _ in range(5)])
        assert outbox.push(entry(), CLOSE, SOFT, HARD) is Verdict.OVERFLOW
        assert outbox.bytes == HARD
        assert ledger.dropped == {}

    def test_one_huge_message_goes_into_an_empty_outbox_only(self) -> None:
        outbox, _ = self.fill(entry("x" * 1000))
        assert outbox.push(entry(""), CLOSE, SOFT, HARD) is Verdict.OVERFLOW
        assert len(texts(outbox)) == 1
        assert outbox.push(entry("x" * 1000), CLOSE, SOFT, HARD) is Verdict.QUEUED

    def test_drop_oldest_spares_other_rooms_and_direct_messages(self) -> None:
        outbox, ledger = self.fill(
            entry("direct" + "." * 12, room=None),
            entry("other." + "." * 12, room="other"),
            entry("first." + "." * 12),
            entry("second" + "." * 12),
            entry("third." + "." * 12),
        )
        assert (
            outbox.push(entry("fourth" + "." * 12), Policy.drop_oldest, SOFT, HARD)
            is Verdict.QUEUED
        )
        assert [text[:6] for text in texts(outbox)] == [
            "direct",
            "other.",
            "second",
            "third.",
            "fourth",
        ]
        assert ledger.dropped == {"drop_oldest": 1}

    def test_drop_oldest_drops_the_new_one_where_nothing_may_go(self) -> None:
        outbox, ledger = self.fill(*[entry(room=None) for _ in range(5)])
        assert outbox.push(entry(), Policy.drop_oldest, SOFT, HARD) is Verdict.DROPPED
        assert ledger.dropped == {"drop_oldest": 1}

    def test_drop_newest_drops_the_new_one(self) -> None:
        outbox, ledger = self.fill(*[entry() for _ in range(5)])
        assert outbox.push(entry(), Policy.drop_newest, SOFT, HARD) is Verdict.DROPPED
        assert ledger.dropped == {"drop_newest": 1}

    def behind(self, *entries: Entry, policy: Policy = Policy.latest) -> tuple[Outbox, Ledger]:
        """Return an outbox whose host takes no more: one message is in flight."""
        outbox, ledger = self.fill(entry("f", room=None))
        outbox.begin()
        for one in entries:
            assert outbox.push(one, policy, SOFT, HARD) is Verdict.QUEUED
        return outbox, ledger

    def test_latest_replaces_the_same_key_and_keeps_the_order(self) -> None:
        outbox, ledger = self.behind(
            entry("a1", key="a"), entry("b1", key="b"), entry("a2", key="a")
        )
        assert texts(outbox) == ["b1", "a2"]
        assert ledger.dropped == {"latest": 1}

    def test_latest_without_a_key_keeps_one_message_of_the_room(self) -> None:
        outbox, _ = self.behind(entry("1"), entry("2"), entry("3", room="other"))
        assert texts(outbox) == ["2", "3"]

    def test_latest_drops_nothing_while_the_host_keeps_up(self) -> None:
        outbox, ledger = self.fill(entry("a1", key="a"), entry("a2", key="a"), policy=Policy.latest)
        assert texts(outbox) == ["a1", "a2"]
        assert ledger.dropped == {}

    def test_latest_drops_what_was_replaced_when_the_limit_is_met(self) -> None:
        filling = [entry(f"{n}" + "." * 17, key="ab"[n % 2]) for n in range(5)]
        outbox, ledger = self.fill(*filling, policy=Policy.latest)
        one_more = entry("5" + "." * 17, key="b")
        assert outbox.push(one_more, Policy.latest, SOFT, HARD) is Verdict.QUEUED
        assert ledger.dropped == {"latest": 3}
        assert outbox.push(entry("6", key="a"), Policy.latest, SOFT, HARD) is Verdict.QUEUED
        assert [text[0] for text in texts(outbox)] == ["3", "5", "6"]

    def test_latest_keeps_keys_of_different_rooms_apart(self) -> None:
        outbox, _ = self.behind(entry("1", room="r", key="a"), entry("2", room="s", key="a"))
        assert texts(outbox) == ["1", "2"]

    def test_latest_never_replaces_what_is_in_flight(self) -> None:
        outbox, _ = self.fill(entry("a1", key="a"), policy=Policy.latest)
        assert outbox.begin() is not None
        assert outbox.push(entry("a2", key="a"), Policy.latest, SOFT, HARD) is Verdict.QUEUED
        outbox.finish()
        assert texts(outbox) == ["a2"]

    def test_droppable_messages_of_the_room_go_first(self) -> None:
        outbox, ledger = self.fill(
            entry("keep" + "." * 14),
            entry("drop" + "." * 14, droppable=True),
            entry("keep" + "." * 14),
            entry("drop" + "." * 14, droppable=True),
            entry("keep" + "." * 14),
            policy=Policy.drop_oldest,
        )
        new = entry("new." + "." * 14)
        assert outbox.push(new, Policy.drop_oldest, SOFT, HARD) is Verdict.QUEUED
        assert [text[:4] for text in texts(outbox)] == ["keep", "keep", "drop", "keep", "new."]
        assert ledger.dropped == {"drop_oldest": 1}

    @pytest.mark.parametrize("policy", [CLOSE, Policy.drop_newest])
    def test_droppable_messages_leave_the_space_above_the_soft_limit(self, policy: Policy) -> None:
        outbox, ledger = self.fill(*[entry(droppable=True) for _ in range(3)], policy=policy)
        assert outbox.push(entry(droppable=True), policy, SOFT, HARD) is Verdict.DROPPED
        assert outbox.push(entry(), policy, SOFT, HARD) is Verdict.QUEUED
        assert ledger.dropped == {"drop_newest": 1}
        assert ledger.limit_hits == 1

    def test_a_message_that_never_fits_costs_no_other(self) -> None:
        outbox, ledger = self.fill(entry(), policy=Policy.drop_oldest)
        huge = entry("x" * 1000)
        assert outbox.push(huge, Policy.drop_oldest, SOFT, HARD) is Verdict.DROPPED
        assert len(texts(outbox)) == 1
        assert ledger.dropped == {"drop_oldest": 1}


class TestLedger:
    def test_a_shared_frame_is_held_once(self) -> None:
        ledger = Ledger()
        outboxes = [Outbox(ledger) for _ in range(10)]
        shared = entry()
        for outbox in outboxes:
            outbox.push(shared, CLOSE, SOFT, HARD)
        assert (ledger.outbox_bytes, ledger.held_bytes) == (200, 20)
        for outbox in outboxes[:5]:
            texts(outbox)
        for outbox in outboxes[5:]:
            outbox.clear()
        assert (ledger.outbox_bytes, ledger.held_bytes) == (0, 0)

    def test_what_is_in_flight_counts_until_it_is_taken(self) -> None:
        ledger = Ledger()
        outbox = Outbox(ledger)
        outbox.push(entry(), CLOSE, SOFT, HARD)
        outbox.push(entry(), CLOSE, SOFT, HARD)
        outbox.begin()
        outbox.clear()
        assert (outbox.bytes, ledger.held_bytes) == (20, 20)
        outbox.finish()
        outbox.finish()
        assert (outbox.bytes, ledger.held_bytes) == (0, 0)


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("push"),
            st.sampled_from([CLOSE, Policy.drop_oldest, Policy.drop_newest, Policy.latest]),
            st.integers(0, 60),
            st.sampled_from([None, "r", "s"]),
            st.sampled_from([None, "a", "b"]),
            st.booleans(),
        ),
        st.tuples(st.sampled_from(["begin", "finish", "clear"])),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_sequence_of_calls_loses_count(steps: list[tuple[object, ...]]) -> None:
    ledger = Ledger()
    outbox = Outbox(ledger)
    pushed = taken = 0
    cleared: list[int] = []
    last = -1
    for step in steps:
        match step:
            case ("push", Policy() as policy, int(size), room, key, bool(droppable)):
                serial = Entry(
                    Frame(Opcode.TEXT, "x" * size),
                    room if isinstance(room, str) else None,
                    key if isinstance(key, str) else None,
                    droppable,
                )
                serial.frame.event["serial"] = pushed
                before = outbox.bytes
                if outbox.push(serial, policy, SOFT, HARD) is Verdict.QUEUED:
                    pushed += 1
                    assert outbox.bytes <= max(HARD, serial.frame.size)
                else:
                    assert outbox.bytes <= before
            case ("begin",):
                outbox.finish()
                frame = outbox.begin()
                if frame is not None:
                    assert frame.event["serial"] > last  # survivors keep their order
                    last = frame.event["serial"]
                    taken += 1
            case ("finish",):
                outbox.finish()
            case _:
                outbox.clear()
                cleared.append(pushed)
        assert ledger.outbox_bytes == ledger.held_bytes == outbox.bytes >= 0
    outbox.clear()
    outbox.finish()
    assert outbox.bytes == ledger.held_bytes == 0
    assert taken <= pushed
