"""What clients do, by chance: talk, come, go, misbehave."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.simulation.json_client import JsonClient, Lost, Refusal

if TYPE_CHECKING:
    import random

    from tests.simulation.text_client import TextClient

__all__ = ["act", "act_at_terminal"]

ROOMS = ("dev", "ops", "tea")
ACTIONS = {
    "say": 30,
    "burst": 4,
    "repeat": 4,
    "direct": 5,
    "join": 8,
    "leave": 3,
    "rename": 2,
    "read": 5,
    "sync": 3,
    "lie": 4,
    "tabs": 8,
    "kick": 2,
    "ban": 1,
    "unban": 1,
    "invite": 3,
    "topic": 2,
    "silence": 1,
    "promote": 1,
    "private": 2,
    "slow": 1,
    "away": 2,
    "users": 1,
    "quit": 1,
    "close": 2,
    "cut": 3,
    "freeze": 1,
    "stall": 2,
    "flood": 1,
}
SYNCS = ("sync", "lie", "tabs")
WORDS, WEIGHTS = tuple(ACTIONS), tuple(ACTIONS.values())


async def act(client: JsonClient, names: list[str]) -> None:
    """Do one thing; what is refused is refused."""
    chance = client.chance
    what = chance.choices(WORDS, WEIGHTS)[0]
    client.ledger.count(f"does {what}")
    try:
        await _act(client, what, chance, names)
    except Lost:
        pass
    except Refusal as refusal:
        if not client.is_synced or what in SYNCS:
            await asyncio.sleep(refusal.wait)
            await _sync_again(client)


async def _sync_again(client: JsonClient) -> None:
    """A sync that failed has ended what was shown."""
    while client.is_connected:
        try:
            await client.sync()
        except Refusal as refusal:
            await asyncio.sleep(refusal.wait)
        except Lost:
            return
        else:
            return


async def _act(client: JsonClient, what: str, chance: random.Random, names: list[str]) -> None:
    link = client.link
    assert link is not None
    rooms = sorted(client.last)
    room = chance.choice(rooms) if rooms else "lobby"
    named = [one for one in rooms if one not in ("lobby",) and not one.startswith("r_")]
    own = chance.choice(named) if named else "lobby"
    name = chance.choice(names)
    match what:
        case "say":
            _say(client, room)
        case "burst":
            for _ in range(chance.randint(2, 6)):
                _say(client, room)
        case "flood":
            for _ in range(4):
                for _ in range(chance.randint(8, 15)):
                    _say(client, room)
                await asyncio.sleep(1.5)
        case "repeat":
            if client.person.sent:
                where, cid, text = chance.choice(client.person.sent[-5:])
                client.say(where, text, cid)
        case "direct":
            _say(client, f"@{name}")
        case "join":
            await client.command("lobby", f"/join {chance.choice(ROOMS)}")
        case "leave":
            await client.command(own, "/leave")
        case "rename":
            new = f"{client.name}x{chance.randint(1, 9)}"
            result = await client.command("lobby", f"/name {new}")
            client.person.name = result["user"]["name"]
        case "read":
            await _read(client, room)
        case "sync":
            await client.sync()
        case "lie":
            await _lie(client, chance, room)
        case "tabs":
            await _use_both_tabs(client, chance, own)
        case "kick":
            await client.command(own if chance.random() < 0.8 else "lobby", f"/kick {name} out")
        case "ban":
            await client.command(own, f"/ban {name} 5s enough")
        case "unban":
            await client.command(own, f"/unban {name}")
        case "invite":
            await client.command(own, f"/invite {name}")
        case "topic":
            await client.command(own, f"/topic about {chance.randint(1, 99)}")
        case "silence":
            await client.command(own, f"/timeout {name} {chance.choice(('3s', 'off'))}")
        case "promote":
            await client.command(own, f"/{chance.choice(('op', 'deop'))} {name}")
        case "private":
            await client.command(own, f"/private {chance.choice(('on', 'off'))}")
        case "slow":
            await client.command(own, f"/slow {chance.choice(('1s', 'off'))}")
        case "away":
            await client.command("lobby", chance.choice(("/away lunch", "/back")))
        case "users":
            await client.command("lobby", "/users")
        case "quit":
            await client.command("lobby", "/quit bye")
        case "close":
            link.close()
        case "cut":
            link.cut()
        case "freeze":
            link.freeze()
            await asyncio.sleep(chance.choice((0.5, 5.0, 20.0)))
            link.thaw()
        case "stall":
            link.stall()
            client.was_stalled = True
            await asyncio.sleep(chance.choice((0.5, 5.0, 15.0)))
            link.resume()


def _say(client: JsonClient, room: str) -> None:
    client.spoken += 1
    text = f"{client.name}#{client.spoken}"
    client.say(room, text, text)


async def _read(client: JsonClient, room: str) -> None:
    user_id = client.user_id
    answer = await client.request("read", room=room, seq=client.last.get(room, 0))
    if user_id is not None:
        key = (user_id, room)
        client.ledger.read[key] = max(client.ledger.read.get(key, 0), answer["seq"])


async def _use_both_tabs(client: JsonClient, chance: random.Random, own: str) -> None:
    """Sync in one tab while the other one changes the person's rooms."""
    other = chance.choice(client.person.clients)
    if other is client or not other.is_synced:
        return
    joins = own == "lobby" or chance.random() < 0.5
    change = other.ask(
        "command", room=own, text=f"/join {chance.choice(ROOMS)}" if joins else "/leave"
    )
    await asyncio.sleep(chance.uniform(0.0, 0.03))
    await client.sync()
    with suppress(Lost, Refusal):
        await change


async def _lie(client: JsonClient, chance: random.Random, room: str) -> None:
    positions = dict(client.last)
    epoch = client.epoch
    for one in positions:
        positions[one] = max(0, positions[one] + chance.choice((-30, -3, -1, 0, 1, 1000)))
    if chance.random() < 0.3:
        epoch = "another"
    if chance.random() < 0.2:
        positions["nowhere"] = 7
    if chance.random() < 0.3:
        positions.pop(room, None)
    await client.sync(positions, epoch)


async def act_at_terminal(client: TextClient, names: list[str]) -> None:
    """Type one line, or go."""
    chance = client.chance
    link = client.link
    assert link is not None
    what = chance.choices(
        ("say", "join", "leave", "direct", "quit", "cut", "stall"), (12, 2, 1, 2, 1, 1, 1)
    )[0]
    client.ledger.count(f"types {what}")
    match what:
        case "say":
            client.spoken += 1
            client.say(f"{client.name}#{client.spoken}")
        case "join":
            client.type(f"/join {chance.choice(ROOMS)}")
        case "leave":
            client.type("/leave")
        case "direct":
            client.spoken += 1
            text = f"{client.name}#{client.spoken}"
            client.reading.own.add(text)
            client.type(f"/msg {chance.choice(names)} {text}")
        case "quit":
            client.type("/quit see you")
            await asyncio.sleep(1.0)
        case "cut":
            link.cut()
        case "stall":
            link.stall()
            await asyncio.sleep(chance.choice((0.5, 3.0)))
            link.resume()
