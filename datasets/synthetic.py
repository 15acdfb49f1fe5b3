"""A click simulator: the suite runs on its clicks if no real log is found.

The clicks depend on a seed only: nothing is downloaded, and they are nobody's data.

A session serves one purpose. The popularity of purposes and of items follows Zipf's law, and an item can serve several
purposes, so the last click alone does not reveal the purpose. Within a purpose, clicks follow a chain from item to
item; some jump within the purpose, some are accidental clicks outside it, and some return to an earlier item. So a
model that uses order and purpose beats one that uses the last click, which beats one that counts clicks, which beats
one that ignores the session. Accidental clicks are frequent, so it pays to attend to the others; and the log is small
enough that every network passes its best epoch within a minute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reproduce.reading.preprocessing import DAY, flat, to_sessions
from reproduce.reading.sessions import Provenance, Split, count
from reproduce.reading.source import Dataset


@dataclass(frozen=True)
class Simulator:
    """The simulator's settings, all of them ours.

    The probabilities `jump`, `accident` and `repeat` are per click after the first; the other clicks follow the chain.
    """

    items: int = 150
    purposes: int = 15
    sessions: int = 5_000
    days: int = 10  # the last day is the test
    items_per_purpose: int = 12
    zipf: float = 0.4
    jump: float = 0.10
    accident: float = 0.45
    repeat: float = 0.06
    seed: int = 2017

    def sessions_by_day(self) -> tuple[list[list[int]], np.ndarray]:
        """Simulate the sessions; return them in time order, and the day of each, (sessions,)."""
        rng = np.random.default_rng(self.seed)
        popularity = _zipf(self.items, self.zipf)
        # The chain of a purpose is a circle of its items, so an item has one successor in each purpose that it serves.
        size = self.items_per_purpose
        chains = [rng.choice(self.items, size, replace=False, p=popularity) for _ in range(self.purposes)]
        within = _zipf(size, self.zipf)
        purposes = rng.choice(self.purposes, self.sessions, p=_zipf(self.purposes, self.zipf))
        # Lengths as in real logs: two clicks are the most common, and the tail is long.
        lengths = 2 + np.minimum(rng.geometric(0.28, self.sessions) - 1, rng.integers(4, 40, self.sessions))
        days = np.sort(rng.integers(0, self.days, self.sessions))
        drawn = zip(purposes, lengths, strict=True)
        return [self._session(rng, chains[purpose], within, popularity, length) for purpose, length in drawn], days

    def _session(
        self, rng: np.random.Generator, chain: np.ndarray, within: np.ndarray, popularity: np.ndarray, length: int
    ) -> list[int]:
        places = rng.choice(len(chain), length, p=within)
        accidents = rng.choice(self.items, length, p=popularity)
        kinds = rng.random(length)
        place = int(places[0])
        clicks = [int(chain[place])]
        for step in range(1, length):
            kind = kinds[step]
            if kind < self.accident:
                clicks.append(int(accidents[step]))
            elif kind < self.accident + self.repeat:
                clicks.append(clicks[int(rng.integers(len(clicks)))])
            else:
                jumps = kind < self.accident + self.repeat + self.jump
                place = int(places[step]) if jumps else (place + 1) % len(chain)
                clicks.append(int(chain[place]))
        return clicks


def _zipf(n: int, exponent: float) -> np.ndarray:
    weights = 1.0 / np.arange(1, n + 1) ** exponent
    return weights / weights.sum()


def _read(data: Path) -> Split:
    simulator = Simulator()
    sessions, days = simulator.sessions_by_day()
    last = int(np.searchsorted(days, simulator.days - 1))
    known = {item for session in sessions[:last] for item in session}
    rest = [[item for item in session if item in known] for session in sessions[last:]]
    train, test = to_sessions(flat(sessions[:last]), flat([session for session in rest if len(session) > 1]))
    note = f"simulated clicks, seed {simulator.seed}: not the paper's data"
    provenance = Provenance("simulated", counts=count(train, test), note=note)
    return Split("synthetic", replace(train, dates=days[:last].astype(np.int64) * DAY), test, provenance)


DATASETS = (
    Dataset(
        name="synthetic",
        title="the synthetic log (simulated clicks, not the paper's data)",
        find=lambda data: [],
        read=_read,
        obtain="",
    ),
)
