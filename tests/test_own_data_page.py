"""The commands of docs/own-data.md, and the README's three for a log of one's own, print what stands there."""

from __future__ import annotations

import random
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from reproduce.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
PAGE, README = ((ROOT / name).read_text(encoding="utf-8") for name in ("docs/own-data.md", "README.md"))
RUNS = "python -m reproduce "


def shop(place: Path) -> None:
    """Write the page's log: in ten days 2,500 visits, in which 70 % of the steps lead to the product after."""
    rng, lines = random.Random(0), ["event_time,event_type,product_id,price,visit"]
    for visit in range(2_500):
        at, product = datetime(2024, 5, 1, tzinfo=UTC) + timedelta(minutes=5.76 * visit), int(rng.random() ** 2 * 300)
        for _ in range(2 + int(rng.random() * 4)):
            kind = ["view", "view", "view", "view", "cart", "purchase"][int(rng.random() * 6)]
            lines.append(f"{at:%Y-%m-%d %H:%M:%S} UTC,{kind},{product + 1},{100 + product % 7},v{visit:05d}")
            product = (product + 1) % 300 if rng.random() < 0.7 else int(rng.random() ** 2 * 300)
            at += timedelta(seconds=1 + int(rng.random() * 60))
    place.write_text("\n".join(lines) + "\n", encoding="utf-8")


def told(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a line of a page and return what it prints, with single spaces."""
    if command.startswith("head"):
        _, count, file = command.split()
        lines = Path(file).read_text(encoding="utf-8").splitlines()
        return " ".join(" ".join(lines[: int(count[1:])]).split())
    main([*shlex.split(command.partition(RUNS)[2], comments=True)])
    printed = capsys.readouterr()
    return " ".join((printed.err + printed.out).split())


EXAMPLE = re.findall(r"```console\n\$ (.*)\n([^`]*)```", PAGE)


def test_the_example_of_the_page_prints_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shop(tmp_path / "shop.csv")
    assert [command.split()[0] for command, _ in EXAMPLE] == ["head", *["python"] * 3]
    for command, shown in EXAMPLE:
        printed = told(command, capsys)
        for line in shown.splitlines():
            assert " ".join(line.split()) in printed, line
    (in_python,) = re.findall(r"```python\n([^`]*)```", PAGE)
    names: dict[str, object] = {"frame": pd.read_csv("shop.csv")}
    exec(in_python, names)
    assert "event_type=view" in names["split"].provenance.note  # type: ignore[attr-defined]
    assert len(PAGE.split()) < 900


def test_the_readmes_three_lines_lead_from_a_log_to_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shop(tmp_path / "shop.csv")
    text = (tmp_path / "shop.csv").read_text(encoding="utf-8").replace("visit", "session_id", 1)
    (tmp_path / "clicks.csv").write_text("\n".join(text.splitlines()[:1_200]) + "\n", encoding="utf-8")
    section = README.partition("## Your own log")[2]
    head, data, table = re.findall(r"```sh\n(.*)\n(.*)\n(.*)\n```", section)[0]
    assert told(head.partition("  #")[0], capsys) == "event_time,event_type,product_id,price,session_id"
    assert "columns: session 'session_id', item 'product_id', time 'event_time'" in told(data, capsys)
    assert "NARM" in told(f"{table} --set narm.epochs=1 --quiet", capsys)
