"""The order of a log's clicks, how the paper counted, and the effect of tie-breaking.

The same model on the same log has a Recall@20 of 62.58 in one paper and of 49.70 in the next, and both are right. In
the NARM paper the clicks of a session are in the order of the raw file's rows, which are grouped by item; later papers
sort them by time, which makes the task harder. The page measures the order of each log and shows what each order gives.
Where the raw file is absent it also counts the simple methods in ten random orders of the items. Then it counts the
same records in the ways in which the authors may have counted them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from reproduce import catalog
from reproduce.paper import elsewhere, numbers
from reproduce.paper.counting import EVALUATION_2016, EVALUATION_2016_YOOCHOOSE, NARM_CODE, OURS, Counting
from reproduce.paper.originals import BPR_MF_ORDERS, EXPLAINED, PREDICTED
from reproduce.paper.rows import ROWS, Row
from reproduce.reports import Page, click_order, comparison, item_orders, renderers
from reproduce.reports import page as pages
from reproduce.reports.document import Block, Bullets, Cell, Document, Scores, Section, Table
from reproduce.reports.measuring import METRICS
from reproduce.reports.records import Records, of_published_size, papers_task, reference
from reproduce.reports.significance import recorded
from reproduce.runs.environment import choose_device
from reproduce.runs.record import Result
from reproduce.runs.request import Request

COUNTING = (Row("POP", "pop"), Row("S-POP", "s_pop"), Row("Item-KNN", "item_knn"))
NARM = Row("NARM", "narm")
FILE_ORDER, TIME_ORDER = "diginetica-file-order", "diginetica"
RULES: Mapping[str, Counting] = {
    "rank ≤ 20, ties against": OURS,
    "≤ 20, ties in favour": NARM_CODE,
    "≤ 20, ties random": Counting(ties="at random"),
    "< 20, ties random": EVALUATION_2016,
}
# What differs in the last rule on YOOCHOOSE: items that do not occur in the training set are always missed.
ON_YOOCHOOSE = {EVALUATION_2016: EVALUATION_2016_YOOCHOOSE}
MOVED = 0.1  # points: rows that tie-breaking moves by less are not listed


def rows(request: Request) -> list[Row]:
    return request.rows(COUNTING)


def draw(request: Request, failed: Mapping[str, str]) -> Document:
    records, beside = Records.of_request(request), reference(request.results)
    datasets = list(dict.fromkeys([*records.datasets(), *request.datasets]))
    both = {name: _results(NARM, name, records, beside) for name in (FILE_ORDER, TIME_ORDER)}
    parts: list[Block] = []
    if {FILE_ORDER, TIME_ORDER} & set(datasets):
        parts.append(
            Section("DIGINETICA in each order", [_each_order(records, beside), *_reconstruction(both[FILE_ORDER])])
        )
    parts.append(Section("In which order do clicks come?", click_order.blocks(request)))
    if FILE_ORDER in request.datasets:
        parts += _random_orders(request)
    parts += _how_counted(records, datasets)
    parts += _explained(records)
    parts += _first_rows(records, datasets)
    parts += _ties(request, records, datasets)
    notes = [*records.remarks(*datasets), *(f"{path}: failed, {why}" for path, why in failed.items())]
    return Document(
        "Audit: why 62.58 in one paper and 49.70 in another?",
        _answer(both),
        "",
        [*parts, Bullets(notes)] if notes else parts,
        pages.foot("audit", request),
        pages.data(records),
    )


PAGE = Page(draw, rows, reads_logs=True)


def _results(row: Row, dataset: str, records: Records, beside: Records | None) -> list[Result]:
    """Return the records of a row; the project's own where there are none, unless those here are of another split."""
    here = records.of(dataset)
    theirs = beside.results(row, dataset) if beside else []
    if here and theirs and here[0].split["digest"] != theirs[0].split["digest"]:
        theirs = []
    return records.results(row, dataset) or theirs


def _pair(results: Sequence[Result], rule: Counting = OURS, unseen: object = None) -> Scores | None:
    if not results:
        return None
    return Scores(*(mean(comparison.counted(run, metric, rule, unseen) for run in results) for metric in METRICS))  # type: ignore[arg-type]


def _answer(both: Mapping[str, Sequence[Result]]) -> list[str]:
    paper, later = numbers.published(numbers.TABLE3, "NARM", FILE_ORDER), elsewhere.wu_2019("NARM")
    ours = [_pair(both[name]) for name in (FILE_ORDER, TIME_ORDER)]
    lines = []
    if all(ours) and paper and later:
        file, time = (cell.text for cell in ours if cell)
        lines.append(
            f"**The order of the clicks differs.** Same sessions, same code: NARM has {file} in the order of the raw "
            f"file (the paper: {paper.recall:.2f} / {paper.mrr:.2f}) and {time} in the order of time (Wu et al., AAAI "
            f"2019: {later.recall:.2f} / {later.mrr:.2f})."
        )
    lines.append(
        "In the raw file the rows of a session are grouped by item, and the items follow one global order: the next "
        "click is more often on the same item again, or on a similar one."
    )
    return lines


def _each_order(records: Records, beside: Records | None) -> Table:
    lines: list[list[Cell]] = []
    for row in (*COUNTING, NARM):
        results = {name: _results(row, name, records, beside) for name in (FILE_ORDER, TIME_ORDER)}
        sizes = all(of_published_size(run.split["provenance"]) for runs in results.values() for run in runs)
        paper = numbers.published(numbers.TABLE3, row.label, FILE_ORDER) if sizes else None
        later = elsewhere.wu_2019(row.label) if sizes else None
        lines.append(
            [
                row.label,
                _pair(results[FILE_ORDER]),
                comparison.scores(paper),
                _pair(results[TIME_ORDER]),
                comparison.scores(later),
            ]
        )
    return Table(["model", "file order", "paper", "time order", "Wu et al. 2019"], lines, "Recall@20 / MRR@20")


def _reconstruction(results: Sequence[Result]) -> list[Block]:
    """Say how the file order was obtained where it is not the raw file's own."""
    if not results or not results[0].split["provenance"].get("reconstructed"):
        return []
    return [
        "The file order is reconstructed: a public output of another model prints the test sessions in it. Nothing "
        "but an order of items was taken from there; labels and ranks are those of the processed files "
        "([findings](findings.md#diginetica-file-order-the-order-of-the-clicks))."
    ]


def _random_orders(request: Request) -> list[Block]:
    """Measure the counting models in other orders of the items; nothing where the raw file's own order is there."""
    split = catalog.load_split(FILE_ORDER, request.data)
    if not split.provenance.emulated:
        return []
    found = item_orders.measure(split, COUNTING, choose_device(request.device), quiet=request.quiet)
    return [Section("What the order of the items is worth", item_orders.blocks(found, split.provenance, FILE_ORDER))]


def _how_counted(records: Records, datasets: Sequence[str]) -> list[Block]:
    """Count the paper's rows, with the settings their authors most likely used, by each rule."""
    sections: list[Block] = []
    for dataset in datasets:
        unseen = comparison.unseen_targets(records, dataset)
        lines: list[list[Cell]] = []
        for label, prediction in PREDICTED.items():
            results = comparison.predicted_runs(records, dataset, prediction)
            theirs = numbers.published(numbers.TABLE3, label, dataset)
            if not results or not theirs or not papers_task(dataset, results):
                continue
            line: list[Cell] = [label, Scores(theirs.recall, theirs.mrr)]
            for rule in RULES.values():
                rule = ON_YOOCHOOSE.get(rule, rule) if dataset.startswith("yoochoose") else rule
                cell = _pair(results, rule, unseen)
                line.append(f"**{renderers.cell_text(cell)}**" if rule == prediction.counted(dataset) else cell)
            lines.append(line)
        if lines:
            sections.append(
                Section(pages.title_of(dataset), [Table(["model", "paper", *RULES], lines, "By rule")], dataset)
            )
    if not sections:
        return []
    text = (
        "Recall@20 / MRR@20 of the same records. Bold: how the row was most likely counted for the paper. Rows have "
        "the settings that its authors most likely used. On YOOCHOOSE the last rule also misses the items that do not "
        "occur in the training set."
    )
    return [Section("How the paper counted", [text, *sections])]


def explained(records: Records) -> list[list[Cell]]:
    """Return a row for each explanation and data set: kind, settings tried, seeds, numbers, and less the paper's."""
    rows: list[list[Cell]] = []
    for one in EXPLAINED:
        for dataset in [name for name in numbers.DATASETS if name not in numbers.OTHER_ORDER]:
            theirs = numbers.published(numbers.TABLE3, one.label, dataset)
            results = records.results(one.row, dataset)
            if not theirs or (not results and not records.results(ROWS[0], dataset)):
                continue
            ours = _pair(results, one.counted(dataset), comparison.unseen_targets(records, dataset))
            gap = Scores(ours.recall - theirs.recall, ours.mrr - theirs.mrr, signed=True) if ours else None
            tried = f"{one.kind}, {len(one.tried)}"
            rows.append([one.row.label, tried, pages.title_of(dataset), str(len(results)), ours, gap])
    return rows


def _explained(records: Records) -> list[Block]:
    rows = explained(records)
    if not rows:
        return []
    head = ["explanation", "kind, tried", "data set", "seeds", "Recall@20 / MRR@20", "less the paper's"]
    text = (
        "These choices were made by looking at test scores of YOOCHOOSE 1/64: they explain a number and predict "
        "none. I: inferred, one of several public alternatives. F: fitted. *Tried*: from how many settings or rules "
        "it was chosen. What the same choice gives on the other data set is its test."
    )
    return [Section("What explains a number afterwards", [text, Table(head, rows, "Explanations", labels=3)])]


def _first_rows(records: Records, datasets: Sequence[str]) -> list[Block]:
    """Show BPR-MF with negatives drawn from the first rows of the table of clicks, for several row orders."""
    found = {row.label: [_pair(records.results(row, name)) for name in datasets] for row in BPR_MF_ORDERS}
    kept = [name for i, name in enumerate(datasets) if sum(pairs[i] is not None for pairs in found.values()) > 1]
    if not kept:
        return []
    lines = [
        [label, *(pair for name, pair in zip(datasets, pairs, strict=True) if name in kept)]
        for label, pairs in found.items()
    ]
    papers = [
        comparison.scores(numbers.published(numbers.TABLE3, "BPR-MF", name) if papers_task(name, []) else None)
        for name in kept
    ]
    table = Table(["negatives drawn from", *map(pages.title_of, kept)], [*lines, ["**the paper**", *papers]], "BPR-MF")
    text = (
        "The public code of 2016 draws a negative from the item column of the first m rows of the table of clicks, m "
        "the number of items. So what a model learns to put down depends on how the table is sorted."
    )
    return [Section("BPR-MF by the order of the rows", [text, table])]


def _ties(request: Request, records: Records, datasets: Sequence[str]) -> list[Block]:
    """Show the rows that tie-breaking moves; a record's numbers under each rule are in runs.csv."""
    lines: list[list[Cell]] = []
    unmoved = 0
    for dataset in datasets:
        for label, results in recorded(request, records, dataset).items():
            against, favour = (_pair(results, rule) for rule in (OURS, NARM_CODE))
            assert against and favour
            if max(favour.recall - against.recall, favour.mrr - against.mrr) >= MOVED:
                lines.append(
                    [label, pages.title_of(dataset), against, favour, _pair(results, Counting(ties="at random"))]
                )
            else:
                unmoved += 1
    text = (
        f"{unmoved} rows with records move by less than {MOVED} points in both metrics. Every run under each "
        "rule: runs.csv."
    )
    head = ["model", "data set", "ties against", "in favour", "at random"]
    return [Section("The effect of tie-breaking", [*([Table(head, lines, "Ties", labels=2)] if lines else []), text])]
