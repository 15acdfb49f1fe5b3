"""The content of a log's files: found, unpacked, and cut into blocks of whole lines of UTF-8."""

from __future__ import annotations

import bz2
import codecs
import glob
import gzip
import itertools
import lzma
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from reproduce.errors import InputError, in_a_line
from reproduce.files import exists, is_regular

BLOCK = 8 << 20  # bytes per read
LONGEST_LINE = 8 << 20  # bytes
BOMB = (256 << 20, 200)  # an archive that unpacks to more bytes than this, and to so many times its size, is no log
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
UNREADABLE = (".7z", ".rar", ".tar", ".tgz", ".lz4", ".br", ".z")
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
Source = Path | str | Sequence[Path | str]  # a file, a folder, a pattern, or a list of files


def parts(source: Source, endings: Sequence[str]) -> list[Path]:
    """List the files of a log.

    Args:
        source: a file; a folder or a pattern, whose files come by name, with numbers in order; or a list of files.
        endings: those of files in a folder that belong to the log, without that of the packing.

    Raises:
        InputError: there is no such file, or it is not a regular one.
    """
    if not isinstance(source, Path | str):
        files = [Path(file) for file in source]
    elif is_regular(Path(source)):
        files = [Path(source)]
    elif Path(source).is_dir():
        files = [file for file in Path(source).iterdir() if ending(file) in endings and file.name[0] not in "._"]
    else:
        files = [Path(file) for file in glob.glob(str(source))]  # noqa: PTH207 - patterns may be absolute
    if isinstance(source, Path | str):
        files.sort(key=_by_name)
    for file in files or [Path(str(source))]:
        if not is_regular(file) and exists(file) and not file.is_dir():
            raise InputError(f"{file}: a pipe or a device, expected a file; save its content to one")
        if not is_regular(file):
            raise InputError(f"{file}: no such file, or a folder without files of a log ({', '.join(endings)})")
        if ending(file) not in endings and file.suffix.lower() not in (".zip", *UNREADABLE):
            raise InputError(f"{file}: expected {', '.join(endings)}, also with {', '.join(PACKED)}, a .toml or a .py")
    return files


def _by_name(file: Path) -> list[str | int]:
    return [int(word) if i % 2 else word for i, word in enumerate(re.split("([0-9]+)", file.name))]


def ending(file: Path) -> str:
    """Return the ending of the unpacked file in lower case: .csv of CLICKS.CSV.gz, .parquet of p.parquet.snappy."""
    name = file.name.lower()
    for packing in PACKED:
        name = name.removesuffix(packing)
    return Path(name.removesuffix(".snappy")).suffix


def unpacked(file: Path, member: str = "*") -> Iterator[bytes]:
    """Yield the content of a file, unpacked, a few megabytes at a time.

    Args:
        member: a pattern for the file to read from a .zip that holds several.

    Raises:
        InputError: the file is absent, packed in a way that is not read, broken, or unpacks without end.
    """
    if (suffix := file.suffix.lower()) in UNREADABLE:
        raise InputError(f"{file}: a {suffix} is not read; unpack it in its folder, such as with `bsdtar -xf`")
    size, (most, times) = 0, BOMB
    try:
        with ExitStack() as stack:
            stream = _opened(file, member, stack)
            while block := stream.read(BLOCK):
                size += len(block)
                if size > most and size > times * file.stat().st_size:
                    raise InputError(f"{file}: unpacks to over {times} times its size; unpack it if it is a log")
                yield block
    except (InputError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    except Exception as error:  # a broken archive can make the unpackers raise anything
        why = in_a_line(getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__)
        raise InputError(
            f"{file}: cannot be read, or is broken or cut short ({why}); get a whole copy, or unpack it by hand"
        ) from error


def _opened(file: Path, member: str, stack: ExitStack) -> IO[bytes]:
    suffix = file.suffix.lower()
    if suffix == ".zip":
        archive = stack.enter_context(zipfile.ZipFile(file))
        names = [name for name in archive.namelist() if Path(name).match(member) and not name.endswith("/")]
        if len(names) != 1:
            raise InputError(f"{file}: expected one file {member} inside, found {len(names) or 'none'}")
        return stack.enter_context(archive.open(names[0]))
    if suffix == ".zst":
        import pyarrow as pa

        return stack.enter_context(pa.input_stream(str(file), compression="zstd"))
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    return stack.enter_context(openers.get(suffix, Path.open)(file, "rb"))


def blocks(file: Path, member: str = "*") -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines in UTF-8, without byte order mark, each with the number of its first line.

    Raises InputError as `unpacked` does, and for a line that is too long or not text.
    """
    chunks = unpacked(file, member)
    line, rest, decoder, start = 1, b"", None, next(chunks, b"")
    for mark, code in MARKS:
        if start.startswith(mark):
            start = start[len(mark) :]
            decoder = None if code == "utf-8" else codecs.getincrementaldecoder(code)()
    for chunk in itertools.chain([start], chunks, [b""]):  # the empty chunk is the end
        try:
            text = rest + (chunk if decoder is None else decoder.decode(chunk, not chunk).encode())
        except UnicodeError as error:
            raise InputError(f"{file}: line {line} or later: not UTF-16; save the file as UTF-8") from error
        cut = max(text.rfind(b"\n"), text.rfind(b"\r", 0, -1)) + 1 if chunk else len(text)
        if len(text) - cut > LONGEST_LINE:
            after = line + ends(text[:cut])
            raise InputError(f"{file}: line {after}: no end of line within {LONGEST_LINE:,} bytes, expected rows")
        if block := text[:cut]:
            _check(file, line, block)
            yield line, block
            line += ends(block)
        rest = text[cut:]


def ends(text: bytes) -> int:
    """Count the ends of lines: CR, LF, and CR LF together."""
    return text.count(b"\n") + (text.count(b"\r") - text.count(b"\r\n") if b"\r" in text else 0)


def _check(file: Path, line: int, text: bytes) -> None:
    if (at := text.find(b"\0")) >= 0:
        raise InputError(f"{file}: line {line + ends(text[:at])}: a NUL byte, expected text; save the file as UTF-8")
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            line += ends(text[: error.start])
            raise InputError(f"{file}: line {line}: not UTF-8; save the file as UTF-8") from error
