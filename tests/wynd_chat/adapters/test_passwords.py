"""Password hashes: cost, what is refused, and that neither memory nor the loop can be taken up."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

import argon2
import pytest

from wynd_chat.adapters.passwords import ArgonPasswords, PasswordCost
from wynd_chat.domain.errors import ChatError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wynd_chat.ports.passwords import Passwords

CHEAP = PasswordCost(memory_kib=64, passes=1)
GOOD = "correct horse battery"
TIMED = 200  # checks of each kind; their median is steady within a percent or two


@pytest.fixture
def passwords() -> Iterator[ArgonPasswords]:
    """Passwords at the real cost."""
    made = ArgonPasswords()
    yield made
    made.close()


@pytest.fixture
def cheap() -> Iterator[ArgonPasswords]:
    """Passwords whose cost does not matter."""
    made = ArgonPasswords(cost=CHEAP)
    yield made
    made.close()


async def test_a_hash_has_the_cost_the_specification_asks_for(passwords: Passwords) -> None:
    made = await passwords.hash(GOOD)
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert GOOD not in made


async def test_only_the_right_password_fits(cheap: ArgonPasswords) -> None:
    made = await cheap.hash(GOOD)
    assert await cheap.verify(made, GOOD)
    assert not await cheap.verify(made, GOOD + " ")
    assert not await cheap.verify(made, "")
    assert not await cheap.verify(None, GOOD)


async def test_not_even_the_password_of_nobody_fits_an_unknown_user(cheap: ArgonPasswords) -> None:
    assert not await cheap.verify(None, "the password of nobody")


async def test_equal_passwords_have_different_hashes(cheap: ArgonPasswords) -> None:
    assert await cheap.hash(GOOD) != await cheap.hash(GOOD)


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("", "a password has at least 15 characters"),
        ("x" * 14, "a password has at least 15 characters"),
        ("x" * 1025, "a password has at most 1024 bytes of text"),
        ("ä" * 513, "a password has at most 1024 bytes of text"),
        ("x" * 20 + "\ud800", "a password has at most 1024 bytes of text"),
        ("x" * 10_000_000, "a password has at most 1024 bytes of text"),
    ],
    ids=["empty", "14", "1025", "1026 bytes", "lone surrogate", "10 MB"],
)
async def test_a_password_that_cannot_be_used_is_refused(
    cheap: ArgonPasswords, password: str, sentence: str
) -> None:
    with pytest.raises(ChatError) as refused:
        await cheap.hash(password)
    assert (refused.value.code, refused.value.sentence) == (ErrorCode.BAD_REQUEST, sentence)


@pytest.mark.parametrize("password", ["x" * 15, "x" * 1024, "ä" * 512, "🦊" * 15])
async def test_passwords_up_to_the_limits_are_taken_whole(
    cheap: ArgonPasswords, password: str
) -> None:
    made = await cheap.hash(password)
    assert await cheap.verify(made, password)
    assert not await cheap.verify(made, password[:-1])


async def test_a_password_too_long_for_any_fits_none(cheap: ArgonPasswords) -> None:
    made = await cheap.hash(GOOD)
    assert not await cheap.verify(made, "x" * 1025)
    assert not await cheap.verify(made, "\ud800")


async def test_the_same_letters_written_in_another_way_fit(cheap: ArgonPasswords) -> None:
    made = await cheap.hash("caf\u00e9 au lait, bitte")
    assert await cheap.verify(made, "cafe\u0301 au lait, bitte")


async def test_a_hash_of_another_cost_is_told_and_still_fits(
    passwords: ArgonPasswords, cheap: ArgonPasswords
) -> None:
    old = await cheap.hash(GOOD)
    assert passwords.needs_rehash(old)
    assert await passwords.verify(old, GOOD)
    assert not passwords.needs_rehash(await passwords.hash(GOOD))


async def test_a_broken_hash_fits_nothing_and_is_logged_without_its_text(
    cheap: ArgonPasswords, caplog: pytest.LogCaptureFixture
) -> None:
    assert not await cheap.verify("$argon2id$broken", GOOD)
    assert "cannot be read" in caplog.text
    assert "broken" not in caplog.text
    assert GOOD not in caplog.text
    assert cheap.needs_rehash("$argon2id$broken")


async def test_an_unknown_user_is_checked_like_a_wrong_password(passwords: ArgonPasswords) -> None:
    checked: list[argon2.Parameters] = []
    check = passwords._verify

    def note_and_check(password_hash: str, prepared: bytes) -> bool:
        checked.append(argon2.extract_parameters(password_hash))
        return check(password_hash, prepared)

    passwords._verify = note_and_check  # type: ignore[method-assign]
    known = await passwords.hash(GOOD)
    for password_hash in (known, None):
        assert not await passwords.verify(password_hash, "not the right one")
    wrong, unknown = checked
    assert wrong == unknown


@pytest.mark.nightly
@pytest.mark.timeout(300)
async def test_an_unknown_user_takes_as_long_as_a_wrong_password(
    passwords: ArgonPasswords, record_property: Callable[[str, object], None]
) -> None:
    """CPU time of the thread that checks; waiting for a core does not count."""
    took: dict[bool, list[float]] = {True: [], False: []}
    check = passwords._verify

    def measured(password_hash: str, prepared: bytes) -> bool:
        began = time.thread_time()
        fits = check(password_hash, prepared)
        took[password_hash == known].append(time.thread_time() - began)
        return fits

    known = await passwords.hash(GOOD)
    passwords._verify = measured  # type: ignore[method-assign]
    for _ in range(TIMED):  # in turn, so that other work on the machine meets both alike
        for password_hash in (known, None):
            await passwords.verify(password_hash, "not the right one")
    wrong, unknown = (1000 * statistics.median(took[is_known]) for is_known in (True, False))
    record_property("CPU of a wrong password, ms", round(wrong, 2))
    record_property("CPU of an unknown user, ms", round(unknown, 2))
    assert len(took[True]) == len(took[False]) == TIMED
    assert unknown == pytest.approx(wrong, rel=0.05)


async def test_too_many_at_once_are_refused_and_places_come_back() -> None:
    blocked = Blocked(workers_max=2, waiting_max=3)
    waiting = [asyncio.ensure_future(blocked.passwords.verify(None, GOOD)) for _ in range(5)]
    await asyncio.sleep(0)  # all of them are handed over
    with pytest.raises(ChatError) as refused:
        await blocked.passwords.verify(None, GOOD)
    assert refused.value.code is ErrorCode.UNAVAILABLE
    assert refused.value.retry_after == 1.0
    blocked.release()
    assert await asyncio.gather(*waiting) == [False] * 5
    assert blocked.most_at_once == 2
    assert await blocked.passwords.verify(None, GOOD) is False
    blocked.passwords.close()


async def test_cancelled_callers_free_no_place_before_their_work_ends() -> None:
    blocked = Blocked(workers_max=1, waiting_max=0)
    caller = asyncio.ensure_future(blocked.passwords.verify(None, GOOD))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    with pytest.raises(ChatError):
        await blocked.passwords.verify(None, GOOD)
    blocked.release()
    async with asyncio.timeout(5):
        while True:
            try:
                assert await blocked.passwords.verify(None, GOOD) is False
                break
            except ChatError:
                await asyncio.sleep(0)
    blocked.passwords.close()


async def test_the_loop_turns_while_a_hash_is_computed() -> None:
    blocked = Blocked(workers_max=1, waiting_max=1)
    checking = asyncio.ensure_future(blocked.passwords.verify(None, GOOD))
    assert await asyncio.to_thread(blocked.is_inside.wait, 5)
    assert not checking.done()
    blocked.release()
    assert await checking is False
    blocked.passwords.close()


async def test_no_memory_for_a_hash_is_a_temporary_error(
    cheap: ArgonPasswords, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> str:
        raise MemoryError

    monkeypatch.setattr(cheap, "_hasher", type("Hasher", (), {"hash": fail})())
    with pytest.raises(ChatError) as refused:
        await cheap.hash(GOOD)
    assert refused.value.code is ErrorCode.UNAVAILABLE
    assert refused.value.code.is_temporary


class Blocked:
    """Passwords whose checks wait inside their thread until they are released."""

    def __init__(self, *, workers_max: int, waiting_max: int) -> None:
        self.passwords = ArgonPasswords(
            cost=CHEAP, workers_max=workers_max, waiting_max=waiting_max
        )
        self.is_inside = threading.Event()
        self.most_at_once = 0
        self._inside = 0
        self._lock = threading.Lock()
        self._gate = threading.Event()
        check = self.passwords._verify

        def wait_and_check(password_hash: str, prepared: bytes) -> bool:
            with self._lock:
                self._inside += 1
                self.most_at_once = max(self.most_at_once, self._inside)
            self.is_inside.set()
            assert self._gate.wait(10)
            try:
                return check(password_hash, prepared)
            finally:
                with self._lock:
                    self._inside -= 1

        self.passwords._verify = wait_and_check  # type: ignore[method-assign]

    def release(self) -> None:
        """Let everything through from now on."""
        self._gate.set()


async def test_the_least_length_is_a_setting_that_may_change_while_it_runs() -> None:
    least = 20
    passwords = ArgonPasswords(chars_min=lambda: least, cost=CHEAP)
    with pytest.raises(ChatError, match="at least 20 characters"):
        await passwords.hash("x" * 19)
    least = 10
    assert await passwords.verify(await passwords.hash("x" * 10), "x" * 10)
    passwords.close()
