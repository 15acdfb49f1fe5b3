"""The loop of a fuzzer, a program of its own: each attempt has its own seed, is timed, and is counted by its outcome.

A failure is printed with the two numbers that reproduce it: `--seed S --only I`.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent)]
os.environ["OMP_NUM_THREADS"] = "1"

LONGEST, PATIENCE = 10, 60  # seconds of an attempt, at most: of the processor, and by the clock of a busy machine
Attempt = Callable[[random.Random, Path], str]  # returns its outcome; anything it raises is a fault of the suite


class Hang(BaseException):
    """An attempt took too long; not an Exception, so that nothing takes it for a fault of the input."""


def run(name: str, number: int, attempt: Attempt) -> None:
    """Make attempts until the number is reached or the time is up, then print a line per outcome and one in all.

    Exits with status 1 if an attempt failed or none was made, otherwise with 0.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, default=number)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--only", type=int, help="this attempt alone")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no attempt after so many")
    options, _ = parser.parse_known_args()
    faulthandler.enable()
    for clock in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(clock, _ring)
    os.environ["REPRODUCE_CACHE"] = tempfile.mkdtemp(prefix="fuzz-cache-")
    print(f"{name}: seed {options.seed}", flush=True)
    outcomes: Counter[str] = Counter()
    began, tried, broke, slowest = time.monotonic(), 0, 0, 0.0
    chosen = range(options.number) if options.only is None else [options.only]
    for i in chosen:
        if time.monotonic() - began > 60 * options.minutes:
            break
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            signal.alarm(PATIENCE)
            signal.setitimer(signal.ITIMER_PROF, LONGEST)
            try:
                outcomes[attempt(random.Random(f"{options.seed}/{i}"), Path(folder))] += 1
            except (Exception, Hang):
                broke += 1
                print(f"{name}: --seed {options.seed} --only {i}\n{traceback.format_exc()}", flush=True)
            finally:
                signal.alarm(0)
                signal.setitimer(signal.ITIMER_PROF, 0)
        slowest = max(slowest, time.monotonic() - start)
        tried += 1
    for outcome, times in sorted(outcomes.items()):
        print(f"{name}: {times:,} {outcome}")
    minutes = (time.monotonic() - began) / 60
    print(f"{name}: {tried:,} tried in {minutes:.1f} min, {broke} broke, the slowest took {slowest:.1f} s", flush=True)
    sys.exit(1 if broke or not tried else 0)


def _ring(number: int, frame: object) -> None:
    raise Hang(f"more than {LONGEST} s of the processor, or {PATIENCE} s by the clock")


def mangled(rng: random.Random, raw: bytes, tokens: list[bytes]) -> bytes:
    """Return the bytes with one to four faults: parts flipped, cut, doubled or moved, or foreign bytes put in."""
    text = bytearray(raw)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.choice([1, 1, 2, 8, 60]))
        kind = rng.randrange(7)
        if kind == 0 and at < len(text):
            text[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del text[at:end]
        elif kind == 2:
            text[at:at] = text[at:end]
        elif kind == 3:
            del text[at:]
        elif kind == 4 and at < len(text):
            text[at] = rng.randrange(256)
        elif kind == 5:
            part = text[at:end]
            del text[at:end]
            place = rng.randrange(len(text) + 1)
            text[place:place] = part
        else:
            text[at : rng.choice([at, end])] = rng.choice(tokens)
    return bytes(text)
