"""Several `Wynd` applications on one native engine: which takes an upgrade, and whose rooms.

Every mount sees the engine through a `MountedEngine`. With one mount everything passes through as
it is. With several, room names get the mount's number in front, and a broadcast goes to a room of
all its open connections, so that neither rooms nor broadcasts mix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import compile_path

from wynd.engines.base import Engine, EngineStatistics, Opcode, Payload, Policy
from wynd.request import Accept, Response

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from wynd.app import Wynd
    from wynd.engines.base import Address, ListenerOptions, QuickPath, Sink
    from wynd.engines.native import NativeEngine
    from wynd.request import Request

__all__ = ["Mount", "MountedEngine", "Mounts", "QuickPaths"]

ADDED_ROOM_BYTES = 8
"""By how much the names of rooms grow: the number, and a slash."""

_FORBIDDEN = Response("This Origin is not allowed.\n", status=403)


class MountedEngine(Engine):
    """The shared engine, as one of its applications sees it."""

    name = "native"

    def __init__(self, engine: NativeEngine, wynd: Wynd, number: int, alone: bool) -> None:
        super().__init__(wynd.limits, wynd._origins, wynd._subprotocols, wynd._compression)
        self._engine = engine
        self._prefix = "" if alone else f"{number}/"
        self._all = None if alone else str(number)  # no name of a room: those have the slash
        self._agreed: dict[int, str | None] = {}
        self.sink: Sink | None = None

    @property
    def quick_path(self) -> QuickPath | None:
        """The application's, where it has one."""
        return getattr(self.sink, "quick_path", None)

    @property
    def core(self) -> object | None:  # type: ignore[override]
        """The shared engine's."""
        return self._engine.core

    def start(self, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        self.sink = sink
        # As in the engine: every message takes these calls.
        self.send = self._engine.send  # type: ignore[method-assign]

    async def listen(self, listener: int, options: ListenerOptions) -> tuple[Address, ...]:
        raise RuntimeError("this Wynd is mounted; its host listens")

    def reload_certificates(self) -> None:
        """Nothing: the host reloads those of its listeners."""

    async def stop_listening(self, listener: int) -> None:
        """Nothing: the host's listeners are not this application's."""

    async def stop(self) -> None:
        """Nothing: the host stops the engine when all have ended."""

    def offer(self, key: int, request: Request) -> Request | None:
        """Put an upgrade to the application; None if its Origin forbids it."""
        assert self.sink is not None  # started before the listener opened
        if not self.origins.allows(request.origin, request.host, request.secure):
            self._engine.respond(key, _FORBIDDEN)
            return None
        spoken = self.subprotocols
        offered = request.subprotocols if spoken else ()
        self._agreed[key] = next((name for name in offered if name in spoken), None)
        self.sink.requested(key, 0, request)
        return request

    def forget(self, key: int) -> None:
        """Forget what was agreed on."""
        self._agreed.pop(key, None)

    def accept(self, key: int, accept: Accept) -> None:
        agreed = accept.subprotocol or self._agreed.pop(key, None)
        self._engine.accept(key, Accept(accept.headers, agreed))

    def respond(self, key: int, response: Response) -> None:
        self._engine.respond(key, response)

    def send(self, key: int, opcode: Opcode, payload: Payload) -> int:
        return self._engine.send(key, opcode, payload)

    def publish(
        self,
        room: str | None,
        opcode: Opcode,
        payload: Payload,
        *,
        exclude: int | None = None,
        key: str | None = None,
        droppable: bool = False,
    ) -> None:
        target = self._all if room is None else self._prefix + room
        self._engine.publish(target, opcode, payload, exclude=exclude, key=key, droppable=droppable)

    def join(self, key: int, room: str) -> None:
        self._engine.join(key, self._prefix + room)

    def leave(self, key: int, room: str) -> None:
        self._engine.leave(key, self._prefix + room)

    def admit(self, key: int) -> None:
        if self._all is None:
            self._engine.admit(key)
        else:
            self._engine.join(key, self._all)

    def room_policy(self, pattern: str, policy: Policy) -> None:
        self._engine.room_policy(self._prefix + pattern, policy)

    def ping(self, key: int, payload: bytes) -> bool:
        return self._engine.ping(key, payload)

    def close(self, key: int, code: int, reason: str) -> None:
        self._engine.close(key, code, reason)

    def abort(self, key: int) -> None:
        self._engine.abort(key)

    def pause_reading(self, key: int) -> None:
        self._engine.pause_reading(key)

    def resume_reading(self, key: int) -> None:
        self._engine.resume_reading(key)

    def buffered_bytes(self, key: int) -> int:
        return self._engine.buffered_bytes(key)

    def statistics(self) -> EngineStatistics:
        """Return the counters of the whole engine, all mounts and HTTP together."""
        return self._engine.statistics()


class QuickPaths:
    """The quick paths of several applications as one; see `engines.base.QuickPath`.

    Args:
        paths: those of applications that share an engine and its loop.
    """

    def __init__(self, paths: Sequence[QuickPath]) -> None:
        self._paths = paths
        self._of: dict[int, QuickPath] = {}
        self._lanes: dict[int, Any] = {}

    def path(self) -> QuickPath:
        """Return the one the engine takes."""
        return self._paths[0]._replace(
            lanes=self._lanes,
            follow=lambda lane, *more: self._of[lane.handle._key].follow(lane, *more),
            suspended=lambda lane, *more: self._of[lane.handle._key].suspended(lane, *more),
            failed=lambda lane, *more: self._of[lane.handle._key].failed(lane, *more),
            watch=self._watch,
        )

    def _watch(self, changed: Callable[[], object]) -> None:
        for path in self._paths:
            path.watch(changed)

    def opened(self, key: int, path: QuickPath | None) -> None:
        """Take up a connection whose application has made its lane."""
        lane = None if path is None else path.lanes.get(key)
        if path is not None and lane is not None:
            self._of[key] = path
            self._lanes[key] = lane

    def closed(self, key: int) -> None:
        """Forget a connection."""
        self._of.pop(key, None)
        self._lanes.pop(key, None)


class Mount:
    """One application and the paths it takes.

    Args:
        template: a path, exact but for `{name}` (one segment) and `{name:path}` (the rest).

    Raises:
        ValueError: it does not begin with a slash, or names a parameter twice.
    """

    def __init__(self, template: str, wynd: Wynd) -> None:
        if not template.startswith("/"):
            raise ValueError(f"a mount's path begins with a slash; {template!r} does not")
        self.template = template
        self.wynd = wynd
        self.engine: MountedEngine | None = None
        self._pattern, _, self._convertors = compile_path(template)

    def match(self, path: str) -> Mapping[str, Any] | None:
        """Return what the template takes from a path, None if it does not match."""
        if not self._convertors:
            return {} if path == self.template else None
        found = self._pattern.match(path)
        if found is None:
            return None
        return {key: self._convertors[key].convert(text) for key, text in found.groupdict().items()}


class Mounts:
    """All mounts of a host. The first that matches takes an upgrade, in the order they were given.

    Args:
        mounts: template → application; an application may stand at several templates.

    Raises:
        ValueError: applications with different limits or compression, since they share one engine.
    """

    def __init__(self, mounts: Mapping[str, Wynd]) -> None:
        self.all: list[Mount] = [Mount(template, wynd) for template, wynd in mounts.items()]
        self.applications: list[Wynd] = list(dict.fromkeys(mounts.values()))
        limits = [wynd.limits for wynd in self.applications]
        if any(one != limits[0] for one in limits):
            raise ValueError("applications on one port share its limits; give them the same Limits")
        if len({wynd._compression for wynd in self.applications}) > 1:
            raise ValueError("applications on one port share its compression; give them the same")
        for wynd in self.applications:
            if wynd._engine_choice == "portable":
                raise ValueError('engine="portable" cannot be mounted on the native engine')

    def start(self, engine: NativeEngine, loop: asyncio.AbstractEventLoop) -> list[MountedEngine]:
        """Start every application on the engine; return what they see of it."""
        engines: list[MountedEngine] = []
        alone = len(self.applications) == 1
        for number, wynd in enumerate(self.applications):
            mounted = MountedEngine(engine, wynd, number, alone)
            wynd._mount_on(mounted, loop)
            engines.append(mounted)
            for mount in self.all:
                if mount.wynd is wynd:
                    mount.engine = mounted
        return engines

    def find(self, path: str) -> tuple[Mount, Mapping[str, Any]] | None:
        """Return the mount that takes a path, and the path's parameters."""
        for mount in self.all:
            params = mount.match(path)
            if params is not None:
                return mount, params
        return None
