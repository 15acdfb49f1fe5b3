"""The scripts in examples/ run, and print what they say they do."""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TOLD = {
    "own_log": ["training and", "columns: session 'session_id'", "Recall@5", "('article-"],
    "own_model": ["Last to next", "Recall@20 ", "MRR@20 "],
    "score_matrix": ["Recall@20", "MRR@20", "last to next", "POP", "highest"],
    "reading_records": ["tied with the target:", "NDCG@10 ", "NARM - Item-KNN: +"],
}


def test_every_example_is_run_here() -> None:
    elsewhere = {"rectools_sasrec"}  # needs an environment of its own: tox run -e rectools
    assert {file.stem for file in EXAMPLES.glob("*.py")} == set(TOLD) | elsewhere


@pytest.mark.parametrize("name", TOLD)
def test_an_example_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    told = capsys.readouterr().out
    for words in TOLD[name]:
        assert words in told
