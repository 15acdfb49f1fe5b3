"""The comparison of all recommenders (the paper's Table 3), NARM's decoders (Table 2) and later baselines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import mean

import numpy as np

from reproduce.evaluation import metrics
from reproduce.evaluation.uncertainty import contrast
from reproduce.evaluation.verdicts import MARGIN
from reproduce.paper import elsewhere, later_baselines, numbers
from reproduce.paper.counting import EVALUATION_2016, NARM_CODE, OURS, Counting
from reproduce.paper.numbers import Score
from reproduce.paper.originals import PREDICTED, Prediction
from reproduce.paper.rows import ROWS, Row, searched
from reproduce.reading.sessions import exactness
from reproduce.reports import figures, measuring
from reproduce.reports.document import (
    NOT_RUN,
    Block,
    Bullets,
    Cell,
    Document,
    Figure,
    Folded,
    Gap,
    Section,
    Table,
    signed,
)
from reproduce.reports.figures import Dot, DotPanel, Dots
from reproduce.reports.measuring import METRICS, View
from reproduce.reports.records import Records, of_published_size
from reproduce.reports.study import (
    FULL_DECODER,
    KNOWN,
    NARM,
    TOO_FEW,
    UNFINISHED,
    Compared,
    Page,
    Study,
    distinct,
    few_seeds,
    joined,
    number,
)
from reproduce.runs.record import OutsideResult, Result
from reproduce.runs.request import Request, same
from reproduce.runs.search import VERSION, Trial

SPAN = 2.2  # points to either side in the figure
BY_PUBLIC_CODE = Dots("predicted from public code", figures.DARK, hollow=True)
BY_US = Dots("ours, 95 % interval", figures.GREY, "s")
OF_THE_PAPER = (
    "*Paper*: as printed, Recall@20 / MRR@20. *Predicted*: what public settings give (Improved GRU-Rec: NARM's), "
    "counted as public code counts; none was fitted to test scores. "
)
OF_OURS = (
    "*Ours*: default settings, rank ≤ 20, ties against the model; ± is a 95 % interval over test sessions and, where "
    "several seeds show their noise, seeds."
)
MARKS = (
    f"**Bold**: highest. **≈**: not distinguishable from the highest. {TOO_FEW} **{UNFINISHED}**: still improving at "
    "the last epoch allowed."
)


def rows(request: Request) -> list[Row]:
    return request.rows(
        [*ROWS, *(later_baselines.ROWS if request.options.get("beyond") else ())], extra=later_baselines.ROWS
    )


def draw(study: Study) -> Document:
    """Draw a section for each data set with records or just asked for; a terminal shows those asked for, or all."""
    sections = [_Section(study, name) for name in study.datasets]
    papers = [section for section in sections if section.of_the_paper and section.results]
    introduction = "Recall@20 and MRR@20, in per cent, over the whole catalogue."
    return Document(
        "Table 2: the recommenders compared",
        _answer(papers) if papers else [line for section in sections if (line := section.highest())][:4],
        introduction + (" These are the paper's Tables 3 and 2." if papers else ""),
        [
            _figure(papers),
            (OF_THE_PAPER if papers else "") + OF_OURS,
            _settings(sections),
            MARKS,
            *(section.section() for section in sections),
        ],
    )


PAGE = Page(draw, rows)


def pair(runs: Sequence[Result], rule: Counting = OURS, unseen: np.ndarray | None = None) -> Score | None:
    """Return Recall@20 and MRR@20 in per cent, means over seeds, under an evaluation protocol; None without runs."""
    if not runs:
        return None
    return Score(
        **{
            name: mean(measure.mean(run.greater, run.equal, rule, unseen) for run in runs)
            for name, measure in metrics.PAPERS.items()
        }
    )


def published(label: str, dataset: str) -> Score | None:
    """Return what the paper prints for a row."""
    if label == FULL_DECODER.label:
        return numbers.published(numbers.TABLE2, "fully connected", dataset)
    return numbers.published(numbers.TABLE3, label, dataset)


def less(ours: Score, theirs: Score) -> Gap:
    return Gap(ours.recall - theirs.recall, ours.mrr - theirs.mrr)


def unseen_targets(records: Records, dataset: str) -> np.ndarray | None:
    """Return which targets do not occur in the training set, (n,) bool; None where it has every item of the test set.

    Only the fractions of YOOCHOOSE lack some: their test sessions were filtered against the whole training set. There
    POP's record tells. POP scores an item by its training clicks, so the items without clicks share the last place.
    """
    runs = records.results(ROWS[0], dataset) if dataset in numbers.FRACTIONS else []
    return np.asarray(runs[0].ranks() == runs[0].split["n_items"]) if runs else None


def predicted_runs(records: Records, dataset: str, prediction: Prediction) -> list[Result]:
    """Return the records of a prediction: of the row closer to the authors' code if it has any."""
    closer = records.results(prediction.closer, dataset) if prediction.closer else []
    return closer or records.results(prediction.row, dataset)


class _Section(Compared):
    """The section of the page for one data set: published numbers, what public code predicts, and ours."""

    def __init__(self, study: Study, dataset: str) -> None:
        records = study.records
        self.shown = _shown(study, dataset)
        super().__init__(study, dataset, {row.label: records.results(row, dataset) for row in self.shown})
        self.by_time = dataset in numbers.OTHER_ORDER
        labels = [row.label for row in self.shown] if self.of_the_paper else []
        self.paper = {label: score for label in labels if (score := published(label, dataset))}
        self.predicted = {label: score for label in self.paper if (score := self._predicted(label))}
        self.references = {}  # the project's own runs, beside a user's; a copied record is not shown twice
        for row in self.shown:
            there = study.from_reference(row, dataset)
            made = [[(run.identity, run.environment) for run in runs] for runs in (self.rows.get(row.label, []), there)]
            if there and made[0] != made[1]:
                self.references[row.label] = there
        self.marks = {metric: measuring.marks(rows) for metric, rows in self.measured.items()}

    def _predicted(self, label: str) -> Score | None:
        """Return what public code gives for a row of the paper; None where it has no public code or no run."""
        if label == FULL_DECODER.label:
            return pair(self.rows.get(label, []), NARM_CODE)
        records, prediction = self.study.records, PREDICTED[label]
        unseen = unseen_targets(records, self.dataset)
        return pair(predicted_runs(records, self.dataset, prediction), prediction.counting, unseen)

    def section(self) -> Section:
        parts: list[Block] = [self._table(), *data_notes(self.results)]
        if self.by_time and self.results:
            parts.append(self._recall_at_19())
        parts += self.other_measures()
        parts.append(Bullets(list(self._missing())))
        if any(not measuring.without_chance(run) for run in self.results):
            parts.append(Folded("Noise between seeds", [self.seeds.note(self.results)]))
        return Section(self.title, [*parts, self._searches(), self._elsewhere()], self.dataset)

    def _table(self) -> Table:
        lines: list[dict[str, Cell]] = []
        for row in self.shown:
            label = row.label
            line: dict[str, Cell] = {"model": label, "paper": self.paper.get(label)}
            line["predicted"] = self.predicted.get(label)
            line[elsewhere.WU.name] = elsewhere.wu_2019(label) if self.by_time else None
            line["reference"] = pair(self.references.get(label, []))
            lines.append(line | {f"ours: {title}": self._cell(row, metric) for metric, title in METRICS.items()})
        return Table(lines, "Recall@20 and MRR@20, per cent")

    def _cell(self, row: Row, metric: str) -> Cell:
        runs = self.rows.get(row.label)
        if not runs:
            return "failed" if self.study.failed(row, self.dataset) else NOT_RUN
        notes = few_seeds(runs) + UNFINISHED * any(run.unfinished for run in runs)
        mark = self.marks[metric][row.label]
        return number(self.measured[metric][row.label], notes, bold=mark == "highest", close=mark == "equal")

    def _recall_at_19(self) -> str:
        """Say which rows of Wu et al. are Recall@19 with random ties, as the public evaluation of 2016 counts."""
        equal = []
        for label, runs in self.rows.items():
            ours, later = pair(runs, EVALUATION_2016), elsewhere.wu_2019(label)
            if ours and later and abs(ours.recall - later.recall) < 0.02:
                equal.append(f"{label} {ours.recall:.2f}")
        text = "Wu et al. (AAAI 2019, Table 2) report this split and this order. "
        if equal:
            text += f"Counted as the public evaluation of 2016 counts (rank < 20, ties at random), {joined(equal)} "
            text += "agree with their Recall@20 to 0.01: these are Recall@19 too. "
        return text + "[Why 62.58 and 49.70 are both right](audit.md)."

    def panels(self) -> list[DotPanel]:
        """Return a panel for each metric: predicted and ours less the paper's, for the rows of Table 3."""
        panels = []
        for metric, title in METRICS.items():
            dots = []
            for i, (row, score) in enumerate(self.table3().items()):
                paper = getattr(score, metric)
                if predicted := self.predicted.get(row):
                    dots.append(Dot(i, getattr(predicted, metric) - paper, BY_PUBLIC_CODE, offset=-0.2))
                if ours := self.measured[metric].get(row):
                    effect = measuring.estimate(contrast([(1.0, ours)])).against(paper)
                    dots.append(Dot(i, effect.value, BY_US, effect.interval(), 0.2))
            panels.append(DotPanel(f"{self.title}: {title}", dots, reach=SPAN, whole=True))
        return panels

    def table3(self) -> dict[str, Score]:
        return {label: score for label, score in self.paper.items() if label in numbers.TABLE3}

    def gaps(self) -> dict[str, Gap]:
        """Return predicted less paper by row; without POP, whose numbers are too small to miss."""
        rows = self.table3().keys() & self.predicted.keys() - {"POP"}
        return {label: less(self.predicted[label], self.paper[label]) for label in self.paper if label in rows}

    def highest(self) -> str:
        """Name the highest row in each metric, and those that cannot be told from it."""
        words = []
        for metric, marks in self.marks.items():
            for best in (label for label, mark in marks.items() if mark == "highest"):
                close = [label for label, mark in marks.items() if mark == "equal"]
                beside = f" (not distinguishable: {joined(close)})" if close else ""
                words.append(f"{best} in {METRICS[metric]}, {self.measured[metric][best].value:.2f}{beside}")
        return f"**{self.title}**, highest: {'; '.join(words)}." if words else ""

    def _searches(self) -> Block:
        """Tabulate the searches: scores on held-out sessions, and what the settings found have on the test set."""
        searches = self.study.records.searches(self.dataset)
        runs = {search.row.label: self.study.records.results(search.row, self.dataset) for search in searches}
        by_metric = Compared(self.study, self.dataset, runs).measured.values()
        lines: list[dict[str, Cell]] = []
        ways: dict[str, list[str]] = {}  # how a search was made -> the models searched so
        for search in searches:
            label = search.row.label
            test = [measured[label].value for measured in by_metric if label in measured]
            lines.append(
                {
                    "model": label,
                    "defaults": _score(search.trials[0]),
                    "best": _score(search.best) if search.better else "the defaults",
                    "fitted anew": Score(*search.reached) if search.refits else None,
                    "test set": Score(*test) if test else NOT_RUN,
                }
            )
            older = "; the defaults are those of that time" if search.protocol.version < VERSION else ""
            ways.setdefault(f"{search.protocol}, scored on {search.scored_on}{older}.", []).append(search.base.label)
        how = Bullets([f"{joined(labels)}: {way}" for way, labels in ways.items()])
        title = "Searches on held-out training sessions"
        return Folded(title, [how, Table(lines, title.lower())]) if lines else ""

    def _elsewhere(self) -> Block:
        found = [
            (row.label, source, score)
            for row in self.shown
            for source, score in elsewhere.published(row.label, self.dataset)
            if not (self.by_time and source is elsewhere.WU)  # a column of the table
        ]
        if not found:
            return ""
        lines: list[dict[str, Cell]] = [
            {"model": label, "published": score, "by": source.name + ("" if source.same_split else ", own split")}
            for label, source, score in found
        ]
        sources = dict.fromkeys([*([elsewhere.WU] if self.by_time else []), *(source for _, source, _ in found)])
        where = Bullets([f"{source.name}: {source.where}." for source in sources])
        return Folded("Published elsewhere", [Table(lines, "published elsewhere"), where])

    def _missing(self) -> Iterator[str]:
        """Yield the command that runs the rows without records."""
        missing = [row for row in self.shown if row.label not in self.rows]
        if missing:
            models = list(dict.fromkeys(row.model for row in missing))
            beyond = any(row in later_baselines.ROWS for row in missing)
            yield f"Not run yet: {self.study.command('table2', self.dataset, models=models, beyond=beyond)}"


def data_notes(results: Sequence[Result]) -> list[str]:
    """Return what a reader must know about the data behind records of one data set; [] without records."""
    results = [run for run in results if not isinstance(run, OutsideResult)]
    if not results:
        return []
    origin = results[0].split["provenance"]
    word = exactness(origin)
    order = "" if word == "exact" else f"; the order of the clicks is {word}, not read from the raw file"
    lines = [f"Data: {origin['source']}{order}{'; ' + origin['note'] if origin['note'] else ''}."]
    if not all(of_published_size(run.split["provenance"]) for run in results):
        lines.append(
            "**Not the paper's data**, a sample or another version: its numbers say nothing about the paper's."
        )
    return lines


def _score(trial: Trial) -> Cell:
    return "failed" if trial.recall is None or trial.mrr is None else Score(trial.recall, trial.mrr)


def _answer(papers: Sequence[_Section]) -> list[str]:
    """Return the page's answer: is the paper reproduced, what is better than NARM, and which predictions miss?"""
    near, narm, off, ahead = [], [], [], []
    for section in papers:
        title = section.title
        wide = {label: _wide(gap) for label, gap in section.gaps().items()}
        count = len(METRICS) * len(wide)
        near.append(f"{count - sum(map(len, wide.values()))} of {count} on {title}")
        narm += [title] if wide.get(NARM) == [] else []
        misses = [f"{label} ({', '.join(gaps)})" for label, gaps in wide.items() if gaps]
        off += [f"{title}: {', '.join(misses)}"] if misses else []
        if section.reference == NARM and not section.measured["recall"][NARM].unknown:
            ahead.append(f"{title}: {joined(section.named('better')) or 'nothing that is judged'}")
    reproduced = f"NARM is, on {joined(narm)}. " if narm else ""
    answer = [
        f"**Is the paper reproduced?** {reproduced}Of the numbers predicted for Table 3 (POP's are too small "
        f"to miss), {joined(near)} lie within {MARGIN} points of the paper's."
    ]
    answer += [f"**What is better than NARM?** {'. '.join(ahead)}."] if ahead else []
    link = " Why: [findings](findings.md)." if (papers[0].study.request.results / "findings.md").is_file() else ""
    return [*answer, f"**Which predictions miss by more than {MARGIN}?** {'. '.join(off)}.{link}"] if off else answer


def _settings(sections: Sequence[_Section]) -> str:
    """Say where the settings come from that are not the models' defaults."""
    later = any(row in later_baselines.ROWS for section in sections for row in section.shown)
    return " ".join(filter(None, [searched([section.dataset for section in sections]), later_baselines.NOTE * later]))


def _wide(gap: Gap) -> list[str]:
    gaps = {title: getattr(gap, metric) for metric, title in METRICS.items()}
    return [f"{title} {signed(value, 2)}" for title, value in gaps.items() if abs(value) > MARGIN]


def _figure(papers: Sequence[_Section]) -> Block:
    """Draw our numbers less the paper's; nothing without records on its data sets, or counted unlike the paper's."""
    papers = [section for section in papers if section.table3() and section.study.view == View()]
    if not papers:
        return ""
    labels, panels = [list(section.table3()) for section in papers], [section.panels() for section in papers]
    below = "points above (+) or below (−) the paper"
    files = figures.dots("table2", labels, panels, label=below, band=MARGIN, row_height=0.36)
    if len(papers) == 2:
        small = [replace(panel, title=panel.title.replace(": ", "\n")) for line in panels for panel in line]
        files |= figures.dots("table2-readme", labels[:1], [small], label="points from the paper", band=MARGIN)
    caption = (
        f"Our numbers less the paper's, in points; beyond ±{SPAN:g} at the edge. The interval takes the paper's number "
        "as one run with noise like ours."
    )
    return Figure("table2", "Difference from the paper, by model and metric", caption, files)


def _shown(study: Study, dataset: str) -> list[Row]:
    """Return the rows to show: those asked for or recorded."""
    records, asked_for = study.records, rows(study.request)
    shown = [row for row in KNOWN if row in asked_for or records.results(row, dataset)]
    for row in (*asked_for, *records.others(dataset)):
        if not any(same(row.at(dataset), other.at(dataset)) for other in shown):
            shown.append(row)
    return distinct(shown)
