"""`ChatLimits`: how much and how often people may do something here; the settings `limits.*`.

A frozen value that is passed in, each number with its reason. Windows and rates are carried out by
`ratelimit`; the limits of the protocol below (outboxes, pings, …) are the library's own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["ChatLimits"]

KIB = 1024
MIB = 1024 * KIB
UTF8_MAX = 4  # bytes of one code point


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatLimits:
    """Bounds of one chat. Bytes are bytes, characters are code points; None switches a limit off.

    Raises:
        TypeError: an unknown name or a value of the wrong type.
        ValueError: a value that is not positive, or bounds that contradict each other.
    """

    messages_burst: int = 10
    """Messages of a user at once; a pasted handful of lines passes, a file does not."""
    messages_per_second: float = 2.0
    """Messages of a user in the long run; nobody types faster."""
    commands_burst: int = 20
    """Other commands of a user at once."""
    commands_per_second: float = 5.0
    """Other commands of a user in the long run; a page asks several at once when it opens."""
    frames_burst: int = 30
    """Frames of a connection at once, whatever they are; both bursts above fit."""
    frames_per_second: float = 5.0
    """Frames of a connection in the long run."""
    joins_per_minute: int = 10
    """Rooms a user may join in a minute; each join is an event that others read."""
    new_directs_per_hour: int = 10
    """People a guest, or an account of the first day, may write to for the first time."""
    uploads_per_minute: int = 10
    """Files a user may upload in a minute; one message holds as many."""
    upload_bytes_max: int = 25 * MIB
    """One file; what mail servers take too."""
    upload_bytes_per_day_max: int = 500 * MIB
    """All files of a user in a day; bounds how fast anybody can fill the disk."""
    files_per_message_max: int = 10
    """Files of one message; more do not fit on a screen."""
    file_name_bytes_max: int = 200
    """UTF-8 bytes that are kept of a file's name; file systems take 255 with what we add."""
    disk_free_bytes_min: int = 512 * MIB
    """Free disk below which uploads are refused (507): messages must still be stored."""
    upload_parts_max: int = 32
    """Parts of a multipart request; ten files and some fields."""
    upload_part_head_bytes_max: int = 16 * KIB
    """Headers of one part."""
    upload_pending_s: int = 3600
    """How long a file waits for its message before it is removed."""
    ranges_max: int = 100
    """Ranges of one request for a file; more is an attack (CVE-2011-3192), not a video player."""
    logins_per_3_minutes: int = 10
    """Tries to log in of one address, and for one account; with passwords of 15 characters,
    guessing is hopeless."""
    registrations_per_hour: int = 30
    """New accounts of one address; a class in one room registers within the hour."""
    connections_max: int = 10_000
    """Open connections; also bounded by the file descriptors. More get 503 with `Retry-After`."""
    connections_per_address_max: int | None = 256
    """Open connections of one address (IPv6: one /64), loopback exempt; an office behind one
    address fits. More get 429."""
    new_connections_per_10_seconds: int | None = 64
    """New connections of one address, loopback exempt; such an office reconnects in half a minute.
    More get 429 with `Retry-After`."""
    unnamed_s: int | None = 600
    """How long a connection may stay without a name; then 4010."""
    rooms_per_user_max: int = 200
    """Rooms a user may be in, direct conversations aside; each costs work at every connect."""
    rooms_created_per_day: int = 10
    """Rooms a user may make in a day; names are scarce."""
    message_chars_max: int = 8000
    """Characters of a message; above it the page offers a file."""
    topic_chars_max: int = 300
    """Characters of a topic; it stands in one line."""
    reason_chars_max: int = 200
    """Characters of a reason: for kicks, bans, leaving, being away."""
    frame_bytes_max: int = 64 * KIB
    """One frame of either face; more is 1009. The longest message fits in any script."""
    outbox_bytes_max: int = 1 * MIB
    """What may wait for one connection; then 4008, and the client asks for what it missed."""
    handshake_timeout_s: float = 5.0
    """From accept to the answered upgrade."""
    head_bytes_max: int = 16 * KIB
    """Request line and headers together; more is 431. Browsers stay below 8 KiB."""
    head_fields_max: int = 100
    """Headers of one request; more is 431."""

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name), str(field.type))
        if self.message_chars_max * UTF8_MAX > self.frame_bytes_max:
            raise ValueError(
                f"message_chars_max ({self.message_chars_max}) may need "
                f"{self.message_chars_max * UTF8_MAX} bytes, more than "
                f"frame_bytes_max ({self.frame_bytes_max}); lower it"
            )
        if self.upload_bytes_max > self.upload_bytes_per_day_max:
            raise ValueError(
                f"upload_bytes_max ({self.upload_bytes_max}) is above "
                f"upload_bytes_per_day_max ({self.upload_bytes_per_day_max}); lower it"
            )


def _check(name: str, value: object, kind: str) -> None:
    may_be_off = "None" in kind
    if value is None and may_be_off:
        return
    off = " or None" if may_be_off else ""
    wanted, words = ((int, float), "a number") if "float" in kind else ((int,), "an int")
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise TypeError(f"{name} must be {words}{off}, not {value!r}")
    if not 0 < value < float("inf"):
        off = "; None switches it off" if may_be_off else ""
        raise ValueError(f"{name} must be above 0, not {value!r}{off}")
