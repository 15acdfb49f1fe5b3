"""The order of a log's clicks, how the paper counted, and what the tie rule is worth.

This page answers why the same model on the same log has a Recall@20 of 62.58 in one paper and of 49.70 in the next, and
why both are right. In the NARM paper the clicks of a session are in the order of the raw file's rows. That is not the
order of time: the rows are grouped by item and the items follow one global order, so the next click is often on the
same item again. In the order of time the task is harder. The page measures the order of each log. Then it shows, for
each order, the numbers of simple methods, which have no randomness, and those of NARM where it has records. If the raw
file is absent, it also counts the simple methods in ten random orders of the items. Finally it counts the same records
in every way in which the authors may have counted them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.evaluation import ranking
from reproduce.paper import controls, numbers
from reproduce.paper.counting import EVALUATION_2016, EVALUATION_2016_YOOCHOOSE, NARM_CODE, OURS, Counting
from reproduce.paper.numbers import Score
from reproduce.paper.originals import BPR_MF_ORDERS, EXPLAINED, PREDICTED
from reproduce.paper.rows import ROWS, Row
from reproduce.reports import Drawn, Page, click_order, comparison, item_orders
from reproduce.reports import page as pages
from reproduce.reports.measuring import METRICS
from reproduce.reports.shelf import Shelf
from reproduce.runs.environment import choose_device
from reproduce.runs.listing import listed
from reproduce.runs.record import Result
from reproduce.runs.request import Request, same, set_fields

COUNTING = (Row("POP", "pop"), Row("S-POP", "s_pop"), Row("Item-KNN", "item_knn"))
NARM = Row("NARM", "narm")
ORDERS = ("diginetica-file-order", "diginetica")
# NARM with clicks sorted by timeframe: Wu et al., Session-based Recommendation with Graph Neural Networks, AAAI 2019.
LATER = Score(49.70, 16.17)
RULES = (
    OURS,
    NARM_CODE,
    Counting(ties="at random"),
    EVALUATION_2016,
    EVALUATION_2016_YOOCHOOSE,
    Counting(below=True, ties="at random", unseen="dropped"),
)
MOVED = 0.1  # points: rows that the tie rule moves by less are not listed
LONGEST = 50  # characters of a label


def rows(request: Request) -> list[Row]:
    return request.rows(COUNTING)


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    own, reference = Shelf.at(request.results, request.digests), pages.reference(request)
    datasets = list(dict.fromkeys([*own.datasets(), *request.datasets]))
    parts = ["# Audit: the order of clicks, and ties", " ".join((__doc__ or "").split("\n\n", 1)[1].split())]
    parts += ["## In which order do clicks come?", click_order.table(request)]
    if set(ORDERS) & set(datasets):
        parts += ["## DIGINETICA in each order", _each_order(own, reference)]
    if ORDERS[0] in request.datasets:
        parts += _spread(request)
    parts += _counted(own, datasets)
    parts += _explained(own)
    parts += _first_rows(own, datasets)
    parts += ["## What the tie rule is worth", _ties(own, datasets)]
    told = [*own.remarks, *(f"{path}: failed, {why}" for path, why in failed.items())]
    told.append(f"Made by {pages.command('audit', request)}.")
    return Drawn("\n\n".join([*parts, "\n".join(f"- {line}" for line in told)]) + "\n")


PAGE = Page(draw, rows, reads_logs=True)


def _each_order(own: Shelf, reference: Shelf | None) -> str:
    head = ["", "Recall@20", "paper", "Δ", "MRR@20", "paper", "Δ"]
    lines = []
    for row in (*COUNTING, NARM):
        for dataset in ORDERS:
            results = own.results(row, dataset)
            title = f"{row.label}, {'file order' if dataset == ORDERS[0] else 'by time'}"
            if not results and reference is not None and (results := reference.results(row, dataset)):
                title += " (reference)"
            words = {pages.order_in_a_word(one.split["provenance"]) for one in results} - {"exact"}
            title += "".join(f", {word}" for word in sorted(words))
            published = numbers.published(numbers.TABLE3, row.label, dataset)
            if any(not pages.of_published_size(one.split["provenance"]) for one in results):
                published = None
            lines.append([title, *_against(results, published)])
            if row is NARM and dataset == ORDERS[1] and published:
                lines.append([f"{title}, against later papers", *_against(results, LATER)])
    return pages.table(head, lines) + (
        "\n\nThe paper's DIGINETICA column stands beside both orders. S-POP has nothing to tune, and its MRR depends "
        "on the order where its Recall hardly does. Item-KNN's parameters are not the paper's, which gives none: "
        "how it moves from one order to the other says more than its distance. A sample of the log is another "
        "task, and the paper's numbers do not stand beside it. Later papers sort by time (NARM 49.70 / 16.17 "
        "in Wu et al., AAAI 2019): another task, not another result."
    )


def _spread(request: Request) -> list[str]:
    """Measure the counting models in other orders of the items; nothing where the raw file's own order is there."""
    split = catalog.load_split(ORDERS[0], request.data)
    if not split.provenance.emulated:
        return []
    found = item_orders.measure(split, COUNTING, choose_device(request.device), quiet=request.quiet)
    return ["### What the order of the items is worth", item_orders.table(found, split.provenance, ORDERS[0])]


def _against(results: Sequence[Result], published: Score | None) -> list[str]:
    line = []
    for metric in ("recall", "mrr"):
        values = [getattr(one, metric)() for one in results]
        value = getattr(published, metric) if published else None
        line += [pages.number(values), pages.published(value), pages.difference(values, value)]
    return line


def _counted(own: Shelf, datasets: Sequence[str]) -> list[str]:
    """Return the paper's rows, with the settings of public code, under each rule of counting."""
    lines = []
    for dataset in [name for name in datasets if name in numbers.PAPER_COLUMN]:
        unseen = comparison.unseen_targets(own, dataset)
        for label, one in PREDICTED.items():
            results = comparison.predicted_runs(own, dataset, one)
            theirs = numbers.published(numbers.TABLE3, label, dataset)
            if (
                not results
                or not theirs
                or not all(pages.of_published_size(run.split["provenance"]) for run in results)
            ):
                continue
            line = [dataset, label, f"{theirs.recall:.2f} / {theirs.mrr:.2f}"]
            for rule in RULES:
                pair = (mean(comparison.counted(run, metric, rule, unseen) for run in results) for metric in METRICS)
                text = " / ".join(f"{value:.2f}" for value in pair)
                line.append(f"**{text}**" if rule == one.counted(dataset) else text)
            lines.append(line)
    if not lines:
        return []
    head = ["data set", "model", "paper", *(rule.told() for rule in RULES)]
    told = (
        "Recall@20 / MRR@20 of the same records, counted in several ways; ties at random in expectation. Bold: the way "
        "of the public code, with which the row is predicted. Rows have the settings of public code "
        "([table2.md](table2.md) names both, with the evidence). Only on YOOCHOOSE does train lack items of the test; "
        "which targets those are is read from POP's record."
    )
    return ["## How the paper counted", pages.table(head, lines, names=2), told]


def explained(own: Shelf) -> list[list[str]]:
    """Return a line for each explanation and data set: kind, settings tried, seeds, numbers, and less the paper's."""
    lines = []
    for one in EXPLAINED:
        for dataset in [name for name in numbers.DATASETS if name not in numbers.OTHER_ORDER]:
            theirs = numbers.published(numbers.TABLE3, one.label, dataset)
            results = own.results(one.row, dataset)
            if not theirs or (not results and not own.results(ROWS[0], dataset)):
                continue
            line = [one.row.label, one.kind, str(len(one.tried)), dataset, str(len(results))]
            unseen = comparison.unseen_targets(own, dataset)
            for metric in METRICS:
                values = [comparison.counted(run, metric, one.counted(dataset), unseen) for run in results]
                line += [pages.number(values), pages.difference(values, getattr(theirs, metric))]
            lines.append(line)
    return lines


def _explained(own: Shelf) -> list[str]:
    lines = explained(own)
    if not lines:
        return []
    head = [
        "explanation",
        "kind",
        "tried",
        "data set",
        "seeds",
        "Recall@20",
        "less the paper's",
        "MRR@20",
        "less the paper's",
    ]
    told = (
        "These choices were made by looking at test scores of YOOCHOOSE 1/64: they explain a number and predict none. "
        "I: inferred, one of several public alternatives. F: fitted, a value that no public source has. Tried: from "
        "how many settings or rules it was chosen. What the same choice gives on the other data set is its test."
    )
    return ["## What explains a number afterwards", pages.table(head, lines, names=2), told]


def _first_rows(own: Shelf, datasets: Sequence[str]) -> list[str]:
    """Return BPR-MF with wrong items drawn from the first rows of the table of clicks, for several row orders."""
    lines = []
    for dataset in [name for name in datasets if name in numbers.PAPER_COLUMN]:
        theirs = numbers.published(numbers.TABLE3, "BPR-MF", dataset)
        for row in BPR_MF_ORDERS:
            if results := own.results(row, dataset):
                lines.append([dataset, row.label, *_against(results, theirs)])
    if len(lines) < 2:
        return []
    head = ["data set", "wrong items drawn from", "Recall@20", "paper", "Δ", "MRR@20", "paper", "Δ"]
    told = (
        "The public code of 2016 draws a wrong item from the item column of the first m rows of the table of clicks, m "
        "the number of items. So which items a model learns to put down depends on how the table is sorted."
    )
    return ["## BPR-MF by the order of the rows", pages.table(head, lines, names=2), told]


def _ties(own: Shelf, datasets: Sequence[str]) -> str:
    head = ["data set", "model", "Recall@20, against", "in favour", "Δ", "MRR@20, against", "in favour", "Δ"]
    lines, unmoved = [], 0
    for dataset in datasets:
        tuned = comparison.tuned_rows(own, dataset, own.searches(dataset))
        for row in _rows_of(own, dataset):
            if not (results := own.results(row, dataset)):
                continue
            line, moves = [dataset, _short_label(row, tuned, dataset)], False
            for metric in (ranking.recall_at, ranking.mrr_at):
                against, favour = (
                    [metric(one.ranks(ties_favour_target=rule)) for one in results] for rule in (False, True)
                )
                gain = mean(favour) - mean(against)
                moves |= round(gain, 2) >= MOVED
                line += [pages.number(against), pages.number(favour), f"{gain:+.2f}"]
            if moves:
                lines.append(line)
            unmoved += not moves
    told = (
        "Against: an item tied with the target counts as ahead of it, the rule of all other pages. In favour: the "
        "target comes first among those tied with it, as in the authors' code."
    )
    if unmoved:
        told += f" Not listed: {unmoved} with records where that moves neither metric by {MOVED} or more."
    return "\n\n".join([pages.table(head, lines, names=2)] * bool(lines) + [told])


def _short_label(row: Row, tuned: Sequence[Row], dataset: str) -> str:
    """Return the label that other pages give a row; for any other row, a label that names its fields.

    A label that would be longer than LONGEST gives the number of fields in place of their names.
    """
    for known in (*ROWS, *controls.ROWS, *tuned):
        if same(known.at(dataset), row):
            return known.label
    label = set_fields(Row(catalog.recommender(row.model).label, row.model), row.fields).label
    return label if len(label) <= LONGEST else f"{catalog.recommender(row.model).label} ({len(row.fields)} fields set)"


def _rows_of(shelf: Shelf, dataset: str) -> list[Row]:
    """Return a row for every model and set of fields with records on a data set."""
    found = {}
    for one in listed(shelf.folder, dataset):
        if one.experiment is None:
            continue  # the shelf remarks on it when any row is read
        try:
            catalog.make_recommender(one.experiment.model, one.experiment.params)
        except UsageError:
            shelf.remarks.append(f"{one.file.name}: no model or field of the suite has this name; left out.")
            continue
        name = one.file.stem.removesuffix(f"-seed{one.experiment.seed}")
        found[name] = Row(name, one.experiment.model, one.experiment.params)
    return list(found.values())
