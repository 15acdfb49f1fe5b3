"""Logs, archives and pickles made to break their reader: each gives one line that names the file, without delay."""

from __future__ import annotations

import os
import pickle
import resource
import socket
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.datasets import diginetica, eshop, yoochoose
from reproduce.errors import InputError
from reproduce.files import host, is_regular, only_one, replacing
from reproduce.reading import processed, table
from reproduce.runs import runner
from reproduce.runs.experiment import Experiment

TEST = pickle.dumps(([[1, 2], [1]], [3, 2]))


def write(folder: Path, train: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / processed.TRAIN).write_bytes(train)
    (folder / processed.TEST).write_bytes(TEST)
    return folder


def laughs() -> bytes:
    """Return a pickle of forty tuples, each holding the one before ten times: 10^40 objects if all are visited."""
    layers = b"".join(b"(" + b"h%c" % n * 10 + b"tq%c" % (n + 1) for n in range(40))
    return b"\x80\x02]q\x00" + layers + b"."


PICKLES: dict[str, bytes] = {
    "a depth of 100,000": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "an integer of 5,001 digits": b"(lI" + b"9" * 5_001 + b"\na.",
    "a billion laughs": laughs(),
    "laughs as a key": b"\x80\x02)q\x00" + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(60)) + b"}h<Ns.",
    "a float beyond all": b"F1e999\n.",
    "a float that is none": b"Fa\nb\n.",
    "a memo of 64 GiB": b"\x80\x02]r\xff\xff\xff\x7f.",
    "a memo in digits": b"(lp999999999\n.",
    "text of 2 GiB": b"\x80\x02X\xff\xff\xff\x7fa.",
    "a list that holds itself": b"\x80\x02]q\x00h\x00a.",
    "one session a million times": b"\x80\x02](](" + b"K\x01" * 1_000 + b"eq\x00" + b"h\x00" * 500_000 + b"e.",
    "a name of two lines": b"cos\nsys\ntem\n.",
    "a number for a list": b"I1\n.",
    "frames without end": b"\x80\x04\x95" + b"\xff" * 8 + b"].",
    "an extension": b"\x80\x02\x82\x01.",
    "an object built": b"\x80\x02]}b.",
}  # fmt: skip


@pytest.mark.parametrize("what", PICKLES)
def test_a_pickle_made_to_break_its_reader_is_told_in_a_line(what: str, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError) as told:
        processed.read(write(tmp_path, PICKLES[what]))
    line = str(told.value)
    assert line.startswith(f"{tmp_path / processed.TRAIN}: ") and "\n" not in line and len(line) < 500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # KiB


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_lists_of_every_protocol_and_size_of_int_are_read(protocol: int, tmp_path: Path) -> None:
    train = [[1, 255, 256, 65_536, 2**31 - 1], [0, 0], *([n, n + 1] for n in range(300))]
    folder = write(tmp_path, pickle.dumps(train, protocol))
    (items, lengths), _, _ = processed.read(folder)
    assert items.tolist() == [item for one in train for item in one]
    assert lengths.tolist() == [len(one) for one in train]


def test_a_memo_is_no_longer_than_its_entries(tmp_path: Path) -> None:
    folder = write(tmp_path, pickle.dumps([[1, 2], [1, 3]], 0).replace(b"p0\n", b"p99999999999\n"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert processed.read(folder)[0][0].tolist() == [1, 2, 1, 3]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_an_integer_that_may_be_octal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it ends early or is damaged"):
        processed.read(write(tmp_path, b"((lI10\nI010\nal."))


@pytest.mark.parametrize("number", [b"I95\n", b"M\x5f\x00", b"J\x5f\x00\x00\x00"])
def test_a_frame_that_ends_within_a_number_makes_no_other_number_of_it(number: bytes, tmp_path: Path) -> None:
    """The unpickler in C loses the part of the number already read: 95 becomes 5. The fuzzer found it."""
    train = b"](](K\x01K\x02" + number + b"ee."
    for cut in range(1, len(number) + 1):
        frame = len(train) - 3 - cut
        folder = write(tmp_path, b"\x80\x04\x95" + frame.to_bytes(8, "little") + train)
        assert processed.read(folder)[0][0].tolist() == [1, 2, 95]


def test_items_are_renumbered_before_anything_is_sized_by_them(tmp_path: Path) -> None:
    write(tmp_path / "diginetica", pickle.dumps([[1, 2, 3, 2**31 - 1], [3, 1]]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(catalog.load_split("diginetica-file-order", tmp_path).train) == 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_the_emulated_order_of_usual_items_is_what_it_was() -> None:
    items = np.array([3, 5, 8])
    expected = np.random.default_rng(diginetica.EMULATION_SEED).permutation(9)[items]
    assert diginetica._random_places(items).tolist() == expected.tolist()


# --- archives ---------------------------------------------------------------------------------------------------------


def packed(file: Path, method: int, edit: Callable[[bytearray], None]) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(yoochoose.RAW, b"1,2014-04-07T10:51:09.277Z,214536502,0\n" * 500)
    raw = bytearray(file.read_bytes())
    edit(raw)
    file.write_bytes(raw)
    return file


def bad_data(raw: bytearray) -> None:
    begin = 30 + len(yoochoose.RAW)
    raw[begin + 9 : begin + 60] = b"\xff" * 51


def bad_name(raw: bytearray) -> None:
    for header, flags, name in ((b"PK\3\4", 6, 30), (b"PK\1\2", 8, 46)):
        at = raw.index(header)
        struct.pack_into("<H", raw, at + flags, 0x800)
        raw[at + name] = 0xFF


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("edit", [bad_data, bad_name])
def test_a_zip_with_corrupt_data_or_names_is_told(
    method: int, edit: Callable[[bytearray], None], tmp_path: Path
) -> None:
    file = packed(tmp_path / f"{yoochoose.RAW}.zip", method, edit)
    with pytest.raises(InputError) as told:
        table.read([file], yoochoose.FORM)
    assert str(told.value).startswith(f"{file}: ") and "\n" not in str(told.value)


def test_an_archive_that_unpacks_without_end_is_left_early(tmp_path: Path) -> None:
    file = tmp_path / "log.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.csv", b"0" * (40 << 20))
    with pytest.raises(InputError, match="no end of line"):
        table.read([file], eshop.FORM)


# --- paths that are no regular files ----------------------------------------------------------------------------------


def odd_files(folder: Path) -> None:
    folder.mkdir()
    (folder / "a dangling link.zip").symlink_to(folder / "nothing")
    (folder / "a loop.csv").symlink_to(folder / "a loop.csv")
    os.mkfifo(folder / "a pipe.csv")
    (folder / "a folder.zip").mkdir()


def test_links_loops_pipes_and_folders_are_no_logs_and_stop_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd_files(tmp_path / "eshop")
    assert catalog.dataset("eshop").find_log(tmp_path) == []
    assert main(["data", "--data", str(tmp_path)]) == 0
    assert "eshop: UCI data set 553" in capsys.readouterr().out
    write(tmp_path / "diginetica", pickle.dumps([[1, 2], [3, 1]]))
    assert main(["data", "--data", str(tmp_path)]) == 0
    assert "diginetica " in capsys.readouterr().out


def test_a_path_that_is_too_long_is_no_file_and_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not is_regular(tmp_path / ("x" * 300))
    for option in ("--data", "--results"):
        words = ["table2", "--dataset", "yoochoose1_64", "--model", "pop", "--quiet", "--results", str(tmp_path / "r")]
        assert main([*words, option, str(tmp_path / ("x" * 300))]) in (2, 3)
        assert capsys.readouterr().err.count("\n") == 1


# --- a full disk, and what killed processes leave ---------------------------------------------------------------------


def test_a_full_disk_at_the_lock_is_told_and_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, text: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match="No space left on device"), only_one(tmp_path / "cell.lock"):
        pytest.fail("not locked")
    assert not (tmp_path / "cell.lock").exists()


def vanished_process() -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def test_what_a_killed_process_left_half_written_goes_with_the_next_write(tmp_path: Path) -> None:
    dead, alive = vanished_process(), os.getppid()
    for number in (dead, alive):
        (tmp_path / f".page.md.{host()}-{number}.tmp").write_text("half")
    with replacing(tmp_path / "page.md") as temporary:
        temporary.write_text("whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == [f".page.md.{host()}-{alive}.tmp", "page.md"]


def test_a_lock_whose_record_is_whole_is_cleared_up(tmp_path: Path) -> None:
    cell = Experiment.of("cycle", "pop")
    for _ in range(2):
        runner.run(cell, data=".", results=tmp_path, device="cpu")
        lock = tmp_path / f"{cell.path}.lock"
        assert not lock.exists()
        lock.write_text(f"{vanished_process()}\n{socket.gethostname()}\n")
    runner.run(cell, data=".", results=tmp_path, device="cpu")
    assert not lock.exists()
