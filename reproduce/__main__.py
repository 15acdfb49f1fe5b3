"""The command line: a sub-command per page, plus list, data and bench."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from reproduce import catalog, reports
from reproduce.commands import bench, contract, inventory, search
from reproduce.errors import InputError, PartialPage, SuiteError
from reproduce.files import Terminated, heed_sigterm, replacing
from reproduce.paper import numbers
from reproduce.reports import check
from reproduce.runs import scheduler
from reproduce.runs.request import Request, cells, settings, state

INTERRUPTED, TERMINATED = 130, 143


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 a cell failed, 2 a wrong name or value, 3 bad input, 130 or 143 stopped."""
    parser, pages = _parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help()
        return 0
    heed_sigterm()
    try:
        if options.command in pages:
            return _page(
                options.command, pages[options.command], _request(options, pages[options.command]), options.dry_run
            )
        print(options.answer(options))
        return 0
    except SuiteError as error:
        print(f"reproduce: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print(
            "\nreproduce: interrupted; finished epochs and runs are kept, the same command goes on from there",
            file=sys.stderr,
        )
        return INTERRUPTED
    except Terminated:
        print("reproduce: terminated; what was being written is whole, the same command goes on", file=sys.stderr)
        return TERMINATED
    except BrokenPipeError:  # `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _page(name: str, module: ModuleType, request: Request, dry_run: bool) -> int:
    """Run what the page lacks, write the page, show it."""
    experiments = cells(request, module.rows(request))
    if dry_run:
        for one in experiments:
            what = "would run again" if request.force else state(one, request.results)
            print(f"{what:<15} {one.path.removeprefix('runs/')}")
        return 0
    failed = scheduler.run_cells(request, experiments)
    if experiments and len(failed) == len(experiments) and all(isinstance(one, InputError) for one in failed.values()):
        return InputError.status  # each was told; with no input at all there is nothing to write
    partial = None
    try:
        text = module.page(request, {path: str(error) for path, error in failed.items()})
    except PartialPage as error:  # what could be drawn is kept, then what could not is told
        text, partial = error.text, error
    with replacing(request.results / getattr(module, "FILE", f"{name}.md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text, end="")
    if partial:
        raise partial
    statuses = [error.status for error in failed.values()]
    return max([*statuses, module.status(request) if hasattr(module, "status") else 0])


def _parser() -> tuple[argparse.ArgumentParser, dict[str, ModuleType]]:
    parser = argparse.ArgumentParser(
        prog="python -m reproduce",
        description="Rebuild every table and figure of the NARM paper (Li et al., CIKM 2017) from click logs.",
        epilog="Each command explains itself: python -m reproduce table2 --help",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    pages = reports.pages()
    for name, module in pages.items():
        command = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        if hasattr(module, "arguments"):
            module.arguments(command)
        _page_options(command)
    inventory.commands(commands)
    contract.command(commands)
    search.command(commands)
    bench.command(commands)
    check.command(commands, pages)
    return parser, pages


def _page_options(command: argparse.ArgumentParser) -> None:
    what = command.add_argument_group("what to run")
    what.add_argument("--dataset", nargs="+", default=[], metavar="NAME", help="default: the paper's that are found")
    what.add_argument(
        "--model",
        nargs="+",
        default=[],
        metavar="NAME",
        help="or the path of your own model's .py file; default: all of the page",
    )
    what.add_argument("--seed", nargs="+", type=int, default=[0], metavar="N", help="default: 0")
    what.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="MODEL.FIELD=VALUE", help="such as narm.hidden=50"
    )
    how = command.add_argument_group("how")
    how.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    inventory.data_option(how)
    how.add_argument(
        "--results", type=Path, default=Path("results/local"), metavar="DIR", help="default: results/local/"
    )
    how.add_argument("--jobs", type=_count, default=1, metavar="N", help="cells at a time, a process each (default: 1)")
    how.add_argument("--dry-run", action="store_true", help="say what would run and what is stored, and stop")
    how.add_argument("--force", action="store_true", help="run again what is stored")
    how.add_argument("--fresh", action="store_true", help="do not go on from a checkpoint")
    how.add_argument("--quiet", action="store_true", help="no progress, only the page")


def _request(options: argparse.Namespace, module: ModuleType) -> Request:
    models = [catalog.recommender(name).name for name in options.model]  # first: files with own models join here
    for name in options.dataset:
        catalog.dataset(name)
    own = {
        "command",
        "dataset",
        "model",
        "seed",
        "set",
        "device",
        "jobs",
        "data",
        "results",
        "dry_run",
        "force",
        "fresh",
        "quiet",
    }
    return Request(
        datasets=options.dataset or ([] if getattr(module, "VIEW", False) else _found(options.data)),
        data=options.data,
        results=options.results,
        models=models,
        seeds=options.seed,
        settings=settings(options.set),
        device=options.device,
        jobs=options.jobs,
        force=options.force,
        fresh=options.fresh,
        quiet=options.quiet,
        options={key: value for key, value in vars(options).items() if key not in own},
    )


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _found(data: Path) -> list[str]:
    """The paper's data sets that are here; without any, the synthetic log, saying so."""
    found = [name for name in numbers.DATASETS if catalog.dataset(name).find(data)]
    if not found:
        print(
            f"no data set of the paper found in {data}/: running on the synthetic log.\n"
            "How to get the real ones: python -m reproduce data",
            file=sys.stderr,
        )
    return found or ["synthetic"]


if __name__ == "__main__":
    sys.exit(main())
