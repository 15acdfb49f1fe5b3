"""YOOCHOOSE: the click log of the RecSys Challenge 2015 (CC BY-NC-ND 4.0); the paper uses its newest 1/64 and 1/4.

The split is a day long: the test sessions are those of the log's last 24 hours.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from reproduce import paper, processed
from reproduce.dataset import Dataset
from reproduce.preprocessing import newest_prefixes, to_sessions
from reproduce.sessions import Provenance, Split, count

# Training prefixes the paper kept (PAPER.md section 3: the last int(n / 64) and int(n / 4) of 23,670,982).
KEEP = {"yoochoose1_64": 369_859, "yoochoose1_4": 5_917_745}


def _read(name: str, data: Path) -> Split:
    """The processed files, the boundary session cut to the number of prefixes the paper trained on."""
    train_clicks, test_clicks, files = processed.read(data / name)
    train, test = to_sessions(train_clicks, test_clicks)
    cut = newest_prefixes(train, KEEP[name])
    if len(cut) < len(train) or cut.stops[0] != train.stops[0]:  # fewer items may be left: number them again
        train, test = to_sessions((cut.clicks()[0], cut.lengths), (test.clicks()[0], test.lengths))
    provenance = Provenance(
        source="processed files",
        order="time",
        emulated=False,
        files=files,
        counts=count(train, test, items_without_labels=True),
        published=paper.TABLE1[paper.PAPER_COLUMN[name]],
    )
    return Split(name, train, test, provenance)


def _dataset(name: str, title: str) -> Dataset:
    return Dataset(
        name=name,
        title=title,
        find=lambda data: processed.find(data / name),
        read=partial(_read, name),
        obtain=(
            "the RecSys Challenge 2015 click log (YOOCHOOSE, CC BY-NC-ND 4.0); "
            f"put the processed {processed.TRAIN} and {processed.TEST} that circulate with later papers "
            f"into {{data}}/{name}/"
        ),
    )


DATASETS = (
    _dataset("yoochoose1_64", "YOOCHOOSE 1/64"),
    _dataset("yoochoose1_4", "YOOCHOOSE 1/4"),
)
