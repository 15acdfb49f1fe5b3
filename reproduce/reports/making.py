"""Make a page: run what it lacks, draw it, write it and print it. Only this module writes pages and figures."""

from __future__ import annotations

import json
import re
import shlex
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from reproduce import catalog, own_process, reports
from reproduce.errors import InputError, SuiteError, UsageError, in_a_line
from reproduce.evaluation import metrics
from reproduce.files import data_folder, replacing
from reproduce.paper import numbers
from reproduce.reading import own_data
from reproduce.reports import renderers
from reproduce.reports.document import Document
from reproduce.reports.records import Records
from reproduce.reports.study import Page, Study
from reproduce.runs import scheduler, slurm
from reproduce.runs.experiment import Experiment
from reproduce.runs.record_shape import FIELDS, integer, misfits, text, truth
from reproduce.runs.request import Request, cells, digests, settings, settings_of, whole_command
from reproduce.runs.runner import RunOptions, run_with, stored

PAGE_OPTIONS = ("beyond", "metric", "protocol", "session", "strict", "ties", "variant")  # they change what a page shows
COMMENT = re.compile(r"\n<!-- request: ([^\n]{1,200000}) -->\n\Z")  # the last line of a page
REQUEST = {
    "datasets?": [text],
    "models?": [text],
    "settings?": {"*": FIELDS},
    "options?": {"*": (truth, text, [(text, integer(-(2**53)))])},
    "failures?": {"*": text},
}


class NotHere(SuiteError):
    """A page shows a model or data set that is not part of the suite and was not named to `check`."""


def make(options: Namespace) -> int:
    """Make the page that a command names and return the exit status.

    Raises:
        SuiteError: the request cannot be met.
    """
    name, given = options.command, vars(options)
    page = reports.load(name)
    queue = slurm.parse(options.slurm) if given.get("slurm") else None
    if queue is not None and given.get("stored"):
        raise UsageError("--slurm: nothing is to be run from stored records; leave out --stored, or say all --run")
    request = request_of(page, options)
    measures = [*metrics.PAPERS.values(), *map(metrics.parse, request.options.get("metric", ()))]
    experiments = cells(request, page.rows(request))
    recorded = Records(request.results).datasets()
    needed = (
        request.datasets if given.get("dataset") or not given.get("stored", True) else ()
    )  # their logs must be sound
    request = replace(request, digests=digests(needed, request.data, recorded=recorded))
    if given.get("ranks") or given.get("family"):
        from reproduce.runs import outside_ranks  # and with it pyarrow

        outside = outside_ranks.of_options(options, request.datasets, measures)
        named = {**request.options, "ranks": options.ranks, "family": options.family}
        request = replace(request, outside=outside, options=named, folder="export")  # no other page has such rows
    if given.get("stored", True):
        experiments = []
    if given.get("dry_run"):
        if not experiments:
            print("nothing would run")
        for cell in experiments:
            _, whole = stored(request, cell, request.digests.get(cell.dataset))
            print(f"{'stored' if whole else 'would run':<9} {cell.path.removeprefix('runs/')}")
        return 0
    if queue is not None:
        to_send = ["--html", str(report.resolve())] if (report := given.get("html")) else []
        print(slurm.submit(request, experiments, queue, [*stored_only(name, request, absolute=True), *to_send]))
        return 0
    failed = scheduler.run_cells(request, experiments)
    if experiments and sum(isinstance(error, InputError) for error in failed.values()) == len(experiments):
        return InputError.status  # run_cells printed the errors; without any input there is nothing to write
    request = replace(request, failures={path: str(error) for path, error in failed.items()})
    documents = {}
    for other, its_own in requests(name, request).items():
        try:
            documents[other] = reports.load(other).draw(its_own)
        except InputError as error:
            if other == name:
                raise
            print(f"{other}: left as it was: {error}", file=sys.stderr)  # it reads the logs themselves
        else:
            write(other, documents[other], its_own)
    document = documents[name]
    if report := given.get("html"):
        with replacing(report, option="--html") as temporary:
            named = {reports.file_of(other): documents[other] for other in [name, *documents]}
            temporary.write_text(renderers.html(named), encoding="utf-8")
    print(renderers.terminal(document), end="")
    print(f"\nThe whole page, with figures and details: {request.page_folder / reports.file_of(name)}")
    return max([document.status, *(error.status for error in failed.values())])


def run_one(options: Namespace) -> str:
    """Make the record of the single run that `options` name, and return its line."""
    model = catalog.recommender(options.model, load=False).name
    (dataset,) = catalog.named_datasets([options.dataset], options.rules, options.data)
    fields = settings_of(model, options.set, "is run")
    experiment = Experiment.of(dataset, model, fields, options.seed)
    try:
        result = run_with(RunOptions(**RunOptions.given(options)), experiment)
    except SuiteError:
        raise
    except Exception as error:
        raise own_process.unforeseen(error) from error
    return f"{experiment.path.removeprefix('runs/')}: Recall@20 {result.recall():.2f}, MRR@20 {result.mrr():.2f}"


def requests(name: str, request: Request) -> dict[str, Request]:
    """Return what to draw for a command: its page, or for `all` every page and then the index of them."""
    if name != reports.INDEX:
        return {name: request}
    study, own = Study(request), catalog.current().data
    with_logs = [name for name in study.datasets if name in catalog.datasets()]  # logs of one's own may be elsewhere
    all_recorded = not own and set(study.datasets) == set(study.records.datasets())
    made = {}
    for other, page in reports.pages().items():
        if other != name:
            shown = [] if all_recorded and not page.runs else study.datasets
            made[other] = replace(request, datasets=with_logs if page.reads_logs else shown, options={})
    return {**made, name: request}


def write(name: str, document: Document, request: Request) -> None:
    """Write the files of a page atomically, the page last, so that it never embeds a figure that does not exist yet.

    A page, but for the index, says with what request it was drawn.
    """
    text = renderers.markdown(document)
    text += comment(reports.load(name), request) if name != reports.INDEX else ""
    files = {f"figures/{path}": content for path, content in document.figures.items()}
    files |= {path: text.encode() for path, text in {**document.data, reports.file_of(name): text}.items()}
    for path, content in files.items():
        with replacing(request.page_folder / path) as temporary:
            temporary.write_bytes(content)


def stored_only(name: str, request: Request, *, absolute: bool = False) -> list[str]:
    """Return the command-line words that draw the requested page from stored records only, where no GPU may be."""
    stored = ["--stored"] if reports.load(name).runs and name != reports.INDEX else []
    drawn = replace(request, device="auto", deadline=None, force=False, keep_model=False)
    return whole_command(name, drawn, *stored, absolute=absolute)


def request_of(page: Page, options: Namespace) -> Request:
    """Build the request from the parsed options; options that the page does not offer keep their defaults."""
    given = vars(options)
    models = [catalog.recommender(name, load=False).name for name in given.get("model", [])]
    datasets = catalog.named_datasets(given.get("dataset", []), options.rules, options.data)
    return Request(
        datasets=_datasets(page, options, datasets),
        models=models,
        settings=settings(given.get("set", [])),
        seeds=given.get("seed", (0,)),
        jobs=given.get("jobs", 1),
        folder=datasets[0] if len(datasets) == 1 and own_data.NAME.fullmatch(datasets[0]) else "",
        options={key: given[key] for key in PAGE_OPTIONS if given.get(key) not in (None, False, [], "all", "against")},
        **RunOptions.given(options),
    )


def _datasets(page: Page, options: Namespace, named: list[str]) -> list[str]:
    """Return the data sets named, if any; otherwise, for a page that runs models or reads logs, a default.

    The default is the paper's data sets that are found in the data folder, or the synthetic log if there are none. From
    stored records it is the data sets that have some.
    """
    if named or not (page.runs or page.reads_logs):
        return named
    if page.runs and options.stored:
        return Records(options.results).datasets()
    found = [name for name in numbers.DATASETS if catalog.dataset(name).find(options.data)]
    if not found:
        print(
            f"no data set of the paper found in {options.data}/: running on the synthetic log.\n"
            "How to get the real ones: python -m reproduce data",
            file=sys.stderr,
        )
    return found or ["synthetic"]


# The request of a stored page


def comment(page: Page, request: Request) -> str:
    """Return the request that a page was drawn with as its last line, so that it can be drawn again.

    It names models and data sets but no files: pages are passed on, and no page may make `check` run code. It is ""
    where the command without options draws the same page.
    """
    recorded = set(Records(request.results).datasets()) - set(catalog.current().data)
    shown_anyway = recorded if page.runs and not page.reads_logs else set()
    parts = {
        "datasets": [name for name in request.datasets if name != request.folder and name not in shown_anyway],
        "models": list(request.models),
        "settings": request.settings,
        "options": request.options,
        "failures": request.failures,
    }
    kept = {name: part for name, part in parts.items() if part}
    if not kept:
        return ""
    line = json.dumps(kept).replace("<", "\\u003c").replace(">", "\\u003e")  # nothing in it may end the comment
    return f"\n<!-- request: {line} -->\n"


def stored_request(page: str, results: Path) -> Request:
    """Read from a stored page the request that draws it again.

    Args:
        page: the page as it is stored.
        results: the folder of the records to draw it from.

    Raises:
        InputError: the last line is not a request.
        NotHere: the page shows a model or data set that is not part of the suite and was not named.
        UsageError: a model has no such field, or not with that value.
    """
    found = COMMENT.search(page)
    try:
        parts = json.loads(found[1]) if found else {}
    except (ValueError, RecursionError) as error:
        raise InputError("its last line is no request") from error
    if list(misfits(parts, REQUEST)):
        raise InputError("its last line is no request")
    settings = parts.get("settings", {})
    folders = [file.name for file in (results / "runs").glob("*")]
    runs = [*(results / "runs").glob("*/*.json"), *map(Path, parts.get("failures", {}))]
    models = {re.split(",|-seed", path.name)[0] for path in runs}
    for names, known, recorded, flag in (
        (parts.get("datasets", []), catalog.datasets(), folders, "--dataset"),
        ([*parts.get("models", []), *settings], catalog.recommenders(), models, "--model"),
    ):
        for name in sorted(set(names) - known.keys()):
            if name not in recorded:
                raise InputError(f"its last line names {in_a_line(name, 60)}, of which there is no record")
            raise NotHere(f"it shows {in_a_line(name, 60)}: name its file with {flag}")
    for model, fields in settings.items():
        catalog.make_recommender(model, fields)
    return replace(Request(datasets=[], data=data_folder(), results=results), **parts)


def again(name: str, page: Page, request: Request) -> str:
    """Return a sentence with the command that draws a page again from stored records, with the same rows."""
    if page.runs and name != reports.INDEX and not request.datasets:
        request = replace(request, datasets=Records(request.results).datasets())
    return f"python -m reproduce {shlex.join(stored_only(name, request))} draws it again"
