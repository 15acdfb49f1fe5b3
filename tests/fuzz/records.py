"""Mangled records: every page is still drawn, or says why not, and no false number passes `check`.

A number is false if the record gives another one than when it was made.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import shutil
import tempfile
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import running
import torch
import with_cycle  # noqa: F401  registers the data set
from matplotlib.figure import Figure
from trees import changed

from reproduce import reports
from reproduce.errors import InputError, SuiteError
from reproduce.reports import check, renderers
from reproduce.runs import record, record_shape, runner
from reproduce.runs.experiment import Experiment
from reproduce.runs.request import Request

NARM = Experiment.of("cycle", "narm", {"epochs": 2, "hidden": 4, "embedding": 4})
CELLS = (NARM, Experiment.of("cycle", "pop"), Experiment.of("cycle", "s_pop"))
TOKENS = [
    b"{",
    b"}",
    b"[" * 5_000,
    b'"',
    b"NaN",
    b"-Infinity",
    b"9" * 5_000,
    b"null",
    b"\xff",
    b"\0",
    b"PK\3\4",
    b"1e400",
    b",",
]

OPTIONS = argparse.ArgumentParser(add_help=False)
OPTIONS.add_argument("--pages", type=int, default=len(reports.pages()), help="how many are drawn of each record")


@lru_cache
def made() -> tuple[Path, record.Result]:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-records-"))
    results = [runner.run(one, data=".", results=folder, device="cpu") for one in CELLS]
    return folder, results[0]


def hurt_table(rng: random.Random, file: Path) -> bool:
    """Change the .json file; return whether its digest was made to fit again."""
    if rng.random() < 0.3:
        file.write_bytes(running.mangled(rng, file.read_bytes(), TOKENS))
        return False
    content = json.loads(file.read_text())
    changed(rng, content)
    forged = rng.random() < 0.7
    if forged:
        content["digest"] = record_shape.digest(content)
    file.write_text(json.dumps(content))
    return forged


def hurt_arrays(rng: random.Random, file: Path) -> None:
    """Change the .npz file, and make the sha256 and the digest in the .json file fit again."""
    place = file.with_suffix(".npz")
    if rng.random() < 0.3:
        place.write_bytes(running.mangled(rng, place.read_bytes(), TOKENS))
    else:
        with np.load(place) as kept:
            arrays = dict(kept)
        name = rng.choice(sorted(arrays))
        one = arrays[name]
        kind = rng.randrange(6)
        if kind == 0:
            del arrays[name]
        elif kind == 1:
            arrays[name] = one[rng.randrange(len(one)) :]
        elif kind == 2:
            arrays[name] = one.astype(rng.choice(["f4", "i8", "u1", "U5", "?", "f2", "c8"]))
        elif kind == 3:
            arrays[name] = np.concatenate([one, one[: rng.randrange(1, 9)]])
        elif kind == 4:
            arrays[name] = one[:, None]
        else:
            one[rng.randrange(len(one))] = rng.choice([0, 1, 5, 11, 12, 100])
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)
        place.write_bytes(stream.getvalue())
    content = json.loads(file.read_text())
    content["arrays_sha256"] = hashlib.sha256(place.read_bytes()).hexdigest()
    file.write_text(json.dumps({**content, "digest": record_shape.digest(content)}))


PAGES = reports.pages()
savefig = Figure.savefig


def nothing(*given: object, **named: object) -> None:
    """Stands in for Figure.savefig and saves nothing."""


def attempt(rng: random.Random, folder: Path, pages: int) -> str:
    source, whole = made()
    results = folder / "results"
    shutil.copytree(source, results)
    file = results / f"{NARM.path}.json"
    forged = True
    before = file.read_bytes()
    if rng.random() < 0.6:
        forged = hurt_table(rng, file)
    else:
        hurt_arrays(rng, file)
    if rng.random() < 0.95:  # saving takes nine tenths of the time, and the figure is drawn without it too
        Figure.savefig = nothing  # type: ignore[assignment]
    request = Request(datasets=["cycle"], data=results, results=results)
    for name in rng.sample(sorted(PAGES), pages):
        page = PAGES[name]
        try:
            document = page.draw(request)
        except SuiteError as error:
            assert name in ("table1", "audit"), f"{name}: not drawn: {error}"  # these two need the logs
            continue
        text = renderers.markdown(document)
        assert text.startswith("# ") and len(text) < 200_000, name
    try:
        loaded = record.load(NARM, results)
    except InputError as error:
        line = str(error)
        assert line.isprintable() and len(line) < 900 and str(file.with_suffix("")) in line, line
        loaded = None
    try:
        check.report(results)
        sound = True
    except InputError as error:
        assert len(str(error)) < 20_000
        sound = False
    finally:
        Figure.savefig = savefig  # type: ignore[method-assign]
    if loaded is None:
        assert not sound, "refused when it is loaded, and sound to check"
        return "refused in a line, the other rows drawn"
    same = (loaded.recall(), loaded.mrr()) == (whole.recall(), whole.mrr())
    assert same or not sound, "another number, and sound to check"
    assert forged or json.loads(file.read_bytes()) == json.loads(before), "edited, its digest not, and loaded"
    return "loaded, with its own numbers" if sound else "loaded, and named by check"


if __name__ == "__main__":
    torch.set_num_threads(1)
    made()
    running.run("records", 5_000, partial(attempt, pages=OPTIONS.parse_known_args()[0].pages))
