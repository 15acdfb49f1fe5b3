"""Which recommenders differ from NARM by more than noise: every row less NARM on the same test prefixes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reproduce.evaluation import comparisons
from reproduce.evaluation.comparisons import Pair
from reproduce.paper.counting import Counting
from reproduce.reports import figures, measuring, renderers
from reproduce.reports.document import Block, Document, Figure, Folded, Section, Table, signed
from reproduce.reports.figures import DotPanel
from reproduce.reports.measuring import METRICS, ends, estimate, kind_of
from reproduce.reports.study import NARM, TOO_FEW, Compared, Page, Study, difference, few_seeds, joined

FEW = 10  # ours: sessions; if fewer carry half of a variance, other sessions might change the verdict
FAR = 5  # ours: points: rows that are further behind in both metrics are named and left to pairs.csv


def draw(study: Study) -> Document:
    sections = [study.compared(name) for name in study.viewed if study.records.of(name)]
    references = {section.reference for section in sections if section.rows} or {NARM}
    control = references.pop() if len(references) == 1 else NARM  # another row only where NARM has no record at all
    unjudged = " or, without noise between seeds, not judged" if any(c.judged("not judged") for c in sections) else ""
    return Document(
        f"Which models differ from {control}?",
        list(_answer(sections, control)),
        f"Each model less {control}, on the same test prefixes, in points. A 95 % interval that leaves out 0 is a "
        "difference. It holds for all rows of a panel (Dunnett).",
        [
            f"**Bold**: better than {control}. **≈**: not distinguishable. Unmarked: worse{unjudged}. "
            f"Triangle: off the scale. {TOO_FEW}",
            *(_section(section) for section in sections),
        ],
        foot="All pairs, with wider intervals: [pairs.csv](pairs.csv).",
        data={"pairs.csv": renderers.csv([line for section in sections for line in _pairs(section)])},
    )


PAGE = Page(draw)


def _answer(sections: Sequence[Compared], control: str) -> Iterator[str]:
    """Yield a bullet on the comparisons with one verdict, data set by data set."""

    def undecided(section: Compared) -> str:
        metrics: dict[str, list[str]] = {}
        for label, title, _ in section.judged("undecided"):
            metrics.setdefault(label, []).append(title)
        return joined(
            label if len(some) == len(METRICS) else f"{label} in {some[0]}" for label, some in metrics.items()
        )

    def worse(section: Compared) -> str:
        behind = len(section.judged("worse"))
        return f"{behind} of {sum(map(len, section.effects.values()))}" if behind else ""

    heads = {
        f"Better than {control}": lambda section: joined(section.named("better")),
        f"Not distinguishable from {control}": undecided,
        "Worse (comparisons)": worse,
    }
    for head, words in heads.items():
        if parts := [f"on {section.title}, {text}" for section in sections if (text := words(section))]:
            yield f"**{head}:** {'; '.join(parts)}."
    if unjudged := [section.title for section in sections if section.judged("not judged")]:
        yield f"**Not judged**, at least in part: {joined(unjudged)}. How far another seed moves is unknown."


def _section(section: Compared) -> Section:
    if not section.effects["recall"]:
        return Section(section.title, ["Fewer than two rows have records."], section.dataset)
    parts: list[Block] = []
    if section.reference != NARM:
        parts.append(f"NARM has no record here; the reference is {section.reference}, the highest row.")
    few = min(estimate(effect).half for effects in section.effects.values() for effect in effects.values())
    if 0 < few < FEW:
        parts.append(f"Half of the noise of a difference comes from as few as {few} test sessions (pairs.csv).")
    labels = sorted(section.effects["recall"], key=lambda label: -section.effects["recall"][label].value)
    far = [label for label in labels if all(effects[label].value < -FAR for effects in section.effects.values())]
    far = [] if section.study.request.models or far == labels else far
    numbers: list[Block] = [_table(section, [label for label in labels if label not in far])]
    numbers += [f"More than {FAR} points behind in both: {joined(far)} (pairs.csv)."] if far else []
    parts += [_figure(section, labels), Folded("In numbers", numbers, on_terminal=True)]
    return Section(section.title, [*parts, _moved_by_ties(section)], section.dataset)


def _table(section: Compared, labels: Sequence[str]) -> Table:
    lines = [
        {"model": label, "runs": f"{len(section.rows[label])} {few_seeds(section.rows[label])}".rstrip()}
        | {
            f"{METRICS[metric]} less {section.reference}'s": difference(effects[label], bold=["better"])
            for metric, effects in section.effects.items()
        }
        for label in labels
    ]
    return Table(lines, f"differences from {section.reference}, points, with 95 % intervals")


def _figure(section: Compared, labels: Sequence[str]) -> Figure:
    panels = [
        DotPanel(METRICS[metric], figures.of_effects(effects, labels), values=True)
        for metric, effects in section.effects.items()
    ]
    name = f"significance-{section.dataset}"
    caption = f"Less {section.reference}, with 95 % intervals."
    alt = f"{section.title}: differences"
    below = f"points behind (−) or ahead of (+) {section.reference}"
    return Figure(name, alt, caption, figures.dots(name, [labels], [panels], label=below))


def _moved_by_ties(section: Compared) -> str:
    """Name the comparisons whose verdict changes with tied items in random order."""
    moved = []
    for metric, effects in section.effects.items():
        rule, where = Counting(ties="at random"), section.study.view.where
        rows = measuring.measured(section.rows, metric, section.seeds, where, rule)
        if all(abs(rows[label].value - row.value) < 0.005 for label, row in section.measured[metric].items()):
            continue
        for label, other in comparisons.against(rows, section.reference).items():
            if kind_of(other) != kind_of(effects[label]):
                moved.append(
                    f"{label} in {METRICS[metric]} ({signed(other.value)}, {figures.BY_VERDICT[kind_of(other)].label})"
                )
    return f"With ties in random order judged otherwise: {'; '.join(moved)}." if moved else ""


def _pairs(section: Compared) -> Iterator[dict[str, object]]:
    """Yield a row of pairs.csv for every pair of rows, the better one first."""
    for metric, title in METRICS.items():
        rows = dict(sorted(section.measured[metric].items(), key=lambda row: -row[1].value))
        for (better, worse), effect in comparisons.pairwise(rows).items():
            low, high = ends(effect) if isinstance(effect, Pair) else (None, None)
            yield {
                "data set": section.dataset,
                "metric": title,
                "first": better,
                "second": worse,
                "difference": effect.value,
                "difference: low": low,
                "difference: high": high,
                "judged": "yes" if isinstance(effect, Pair) else "no",
                "p": effect.p if isinstance(effect, Pair) else None,
                "sessions with half of the noise": estimate(effect).half,
            }
