"""Where the portable engine's outcome is the host server's: uvicorn's, on h11 and wsproto.

Group and name of a case → what is seen instead of the right outcome.
"""

from __future__ import annotations

from tests.conformance.frames import FRAME_CASES

__all__ = ["HOST"]

HOST: dict[tuple[str, str], str] = {
    ("accepted", "several protocols in Upgrade"): "426 instead of 101",
    ("refused", "POST"): "400 instead of 405",
    ("refused", "HTTP/1.0"): "101 instead of 505",
    ("refused", "HTTP/2.0"): "101 instead of 505",
    ("refused", "version 13 twice"): "101 instead of 426",
    ("refused", "no version"): "400 instead of 426",
    ("refused", "two keys"): "101 instead of 400",
    ("refused", "a key of 15 bytes"): "101 instead of 400",
    ("refused", "a key of 17 bytes"): "101 instead of 400",
    ("refused", "a key without padding"): "101 instead of 400",
    ("refused", "a key that is no base64"): "101 instead of 400",
    ("refused", "a key with spare bits"): "101 instead of 400",
    ("refused", "an empty Host"): "101 instead of 400",
    ("refused", "a Host with a space"): "101 instead of 400",
    ("refused", "a subprotocol that is no token"): "101 instead of 400",
    ("refused", "a subprotocol twice"): "101 instead of 400",
    ("refused", "extensions that end in a semicolon"): "101 instead of 400",
    ("refused", "an extension's value without end"): "101 instead of 400",
    ("body", "an upgrade with a body"): "101 instead of 400",
    ("body", "a chunked upgrade"): "101 instead of 400",
    ("body", "length and coding"): "101 instead of 400",
    ("head", "bare LF"): "101 instead of 400",
    ("head", "one bare LF"): "101 instead of 400",
    ("head", "a folded field"): "101 instead of 400",
    ("head", "a control byte in a field"): "101 instead of 400",
    ("head", "a target that is no path"): "101 instead of 400",
    ("head", "a fragment in the target"): "101 instead of 400",
    ("head", "a field of 17 KiB"): "101 instead of 431",
    ("head", "101 fields"): "101 instead of 431",
    ("head", "a first line of 17 KiB"): "101 instead of 431",
    ("length", "1 TiB announced"): "nothing instead of close 1009",
    ("length", "a byte more announced"): "nothing instead of close 1009",
    ("fragments", "one too many"): "text 'first' instead of close 1008",
    ("close codes", "1014"): "close 1002 instead of close 1014",
    ("order", "a message, then a close, at once"): "close 1000 instead of text 'first'",
    ("order", "a message, then broken framing, at once"): "close 1002 instead of text 'first'",
    ("order", "a message, then impossible UTF-8, at once"): "close 1007 instead of text 'first'",
    **{
        (case.group, case.name): "does not speak permessage-deflate"
        for case in FRAME_CASES
        if case.deflate
    },
}
