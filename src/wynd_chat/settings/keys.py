"""`KEYS`: every setting by its full name ("server.port"), as one table read from the models.

Decides the names that sources use, and which keys a running server can take over. What a value
must be is written at the models and is only collected here.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import MISSING, dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_type_hints

from wynd_chat.domain.limits import ChatLimits
from wynd_chat.settings.model import Settings
from wynd_chat.settings.parsing import as_count

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENV_PREFIX", "KEYS", "SECTIONS", "Key", "limit_value"]

ENV_PREFIX = "WYND_CHAT__"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting."""

    name: str
    """Section and key, "server.port"."""
    default: Any
    description: str
    expects: str
    """What its value must be, as the end of "must be ..."."""
    flag: str | None
    """The option of the command line, "--port"."""
    is_live: bool
    """Whether a running server takes over a change."""
    is_secret: bool
    """Never shown; the environment may name a file that holds it."""

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return ENV_PREFIX + self.name.upper().replace(".", "__")


def limit_value(name: str, value: Any) -> Any:
    """Turn what a source wrote for a limit into what `ChatLimits` takes.

    Raises:
        ValueError: no number, or None where the limit cannot be switched off.
    """
    hint = str(_LIMIT_HINTS[name])
    if value is None or (isinstance(value, str) and value.strip().lower() in ("off", "none")):
        if "None" not in hint:
            raise ValueError(value)
        return None
    if "float" in hint and "int" not in hint:
        if isinstance(value, bool):
            raise ValueError(value)
        return float(value)
    if "bool" in hint:
        raise ValueError(value)
    return as_count(value)


def _model_keys() -> dict[str, Key]:
    keys = {}
    for section, holder in Settings.model_fields.items():
        if section == "limits":
            keys.update(_limit_keys())
            continue
        for name, field in type(holder.default).model_fields.items():
            extra: Any = field.json_schema_extra
            keys[f"{section}.{name}"] = Key(
                name=f"{section}.{name}",
                default=field.default,
                description=field.description or "",
                expects=extra["expects"],
                flag=extra["flag"],
                is_live=extra["is_live"],
                is_secret=extra["is_secret"],
            )
    return keys


def _limit_keys() -> dict[str, Key]:
    texts = _field_docstrings(ChatLimits)
    keys = {}
    for field in fields(ChatLimits):
        hint = str(_LIMIT_HINTS[field.name])
        kind = "a number" if "float" in hint else "a whole number"
        off = ', or "off"' if "None" in hint else ""
        keys[f"limits.{field.name}"] = Key(
            name=f"limits.{field.name}",
            default=None if field.default is MISSING else field.default,
            description=texts.get(field.name, ""),
            expects=f"{kind} above 0{off}",
            flag=None,
            is_live=False,  # handed to buckets, listeners and the engine when they are made
            is_secret=False,
        )
    return keys


def _field_docstrings(holder: type) -> dict[str, str]:
    """Read the strings below the fields of a class; without its source there are none."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(holder)))
    except (OSError, TypeError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    texts = {}
    for field, text in pairwise(body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            texts[field.target.id] = " ".join(str(text.value.value).split())
    return texts


_LIMIT_HINTS: dict[str, Any] = get_type_hints(ChatLimits)
KEYS: Mapping[str, Key] = _model_keys()
SECTIONS: tuple[str, ...] = tuple(Settings.model_fields)
