"""How a native module is loaded, read from the ELF file itself (System V ABI, gABI 4.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["Hardening", "hardening_of"]

PT_DYNAMIC, PT_GNU_STACK, PT_GNU_RELRO = 2, 0x6474E551, 0x6474E552
PF_X = 1
DT_TEXTREL, DT_RPATH, DT_BIND_NOW, DT_RUNPATH, DT_FLAGS, DT_FLAGS_1 = 22, 15, 24, 29, 30, 0x6FFFFFFB
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW = 4, 8, 1
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
ENTRY = struct.Struct("<QQ")


@dataclass(frozen=True)
class Hardening:
    """What stands in the way of who has found a flaw."""

    has_relro: bool
    """Tables of the loader become read-only."""
    binds_now: bool
    """All of them: no function is looked up later."""
    has_executable_stack: bool
    writes_text: bool
    """Code is patched when it is loaded."""
    searches_elsewhere: bool
    """Names folders in which libraries are looked for."""


def hardening_of(module: bytes) -> Hardening:
    """Read a 64-bit little-endian ELF file."""
    assert module[:6] == b"\x7fELF\x02\x01", "no 64-bit little-endian ELF file"
    header = HEADER.unpack_from(module)
    start, size, count = header[5], header[9], header[10]
    segments = [SEGMENT.unpack_from(module, start + size * number) for number in range(count)]
    kinds = {segment[0] for segment in segments}
    dynamic = _dynamic(module, next(one for one in segments if one[0] == PT_DYNAMIC))
    flags, flags_1 = dynamic.get(DT_FLAGS, 0), dynamic.get(DT_FLAGS_1, 0)
    stacks = [segment[1] for segment in segments if segment[0] == PT_GNU_STACK]
    return Hardening(
        has_relro=PT_GNU_RELRO in kinds,
        binds_now=bool(flags & DF_BIND_NOW or flags_1 & DF_1_NOW or DT_BIND_NOW in dynamic),
        has_executable_stack=not stacks or bool(stacks[0] & PF_X),
        writes_text=DT_TEXTREL in dynamic or bool(flags & DF_TEXTREL),
        searches_elsewhere=DT_RPATH in dynamic or DT_RUNPATH in dynamic,
    )


def _dynamic(module: bytes, segment: tuple[int, ...]) -> dict[int, int]:
    """Return the dynamic section's entries by their tags."""
    offset, size = segment[2], segment[5]
    return dict(ENTRY.iter_unpack(module[offset : offset + size - size % ENTRY.size]))
