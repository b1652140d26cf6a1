"""Adds the native module `wynd._engine` to the build; everything else stands in pyproject.toml.

Decides when a missing or broken native build is an error: only with WYND_REQUIRE_NATIVE=1.
Otherwise the package installs without the module and runs on the portable engine.
"""

import os
import sys
from pathlib import Path

from setuptools import setup
from setuptools_rust import Binding, RustExtension

# What a crate brings along in C (cryptography) is compiled with the guards that C needs.
C_FLAGS = "-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"


def is_native_required() -> bool:
    """Tell whether the build must fail when the native module cannot be built."""
    value = os.environ.get("WYND_REQUIRE_NATIVE", "")
    if value not in ("", "0", "1"):
        raise SystemExit(f"WYND_REQUIRE_NATIVE is {value!r}; set it to 1 or 0, or unset it")
    return value == "1"


def build_environment() -> dict[str, str]:
    """Return the environment of the compilers: paths of this machine stay out of the binary.

    Panic messages name source files; those of the registry lie below the user's home. Our own are
    named from the workspace's root.
    """
    cargo_home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    given = os.environ.get("RUSTFLAGS", "")
    flags = f"{given} --remap-path-prefix={cargo_home}=/cargo".strip()
    c_flags = f"{C_FLAGS} {os.environ.get('CFLAGS', '')}".strip()  # what is given wins
    return {**os.environ, "RUSTFLAGS": flags, "CFLAGS": c_flags}


def rust_extensions() -> list[RustExtension]:
    """Return the native module, or nothing where the engine has no implementation."""
    if sys.platform == "win32":
        if is_native_required():
            raise SystemExit("WYND_REQUIRE_NATIVE=1, but there is no native engine for Windows")
        return []
    return [
        RustExtension(
            "wynd._engine",
            path="crates/wynd-python/Cargo.toml",
            binding=Binding.PyO3,
            optional=not is_native_required(),
            debug=False,  # editable installs too: an unoptimised engine misleads every measurement
            env=build_environment(),
        )
    ]


setup(rust_extensions=rust_extensions())
