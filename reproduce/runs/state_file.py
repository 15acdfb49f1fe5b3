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


def write(place: Path, kind: str, content: dict[str, Any]) -> None:
    """Write a file atomically. Raises InputError if the disk is full or the folder is not writable."""
    whole = io.BytesIO()  # torch's own file writer hides why a write failed
    torch.save(content, whole)
    with replacing(place) as temporary, temporary.open("wb") as stream:
        stream.write(_head(kind, whole.getbuffer()))
        stream.write(whole.getbuffer())


def read(place: Path, kind: str, remedy: str) -> dict[str, Any]:
    """Read a file, with all tensors on the CPU.

    Args:
        remedy: what to do about a broken file, for the error message.

    Raises:
        InputError: the file is absent, of another kind, too large, or changed after it was written.
    """
    try:
        if not place.is_file():
            raise InputError(f"{place}: no {kind} is there")
        with place.open("rb") as stream:
            first = stream.readline(200)
            if not first.startswith(_head(kind, b"")[:-65]) or place.stat().st_size > MAX_BYTES:
                raise InputError(f"{place}: not a {kind} of this suite; {remedy}")
            whole = stream.read()
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({error.strerror or error})") from error
    if first != _head(kind, whole):
        raise InputError(f"{place}: not a whole {kind}: its checksum is of another content; {remedy}")
    try:
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            members = archive.infolist()
        # torch packs nothing: packed data, or members that overlap, could unpack to any size.
        if any(member.compress_type for member in members) or sum(m.file_size for m in members) > len(whole):
            raise ValueError("packed")
        return dict(torch.load(io.BytesIO(whole), map_location="cpu", weights_only=True))
    except Exception as error:  # torch's parser may raise anything
        raise InputError(f"{place}: not a {kind} of this suite ({type(error).__name__}); {remedy}") from error


def _head(kind: str, content: bytes | memoryview) -> bytes:
    return f"session-rec {kind} 1 sha256 {hashlib.sha256(content).hexdigest()}\n".encode()
