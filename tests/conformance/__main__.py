"""The pack against any server that echoes: `python -m tests.conformance HOST:PORT`.

Prints what differs, case by case, and a count per group. Cases that stand for limits of this
project's own are left out unless `--ours` is given. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys

from tests.conformance.frames import FRAME_CASES
from tests.conformance.handshakes import HANDSHAKE_CASES
from tests.conformance.running import run_frames, run_handshake
from tests.conformance.wire import Server


async def run(server: Server, *, ours: bool, deflate: bool) -> list[tuple[str, str, str]]:
    """Run all cases one after another; return group, name and what was seen ("" is right)."""
    shaken = [
        (f"handshake: {case.group}", case.name, await run_handshake(server, case, ends=ours))
        for case in HANDSHAKE_CASES
        if ours or not case.is_ours
    ]
    framed = [
        (f"frames: {case.group}", case.name, await run_frames(server, case))
        for case in FRAME_CASES
        if (ours or not case.is_ours) and (deflate or not case.deflate)
    ]
    return shaken + framed


def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="tests.conformance", description=__doc__)
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--path", default="/")
    parser.add_argument("--tls", action="store_true", help="certificates are not checked")
    parser.add_argument("--ours", action="store_true", help="also the limits of this project")
    parser.add_argument(
        "--no-deflate", action="store_true", help="the server offers no compression"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON array instead")
    options = parser.parse_args()
    host, _, port = options.address.rpartition(":")
    context = None
    if options.tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    server = Server(host, int(port), options.path, context)
    found = asyncio.run(run(server, ours=options.ours, deflate=not options.no_deflate))
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        for group, name, seen in found:
            if seen:
                sys.stdout.write(f"{group}: {name}: {seen}\n")
        for group in dict.fromkeys(group for group, _, _ in found):
            of_group = [seen for other, _, seen in found if other == group]
            sys.stdout.write(f"{group}: {of_group.count('')} of {len(of_group)}\n")
    sys.exit(any(seen for _, _, seen in found))


if __name__ == "__main__":
    main()
