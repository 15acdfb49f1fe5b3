"""Make a page: run what it lacks, draw it, write it and print it. Only this module writes pages and figures."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reproduce import catalog, reports
from reproduce.errors import InputError
from reproduce.files import replacing
from reproduce.paper import numbers
from reproduce.reading.own_data import TAKEN
from reproduce.reports import asked
from reproduce.reports.description import AboutPage, Drawn, options_of
from reproduce.reports.shelf import Shelf
from reproduce.runs import own_options, scheduler, slurm
from reproduce.runs.deadline import Deadline
from reproduce.runs.request import Request, cells, digests, settings, state

# What --dry-run prints for a run in each state.
DRY = {"stored": "stored", "outdated": "would run again", "begun": "would go on", "missing": "would run"}

OF_A_RUN = (
    "slurm",
    "jobs",
    "minutes",
    "force",
    "fresh",
    "stored",
    "traceback",
    "keep_model",
)  # options of a run; they do not change the page


def make(name: str, options: Namespace) -> int:
    """Make a page and return the exit status.

    Raises:
        SuiteError: the request cannot be met; or a part of the page is missing, and then the rest has been written.
    """
    page = reports.load(name)
    queue = slurm.parse(options.slurm) if getattr(options, "slurm", None) else None
    request = request_of(page.about, options)
    experiments = cells(request, page.rows(request))
    request = replace(request, digests=digests(request.datasets, request.data))
    if getattr(options, "dry_run", False):
        for one in experiments:
            what = (
                "would run again"
                if request.force
                else DRY[state(one, request.results, request.digests.get(one.dataset))]
            )
            print(f"{what:<15} {one.path.removeprefix('runs/')}")
        return 0
    if queue is not None:
        print(slurm.submit(request, experiments, queue, stored_only(name, page.about, options)))
        return 0
    failed = scheduler.run_cells(request, [] if getattr(options, "stored", False) else experiments)
    if experiments and len(failed) == len(experiments) and all(isinstance(one, InputError) for one in failed.values()):
        return InputError.status  # run_cells printed the errors; without any input there is nothing to write
    drawn = page.draw(request, {path: str(error) for path, error in failed.items()})
    write(request.results, files_of(name, drawn, request))
    print(drawn.terminal or drawn.text, end="")
    if drawn.terminal:
        print(f"\nThe whole page, with the details: {request.results / reports.file_of(name, page.about)}")
    if drawn.error:
        raise drawn.error
    return max([drawn.status, *(error.status for error in failed.values())])


def files_of(name: str, drawn: Drawn, request: Request) -> dict[str, bytes]:
    """Return the files of a page and of the pages drawn with it, each ending in its request if it needs one.

    The request is kept as a comment, see `asked.comment`; the index page has none.
    """
    about = reports.abouts()
    files = drawn.files(reports.file_of(name, about[name]))
    for other, of_it in about.items():
        file = reports.file_of(other, of_it)
        if file in files and other != "all":
            asked_for = request if other == name else replace(request, datasets=list(TAKEN), options={})
            files[file] += asked.comment(other, of_it, asked_for).encode()
    return files


def stored_only(name: str, about: AboutPage, options: Namespace) -> list[str]:
    """Return the command-line words that draw the page requested by `options` from stored records only."""
    words = [name]
    for option in options_of(about):
        value = getattr(options, option.key)
        if option.key in OF_A_RUN or value in (
            None,
            False,
            [],
        ):
            continue
        values = value if isinstance(value, list) else [] if value is True else [value]
        words += [option.name] if option.name.startswith("--") else []
        words += [str(one.resolve() if isinstance(one, Path) else one) for one in values]
    return [*words, "--stored"]


def write(results: Path, files: Mapping[str, bytes]) -> None:
    """Write each file atomically. Figures come first, so that a page never embeds a figure that does not exist yet."""
    for path in sorted(files, key=lambda path: (not path.startswith("figures/"), path)):
        with replacing(results / path) as temporary:
            temporary.write_bytes(files[path])


def request_of(about: AboutPage, options: Namespace) -> Request:
    """Build the request from the parsed options; options that the page does not offer keep their defaults."""
    given = vars(options)
    models = [catalog.recommender(name).name for name in given.get("model", [])]  # first: this registers own models
    datasets = own_options.datasets(given.get("dataset", []), given)
    given_for: dict[str, object] = {"models": models, "settings": settings(given.get("set", []))}
    given_for |= {
        key: given[key] for key in ("device", "jobs", "force", "fresh", "quiet", "keep_model") if key in given
    }
    if given.get("minutes") is not None:
        given_for["deadline"] = Deadline.in_minutes(given["minutes"])
    if "seed" in given:
        given_for["seeds"] = given["seed"]
    return Request(
        datasets=_datasets(about, options, datasets),
        data=given.get("data", Path("data")),
        results=options.results,
        options={one.key: given[one.key] for one in about.options},
        **given_for,  # type: ignore[arg-type]
    )


def _datasets(about: AboutPage, options: Namespace, asked: list[str]) -> list[str]:
    """Return the data sets asked for, if any; otherwise, for a page that runs models or reads logs, a default.

    The default is the paper's data sets that are found in the data folder, or the synthetic log if there are none. With
    --stored it is the data sets that have records, if there are any.
    """
    needed = about.runs or about.reads_logs
    if asked or not needed or (about.runs_only_with and not getattr(options, about.runs_only_with)):
        return asked
    if getattr(options, "stored", False) and (recorded := Shelf.at(options.results).datasets()):
        return recorded
    found = [name for name in numbers.DATASETS if catalog.dataset(name).find(options.data)]
    if not found:
        print(
            f"no data set of the paper found in {options.data}/: running on the synthetic log.\n"
            "How to get the real ones: python -m reproduce data",
            file=sys.stderr,
        )
    return found or ["synthetic"]
