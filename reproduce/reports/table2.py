"""The comparison of all recommenders (the paper's Table 3), NARM's decoders (Table 2) and later controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import stdev

from reproduce import catalog
from reproduce.evaluation import metrics
from reproduce.evaluation.metrics import Measure
from reproduce.fitting.user_model import asked_for_as
from reproduce.paper import controls, numbers
from reproduce.paper.rows import ROWS, Row
from reproduce.reports import Drawn, Page, comparison, cutoff_table, figures_dots, measuring, summary
from reproduce.reports import page as pages
from reproduce.reports.comparison import FULL_DECODER, MARKS, Cells, Line
from reproduce.reports.measuring import METRICS, Seeds
from reproduce.reports.page import DASH
from reproduce.reports.shelf import Shelf
from reproduce.runs.record import Result
from reproduce.runs.request import Request, same
from reproduce.runs.stored_search import Found
from reproduce.runs.trials import VERSION

COLUMNS = {
    "paper": "*paper*: as printed; of later models by later authors.",
    "reference": "*reference*: the project's own runs of the same settings.",
    "predicted": "*predicted*: ours with the settings and the counting of public code; no test score was used.",
    "ours": "*ours*: published or default settings, counted honestly: rank ≤ 20, a tie against the model.",
}
TUNED = (
    "Settings found by a search on held-out training sessions. Not every row was searched, so the lines are not to be "
    "compared with each other."
)


def rows(request: Request) -> list[Row]:
    return request.rows([*ROWS, *(controls.ROWS if request.options.get("beyond") else ())], extra=controls.ROWS)


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    """Draw a section for each data set with records or just asked for; the terminal shows those asked for, or all."""
    own, reference = Shelf.of(request), pages.reference(request)
    shown = pages.shown_datasets(request, own)
    sections = {name: _Section(request, own, reference, name, failed) for name in shown}
    title = "# Table 2: which recommender ranks the next click best?"
    if shown == ["synthetic"]:
        title += " On a synthetic log"
    told = [line for one in sections.values() for line in one.summary()]
    parts = [
        title,
        "Recall@20 and MRR@20 in per cent over the whole catalogue, beside the numbers of the NARM paper (its Tables 3 "
        "and 2).",
        "\n".join(f"- {line}" for line in told),
        *(one.text() for one in sections.values()),
    ]
    figure = figures_dots.overview({one.title: one.dots() for one in sections.values() if one.of_the_paper})
    if figure:
        caption = "The paper against ours. A filled circle is ours, a ring the prediction, a diamond the paper."
        parts.insert(3, pages.figure("table2", caption))
    asked = [sections[name] for name in dict.fromkeys(request.datasets) if name in sections] or list(sections.values())
    terminal = "\n\n".join(part for one in asked for part in one.terminal())
    return Drawn("\n\n".join(filter(None, parts)) + "\n", figure, terminal=terminal + "\n")


PAGE = Page(draw, rows)


class _Section:
    """The section of the page for one data set, with the records it shows."""

    def __init__(
        self, request: Request, own: Shelf, reference: Shelf | None, dataset: str, failed: Mapping[str, str]
    ) -> None:
        self.request, self.dataset, self.failed = request, dataset, failed
        self.title = catalog.dataset(dataset).title
        own.remarks.clear()
        self.searches = own.searches(dataset)
        self.lines = comparison.lines(
            own, reference, dataset, _shown(request, own, dataset, self.searches), self.searches
        )
        self.unseen = comparison.unseen_targets(own, dataset)
        self.remarks = list(own.remarks)
        first = next((line.results[0] for line in self.lines if line.results), None)
        self.seeds = Seeds.of(own.folder, first) if first else Seeds(())
        self.cells = {metric: comparison.cells(self.lines, metric, self.seeds) for metric in METRICS}

    @property
    def records(self) -> list[Result]:
        return [one for line in self.lines for one in line.records]

    @property
    def _ours(self) -> dict[str, Sequence[Result]]:
        return {line.label: line.results for line in self.lines if line.results}

    @property
    def _measures(self) -> Sequence[Measure]:
        return [metrics.parse(one) for one in self.request.options.get("metric") or ()]

    @property
    def of_the_paper(self) -> bool:
        """Whether the paper has numbers for exactly this task: not another order of clicks, not a sample."""
        return pages.papers_task(self.dataset, self.records)

    def summary(self) -> list[str]:
        """Return the lines about this data set at the top of the page; none unless the paper has this task."""
        if not self.of_the_paper or not self.records:
            return []
        return summary.told(self.title, self.dataset, self.lines, self.cells, self.unseen, self.request.results)

    def dots(self) -> list[figures_dots.Dot]:
        """Return the dots of the figure: Recall@20 of the rows of the paper's Table 3."""
        ours = self.cells["recall"].measured
        return [
            figures_dots.of(
                line.label,
                line.theirs.recall if line.theirs else None,
                line.predicted("recall", self.dataset, self.unseen),
                ours.get(line.label),
            )
            for line in self.lines
            if line.label in numbers.TABLE3
        ]

    def text(self) -> str:
        """Return the section in Markdown."""
        head, body = self._table(*COLUMNS)
        columns = " ".join(told for name, told in COLUMNS.items() if any(one.endswith(name) for one in head))
        parts = [f"## {self.title}", pages.table(head, body), f"{columns}\n\n{MARKS}", self._noise()]
        parts += [self._tuned(), cutoff_table.text(self._ours, self._measures, self.seeds), self._details()]
        return "\n\n".join(filter(None, parts))

    def terminal(self) -> list[str]:
        """Return what the terminal shows: the summary, tables with fewer columns, and what failed or is missing."""
        beside = "predicted" if self.request.results.resolve() == pages.reference_folder() else "reference"
        head, body = self._table("paper", beside, "ours")
        tables = [pages.plain_table(head, body)]
        if self._ours and self._measures:
            tables.append(pages.plain_table(*cutoff_table.head_and_lines(self._ours, self._measures, self.seeds)))
        return [self.title, *self.summary(), *tables, *self._failures(), *self._missing()]

    def _table(self, *names: str) -> tuple[list[str], list[list[str]]]:
        """Return the head and the body with the named columns; all but "ours" are left out if they hold only dashes."""
        halves = [[self._half(line, one) for line in self.lines] for one in self.cells.values()]
        head, body = ["model"], [[line.label] for line in self.lines]
        for title, half in zip(METRICS.values(), halves, strict=True):
            kept = [name for name in names if name == "ours" or any(cells[name] != DASH for cells in half)]
            head += [f"{title}: {name}" if name == kept[0] else name for name in kept]
            for line, cells in zip(body, half, strict=True):
                line += [cells[name] for name in kept]
        return head, body

    def _half(self, line: Line, one: Cells) -> dict[str, str]:
        """Return the cells of a line for one metric, by column name."""
        theirs = getattr(line.theirs, one.metric) if line.theirs else None
        published = line.predicted(one.metric, self.dataset, self.unseen)
        mine = comparison.text_of(line, one)
        if not line.results and pages.failure(self.request, line.row, self.dataset, self.failed):
            mine = "failed"
        reference = one.reference.get(line.label)
        text = DASH if reference is None else comparison.number(reference)
        if one.marks.get(f"reference {line.label}") == "highest":
            text = f"**{text}**"
        return {
            "paper": pages.published(theirs),
            "reference": text,
            "predicted": pages.published(published),
            "ours": mine,
        }

    def _noise(self) -> str:
        """Say how much the seed changes a number; "" if every row is deterministic."""
        shown = [line.results[0] for line in self.lines if line.results]
        by_chance = any(not measuring.without_chance(one) for one in shown)
        return "\n".join(f"- {self.seeds.told(metric, shown)}" for metric in METRICS) if by_chance else ""

    def _tuned(self) -> str:
        """Return a table of the rows with tuned runs: our numbers beside those with the settings a search found."""
        head = [f"{title}: ours" if k == 0 else "tuned" for title in METRICS.values() for k in (0, 1)]
        body = [
            [
                line.label,
                _fields(line.tuned.fields),
                *(
                    comparison.number(some[line.label]) if line.label in some else DASH
                    for one in self.cells.values()
                    for some in (one.measured, one.tuned)
                ),
            ]
            for line in self.lines
            if line.tuned and line.tuned_runs
        ]
        table = pages.table(["model", "tuned settings", *head], body, names=2)
        return "\n\n".join(["### Tuned", TUNED, table]) if body else ""

    def _missing(self) -> list[str]:
        """Return the commands that run the rows without records, and the tuned rows without."""
        told = []
        missing = [line for line in self.lines if not line.results]
        if missing:
            models = " ".join(dict.fromkeys(asked_for_as(line.row.model) for line in missing))
            told.append(f"Not run yet: {pages.command('table2', self.request, dataset=self.dataset, model=models)}")
        for tuned in [line.tuned for line in self.lines if line.tuned and not line.tuned_runs]:
            fields = " ".join(f"{tuned.model}.{key}={value}" for key, value in tuned.fields.items())
            words = {"model": tuned.model, "set": fields}
            told.append(f"Tuned, not run yet: {pages.command('table2', self.request, dataset=self.dataset, **words)}")
        return told

    def _details(self) -> str:
        """Return a folded section on how the numbers were made: seeds, rules, searches, data, commands, findings."""
        told = pages.about(self.records)
        told += [f"Search: {_told(one)}" for one in self.searches]
        flags = {"beyond": ""} if any(same(line.row, row) for line in self.lines for row in controls.ROWS) else {}
        told.append(f"Made by {pages.command('table2', self.request, dataset=self.dataset, **flags)}.")
        told += self._failures()
        told += [*self.remarks, *self._missing()]
        if flags:
            told.append(controls.note(self.dataset))
        parts = [self._seeds(), self._rules(), "\n".join(f"- {line}" for line in told), pages.findings(self.dataset)]
        return pages.folded("Seeds, rules of counting, data, device, commands, findings", *filter(None, parts))

    def _failures(self) -> list[str]:
        why = {
            line.label: pages.failure(self.request, line.row, self.dataset, self.failed)
            for line in self.lines
            if not line.results
        }
        return [f"{label}: failed, {reason}" for label, reason in why.items() if reason]

    def _seeds(self) -> str:
        """Return a table of the rows with records: settings, seeds, deviations, metrics with ties at random."""
        made = []
        for line in self.lines:
            if not line.results:
                continue
            values = [[getattr(one, metric)() for one in line.results] for metric in METRICS]
            spread = [f"{stdev(one):.2f}" if len(one) > 1 else DASH for one in values]
            ties = [f"{comparison.at_random(line.results, metric):.2f}" for metric in METRICS]
            made.append(
                [line.label, _fields(line.row.at(self.dataset).fields) or DASH, str(len(line.results)), *spread, *ties]
            )
        head = ["", "settings other than the defaults", "seeds", "sd Recall@20", "sd MRR@20"]
        return (
            pages.table([*head, "Recall@20, ties at random", "MRR@20, ties at random"], made, names=2) if made else ""
        )

    def _rules(self) -> str:
        """Return a table of how the column "predicted" is made, one line per row."""
        made = [
            [
                line.label,
                _fields(line.predicted_runs[0].experiment.params) or "as ours",
                line.prediction.counted(self.dataset).told(),
                line.prediction.evidence,
            ]
            for line in self.lines
            if line.prediction and line.predicted_runs
        ]
        return pages.table(["predicted", "settings", "counted", "evidence"], made, names=4) if made else ""


def _shown(request: Request, own: Shelf, dataset: str, searches: Sequence[Found]) -> list[Row]:
    """Return the rows to show: the paper's, controls and searched rows with records, others asked for or recorded."""
    shown: list[Row] = [*ROWS]
    if own.results(FULL_DECODER, dataset):
        shown.append(FULL_DECODER)
    shown += [row for row in controls.ROWS if request.options.get("beyond") or own.results(row, dataset)]
    for one in searches:  # includes a model that was run only with the settings found
        if one.base.label not in {row.label for row in shown} and own.results(one.row, dataset):
            shown.append(one.base)
    placed = [row.at(dataset) for row in (*shown, *(one.row for one in searches))]
    for row in [*rows(request), *own.others(dataset)]:
        if not any(same(row.at(dataset), one) for one in placed):
            shown.append(row)
            placed.append(row.at(dataset))
    return shown


def _fields(fields: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in fields.items())


def _told(one: Found) -> str:
    first, best = (f"{trial.recall or 0:.2f} / {trial.mrr or 0:.2f}" for trial in (one.defaults, one.best))
    if one.refits:
        best += " and anew {:.2f} / {:.2f}".format(*one.reached)
    defaults = "the defaults" if one.protocol.version == VERSION else "the defaults of that time"
    outcome = f"{defaults} had {first}, the best {best}" if one.better else f"{defaults}, {first}, won"
    return f"{one.base.label}: {one.protocol}, scored on {one.scored_on}; {outcome}."
