"""`fetch`, against a server on loopback, and the e-shop log that it fetches."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import os
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.datasets import eshop

HEAD = ";".join(
    ["year", "month", "day", "order", "country", "session ID", "page 1 (main category)", "page 2 (clothing model)",
     "colour", "location", "model photography", "price", "price 2", "page"]
)  # fmt: skip


def table() -> bytes:
    """Return a log of twenty days with a session of three clicks each, whose rows stand in reverse order."""
    rows = [f"2008;4;{1 + s};{3 - i};29;{s};1;{'ABC'[i]}{1 + s % 2};1;1;1;1;1;1" for s in range(20) for i in range(3)]
    return "\n".join([HEAD, *rows, ""]).encode()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the made-up log count as the known one."""
    sha = hashlib.sha256(table()).hexdigest()
    download = dataclasses.replace(eshop.DOWNLOAD, sha256=sha)
    changed = dataclasses.replace(catalog.dataset("eshop"), download=download)
    monkeypatch.setitem(catalog._datasets(), "eshop", changed)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www").mkdir()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("e-shop clothing 2008.csv", table())
    (tmp_path / "www/log.zip").write_bytes(archive.getvalue())

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www"))) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def fetch(data: Path, url: str) -> int:
    """Fetch the log from another address."""
    source = catalog.dataset("eshop")
    assert source.download is not None
    elsewhere = dataclasses.replace(source, download=dataclasses.replace(source.download, url=url))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog._datasets(), "eshop", elsewhere)
        return main(["fetch", "eshop", "--data", str(data)])


def test_fetch_puts_the_log_where_it_is_read_from(tmp_path: Path, server: str, known: None) -> None:
    assert fetch(tmp_path, f"{server}/log.zip") == 0
    assert [file.name for file in (tmp_path / "eshop").iterdir()] == ["e-shop clothing 2008.csv"]
    split = catalog.load_split("eshop", tmp_path)
    assert split.train.lists()[:2] == [[0, 1, 2], [3, 4, 5]]  # C1 B1 A1, then C2 B2 A2: sorted by `order`
    assert (len(split.train), len(split.test)) == (18, 2)
    assert "the split is ours" in split.provenance.note


def test_a_full_disk_is_told_with_the_option_that_helps(
    tmp_path: Path, server: str, known: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    def full(*_: object) -> Iterator[bytes]:
        yield b"some"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("reproduce.reading.content.unpacked", full)
    assert fetch(tmp_path, f"{server}/log.zip") == 3
    assert "No space left on device); make room or choose another --data DIR" in capsys.readouterr().err
    assert not list((tmp_path / "eshop").iterdir())


def test_another_file_is_refused_and_not_kept(tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch(tmp_path, f"{server}/log.zip") == 3
    assert eshop.DOWNLOAD.sha256 in capsys.readouterr().err
    assert list((tmp_path / "eshop").iterdir()) == []


@pytest.mark.parametrize("where", ["/absent.zip", None])
def test_without_the_file_or_a_server_the_message_says_how_by_hand(
    where: str | None, tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server + where if where else "http://127.0.0.1:9/log.zip"
    assert fetch(tmp_path, url) == 3
    told = capsys.readouterr().err
    assert told.startswith(f"reproduce: {url}: not fetched") and "by hand" in told and told.count("\n") == 1


def test_a_download_that_broke_off_is_not_taken_for_whole(
    tmp_path: Path, known: None, capsys: pytest.CaptureFixture[str]
) -> None:
    class Short(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"some")

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Short) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        assert fetch(tmp_path, f"http://127.0.0.1:{running.server_port}/log.zip") == 3
        running.shutdown()
    assert "4 of 1,000 bytes came" in capsys.readouterr().err
    assert not (tmp_path / "eshop").exists()


@pytest.mark.real
def test_the_real_eshop_log_is_the_known_one(real_data: Path) -> None:
    split = catalog.load_split("eshop", real_data)
    dataset = catalog.dataset("eshop")
    log = dataset.read_log(dataset.find_log(real_data)[0])
    assert (len(log.item), len(set(log.session.tolist())), len(set(log.item.tolist()))) == (165_474, 24_026, 217)
    assert (len(split.train), len(split.test)) == (17_432, 1_552)
