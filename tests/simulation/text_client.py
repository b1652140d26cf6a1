"""A client of the text face: a person at a terminal, who reads lines and types.

Notes which messages it read over each connection; what it should have read is checked at the end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.ledger import mark_of
from tests.simulation.network import Link, Peer

if TYPE_CHECKING:
    import random

    from tests.simulation.database import Disk
    from tests.simulation.ledger import Ledger
    from tests.simulation.network import Network

__all__ = ["TextClient"]

WELCOME = "\nWelcome to the chat!"
NAMED = "You are now known as "
LIVE = ("[#", "[from ")  # history begins with a number
PUT_OUT = ("You were kicked from", "You were banned")


class Reading:
    """What was read over one connection, by marks."""

    def __init__(self, restores: int) -> None:
        self.restores = restores
        """How often the disk had been put back; what was read before that is no more."""
        self.marks: list[str] = []
        self.own: set[str] = set()
        self.user_id: str | None = None
        self.is_open = True
        """Still connected at the end."""


class TextClient(Peer):
    """One terminal."""

    def __init__(
        self, name: str, network: Network, ledger: Ledger, disk: Disk, chance: random.Random
    ) -> None:
        self.name = name
        self.ledger = ledger
        self.chance = chance
        self._network = network
        self._disk = disk
        self.address = f"10.0.1.{chance.randint(1, 250)}"
        self.link: Link | None = None
        self.readings: list[Reading] = []
        self.spoken = 0
        self._renew()

    def _renew(self) -> None:
        self.is_welcome = False
        self.named: str | None = None
        self.end_code: int | None = None
        self.error = ""
        self._changed = asyncio.Event()
        self.reading = Reading(self.ledger.restores)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that has not ended."""
        return self.link is not None and not self.link.is_over

    @property
    def user_id(self) -> str | None:
        """Who it is, as far as it knows."""
        return self.reading.user_id

    async def connect(self) -> bool:
        """Open a connection and take a name; return whether that worked."""
        self._renew()
        which = "plain" if self.chance.random() < 0.5 else "main"
        self.link = Link(self._network, self, which, address=self.address)
        self.ledger.note(self.name, f"connects as link {self.link.number}")
        while not self.is_welcome and self.is_connected:
            await self._change()
        self.type(f"/name {self.name}")
        while self.named is None and self.is_connected and not self.error:
            await self._change()
        if self.named is None and self.is_connected and self.link is not None:
            self.link.close()
        return self.named is not None

    def type(self, line: str) -> None:
        """Send a line."""
        self.ledger.note(self.name, f"> {line}")
        if self.link is not None:
            self.link.send(line)

    def say(self, text: str) -> None:
        """Send a message."""
        self.reading.own.add(text)
        self.type(text)

    def received(self, text: str) -> None:
        """See `Peer.received`."""
        self.ledger.note(self.name, f"< {text!r}")
        if not self.is_welcome:
            if not text.startswith(WELCOME):
                self.ledger.wrong(self.name, f"reads {text!r} before the welcome")
            self.is_welcome = True
        elif text.startswith(NAMED):
            self._is(text.removeprefix(NAMED))
        elif text.startswith("Error: "):
            self.error = text
            self.ledger.count("text errors")
            if "[internal]" in text:
                self.ledger.wrong(self.name, f"reads {text!r}")
        elif self.named is None and text.startswith(PUT_OUT):
            pass  # put out while it was coming in, before it could be told its name
        elif self.named is None:
            self.ledger.wrong(self.name, f"has no name and reads {text!r}")
        elif not text.startswith("[") or text.startswith(LIVE):
            self._read(text)
        self._changed.set()

    def _read(self, text: str) -> None:
        mark = mark_of(text)
        if mark is None:
            return
        if mark in self.reading.own:
            self.ledger.wrong(self.name, f"reads its own {text!r}")
        if mark in self.reading.marks:
            self.ledger.wrong(self.name, f"reads {text!r} again")
        self.reading.marks.append(mark)

    def _is(self, name: str) -> None:
        if self.named is None:
            user = self._disk.now.user_by_key(name.casefold())
            self.reading.user_id = None if user is None else user.id
            self.readings.append(self.reading)
        self.named = name

    def refused(self, status: int, body: str) -> None:
        """See `Peer.refused`."""
        self.ledger.note(self.name, f"is refused with {status}: {body.strip()}")
        self._gone(status)

    def ended(self, code: int, reason: str) -> None:
        """See `Peer.ended`."""
        self.ledger.note(self.name, f"ended with {code} {reason}")
        self.ledger.count(f"ends with {code}")
        self._gone(code)

    def _gone(self, code: int) -> None:
        self.end_code = code
        self.reading.is_open = False
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def check(self) -> None:
        """Compare what was read over each connection with what the disk has."""
        places = {}
        lobby: list[tuple[int, str]] = []
        for room in self._disk.tables.rooms.values():
            for event in self.ledger.events_of(room):
                mark = mark_of(event.get("text") or "")
                if mark is not None:
                    places[mark] = (room.shown, event["seq"])
                    if room.shown == "lobby":
                        lobby.append((event["seq"], mark))
        for reading in self.readings:
            if reading.restores == self.ledger.restores:
                self._check(reading, places, lobby)

    def _check(
        self, reading: Reading, places: dict[str, tuple[str, int]], lobby: list[tuple[int, str]]
    ) -> None:
        last: dict[str, int] = {}
        read: list[int] = []
        for mark in reading.marks:
            if mark not in places:
                continue  # lost with a restored disk, or trimmed
            room, seq = places[mark]
            if seq < last.get(room, 0):
                self.ledger.wrong(self.name, f"read {mark} of #{room} too late")
            last[room] = seq
            if room == "lobby":
                read.append(seq)
            user_id = reading.user_id
            if user_id is not None and not self.ledger.was_member(user_id, room, seq):
                self.ledger.wrong(self.name, f"read {mark} of #{room} and was not in it")
        if not read:
            return
        end = lobby[-1][0] if reading.is_open and lobby else read[-1]
        for seq, mark in lobby:
            if read[0] < seq <= end and seq not in read and mark not in reading.own:
                self.ledger.wrong(self.name, f"did not read {mark}, number {seq} of #lobby")
