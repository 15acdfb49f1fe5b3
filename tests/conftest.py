"""Fixtures that several test files share."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import reproduce.datasets
from reproduce.evaluation import devices
from reproduce.fitting import gradients
from reproduce.fitting.gradients import Values

reproduce.datasets.__path__.append(str(Path(__file__).resolve().parent / "sources"))  # adds the data set `cycle`
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


@pytest.fixture
def cpu() -> torch.device:
    return torch.device("cpu")


class Imitated:
    """A stand-in for gradients.Recorder on a CPU: what is recorded has no values, only NaN, until it is launched."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def warmed_up(self, work: Callable[[], Values]) -> Values:
        for _ in range(gradients.WARM_UP):
            given = work()
        return [None if one is None else one.clone() for one in given]

    def recorded(self, work: Callable[[], Values]) -> tuple[Values, Callable[[], None]]:
        values = [None if one is None else torch.full_like(one, math.nan) for one in work()]

        def launch() -> None:
            for place, one in zip(values, work(), strict=True):
                if place is not None and one is not None:
                    place.copy_(one)
                    one.fill_(math.nan)  # as on a GPU, a launch leaves nothing in the parameters' gradients

        return values, launch


@pytest.fixture
def as_cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """A switch: True lets a CPU compute as a GPU would, with CUDA graphs imitated; False turns that off."""
    monkeypatch.setattr(gradients, "Recorder", Imitated)

    def answer(wanted: bool) -> None:
        monkeypatch.setattr(devices, "as_cuda", lambda device: wanted)

    return answer
