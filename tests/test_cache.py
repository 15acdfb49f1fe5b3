"""The cache of splits: never trusted blindly, never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.datasets import yoochoose
from reproduce.reading import split_cache, table


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small log that counts as worth caching."""
    monkeypatch.setattr(split_cache, "WORTH_CACHING", 1)
    folder = tmp_path / "logs"
    folder.mkdir()
    write(folder, 30)
    return folder


def write(folder: Path, sessions: int) -> None:
    rows = [f"{s},2014-04-0{1 + s % 5}T10:00:0{i}.000Z,{i + s % 2},0\n" for s in range(sessions) for i in range(3)]
    (folder / yoochoose.RAW).write_text("".join(rows))


def load(data: Path) -> str:
    return catalog.load_split("yoochoose1_4", data).digest


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(files: list[Path], *form: object) -> None:
        raise AssertionError(f"{files[0]} was read again")

    monkeypatch.setattr(table, "read", refuse)


def test_a_cached_split_is_the_same_and_the_log_is_not_read_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = catalog.load_split("yoochoose1_4", data)
    forbid_reading(monkeypatch)
    again = catalog.load_split("yoochoose1_4", data)
    assert (again.digest, again.provenance) == (first.digest, first.provenance)
    assert again.train.items.dtype == first.train.items.dtype
    for one, other in ((first.train, again.train), (first.test, again.test)):
        assert one.dates is not None and other.dates is not None
        assert one.dates.tolist() == other.dates.tolist()


def test_a_changed_log_is_read_again(data: Path) -> None:
    first = load(data)
    write(data, 40)
    assert load(data) != first


def test_a_log_of_the_same_size_with_another_time_is_hashed_again(data: Path) -> None:
    file = data / yoochoose.RAW
    first = split_cache.sha256(file)
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(1, 1))
    assert split_cache.sha256(file) != first


def test_another_version_of_the_rules_is_another_entry(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = catalog.dataset("yoochoose1_4")
    before = split_cache.place(dataset, data)
    monkeypatch.setattr(split_cache, "RULES_VERSION", split_cache.RULES_VERSION + 1)
    assert split_cache.place(dataset, data) != before


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_broken_entry_is_made_again(data: Path, cache_folder: Path, how: str) -> None:
    first = load(data)
    (file,) = cache_folder.glob("yoochoose1_4-*.npz")
    whole = file.read_bytes()
    places = range(100, len(whole) // 2, 97) if how == "flipped" else [len(whole) // 2]
    for place in places:
        if how == "gone":
            file.unlink()
        else:
            changed = bytes([whole[place] ^ 1]) + whole[place + 1 :] if how == "flipped" else b""
            file.write_bytes(whole[:place] + changed)
        assert load(data) == first
        assert file.read_bytes() == whole or split_cache.load(file) is not None


def test_a_folder_that_cannot_be_written_costs_a_warning_not_the_split(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(data)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("REPRODUCE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="the split is not cached"):
        assert load(data) == first


def test_a_full_disk_costs_a_warning_and_leaves_nothing_behind(
    data: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(split_cache.np, "savez", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        load(data)
    assert [file.name for file in cache_folder.iterdir()] == []


def test_small_sources_are_not_cached(data: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_cache, "WORTH_CACHING", 16 << 20)
    load(data)
    assert not cache_folder.exists()


def test_data_lists_the_cache_and_clears_nothing_but_it(
    data: Path, cache_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(data)
    (cache_folder / "mine.json").write_text("{}")
    main(["data", "--data", str(data)])
    assert "yoochoose1_4: 0.0 MB, of yoochoose-clicks.dat" in capsys.readouterr().out
    assert main(["data", "--clear", "--dataset", "cycle"]) == 2
    assert "--clear empties the whole cache; leave out --dataset" in capsys.readouterr().err
    assert main(["data", "--clear", "--data", str(data)]) == 0
    assert [file.name for file in cache_folder.iterdir()] == ["mine.json"]


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04" + bytes(200)])
def test_a_damaged_entry_is_made_again(data: Path, cache_folder: Path, content: bytes) -> None:
    first = load(data)
    (entry,) = cache_folder.glob("*.npz")
    entry.write_bytes(content)
    assert load(data) == first
    assert "broken" not in split_cache.entries()[0]
