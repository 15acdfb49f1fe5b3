"""NARM against variants of itself: the paper's Tables 4 and 2, and the details in which published NARMs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reproduce import catalog
from reproduce.errors import UsageError
from reproduce.evaluation import comparisons, metrics
from reproduce.evaluation.comparisons import Pair
from reproduce.evaluation.uncertainty import ALPHA, OneRun
from reproduce.evaluation.verdicts import MARGIN, Verdict, equivalent
from reproduce.paper import numbers
from reproduce.paper.rows import Row
from reproduce.paper.variants import PAPERS, VARIANTS
from reproduce.reports import Drawn, Page, cutoff_table, figures, measuring
from reproduce.reports import page as pages
from reproduce.reports.measuring import METRICS, Seeds
from reproduce.reports.shelf import Shelf
from reproduce.runs.record import Result
from reproduce.runs.request import Request, set_fields


def rows(request: Request) -> list[Row]:
    wrong = set(request.settings) - {"narm"}
    if wrong:
        raise UsageError(f"--set {sorted(wrong)[0]}.…: {sorted(wrong)[0]} is not among the models of this command")
    return [_row(request, name) for name in _asked(request)]


def draw(request: Request, failed: Mapping[str, str]) -> Drawn:
    own = Shelf.at(request.results, request.digests)
    asked = pages.shown_datasets(request, own)
    title = "# Ablation: what NARM's details are worth"
    if asked == ["synthetic"]:
        title += ", on a synthetic log"
    title += "\n\nWhich part of NARM moves its accuracy when it is changed or left out, the rest staying as it is?"
    drawn: dict[str, bytes] = {}
    parts = [_section(request, own, dataset, failed, drawn) for dataset in asked]
    return Drawn("\n\n".join([title, *parts]) + "\n", drawn)


PAGE = Page(draw, rows)


def _asked(request: Request) -> Sequence[str]:
    return request.options.get("variant") or PAPERS


def _row(request: Request, name: str) -> Row:
    """Return the row of a variant, with the fields that --set gives to all variants."""
    return set_fields(Row(name, "narm", VARIANTS[name].fields), request.settings.get("narm", {}))


Effects = Mapping[str, Mapping[str, Pair | OneRun]]  # metric -> variant -> variant minus hybrid
Theirs = Mapping[str, Mapping[str, float | None]]  # metric -> variant -> variant minus hybrid in the paper


def _section(request: Request, own: Shelf, dataset: str, failed: Mapping[str, str], drawn: dict[str, bytes]) -> str:
    rows = {name: _row(request, name) for name in VARIANTS}
    kept = {name: own.results(row, dataset) for name, row in rows.items()}
    reasons = {name: why for name, row in rows.items() if (why := pages.failure(request, row, dataset, failed))}
    set_for_all = [f"narm.{key}={value}" for key, value in request.settings.get("narm", {}).items()]
    fields = {"set": " ".join(set_for_all)} if set_for_all else {}

    def command(names: Sequence[str]) -> str:
        return pages.command("ablation", request, variant=" ".join(names), dataset=dataset, **fields)

    text = [f"## {catalog.dataset(dataset).title}"]
    if set_for_all:
        text.append(f"Set for every variant: {', '.join(set_for_all)}.")
    effects = _effects(request, kept, own.remarks)
    if any(effects.values()):
        text.append(_summary(effects))
    if reasons:
        told = [f"- {name} failed: {why}" for name, why in reasons.items()]
        text.append("\n".join([*told, "", f"Again: {command(list(reasons))}"]))
    results = [one for some in kept.values() for one in some]
    theirs = _differences_in_the_paper(dataset, results)
    in_the_paper = {"hybrid", *(name for one in theirs.values() for name in one if one[name] is not None)}
    shown = [name for name in VARIANTS if kept[name] or name in reasons or (results and name in in_the_paper)]
    if shown:
        text.append(_table(kept, shown, effects, theirs, reasons))
    if any(effects.values()):
        text += [_said(effects), _figure(dataset, effects, theirs, drawn)]
    if results and (named := request.options.get("metric")):
        measures = [metrics.parse(one) for one in named]
        text.append(cutoff_table.text(kept, measures, Seeds.of(request.results, results[0])))
    if shown:
        meanings = "\n".join(f"- {name}: {VARIANTS[name].meaning}" for name in shown)
        text.append(pages.folded("What each variant is", meanings))
    if pages.papers_task(dataset, results) and results:
        text.append(pages.folded("Beside the paper's Tables 4 and 2", _beside_the_paper(kept, dataset)))
    missing = [name for name in VARIANTS if not kept[name] and name not in reasons]
    if missing and results:
        text.append(pages.folded(f"Not run yet: {', '.join(missing)}", f"All of them: {command(missing)}"))
    elif missing:
        text.append(f"No variant has a record yet: {command(_asked(request))}")
    text += _end(results, own.remarks, command([name for name in VARIANTS if kept[name]]))
    own.remarks.clear()
    return "\n\n".join(text)


def _end(results: Sequence[Result], remarks: Sequence[str], command: str) -> list[str]:
    """Return how the numbers were made, folded; without records, only the remarks."""
    if not results:
        return list(remarks)
    told = [*pages.about(results), f"Made by {command}.", *remarks]
    return [pages.folded("Details", "\n".join(f"- {line}" for line in told))]


def _effects(request: Request, rows: Mapping[str, Sequence[Result]], remarks: list[str]) -> Effects:
    """Return variant minus hybrid, by metric and variant.

    Only variants with records of the commonest split are compared; without a hybrid of that split, none is.
    """
    if not rows["hybrid"]:
        return {metric: {} for metric in METRICS}
    same = measuring.of_one_split(rows)
    other = [name for name, results in rows.items() if results and name not in same]
    if "hybrid" in other:
        remarks.append("hybrid: records of another split than the other rows'; nothing is compared with it.")
    else:
        remarks += [f"{name}: records of another split than the hybrid's; not compared." for name in other]
    seeds = Seeds.of(request.results, rows["hybrid"][0])
    return {
        metric: comparisons.against(measuring.measured(same, metric, seeds), "hybrid") if "hybrid" in same else {}
        for metric in METRICS
    }


def verdict(effect: Pair | OneRun) -> str:
    """Return the verdict that a paired difference allows, in the words of the page."""
    if isinstance(effect, OneRun):
        return Verdict.ONE_RUN.value
    if effect.p < ALPHA:
        return "better" if effect.value > 0 else "worse"
    return (Verdict.NEGLIGIBLE if equivalent(effect.alone) else Verdict.UNDECIDED).value


def _summary(effects: Effects) -> str:
    """List the variants under each verdict, metric by metric."""
    lines = []
    for metric, title in METRICS.items():
        by_verdict: dict[str, list[str]] = {}
        for name, one in effects[metric].items():
            by_verdict.setdefault(verdict(one), []).append(name)
        lines.append(f"- {title}: " + "; ".join(f"**{word}** {', '.join(names)}" for word, names in by_verdict.items()))
    return "To the hybrid:\n\n" + "\n".join(lines)


def _table(
    kept: Mapping[str, Sequence[Result]],
    shown: Sequence[str],
    effects: Effects,
    theirs: Theirs,
    failed: Mapping[str, str],
) -> str:
    with_paper = any(value is not None for of_metric in theirs.values() for value in of_metric.values())
    lines = []
    for name in shown:
        line = [name]
        for metric in METRICS:
            one, value = effects[metric].get(name), theirs[metric].get(name)
            values = [getattr(result, metric)() for result in kept[name]]
            line.append("failed" if name in failed and not values else pages.number(values))
            line.append(pages.DASH if one is None else _to_hybrid(one))
            if with_paper:
                line.append(pages.DASH if value is None else f"{value:+.2f}")
            line.append(pages.DASH if one is None else verdict(one))
        lines.append(line)
    columns = ["to hybrid", *(["the paper's"] if with_paper else []), "verdict"]
    return pages.table(["variant", *(word for title in METRICS.values() for word in (title, *columns))], lines)


def _to_hybrid(one: Pair | OneRun) -> str:
    half = one.high - one.value if isinstance(one, Pair) else measuring.half_width(one)
    return f"{one.value:+.2f} ±{half:.2f}"


def _said(effects: Effects) -> str:
    """Explain how the verdicts are reached, for the kinds of verdict that occur."""
    found = [one for all in effects.values() for one in all.values()]
    told = []
    if any(isinstance(one, Pair) for one in found):
        told.append(
            "± is half of a 95 % interval over test sessions and seeds; those of a metric hold for all variants "
            "together (Dunnett). Better or worse: the interval leaves 0 out. Negligible: a difference beyond "
            f"{MARGIN} points is ruled out (90 % interval). Undecided: neither."
        )
    if any(isinstance(one, OneRun) for one in found):
        told.append(
            "One run: nothing here tells what another seed would change, so ± is over test sessions only and says "
            "nothing of the variant."
        )
    return " ".join(told)


def _figure(dataset: str, effects: Effects, theirs: Theirs, drawn: dict[str, bytes]) -> str:
    panels = []
    for metric, title in METRICS.items():
        content = []
        for name, one in effects[metric].items():
            whisker, inner = None, None
            if isinstance(one, Pair):
                whisker, inner = (one.low, one.high), one.alone.interval(1 - 2 * ALPHA)
            published = theirs[metric].get(name)
            content.append(figures.Bar(name, one.value, published, whisker, figures.colour("NARM"), inner))
        near = MARGIN if any(bar.interval for bar in content) else 0.0
        panels.append(figures.Panel(f"{title} less the hybrid's", "points", content, near=near))
    name = f"ablation-{dataset}"
    drawn |= figures.bars(name, panels)
    bars = [bar for panel in panels for bar in panel.content if isinstance(bar, figures.Bar)]
    caption = "What each change to NARM does to Recall@20 and MRR@20. To the left of zero it is a loss."
    if any(bar.interval for bar in bars):
        caption += (
            " A thin whisker that leaves zero out: better or worse; a thick one within the grey band: negligible; "
            "neither: undecided."
        )
    if not all(bar.interval for bar in bars):
        caption += " A bar without a whisker is not judged."
    if any(bar.published is not None for bar in bars):
        caption += " Diamonds: the same difference between the paper's numbers."
    return pages.figure(name, caption)


def _differences_in_the_paper(dataset: str, results: Sequence[Result]) -> Theirs:
    """Return variant minus hybrid in the paper's numbers; nothing where these are of another task."""
    if not pages.papers_task(dataset, results):
        return {metric: {} for metric in METRICS}
    scores = {name: one.published.get(numbers.PAPER_COLUMN[dataset]) for name, one in VARIANTS.items()}
    full = scores.pop("hybrid")
    return {
        metric: {name: getattr(one, metric) - getattr(full, metric) if one else None for name, one in scores.items()}
        for metric in METRICS
    }


def _beside_the_paper(kept: Mapping[str, Sequence[Result]], dataset: str) -> str:
    lines = []
    for name, variant in VARIANTS.items():
        theirs = variant.published.get(numbers.PAPER_COLUMN[dataset])
        if theirs is None:
            continue
        line = [name]
        for metric in METRICS:
            values, value = [getattr(one, metric)() for one in kept[name]], getattr(theirs, metric)
            line += [pages.number(values), pages.published(value), pages.difference(values, value)]
        lines.append(line)
    head = [word for title in METRICS.values() for word in (title, "the paper", "Δ")]
    return pages.table(["variant", *head], lines)
