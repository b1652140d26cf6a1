"""`python -m tests.simulation SEED`: replay one seed and print its trace."""

from __future__ import annotations

import sys

from tests.simulation.world import simulate

if __name__ == "__main__":
    outcome = simulate(int(sys.argv[1]), keeps_lines=True)
    verdict = outcome.problems or ["nothing was wrong"]
    sys.stdout.write("\n".join([*outcome.lines, f"hash {outcome.hash}", *verdict, ""]))
    sys.exit(bool(outcome.problems))
