"""The order of a log's clicks: by time, or with rows grouped by item and the items in one global order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reproduce import catalog
from reproduce.reading.preprocessing import ClickLog, DatedSessions, longer_than_one, sessions_of
from reproduce.reading.sessions import Sessions
from reproduce.reports import page as pages
from reproduce.reports.document import Block, Cell, Table
from reproduce.runs.request import Request

ITEM_ORDER = "item order"
SESSIONS = 200_000  # the first of a log, which are measured: all of YOOCHOOSE's item pairs would take many minutes


@dataclass(frozen=True)
class Order:
    """What the order of clicks in sessions looks like."""

    sessions: int  # sessions of two clicks or more
    repeating: int  # of these, those with an item more than once
    grouped: int  # of the repeating ones, those with all clicks on an item next to each other
    pairs: int  # pairs of items that meet in more than one session
    agreeing: int  # of these, those whose first clicks come in the same order in every such session
    repeats: float  # share of clicks on the same item as the click before, in per cent

    @property
    def verdict(self) -> str:
        """Whether the log is in item order: every repeated item is grouped, and every pair agrees.

        Without repeats ten pairs are enough: by chance each agrees with probability 1/2 at most.
        """
        if not self.pairs or (not self.repeating and self.pairs < 10 and self.agreeing == self.pairs):
            return "too few to tell"
        by_item = self.grouped == self.repeating and self.agreeing == self.pairs
        return ITEM_ORDER if by_item else "no item order"


def order_of(sessions: Sessions) -> Order:
    """Measure the order of clicks; sessions of one click say nothing about it and are left out."""
    sessions = sessions.take(sessions.lengths > 1)
    items, owner = sessions.clicks()
    next_to = (owner[1:] == owner[:-1]) & (items[1:] == items[:-1])
    distinct, first = np.unique(owner * np.int64(sessions.n_items) + items, return_index=True)
    of = distinct // sessions.n_items
    n_distinct = np.bincount(of, minlength=len(sessions))
    stretches = np.bincount(owner, minlength=len(sessions)) - np.bincount(owner[1:][next_to], minlength=len(sessions))
    repeating = n_distinct < sessions.lengths
    pairs, agreeing = _pairs(Sessions.packed(items[np.sort(first)], n_distinct, sessions.n_items))
    return Order(
        sessions=len(sessions),
        repeating=int(repeating.sum()),
        grouped=int((repeating & (stretches == n_distinct)).sum()),
        pairs=pairs,
        agreeing=agreeing,
        repeats=100 * float(next_to.sum()) / max(len(items) - len(sessions), 1),
    )


def _pairs(firsts: Sessions) -> tuple[int, int]:
    """Count the item pairs that occur in more than one session, and those of them that are always in one order.

    Args:
        firsts: sessions in which no item repeats.
    """
    _, owner = firsts.clicks()
    items = firsts.items
    later = np.repeat(np.cumsum(firsts.lengths), firsts.lengths) - np.arange(len(owner)) - 1  # clicks after each
    left = np.repeat(np.arange(len(items)), later)
    right = left + 1 + np.arange(len(left)) - np.repeat(np.cumsum(later) - later, later)
    a, b = items[left], items[right]
    pair = np.minimum(a, b) * np.int64(firsts.n_items) + np.maximum(a, b)
    _, number, met = np.unique(pair, return_inverse=True, return_counts=True)
    forward = np.bincount(number, weights=a < b, minlength=len(met))
    several = met > 1
    return int(several.sum()), int((several & ((forward == 0) | (forward == met))).sum())


def in_time_order(log: ClickLog) -> float:
    """Return the share of sessions of two rows or more whose rows never step back in time, in per cent."""
    order = np.argsort(log.session, kind="stable")
    session, time = log.session[order], log.time[order]
    back = (session[1:] == session[:-1]) & (time[1:] < time[:-1])
    names, counts = np.unique(session, return_counts=True)
    several = names[counts > 1]
    return 100 * (1 - len(np.unique(session[1:][back])) / max(len(several), 1))


def blocks(request: Request) -> list[Block]:
    """Return the order of clicks in every log or split asked for, as a table and what its columns mean."""
    rows: dict[str, list[Cell]] = {}
    orders: dict[str, Order] = {}
    emulated = set()
    for name in request.datasets:
        dataset = catalog.dataset(name)
        files = dataset.find_log(request.data) if dataset.find_log else []
        if files and dataset.read_log:
            if f"{files[0].name}, rows as they stand" not in rows:
                log = dataset.read_log(files[0])
                share = f"{in_time_order(log):.1f} %"
                for what, by_time, time in (("rows as they stand", False, share), ("sorted by time", True, "100.0 %")):
                    title = f"{files[0].name}, {what}"
                    orders[title] = order_of(_first(sessions_of(log, by_time=by_time)))
                    rows[title] = _row(title, orders[title], time)
            continue
        split = catalog.load_split(name, request.data)
        title = f"{pages.title_of(name)}, {split.provenance.source}"
        orders[title] = order_of(split.train)
        rows[title] = _row(title, orders[title], None)
        emulated |= {title} if split.provenance.emulated else set()
    by_item = [title for title, order in orders.items() if order.verdict == ITEM_ORDER and title not in emulated]
    text = (
        f"Sessions of two clicks or more, of a log the first {SESSIONS:,}. *Repeats grouped*: of the sessions that "
        "repeat an item, those with all its clicks adjacent. *Pairs in one order*: of the pairs of items that "
        "meet in several sessions, those in the same order in all. In item order, all are: "
    )
    text += (pages.listed(by_item) or "none read from a file") + (
        f"; by construction {pages.listed(sorted(emulated))}." if emulated else "."
    )
    head = ["clicks", "sessions", "in time order", "repeats grouped", "pairs in one order", "next repeats last"]
    return [Table(head, list(rows.values()), "The order of clicks"), text]


def _row(title: str, order: Order, in_time: str | None) -> list[Cell]:
    grouped, agreeing = f"{order.grouped:,} of {order.repeating:,}", f"{order.agreeing:,} of {order.pairs:,}"
    return [title, order.sessions, in_time, grouped, agreeing, f"{order.repeats:.1f} %"]


def _first(sessions: DatedSessions) -> Sessions:
    kept = longer_than_one(sessions)
    lengths = kept.lengths[:SESSIONS]
    return Sessions.packed(kept.items[: int(lengths.sum())], lengths, int(kept.items.max(initial=-1)) + 1)
