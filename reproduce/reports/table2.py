"""The comparison of all recommenders (the paper's Table 3), NARM's decoders (Table 2) and later baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean

from reproduce import catalog
from reproduce.evaluation import comparisons
from reproduce.evaluation.comparisons import Pair
from reproduce.evaluation.uncertainty import ALPHA
from reproduce.evaluation.verdicts import MARGIN
from reproduce.paper import controls, elsewhere, numbers
from reproduce.paper.counting import EVALUATION_2016, NARM_CODE
from reproduce.paper.rows import ROWS, Row
from reproduce.reports import Page, comparison, cutoff_table, figures, measuring
from reproduce.reports import page as pages
from reproduce.reports.comparison import FULL_DECODER, MARKS, Line
from reproduce.reports.document import Block, Bullets, Cell, Document, Figure, Folded, Scores, Section, Table, signed
from reproduce.reports.figures import Dot, DotPanel, Dots
from reproduce.reports.measuring import METRICS, Seeds, View
from reproduce.reports.records import Records, papers_task, reference
from reproduce.runs.record import Result
from reproduce.runs.request import Request, same
from reproduce.runs.stored_search import VERSION, Found

NARM = "NARM"
SPAN = 2.2  # points to either side in the figure
PREDICTED = Dots("predicted from public code", figures.DARK, hollow=True)
OURS = Dots("ours, 95 % interval", figures.GREY, "s")
HOW_TO_READ = (
    "*Paper*: as printed, Recall@20 / MRR@20. *Predicted*: what public code and settings give, counted as that code "
    "counts; no test score was used. *Ours*: default settings, rank ≤ 20, ties against the model; ± is a 95 % interval "
    "over test sessions and, where several seeds show their noise, seeds."
)
TUNED = (
    "Settings found by a search on held-out training sessions. Budgets differ and some rows were not searched, so "
    "these numbers are not compared with the others."
)


def rows(request: Request) -> list[Row]:
    return request.rows([*ROWS, *(controls.ROWS if request.options.get("beyond") else ())], extra=controls.ROWS)


def draw(request: Request, failed: Mapping[str, str]) -> Document:
    """Draw a section for each data set with records or just asked for; a terminal shows those asked for, or all."""
    records = Records.of_request(request)
    shown = pages.shown_datasets(request, records)
    sections = [_Section(request, records, name, failed) for name in shown]
    papers = [section for section in sections if section.of_the_paper and section.records]
    title = "Table 2: the recommenders compared"
    if shown == ["synthetic"]:
        title += ", on a synthetic log"
    parts: list[Block] = [figure] if (figure := _figure(papers)) else []
    flags = {"beyond": ""} if any(section.beyond for section in sections) else {}
    return Document(
        title,
        _answer(papers, sections),
        "Recall@20 and MRR@20, in per cent, over the whole catalogue"
        + (". These are the paper's Tables 3 and 2." if papers else ".")
        + f" {View.of(request.options).told}".rstrip(),
        [*parts, HOW_TO_READ, MARKS, *(section.section() for section in sections)],
        pages.foot("table2", request, **flags),
        pages.data(records),
        shown=[name for name in dict.fromkeys(request.datasets) if name in shown],
    )


PAGE = Page(draw, rows)


class _Section:
    """The section of the page for one data set, with the records it shows."""

    def __init__(self, request: Request, records: Records, dataset: str, failed: Mapping[str, str]) -> None:
        self.request, self.dataset, self.failed = request, dataset, failed
        self.view = View.of(request.options)
        self.title = pages.title_of(dataset)
        self.searches = records.searches(dataset)
        shown = _shown(request, records, dataset, self.searches)
        self.lines = comparison.lines(records, reference(request.results), dataset, shown, self.searches)
        self.unseen = comparison.unseen_targets(records, dataset)
        self.remarks = records.remarks(dataset)
        first = next((line.results[0] for line in self.lines if line.results), None)
        self.seeds = Seeds.of(records, first) if first else Seeds(())
        self.cells = {metric: comparison.cells(self.lines, metric, self.seeds, self.view) for metric in METRICS}
        self.beyond = any(same(line.row, row) for line in self.lines for row in controls.ROWS)

    @property
    def records(self) -> list[Result]:
        return [run for line in self.lines for run in line.records]

    @property
    def of_the_paper(self) -> bool:
        """Whether the paper has numbers for exactly this task: not another order of clicks, not a sample."""
        return papers_task(self.dataset, self.records)

    def predicted(self, line: Line) -> Scores | None:
        """Return what public code gives for a row of the paper; None where it has no public code or no run."""
        if not self.of_the_paper or not _paper(line, self.dataset):
            return None
        if line.label == FULL_DECODER.label and line.results:
            pair = [mean(comparison.counted(run, metric, NARM_CODE) for run in line.results) for metric in METRICS]
            return Scores(pair[0], pair[1])
        recall, mrr = (line.predicted(metric, self.dataset, self.unseen) for metric in METRICS)
        return None if recall is None or mrr is None else Scores(recall, mrr)

    def section(self) -> Section:
        parts: list[Block] = [self._table(), *pages.data_notes([run for line in self.lines for run in line.results])]
        if self.dataset in numbers.OTHER_ORDER and self.records:
            parts.append(self._recall_at_19())
        ours = {line.label: line.results for line in self.lines if line.results}
        parts += cutoff_table.blocks(ours, self.request.options.get("metric") or (), self.seeds, self.view)
        notes = [*self._failures(), *self._missing(), *self.remarks]
        parts += [Bullets(notes)] if notes else []
        parts += [*self._noise(), *self._tuned(), *self._elsewhere()]
        return Section(self.title, parts, self.dataset)

    def _table(self) -> Table:
        papers = {line.label: _paper(line, self.dataset) if self.of_the_paper else None for line in self.lines}
        by_time = self.dataset in numbers.OTHER_ORDER
        later = {label: elsewhere.wu_2019(label) for label in papers} if by_time else {}
        columns: dict[str, list[Cell]] = {
            "model": [line.label for line in self.lines],
            "paper": [comparison.scores(papers[line.label]) for line in self.lines],
            "predicted": [self.predicted(line) for line in self.lines],
            elsewhere.WU.name: [comparison.scores(later.get(line.label)) for line in self.lines],
            "reference": [_means(line.reference) for line in self.lines],
        }
        for metric, title in METRICS.items():
            cells = [self._cell(line, metric) for line in self.lines]
            columns[f"ours: {title}"] = cells
        kept = {name: cells for name, cells in columns.items() if any(cell is not None for cell in cells)}
        return Table(list(kept), list(zip(*kept.values(), strict=True)), "Recall@20 and MRR@20, per cent")

    def _cell(self, line: Line, metric: str) -> Cell:
        if not line.results and pages.failure(self.request, line.row, self.dataset, self.failed):
            return "failed"
        return comparison.cell(line, self.cells[metric])

    def _recall_at_19(self) -> str:
        """Say which rows of Wu et al. are Recall@19 with random ties, as the public evaluation of 2016 counts."""
        equal = []
        for line in self.lines:
            later = elsewhere.wu_2019(line.label)
            if later and line.results:
                value = mean(comparison.counted(run, "recall", EVALUATION_2016) for run in line.results)
                equal += [f"{line.label} {value:.2f}"] if abs(value - later.recall) < 0.02 else []
        told = "Wu et al. (AAAI 2019, Table 2) report this split and this order. "
        if equal:
            told += (
                f"Counted as the public evaluation of 2016 counts (rank < 20, ties at random), {pages.listed(equal)}"
            )
            told += " agree with their Recall@20 to 0.01: theirs is Recall@19 too. "
        return told + "[Why 62.58 and 49.70 are both right](audit.md)."

    def differences(self) -> Iterator[tuple[int, str, Dots, float, tuple[float, float] | None]]:
        """Yield row, metric, kind, difference from the paper and interval, for the figure."""
        for i, line in enumerate(self.table3()):
            paper = _paper(line, self.dataset)
            assert paper is not None
            for metric in METRICS:
                theirs = getattr(paper, metric)
                if predicted := self.predicted(line):
                    yield i, metric, PREDICTED, getattr(predicted, metric) - theirs, None
                measurement = self.cells[metric].measured.get(line.label)
                if measurement is not None:
                    estimate = measuring.estimate(measuring.alone(measurement)).against(theirs)
                    yield i, metric, OURS, estimate.value, estimate.interval()

    def table3(self) -> list[Line]:
        return [line for line in self.lines if line.label in numbers.TABLE3 and _paper(line, self.dataset)]

    def gaps(self) -> dict[str, dict[str, float]]:
        """Return predicted less paper, by row and metric."""
        found = {}
        for line in self.lines:
            predicted = self.predicted(line)
            if predicted and line.prediction:
                paper = _paper(line, self.dataset)
                found[line.label] = {metric: getattr(predicted, metric) - getattr(paper, metric) for metric in METRICS}
        return found

    def against_narm(self) -> dict[str, dict[str, Pair]] | None:
        """Return every judged row less NARM, by metric (Dunnett); None where NARM is absent or not judged."""
        found = {}
        for metric, cells in self.cells.items():
            if NARM not in cells.measured or cells.measured[NARM].unknown:
                return None
            effects = comparisons.against(cells.measured, NARM)
            found[metric] = {label: effect for label, effect in effects.items() if isinstance(effect, Pair)}
        return found

    def _noise(self) -> list[Block]:
        """Say how much the seed changes a number; nothing if every row is deterministic."""
        by_chance = any(not measuring.without_chance(line.results[0]) for line in self.lines if line.results)
        shown = [run for line in self.lines for run in line.results]
        text = Bullets([self.seeds.told(metric, shown) for metric in METRICS])
        return [Folded("Noise between seeds", [text])] if by_chance else []

    def _tuned(self) -> list[Block]:
        lines = [line for line in self.lines if line.tuned and line.tuned_runs]
        rows: list[list[Cell]] = [
            [line.label, pages.settings_of(line.tuned.fields) if line.tuned else ""]
            + [comparison.number(cells.tuned[line.label]) for cells in self.cells.values() if line.label in cells.tuned]
            for line in lines
        ]
        table = Table(["model", "tuned settings", *METRICS.values()], rows, "Tuned", labels=2)
        outcomes = Bullets([_outcome(search) for search in self.searches])
        parts: list[Block] = [TUNED, *([table] if rows else []), outcomes]
        return [Folded("Searches on held-out training sessions", parts)] if self.searches else []

    def _elsewhere(self) -> list[Block]:
        rows: list[list[Cell]] = [
            [line.label, Scores(score.recall, score.mrr), f"{source.name}{'' if source.same_split else ', own split'}"]
            for line in self.lines
            for source, score in elsewhere.published(line.label, self.dataset)
        ]
        table = Table(["model", "published", "by"], rows, "published elsewhere", labels=1)
        names = {source.name: source.where for source in elsewhere.NUMBERS}
        shown = dict.fromkeys(str(row[2]).partition(", ")[0] for row in rows)
        where = Bullets([f"{name}: {names[name]}." for name in shown])
        return [Folded("Published elsewhere", [table, where, controls.note(self.dataset)])] if rows else []

    def _failures(self) -> list[str]:
        why = {line.label: pages.failure(self.request, line.row, self.dataset, self.failed) for line in self.lines}
        return [f"{label}: failed, {reason}" for label, reason in why.items() if reason]

    def _missing(self) -> list[str]:
        """Return the commands that run the rows without records, and the tuned rows without."""
        found = []
        missing = [line for line in self.lines if not line.results]
        if missing:
            models = " ".join(dict.fromkeys(catalog.current().model_word(line.row.model) for line in missing))
            flags = {"beyond": ""} if any(line.row in controls.ROWS for line in missing) else {}
            command = pages.command("table2", self.request, dataset=self.dataset, model=models, **flags)
            found.append(f"Not run yet: {command}")
        for tuned in [line.tuned for line in self.lines if line.tuned and not line.tuned_runs]:
            fields = " ".join(f"{tuned.model}.{key}={value}" for key, value in tuned.fields.items())
            words = {"model": tuned.model, "set": fields}
            found.append(f"Tuned, not run yet: {pages.command('table2', self.request, dataset=self.dataset, **words)}")
        return found


def _outcome(search: Found) -> str:
    """Say what a search tried, what it was scored on and what won."""
    first, best = (f"{trial.recall or 0:.2f} / {trial.mrr or 0:.2f}" for trial in (search.defaults, search.best))
    if search.refits:
        best += " and anew {:.2f} / {:.2f}".format(*search.reached)
    defaults = "the defaults" if search.protocol.version == VERSION else "the defaults of that time"
    outcome = f"{defaults} had {first}, the best {best}" if search.better else f"{defaults}, {first}, won"
    return f"{search.base.label}: {search.protocol}, scored on {search.scored_on}; {outcome}."


def _paper(line: Line, dataset: str) -> numbers.Score | None:
    """Return the paper's own numbers of a row."""
    if line.label == FULL_DECODER.label:
        return numbers.published(numbers.TABLE2, "fully connected", dataset)
    return numbers.published(numbers.TABLE3, line.label, dataset)


def _means(results: Sequence[Result]) -> Scores | None:
    if not results:
        return None
    return Scores(mean(run.recall() for run in results), mean(run.mrr() for run in results))


def _answer(papers: Sequence[_Section], sections: Sequence[_Section]) -> list[str]:
    """Return the page's answer: is the paper reproduced, what is better than NARM, and which predictions miss?"""
    if not papers:
        return [line for section in sections if (line := _highest(section))][:4]
    near, narm, off, ahead = [], [], [], []
    for section in papers:
        gaps = section.gaps()
        close = [abs(gap) <= MARGIN for label, row in gaps.items() if label != "POP" for gap in row.values()]
        near.append(f"{sum(close)} of {len(close)} on {section.title}")
        narm += [section.title] if NARM in gaps and all(abs(gap) <= MARGIN for gap in gaps[NARM].values()) else []
        misses = []
        for label, row in gaps.items():
            if wide := [f"{METRICS[metric]} {signed(gap, 1)}" for metric, gap in row.items() if abs(gap) > MARGIN]:
                misses.append(f"{label} ({', '.join(wide)})")
        off += [f"{section.title}: {', '.join(misses)}"] if misses else []
        if text := _ahead(section):
            ahead.append(f"{section.title}: {text}")
    reproduced = f"NARM is, on {pages.listed(narm)}. " if narm else ""
    answer = [
        f"**Is the paper reproduced?** {reproduced}Of the numbers that public code predicts (without POP's, which "
        f"are too small to miss), {pages.listed(near)} lie within {MARGIN} points of the paper's."
    ]
    answer += [f"**What is better than NARM?** {'. '.join(ahead)}."] if ahead else []
    link = " Why: [findings](findings.md)." if (papers[0].request.results / "findings.md").is_file() else ""
    return [*answer, f"**Which predictions miss by more than {MARGIN}?** {'. '.join(off)}.{link}"] if off else answer


def _ahead(section: _Section) -> str:
    """Name what is ahead of NARM by more than noise, with intervals that hold for all rows together."""
    effects = section.against_narm()
    if effects is None:
        return ""
    found = [
        f"{label} in {METRICS[metric]}, {signed(effect.value, 1)} ({signed(effect.low, 1)} to {signed(effect.high, 1)})"
        for metric, one in effects.items()
        for label, effect in one.items()
        if effect.p < ALPHA and effect.value > 0
    ]
    return pages.listed(found) if found else "nothing that is judged"


def _highest(section: _Section) -> str:
    """Name the highest row of a data set in each metric, and those that cannot be told from it."""
    words = []
    for metric, cells in section.cells.items():
        best = next((label for label, mark in cells.marks.items() if mark == "highest"), None)
        if best is None:
            return ""
        close = [label for label, mark in cells.marks.items() if mark == "equal"]
        name = best.removeprefix("reference ")
        value = cells.measured[name] if name == best else cells.reference[name]
        beside = f" (not distinguishable: {pages.listed(close)})" if close else ""
        words.append(f"{best} in {METRICS[metric]}, {value.value:.2f}{beside}")
    return f"**{section.title}**, highest: {'; '.join(words)}."


def _figure(papers: Sequence[_Section]) -> Figure | None:
    """Draw our numbers less the paper's; None where no data set of the paper has records."""
    papers = [section for section in papers if section.table3()]
    if not papers:
        return None
    labels = [[line.label for line in section.table3()] for section in papers]
    panels, small = [], []
    for section in papers:
        found = list(section.differences())
        below = "points above (+) or below (−) the paper" if section is papers[-1] else ""
        for metric, title in METRICS.items():
            points = _dots(found, metric)
            panels.append(DotPanel(f"{section.title}: {title}", points, (-SPAN, SPAN), label=below))
            small.append(DotPanel(f"{section.title}\n{title}", points, (-SPAN, SPAN), label="points from the paper"))
    pairs = [panels[i : i + len(METRICS)] for i in range(0, len(panels), len(METRICS))]
    key = f"within {MARGIN}"
    files = figures.dots("table2", labels, pairs, band=MARGIN, key=key, row_height=0.36)
    if len(papers) == 2:
        files |= figures.dots("table2-readme", labels[:1], [small], band=MARGIN, key=key)
    return Figure(
        "table2",
        "Difference from the paper, by model and metric",
        f"Our numbers less the paper's, in points; beyond ±{SPAN:g} at the edge. The interval takes the paper's number "
        "as one run with noise like ours.",
        files,
    )


def _dots(found: Sequence[tuple[int, str, Dots, float, tuple[float, float] | None]], metric: str) -> list[Dot]:
    return [
        Dot(row, value, kind, interval, -0.2 if kind is PREDICTED else 0.2)
        for row, of, kind, value, interval in found
        if of == metric
    ]


def _shown(request: Request, records: Records, dataset: str, searches: Sequence[Found]) -> list[Row]:
    """Return the rows to show: the paper's, baselines and searched rows with records, others asked for or recorded."""
    asked_for = rows(request)
    shown = [row for row in ROWS if row in asked_for or records.results(row, dataset)]
    shown += [row for row in (FULL_DECODER, *controls.ROWS) if row in asked_for or records.results(row, dataset)]
    for search in searches:  # includes a model that was run only with the settings found
        if search.base.label not in {row.label for row in shown} and records.results(search.row, dataset):
            shown.append(search.base)
    placed = [row.at(dataset) for row in (*shown, *(search.row for search in searches))]
    for row in [*asked_for, *records.others(dataset)]:
        if not any(same(row.at(dataset), other) for other in placed):
            shown.append(row)
            placed.append(row.at(dataset))
    return shown
