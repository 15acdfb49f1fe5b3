"""The committed reference: its pages agree with its records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reproduce.__main__ import main
from reproduce.runs.experiment import Experiment
from reproduce.runs.record import current, load

RESULTS = Path(__file__).resolve().parent.parent / "results"
FOLDERS = [RESULTS, *sorted(file.parent for file in RESULTS.glob("*/runs") if file.parent.name != "local")]
RECORDS = [(folder, file) for folder in FOLDERS for file in sorted(folder.glob("runs/*/*.json"))]


def test_nothing_of_the_synthetic_log_is_committed_as_reference() -> None:
    assert RECORDS
    assert not {"synthetic", "cycle"} & {file.parent.name for _, file in RECORDS}


@pytest.mark.parametrize(
    ("folder", "file"), RECORDS, ids=[str(file.relative_to(RESULTS).with_suffix("")) for _, file in RECORDS]
)
def test_a_committed_record_is_whole_current_and_from_a_committed_state(folder: Path, file: Path) -> None:
    said = Experiment(**json.loads(file.read_text())["experiment"])
    assert Experiment.of(said.dataset, said.model, said.params, said.seed) == said
    assert folder / f"{said.path}.json" == file
    result = load(said, folder)
    assert result is not None
    assert current(result)
    assert result.identity == result.experiment.identity(result.split["digest"])
    assert result.environment["commit"]
    assert result.environment["dirty"] is False
    assert result.greater.min() >= 0
    assert (result.greater + result.equal).max() < result.split["n_items"]
    assert len(result.greater) == result.split["provenance"]["counts"]["test_sequences"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_reference_passes_its_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run `check` as CI does, on every record and every page that comes from records."""
    assert main(["check", "--results", str(folder)]) == 0, capsys.readouterr().err
