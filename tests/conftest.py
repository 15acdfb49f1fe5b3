"""Fixtures that several test files share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

import reproduce.datasets
from reproduce import catalog
from reproduce.evaluation import devices

reproduce.datasets.__path__.append(str(Path(__file__).resolve().parent / "sources"))  # adds the data set `cycle`
hypothesis.settings.register_profile("suite", deadline=None)  # a slow machine is no failure
hypothesis.settings.load_profile("suite")
torch.set_num_threads(1)  # tensors are tiny here: more threads only wait for each other


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real logs; a test that asks for it is skipped where there is none."""
    here = Path(__file__).resolve().parent.parent
    for folder in (os.environ.get("REPRODUCE_DATA"), here / "data", here.parent / "shared" / "data"):
        if folder and (Path(folder) / "yoochoose1_64").is_dir():
            return Path(folder)
    pytest.skip("the real logs are not here: set REPRODUCE_DATA")


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary cache of splits for each test, so that none reads or writes the user's."""
    monkeypatch.setenv("REPRODUCE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def no_own_models_or_data() -> Iterator[None]:
    """A catalogue of its own for each test."""
    with catalog.using(catalog.Catalog()):
        yield


@pytest.fixture
def cpu() -> torch.device:
    return torch.device("cpu")


@pytest.fixture
def as_cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """A switch: True lets a CPU compute as a GPU would; False turns that off."""

    def answer(wanted: bool) -> None:
        monkeypatch.setattr(devices, "as_cuda", lambda device: wanted)

    return answer
