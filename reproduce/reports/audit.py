"""The order of a log's clicks, and how the paper counted.

The same model on the same log has a Recall@20 of 62.58 in one paper and of 49.70 in the next, and both are right. In
the NARM paper the clicks of a session are in the order of the raw file's rows, which are grouped by item; later papers
sort them by time, which makes the task harder. The page measures the order of each log and shows what each order gives.
Where the raw file is absent it also counts the simple methods in ten random orders of the items. Then it counts the
same records in the ways in which the authors may have counted them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
import torch
from tqdm import tqdm

from reproduce import catalog
from reproduce.evaluation.metrics import MRR, RECALL
from reproduce.evaluation.ranking import rank, rank_all
from reproduce.fitting.recommender import Journal
from reproduce.paper import elsewhere, numbers
from reproduce.paper.counting import EVALUATION_2016, NARM_CODE, OURS, Counting
from reproduce.paper.numbers import Score
from reproduce.paper.originals import BPR_MF_ORDERS, EXPLAINED, PREDICTED
from reproduce.paper.rows import NARM, Row
from reproduce.reading.preprocessing import ClickLog, DatedSessions, longer_than_one, sessions_of, sort_by_item
from reproduce.reading.sessions import Provenance, Sessions, Split, exactness
from reproduce.reports import measuring, renderers
from reproduce.reports.document import Block, Cell, Document, Number, Section, Table, score_text
from reproduce.reports.measuring import METRICS
from reproduce.reports.records import Records, of_published_size, papers_task
from reproduce.reports.study import Compared, Page, Study, joined, title_of
from reproduce.reports.table2 import less, pair, predicted_runs, published, unseen_targets
from reproduce.runs.environment import choose_device
from reproduce.runs.record import Result
from reproduce.runs.request import Request

COUNTING = (Row("POP", "pop"), Row("S-POP", "s_pop"), Row("Item-KNN", "item_knn"))
FILE_ORDER, TIME_ORDER = "diginetica-file-order", "diginetica"
RULES: Mapping[str, Counting] = {
    "rank ≤ 20, ties against": OURS,
    "≤ 20, ties in favour": NARM_CODE,
    "≤ 20, ties random": Counting(ties="at random"),
    "< 20, ties random": EVALUATION_2016,
}
ITEM_ORDER = "item order"
SESSIONS = 200_000  # the first of a log, which are measured: all of YOOCHOOSE's item pairs would take many minutes
SEEDS = range(10)  # of the random orders of the items


def rows(request: Request) -> list[Row]:
    return request.rows(COUNTING)


def draw(study: Study) -> Document:
    request, records = study.request, study.records
    datasets = list(dict.fromkeys([*records.datasets(), *request.datasets]))
    return Document(
        "Audit: why 62.58 in one paper and 49.70 in another?",
        _answer(study),
        parts=[
            *(_each_order(study) if {FILE_ORDER, TIME_ORDER} & set(datasets) else []),
            Section("In which order do clicks come?", _click_orders(request)),
            *(_random_orders(request) if FILE_ORDER in request.datasets else []),
            *_how_counted(records, datasets),
            *_explained(records),
            *_first_rows(records, datasets),
        ],
    )


PAGE = Page(draw, rows, reads_logs=True)


# DIGINETICA in each order


def _results(study: Study, row: Row, dataset: str) -> list[Result]:
    """Return the records of a row; the project's own where there are none."""
    return study.records.results(row, dataset) or study.from_reference(row, dataset)


def _answer(study: Study) -> list[str]:
    paper, later = published("NARM", FILE_ORDER), elsewhere.wu_2019("NARM")
    runs = {name: _results(study, NARM, name) for name in (FILE_ORDER, TIME_ORDER)}
    file, time = map(pair, runs.values())
    lines = [
        "In the raw file the rows of a session are grouped by item, and the items follow one global order: the next "
        "click is more often on the same item again, or on a similar one."
    ]
    if file and time and paper and later and papers_task(FILE_ORDER, [*runs[FILE_ORDER], *runs[TIME_ORDER]]):
        lines.insert(
            0,
            f"**The order of the clicks differs.** Same sessions, same code: NARM has {score_text(file)} in the order "
            f"of the raw file (the paper: {score_text(paper)}) and {score_text(time)} in the order of time (Wu et al., "
            f"AAAI 2019: {score_text(later)}). {_noise(study, runs)}",
        )
    return lines


def _noise(study: Study, runs: Mapping[str, Sequence[Result]]) -> str:
    """Say whether Recall@20 in the two orders differs by more than noise; "" where the noise is not known.

    The test prefixes of the two orders are not paired, so their intervals are combined as independent ones.
    """
    rows = [Compared(study, name, {NARM.label: here}).measured["recall"][NARM.label] for name, here in runs.items()]
    if any(row.unknown for row in rows):
        return ""
    gap, noise = abs(rows[0].value - rows[1].value), math.hypot(*map(measuring.half_width, rows))
    return (
        f"The {gap:.1f} points of Recall@20 between them are {'not' if gap > noise else 'within'} noise (±{noise:.1f})."
    )


def _each_order(study: Study) -> list[Block]:
    lines: list[dict[str, Cell]] = []
    orders = (FILE_ORDER, TIME_ORDER)
    found = {row.label: [_results(study, row, name) for name in orders] for row in (*COUNTING, NARM)}
    papers = papers_task(FILE_ORDER, [run for both in found.values() for runs in both for run in runs])
    for label, (file, time) in found.items():
        if file or time:
            line: dict[str, Cell] = {"model": label, "file order": pair(file)}
            line |= {"paper": published(label, FILE_ORDER) if papers else None, "time order": pair(time)}
            lines.append(line | {elsewhere.WU.name: elsewhere.wu_2019(label) if papers else None})
    text = (
        "The file order is reconstructed: the order of the items, and only that, is from another model's public output "
        "([findings](findings.md#diginetica-file-order-the-order-of-the-clicks))."
    )
    reconstructed = any(run.split["provenance"].get("reconstructed") for run in _results(study, NARM, FILE_ORDER)[:1])
    table = Table(lines, "Recall@20 / MRR@20")
    return [Section("DIGINETICA in each order", [table, text if reconstructed else ""])]


# The order of clicks in a log


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
    n_distinct = np.bincount(distinct // sessions.n_items, minlength=len(sessions))
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
    session, time = log.session[order], (log.time // 10**6 if log.order is None else log.order)[order]
    back = (session[1:] == session[:-1]) & (time[1:] < time[:-1])
    names, counts = np.unique(session, return_counts=True)
    several = names[counts > 1]
    return 100 * (1 - len(np.unique(session[1:][back])) / max(len(several), 1))


def _click_orders(request: Request) -> list[Block]:
    """Return the order of clicks in every log or split asked for, as a table and what its columns mean."""
    orders: dict[str, tuple[Order, str | None]] = {}  # title -> the order, the share of sessions in time order
    emulated = set()
    for name in request.datasets:
        dataset = catalog.dataset(name)
        if files := dataset.find_log(request.data):
            alone = sum(catalog.dataset(other).raw == dataset.raw for other in request.datasets) == 1
            log_title = title_of(name) if alone else files[0].name  # one log may be split in several ways
            as_they_stand, by_time = (f"{log_title}, {what}" for what in ("rows as they stand", "sorted by time"))
            if as_they_stand not in orders:
                log = dataset.read_log(files[0])
                share = in_time_order(log)
                orders[as_they_stand] = order_of(first_sessions(sessions_of(log, by_time=False))), f"{share:.1f} %"
                if share < 100:
                    orders[by_time] = order_of(first_sessions(sessions_of(log, by_time=True))), "100.0 %"
            continue
        split = catalog.load_split(name, request.data)
        title = f"{title_of(name)}, {split.provenance.source}"
        orders[title] = order_of(split.train), None
        emulated |= {title} if split.provenance.emulated else set()
    lines = [
        {
            "clicks": title,
            "sessions": order.sessions,
            "in time order": share,
            "repeats grouped": f"{order.grouped:,} of {order.repeating:,}",
            "pairs in one order": f"{order.agreeing:,} of {order.pairs:,}",
            "next repeats last": f"{order.repeats:.1f} %",
        }
        for title, (order, share) in orders.items()
    ]
    by_item = [title for title, (order, _) in orders.items() if order.verdict == ITEM_ORDER and title not in emulated]
    made = f"; by construction {joined(sorted(emulated))}" if emulated else ""
    text = (
        f"Sessions of two clicks or more: the first {SESSIONS:,} of a log, the training set of processed files. "
        "*Repeats grouped*: all clicks on a repeated item are adjacent. *Pairs in one order*: of the pairs of items "
        "that meet in several sessions. *Next repeats last*: of all next clicks. Wholly in item order: "
        f"{joined(by_item) or 'none read from a file'}{made}."
    )
    return [Table(lines, "The order of clicks"), text]


def first_sessions(sessions: DatedSessions) -> Sessions:
    """Return the first sessions of a log that have two clicks or more."""
    kept = longer_than_one(sessions)
    lengths = kept.lengths[:SESSIONS]
    return Sessions.packed(kept.items[: int(lengths.sum())], lengths, int(kept.items.max(initial=-1)) + 1)


# Random orders of the items


def shuffled(sessions: Sessions, seed: int) -> Sessions:
    """Sort every session's clicks by a random order of the items."""
    places = np.random.default_rng(seed).permutation(sessions.n_items)
    clicks = sort_by_item(sessions.clicks()[0], sessions.lengths, places)
    return Sessions.packed(clicks, sessions.lengths, sessions.n_items)


def in_random_orders(split: Split, device: torch.device, *, quiet: bool = True) -> dict[str, list[Score]]:
    """Measure the counting models on the split as it is, then with each random order of the items; by label.

    They ignore the order of the training clicks, so each is fitted only once.
    """
    tests = [split.test, *(shuffled(split.test, seed) for seed in SEEDS)]
    found: dict[str, list[Score]] = {}
    with tqdm(
        total=len(COUNTING) * len(tests), desc="audit: orders of the items", ncols=80, disable=quiet or None
    ) as bar:
        for row in COUNTING:
            model = catalog.make_recommender(row.model, row.fields)
            model.fit(split.train, seed=0, device=device, journal=Journal())
            found[row.label] = []
            for test in tests:
                ranks = rank(*rank_all(model, *test.prefixes()))
                found[row.label].append(Score(RECALL.of_ranks(ranks), MRR.of_ranks(ranks)))
                bar.update()
    return found


def _random_orders(request: Request) -> list[Block]:
    """Show what other orders of the items give; nothing where the raw file's own order is there."""
    split = catalog.load_split(FILE_ORDER, request.data)
    if not split.provenance.emulated:
        return []
    found = in_random_orders(split, choose_device(request.device), quiet=request.quiet)
    return [Section("What the order of the items is worth", orders_table(found, split.provenance))]


def orders_table(found: Mapping[str, Sequence[Score]], origin: Provenance) -> list[Block]:
    """Return the table of what `in_random_orders` gave for a split of that origin, with the paper's numbers."""
    lines: list[dict[str, Cell]] = []
    for label, (own, *random) in found.items():
        line: dict[str, Cell] = {"model": label, f"{exactness(vars(origin))} order": own}
        for metric, title in METRICS.items():
            values = [getattr(score, metric) for score in random]
            line[f"random: {title}"] = Number(mean(values), interval=(min(values), max(values)))
        line["paper"] = published(label, FILE_ORDER) if of_published_size(vars(origin)) else None
        lines.append(line)
    text = f"Ties against; ten random orders of the items (seeds {SEEDS[0]} to {SEEDS[-1]}), mean (least to greatest)."
    if origin.reconstructed:
        text += " What lies outside the brackets depends on the order itself."
    return [Table(lines, "Orders of the items"), text]


# How the paper counted


def _how_counted(records: Records, datasets: Sequence[str]) -> list[Block]:
    """Count the paper's rows, with the settings of public code, by each rule."""
    sections: list[Block] = []
    for dataset in datasets:
        unseen = unseen_targets(records, dataset)
        lines: list[dict[str, Cell]] = []
        for label, prediction in PREDICTED.items():
            runs, theirs = predicted_runs(records, dataset, prediction), published(label, dataset)
            if runs and theirs and papers_task(dataset, runs):
                cells: dict[str, Cell] = {title: pair(runs, rule, unseen) for title, rule in RULES.items()}
                own = prediction.counting
                for title, rule in RULES.items():
                    if (rule.below, rule.ties) == (own.below, own.ties):  # GRU4Rec's code ranks unseen items, too
                        cells[title] = f"**{renderers.cell_text(pair(runs, own, unseen))}**"
                lines.append({"model": label, "paper": theirs, **cells})
        if lines:
            sections.append(Section(title_of(dataset), [Table(lines, "By rule")], dataset))
    text = (
        "Recall@20 / MRR@20 with the settings of *predicted*. Bold: as its code counts. On YOOCHOOSE the last rule "
        "also misses unseen items."
    )
    return [Section("How the paper counted", [text, *sections])] if sections else []


def _explained(records: Records) -> list[Block]:
    """Show each explanation on each data set: kind, settings tried, seeds, numbers, and less the paper's."""
    lines: list[dict[str, Cell]] = []
    for explanation in EXPLAINED:
        for dataset in [name for name in numbers.DATASETS if name not in numbers.OTHER_ORDER]:
            theirs, runs = published(explanation.label, dataset), records.results(explanation.row, dataset)
            ours = pair(runs, explanation.counting, unseen_targets(records, dataset))
            if ours and theirs and papers_task(dataset, runs):
                line: dict[str, Cell] = {
                    "explanation": explanation.row.label,
                    "kind, tried": f"{explanation.kind}, {len(explanation.tried)}",
                }
                line |= {"data set": title_of(dataset), "seeds": str(len(runs)), "Recall@20 / MRR@20": ours}
                lines.append(line | {"less the paper's": less(ours, theirs)})
    text = (
        "Choices made with the test scores of YOOCHOOSE 1/64 in view; the other data set is their test. F: fitted. I: "
        "inferred, one of several public alternatives (FPMC's settings are *predicted* too; that the user's part was "
        "left out is inferred). *Tried*: how many were tried."
    )
    table = Table(lines, "Explanations", labels=3)
    return [Section("What explains a number afterwards", [text, table])] if lines else []


def _first_rows(records: Records, datasets: Sequence[str]) -> list[Block]:
    """Show BPR-MF with negatives drawn from the first rows of the table of clicks, for several row orders."""
    runs = {name: [records.results(row, name) for row in BPR_MF_ORDERS] for name in datasets}
    found = {title_of(name): [*map(pair, rows)] for name, rows in runs.items()}
    papers = {
        title_of(name): published("BPR-MF", name) if papers_task(name, [run for row in rows for run in row]) else None
        for name, rows in runs.items()
    }
    kept = [title for title, scores in found.items() if sum(score is not None for score in scores) > 1]
    if not kept:
        return []
    lines = [
        {"negatives drawn from": row.label, **{title: found[title][i] for title in kept}}
        for i, row in enumerate(BPR_MF_ORDERS)
    ]
    paper = {"negatives drawn from": "**the paper**", **{title: papers[title] for title in kept}}
    text = "The public code of 2016 draws negatives from as many first rows as there are items. Here rank ≤ 20."
    return [Section("BPR-MF by the order of the rows", [text, Table([*lines, paper], "BPR-MF")])]
