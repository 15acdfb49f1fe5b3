"""What a GPU needs of the suite, as far as it can be tested on a CPU: nothing here needs a CUDA device."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from reproduce import catalog, own_process
from reproduce.fitting import determinism
from reproduce.fitting.determinism import Precision, deterministic
from reproduce.fitting.recommender import Journal
from reproduce.runs import environment, scheduler
from reproduce.runs.environment import choose_device
from reproduce.runs.experiment import Experiment
from reproduce.runs.request import Request

HERE = Path(__file__).resolve().parent.parent
TOLD = "import os, reproduce; print(os.environ['CUBLAS_WORKSPACE_CONFIG'])"
OWN = """
from dataclasses import dataclass

import torch

from reproduce import Recommender


@dataclass(kw_only=True)
class Level(Recommender):
    def fit(self, train, *, seed, device, journal):
        '''There is nothing to learn.'''

    def score(self, prefixes):
        return torch.zeros(len(prefixes), prefixes.n_items)
"""


@pytest.mark.parametrize(("given", "found"), [(None, ":4096:8"), (":16:8", ":16:8")])
def test_importing_the_package_sets_the_workspace_of_cublas_unless_it_is_set(given: str | None, found: str) -> None:
    clean = {key: value for key, value in os.environ.items() if key != "CUBLAS_WORKSPACE_CONFIG"}
    environ = clean | {"PYTHONPATH": str(HERE)} | ({"CUBLAS_WORKSPACE_CONFIG": given} if given else {})
    told = subprocess.run([sys.executable, "-c", TOLD], env=environ, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == found


def test_the_choice_of_a_device_does_not_start_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    def started() -> bool:
        raise AssertionError("this starts CUDA, and then forked cells cannot use it")

    monkeypatch.setattr(torch.cuda, "is_available", started)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == torch.device("cuda", 0)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device("auto") == torch.device("cpu")


def test_where_there_is_a_gpu_cells_are_spawned_and_know_own_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "level.py").write_text(OWN)
    ways = set()
    context = own_process.context
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(own_process, "context", lambda: ways.add(context().get_start_method()) or context())
    request = Request(["synthetic"], data=Path(), results=tmp_path, device="cpu", jobs=2, quiet=True)
    cells = [Experiment.of("synthetic", name) for name in (str(tmp_path / "level.py"), "pop")]
    assert scheduler.run_cells(request, cells) == {}
    assert ways == {"spawn"}
    for name in ("level", "pop"):
        assert (tmp_path / f"runs/synthetic/{name}-seed0.json").is_file()


def test_a_fit_on_a_cpu_seeds_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    monkeypatch.setattr(torch.cuda, "manual_seed", seeded.append)
    split = catalog.load_split("cycle", ".")
    model = catalog.make_recommender("narm", {"epochs": 1, "hidden": 4, "embedding": 4})
    model.fit(split.train, seed=3, device=torch.device("cpu"), journal=Journal())
    assert seeded == []


def test_a_seed_gives_the_draws_that_torch_itself_gives() -> None:
    with torch.random.fork_rng([]):
        determinism.seed(5, torch.device("cpu"))
        ours = torch.rand(3)
    assert torch.equal(ours, torch.rand(3, generator=torch.Generator().manual_seed(5)))


def tf32() -> list[object]:
    """Return every setting of TF32, None where torch refuses to tell it."""

    def read(backend: object, name: str) -> object:
        try:
            return getattr(backend, name)
        except RuntimeError:
            return None

    backends = torch.backends
    older = [read(backends.cuda.matmul, "allow_tf32"), read(backends.cudnn, "allow_tf32")]
    return older + [read(one, "fp32_precision") for one in newer()]


def newer() -> list[object]:
    """Return the backends that have the newer setting, none in a torch that lacks it."""
    backends = torch.backends
    places = [backends.cuda.matmul, getattr(backends.cudnn, "conv", None), getattr(backends.cudnn, "rnn", None)]
    return [one for one in places if hasattr(one, "fp32_precision")]


@pytest.fixture
def as_by_default() -> Iterator[None]:
    before = [one.fp32_precision for one in newer()]  # type: ignore[attr-defined]
    allowed = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = allowed
    for one, value in zip(newer(), before, strict=True):
        one.fp32_precision = value  # type: ignore[attr-defined]


@pytest.mark.usefixtures("as_by_default")
@pytest.mark.parametrize("precision", ["tf32", "ieee", "none"])
def test_determinism_copes_with_the_newer_setting_of_tf32_and_restores_it(precision: str) -> None:
    if not newer():
        pytest.skip("this torch has only the older setting")
    for one in newer():
        one.fp32_precision = precision  # type: ignore[attr-defined]
    before = tf32()
    look = Precision()
    with deterministic():
        look.look()
        assert tf32() == [False, False, "ieee", "ieee", "ieee"]
    assert not look.tf32
    assert tf32() == before


@pytest.mark.usefixtures("as_by_default")
@pytest.mark.parametrize("allowed", [False, True])
def test_determinism_restores_the_older_setting_of_tf32(allowed: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    before = tf32()
    with deterministic():
        assert tf32()[:2] == [False, False]
    assert tf32() == before


def test_what_is_recorded_of_a_gpu_are_its_libraries_and_the_peak_of_the_run_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peak = [700 << 20]  # left by an earlier cell
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: peak.append(3 << 20))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: peak[-1])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91200)
    cuda = torch.device("cuda", 0)
    environment.forget_peak_memory(cuda)
    assert environment.peak_memory_mib(cuda) == 3
    recorded = environment.circumstances(cuda, 10)
    assert (recorded["device"], recorded["cuda"], recorded["cudnn"]) == ("a GPU", "13.0", 91200)
    assert "cuda" not in environment.circumstances(torch.device("cpu"), 10)
