"""The authorisation table: who may do what where, as a file of cells; reads it and tries a cell.

A row is a command, or a request of the API; a column is a role in a place. Each cell is tried with
people and a room of its own. The table is `authorisation.txt`, its page is made of the same file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wynd_chat.domain.models import Room, RoomKind, RoomRole

if TYPE_CHECKING:
    from tests.wynd_chat.gateway.chat_kit import RunningChat, Visitor

__all__ = ["COLUMNS", "TABLE", "Cell", "read_table", "tried"]

TABLE = Path(__file__).with_name("authorisation.txt")
_IN_ROOMS = ("guest", "member", "op", "owner", "admin", "stranger")
COLUMNS = (
    *(f"{role} public" for role in _IN_ROOMS),
    *(f"{role} private" for role in _IN_ROOMS),
    *("side dm", "admin dm", "stranger dm"),
)
OK = "ok"


@dataclass(frozen=True, slots=True)
class Cell:
    """What one role may do in one place."""

    action: str
    column: str
    expected: str
    """`ok`, or the code of the refusal."""


def read_table() -> list[Cell]:
    """Return all cells of the table."""
    cells = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        action, *codes = [part.strip() for part in line.split("|")]
        assert len(codes) == len(COLUMNS), line
        cells += [Cell(action, column, code) for column, code in zip(COLUMNS, codes, strict=True)]
    return cells


@dataclass(slots=True)
class _Scene:
    actor: Visitor
    victim: Visitor
    founder: Visitor
    root: Visitor
    room: Room
    seq: int
    file_id: str


async def tried(chat: RunningChat, action: str, column: str, number: int) -> str:
    """Try an action in a role and place; return `ok`, or the code of the refusal."""
    scene = await _scene(chat, column, number)
    values = {
        "room": scene.room.id,
        "actor": scene.actor.user.name,
        "victim": scene.victim.user.name,
        "founder": scene.founder.user.name,
        "root": scene.root.user.name,
        "seq": scene.seq,
        "file": scene.file_id,
        "n": number,
    }
    if action.startswith("/"):
        text = action.format(**values)
        answer = await scene.actor.post(f"/rooms/{scene.room.id}/commands", {"text": text})
    elif action.startswith("file"):
        login = {"authorization": f"Bearer {scene.actor.token}"}
        answer = await scene.actor.client.get(f"/files/{scene.file_id}/x", headers=login)
    elif action.startswith("sync"):
        return await _synced(chat, scene)
    else:
        method, path, *body = action.format_map(values).split(" ", 2)
        json = None if not body else {"text": body[0]}
        answer = await scene.actor.call(method, path, **({"json": json} if json else {}))
    if answer.status_code < 300:
        return OK
    return str(answer.json()["code"])


async def _synced(chat: RunningChat, scene: _Scene) -> str:
    """Return what recovery says of the room: its events, or that the user is a stranger."""
    shown = scene.room.shown
    histories = chat.services.histories
    missed = await histories.missed(scene.actor.user, histories.epoch, {shown: 0}, 500)
    return "not_member" if shown in missed.strangers else OK


async def _scene(chat: RunningChat, column: str, number: int) -> _Scene:
    role, place = column.split(" ")
    founder = await chat.account(f"Founder{number}")
    victim = await chat.account(f"Victim{number}")
    root = await chat.account(f"Root{number}", is_admin=True)
    if role == "guest":
        actor = await chat.guest(f"Actor{number}")
    else:
        actor = await chat.account(f"Actor{number}", is_admin=role == "admin")
    if place == "dm":
        one, other = (actor, victim) if role == "side" else (founder, victim)
        chat.connect(victim.user)
        room = await chat.services.rooms.direct(one.user, f"@{other.user.name}")
        founder = one
    else:
        members = [victim, root] + ([actor] if role in ("guest", "member", "op", "owner") else [])
        room = await chat.room(founder, f"room{number}", *members)
        if role in ("op", "owner"):
            await chat.change_member(actor, room, role=RoomRole(role))
        if place == "private":
            await chat.change(room, kind=RoomKind.PRIVATE)
            room = replace(room, kind=RoomKind.PRIVATE)
    file = (await founder.call("PUT", "/uploads/a.txt", content=b"hello")).json()
    posted = await founder.post(f"/rooms/{room.id}/messages", {"files": [file["id"]]})
    assert posted.status_code == 201, posted.text
    return _Scene(actor, victim, founder, root, room, posted.json()["seq"], file["id"])
