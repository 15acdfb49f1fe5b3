"""The guard of the evidence: every committed record still has its identity, its arrays and its numbers.

All three are computed anew: the identity from today's models and their fields, the sha256 from the file, the numbers
from the rank counts. They are compared with golden/records.txt, a line per record. To add the lines of new records:

    python tests/test_committed_records.py >tests/golden/records.txt
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from reproduce.runs.experiment import Experiment
from reproduce.runs.record import load_file

HERE = Path(__file__).resolve().parent
RESULTS, GOLDEN = HERE.parent / "results", HERE / "golden" / "records.txt"


def lines() -> Iterator[str]:
    """The path of every committed record, its identity and the sha256 of its arrays (16 digits each), and numbers."""
    for table in sorted([*RESULTS.glob("runs/*/*.json"), *RESULTS.glob("[!l]*/runs/*/*.json")]):
        said = json.loads(table.read_text())
        cause = said["experiment"]
        experiment = Experiment.of(cause["dataset"], cause["model"], cause["params"], cause["seed"])
        arrays = hashlib.sha256(table.with_name(table.name.removesuffix("json") + "npz").read_bytes()).hexdigest()
        result = load_file(table)[1]
        name = table.relative_to(RESULTS).as_posix().removesuffix(".json")
        numbers = " ".join(f"{value:.10f}" for value in (result.recall(), result.mrr(), result.recall(5)))
        yield f"{name} {experiment.identity(said['split']['digest'])[:16]} {arrays[:16]} {numbers}"


def test_every_committed_record_is_what_it_was() -> None:
    golden = GOLDEN.read_text().splitlines()
    assert len(golden) > 100
    changed = set(golden) - set(lines())  # a record made since then has no line yet
    assert not changed


if __name__ == "__main__":
    print(*lines(), sep="\n")
