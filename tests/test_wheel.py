"""Wheel and source distribution: built from the checkout, they hold the same modules and run outside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import reproduce

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("reproduce", "baselines", "datasets", "pyproject.toml", "README.md", "LICENSE")
BUILD = "from setuptools import build_meta; print(build_meta.build_{kind}({to!r}))"


def built(kind: str, source: Path, to: Path) -> Path:
    """Build a "wheel" or an "sdist" from a source tree; return its file."""
    command = [sys.executable, "-c", BUILD.format(kind=kind, to=str(to))]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    return to / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from an unpacked source distribution of a copy of the checkout."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / part, source / part)  # type: ignore[operator]
    with tarfile.open(built("sdist", source, folder)) as packed:
        packed.extractall(folder)  # ours; before Python 3.11.4 there are no filters
    (unpacked,) = folder.glob("session_rec_reproduce-*/")
    return built("wheel", unpacked, folder)


def test_a_wheel_has_every_module_under_one_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    due = {f"reproduce/{file.relative_to(ROOT)}" for room in ("baselines", "datasets") for file in modules(room)}
    due |= {str(file.relative_to(ROOT)) for file in modules("reproduce")}
    assert names == due | {"reproduce/py.typed", "reproduce/reports/report.html"}


def test_the_citation_names_the_suites_version() -> None:
    assert f"\nversion: {reproduce.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def modules(room: str) -> list[Path]:
    return list((ROOT / room).rglob("*.py"))


def test_the_installed_command_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site, here = tmp_path / "site", tmp_path / "here"
    here.mkdir()
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    (points,) = site.glob("*.dist-info/entry_points.txt")
    command = "import sys; from importlib.metadata import entry_points; sys.argv = ['reproduce', 'list']; "
    command += "sys.exit(entry_points(group='console_scripts', name='reproduce')['reproduce'].load()())"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", command], cwd=here, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "narm" in done.stdout and "yoochoose1_64" in done.stdout
    assert points.read_text().split() == ["[console_scripts]", "reproduce", "=", "reproduce.__main__:main"]
    assert not list(here.iterdir())
