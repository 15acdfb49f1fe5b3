"""Files of tensors and plain values: checksummed, bounded, and read without running any code.

A file is a line with its kind and the sha256 of the rest, followed by the output of torch.save. Its size and first line
are checked before anything else is read, and its checksum before torch parses it with `weights_only`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from reproduce.errors import InputError
from reproduce.files import replacing

MAX_BYTES = 8 << 30
MAX_PICKLE = 256 << 20  # bytes of all that is not a tensor


def write(place: Path, kind: str, content: dict[str, Any]) -> None:
    """Write a file atomically. Raises InputError if the disk is full or the folder is not writable."""
    whole = io.BytesIO()  # torch's own file writer hides why a write failed
    torch.save(content, whole)
    with replacing(place) as temporary, temporary.open("wb") as stream:
        stream.write(_head(kind) + hashlib.sha256(whole.getbuffer()).hexdigest().encode() + b"\n")
        stream.write(whole.getbuffer())


def read(place: Path, kind: str, remedy: str) -> dict[str, Any]:
    """Read a file, with all tensors on the CPU.

    Args:
        remedy: what to do about a broken file, for the error message.

    Raises:
        InputError: the file is absent, of another kind, too large, or changed after it was written.
    """
    head = _head(kind)
    try:
        if not place.is_file():
            raise InputError(f"{place}: no {kind} is there")
        with place.open("rb") as stream:
            first = stream.read(len(head) + 65)
            if not first.startswith(head) or place.stat().st_size > MAX_BYTES:
                raise InputError(f"{place}: not a {kind} of this suite; {remedy}")
            whole = stream.read()
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({error.strerror or error})") from error
    if first[len(head) :] != hashlib.sha256(whole).hexdigest().encode() + b"\n":
        raise InputError(f"{place}: not a whole {kind}: its checksum is of another content; {remedy}")
    try:
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("packed")  # torch packs nothing, and packed data may unpack to any size
        if sum(member.file_size for member in members) > len(whole):
            raise ValueError("members that overlap")
        if any(member.file_size > MAX_PICKLE for member in members if member.filename.endswith(".pkl")):
            raise ValueError("too many objects")
        content = torch.load(io.BytesIO(whole), map_location="cpu", weights_only=True)
        if type(content) is not dict:
            raise ValueError("no dict")
        return content
    except Exception as error:  # torch's parser may raise anything
        raise InputError(f"{place}: not a {kind} of this suite ({type(error).__name__}); {remedy}") from error


def _head(kind: str) -> bytes:
    return f"session-rec {kind} 1 sha256 ".encode()
