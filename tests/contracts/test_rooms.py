"""Rooms and broadcasts, over both engines."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.contracts.peers import EngineName, Log, connect, eventually, serving
from wynd import (
    CloseEvent,
    ConnectionHandle,
    LimitExceeded,
    Limits,
    Policy,
    Prepared,
    TextMessage,
    Wynd,
)


class Chat:
    """A server whose clients command their own handle: `join r`, `text r message`, ..."""

    def __init__(self, engine: EngineName, **options: Any) -> None:
        self.wynd = Wynd(engine=engine, **options)
        self.handles: list[ConnectionHandle] = []
        self.wynd.on_open(self.handles.append)
        self.wynd.on_text(self.command)

    async def command(self, message: TextMessage, handle: ConnectionHandle) -> None:
        verb, *words = message.data.split(" ", 2)
        match verb, words:
            case "join", [room]:
                await handle.join(room)
            case "leave", [room]:
                await handle.leave(room)
            case "text", [room, text]:
                await handle.to(room).text(text)
            case "emit", [room, text]:
                await handle.to(room).emit_text(text)
            case _:
                raise AssertionError(message.data)
        await handle.send_text("done")


async def say(client: Any, *commands: str) -> None:
    """Give commands and read to the last one's "done", which must be the only answers."""
    for command in commands:
        await client.send(command)
        assert await client.recv() == "done"


async def test_a_room_reaches_its_members_only(engine: EngineName) -> None:
    chat = Chat(engine)
    async with serving(chat.wynd) as port, AsyncExitStack() as stack:
        a, b, outsider = [await stack.enter_async_context(connect(port)) for _ in range(3)]
        await say(a, "join red")
        await say(b, "join red")
        await say(outsider, "join blue", "text red hello")
        assert [await a.recv(), await b.recv()] == ["hello", "hello"]
        await say(outsider, "leave blue")


async def test_text_leaves_the_sender_out_and_emit_does_not(engine: EngineName) -> None:
    chat = Chat(engine)
    async with serving(chat.wynd) as port, connect(port) as a, connect(port) as b:
        await say(a, "join red")
        await say(b, "join red", "text red others")
        assert await a.recv() == "others"
        await b.send("emit red all")
        assert [await b.recv(), await b.recv()] == ["all", "done"]
        assert await a.recv() == "all"


async def test_joining_twice_is_joining_once(engine: EngineName) -> None:
    chat = Chat(engine)
    async with serving(chat.wynd) as port, connect(port) as a, connect(port) as b:
        await say(a, "join red", "join red")
        assert chat.handles[0].joined_rooms == {"red"}
        await say(b, "text red once", "text red twice")
        assert [await a.recv(), await a.recv()] == ["once", "twice"]
        await say(a, "leave red")
        await say(b, "text red gone")
        await say(a, "join blue")  # nothing of "gone" arrived before


async def test_leaving_without_joining_is_no_error(engine: EngineName) -> None:
    chat = Chat(engine)
    async with serving(chat.wynd) as port, connect(port) as a:
        await say(a, "leave red", "join red", "leave red", "leave red")
        assert chat.handles[0].joined_rooms == frozenset()


async def test_unknown_rooms_and_strangers_break_nothing(engine: EngineName) -> None:
    chat = Chat(engine)
    async with serving(chat.wynd) as port, connect(port) as member, connect(port) as stranger:
        await say(member, "join red")
        for number in range(1000):
            chat.handles[1].to(f"nobody-{number}").text("lost")
            chat.handles[1].to("red").text(str(number))
        assert [await member.recv() for _ in range(1000)] == [str(n) for n in range(1000)]
        await say(stranger, "join red", "leave red")


async def test_names_that_differ_in_case_are_different_rooms(engine: EngineName) -> None:
    chat = Chat(engine)
    async with serving(chat.wynd) as port, connect(port) as a, connect(port) as b:
        await say(a, "join Red")
        await say(b, "join red", "text red lower", "text Red upper")
        assert await a.recv() == "upper"


async def test_any_text_names_a_room(engine: EngineName) -> None:
    names = ["", " ", "*", "a/b", "ü🌍", "\x00", "x" * 255]
    wynd = Wynd(engine=engine)

    @wynd.on_open
    def opened(handle: ConnectionHandle) -> None:
        for name in names:
            handle.join(name)

    async with serving(wynd) as port, connect(port) as client:
        await eventually(lambda: wynd.clients())
        for name in names:
            wynd.to(name).text(f"to {name}")
            assert await client.recv() == f"to {name}"
        assert wynd.statistics().rooms == len(names)


async def test_all_members_see_a_room_in_one_order(engine: EngineName) -> None:
    chat = Chat(engine)
    async with serving(chat.wynd) as port, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(port)) for _ in range(4)]
        for client in clients:
            await say(client, "join red")
        for number in range(200):
            chat.handles[number % 4].to("red").emit_text(f"{number}")
            if number % 50 == 0:
                chat.wynd.to("red").binary(b"%d" % number)
        seen = [[await client.recv() for _ in range(204)] for client in clients]
        assert all(one == seen[0] for one in seen)
        assert [text for text in seen[0] if isinstance(text, str)] == [str(n) for n in range(200)]


async def test_membership_follows_the_order_of_calls(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)

    @wynd.on_open
    def opened(handle: ConnectionHandle) -> None:
        handle.to("red").emit_text("before")
        handle.join("red")
        handle.to("red").emit_text("inside")
        handle.leave("red")
        handle.to("red").emit_text("after")
        handle.send_text("end")

    async with serving(wynd) as port, connect(port) as client:
        assert [await client.recv(), await client.recv()] == ["inside", "end"]


async def test_broadcast_reaches_every_open_connection(engine: EngineName) -> None:
    chat = Chat(engine)
    async with serving(chat.wynd) as port, connect(port) as a, connect(port) as b:
        await eventually(lambda: len(chat.wynd.clients()) == 2)
        chat.wynd.broadcast.text("to all")
        chat.handles[0].broadcast.text("not me")
        chat.handles[0].broadcast.emit_binary(b"me too")
        assert [await a.recv(), await a.recv()] == ["to all", b"me too"]
        assert [await b.recv() for _ in range(3)] == ["to all", "not me", b"me too"]


async def test_clients_are_listed_oldest_first(engine: EngineName) -> None:
    chat = Chat(engine)
    async with serving(chat.wynd) as port:
        async with connect(port) as a, connect(port) as b:
            await say(a, "join red")
            await say(b, "join red")
            assert chat.wynd.clients() == chat.handles == chat.handles[0].clients()
            assert [handle.id for handle in chat.handles] == [1, 2]
        await eventually(lambda: chat.wynd.clients() == [])
        assert chat.wynd.connection(1) is None


async def test_the_closed_have_left_before_on_close_runs(engine: EngineName) -> None:
    seen = Log()
    chat = Chat(engine)

    @chat.wynd.on_disconnect
    def gone(event: CloseEvent, handle: ConnectionHandle) -> None:
        rooms = chat.wynd.statistics().rooms
        seen.append((handle.joined_rooms, rooms, handle in chat.wynd.clients()))
        handle.to("red").text("left")

    async with serving(chat.wynd) as port, connect(port) as stays:
        await say(stays, "join red")
        async with connect(port) as leaves:
            await say(leaves, "join red", "join blue")
        assert await stays.recv() == "left"
        assert await seen.length(1) == [({"red", "blue"}, 1, False)]


async def test_leave_all_rooms_leaves_all(engine: EngineName) -> None:
    chat = Chat(engine)
    async with serving(chat.wynd) as port, connect(port) as a:
        await say(a, "join red", "join blue")
        chat.handles[0].leave_all_rooms()
        assert chat.handles[0].joined_rooms == frozenset()
        chat.wynd.to("red").text("nobody hears")
        await say(a, "leave red")
        assert chat.wynd.statistics().rooms == 0


async def test_limits_of_rooms_raise_at_the_call(engine: EngineName) -> None:
    chat = Chat(engine, limits=Limits(rooms_per_connection_max=2, room_name_bytes_max=4))
    async with serving(chat.wynd) as port, connect(port) as a:
        await say(a, "join one", "join two", "join two")
        handle = chat.handles[0]
        with pytest.raises(LimitExceeded, match="rooms_per_connection_max is 2"):
            handle.join("more")
        with pytest.raises(LimitExceeded, match="room_name_bytes_max is 4"):
            handle.to("ü" * 3)
        handle.leave("one")
        handle.join("more")
        assert handle.joined_rooms == {"two", "more"}


async def test_publishing_takes_keys_droppable_and_prepared(engine: EngineName) -> None:
    wynd = Wynd(engine=engine)
    wynd.room_policy("ticker.*", Policy.latest)
    wynd.on_open(lambda handle: handle.join("ticker.gold"))
    async with serving(wynd) as port, connect(port) as client:
        await eventually(lambda: wynd.clients())
        wynd.to("ticker.gold").text("1", key="gold", droppable=True)
        assert await client.recv() == "1"
        wynd.to("ticker.gold").emit_binary(Prepared(b"2"), key="gold")
        assert await client.recv() == b"2"
