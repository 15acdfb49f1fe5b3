"""Bars of all models by data set and metric (the paper's Figure 5), and the learning curves of the neural models."""

from __future__ import annotations

from collections.abc import Sequence

from reproduce.paper import numbers
from reproduce.reports import figures, measuring
from reproduce.reports.document import Block, Document, Figure, Section
from reproduce.reports.measuring import METRICS, View
from reproduce.reports.study import FULL_DECODER, Compared, Page, Study


def draw(study: Study) -> Document:
    sections = []
    for name in study.viewed:
        rows = study.rows(name)
        rows.pop(FULL_DECODER.label, None)  # a variant; its curve is that of NARM
        sections.append(Compared(study, name, rows))
    with_rows = [section for section in sections if section.rows]
    papers = [section for section in with_rows if section.of_the_paper]
    bars = [Section(section.title, [_bars(section)], section.dataset) for section in papers or with_rows]
    return Document(
        "Figure 5: all models, and how they learned",
        _answer(with_rows),
        parts=[_curves(with_rows), *bars],
    )


PAGE = Page(draw)


def _answer(sections: Sequence[Compared]) -> list[str]:
    """Say which models kept the last epoch that they were allowed, so that more training may help them."""
    if not any(run.best_epoch is not None for section in sections for run in section.results):
        return []
    unfinished = [
        f"{label} on {section.title} ({last} of {len(runs)} runs)"
        for section in sections
        for label, runs in section.rows.items()
        if (last := sum(run.unfinished for run in runs))
    ]
    if not unfinished:
        return ["Every model was trained to its end: no run was still improving at the last epoch allowed."]
    return [
        f"**Still improving at the last epoch allowed**, so that more epochs may help: {'; '.join(unfinished)}. No "
        "other run was."
    ]


def _curves(sections: Sequence[Compared]) -> Block:
    panels: dict[str, list[figures.Line]] = {}
    for section in sections:
        for label, (first, *_) in section.rows.items():
            by_epoch = {
                epoch["epoch"]: epoch["validation_recall"] for epoch in first.epochs if "validation_recall" in epoch
            }
            if by_epoch:
                line = figures.Line(label, list(by_epoch), list(by_epoch.values()), ring=first.best_epoch)
                panels.setdefault(section.title, []).append(line)
    if not panels:
        return ""
    caption = "Recall@20 on validation data, per cent, by epoch; first seed. Ring: the epoch that was kept."
    return Figure("curves", "Learning curves by data set", caption, figures.curves("curves", panels))


def _bars(section: Compared) -> Figure:
    papers = numbers.TABLE3 if section.of_the_paper and section.study.view == View() else {}
    panels = {
        title: [
            figures.Bar(label, row.value, measuring.half_width(row), getattr(theirs, metric, None))
            for label, row in section.measured[metric].items()
            for theirs in [numbers.published(papers, label, section.dataset)]
        ]
        for metric, title in METRICS.items()
    }
    name = f"figure5-{section.dataset}"
    caption = "Every model with a record; whiskers are 95 % intervals over test sessions and, where known, seeds."
    return Figure(name, f"{section.title}: Recall@20 and MRR@20 of every model", caption, figures.bars(name, panels))
