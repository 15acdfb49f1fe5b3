"""The command line: every command, its options, and the function that carries it out.

Nothing heavy is imported until a command runs, so help and usage errors appear at once. A new page is a file in
reports/ and its lines here.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from reproduce import __version__, terminal
from reproduce.errors import SuiteError, UsageError
from reproduce.files import Terminated, heed_sigterm
from reproduce.paper import controls
from reproduce.paper.variants import PAPERS, VARIANTS

PROGRAM = "python -m reproduce"
PAGE = "reports.making:make"  # what carries out a command: a function of a module, loaded when it is called
INTERRUPTED, TERMINATED, UNWRITABLE = 130, 143, 3
# The options on how a log of one's own is read, by their names among the parsed options; see reading.own_log.Rules.
OWN_LOG = (
    "columns", "where", "missing", "gap", "time_unit", "time_format", "test", "test_days", "test_share", "newest",
    "min_support", "min_length", "max_length",
)  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    0: done. 1: a run failed. 2: wrong use. 3: bad input. 4: a claim was contradicted (`claims --strict`). 75: the time
    is up. 130 or 143: stopped by Ctrl-C or SIGTERM.

    Args:
        words: the arguments, without the program's name; by default those of the process.
    """
    with terminal.sturdy() as output:
        try:
            whole = parser()
            options = whole.parse_args(sys.argv[1:] if words is None else list(words))
            if options.command is None:
                whole.print_help()
                status = 0
            else:
                given = {key: getattr(options, key, None) for key in OWN_LOG}
                options.rules = {key: value for key, value in given.items() if value not in (None, [])}
                options.data = getattr(options, "data", Path("data"))  # own data in a .py may read from it
                with _loading():
                    module, _, function = options.carry_out.partition(":")
                    carry_out = getattr(importlib.import_module(f"reproduce.{module}"), function)
                answer = carry_out(options)
                status = answer if isinstance(answer, int) else 0
                if isinstance(answer, str):
                    print(answer)
        except SystemExit as end:  # --help, --version, and what argparse does not understand
            status = int(end.code or 0)
        except SuiteError as error:
            print(f"reproduce: {error}", file=sys.stderr)
            status = error.status
        except KeyboardInterrupt:
            again = "finished epochs and runs are kept, the same command resumes"
            print(f"\nreproduce: interrupted; {again}", file=sys.stderr)
            status = INTERRUPTED
        except Terminated:
            print("reproduce: terminated; finished epochs and runs are kept, the same command resumes", file=sys.stderr)
            status = TERMINATED
        output.flush()
        if output.fault is not None:
            why = output.fault.strerror or output.fault
            print(f"reproduce: standard output cannot be written ({why})", file=sys.stderr)
            return status or UNWRITABLE
        return status


@contextmanager
def _loading() -> Iterator[None]:
    """Let Ctrl-C end the process at once while modules are loaded: a library may swallow the exception."""
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if raises:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if raises:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    heed_sigterm()


# --- values -----------------------------------------------------------------------------------------------------------


def positive(text: str) -> int:
    """Parse a whole number from 1 to 100,000."""
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= 100_000:
        raise ArgumentTypeError(f"{text[:20]!r} is not a number from 1 to 100,000")
    return int(text)


def _folder(text: str) -> Path:
    try:
        if Path(text).exists() and not Path(text).is_dir():
            raise ArgumentTypeError(f"{text}: not a folder; name the one that the logs lie in")
    except (OSError, ValueError) as error:
        raise ArgumentTypeError(f"{text[:60]}: no path ({error})") from error
    return Path(text)


# --- options that several commands share ------------------------------------------------------------------------------

DATASET = (
    "a name, or your own data: a log of clicks (.csv, .tsv, .inter, .jsonl, .parquet, ...; packed or in parts), "
    "a folder of processed files, a .toml or .py"
)
MODEL = "a name, or the path of a .py file with your model"


class _Parser(ArgumentParser):
    """A parser whose errors are a line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def _options() -> _Parser:
    return _Parser(add_help=False)


def _own_log() -> _Parser:
    options = _options()
    own = options.add_argument_group("for a log of your own")
    own.add_argument(
        "--columns",
        nargs="+",
        action="extend",
        default=[],
        metavar="ROLE=NAME",
        help="name its columns, such as session=visit item=product time=ts; default: the usual names",
    )
    own.add_argument(
        "--where",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="read only rows with this value in this column, such as event_type=view",
    )
    own.add_argument(
        "--missing",
        nargs="+",
        action="extend",
        default=[],
        metavar="WORD",
        help="the words that stand for a missing value (default: NA, N/A, null, None and others)",
    )
    own.add_argument(
        "--gap", metavar="SPAN", help="start a new session of a user after a pause of this length: 30m, 1h, ..."
    )
    own.add_argument(
        "--time-unit", metavar="UNIT", help="the unit of its times: s, ms, us or ns; default: judged by their size"
    )
    own.add_argument("--time-format", metavar="FORM", help="the form of its times, such as %%d.%%m.%%Y, as in strptime")
    own.add_argument("--test", metavar="PATH", help="a second table, which holds the test sessions")
    own.add_argument("--test-days", metavar="N", help="test on the sessions that end in the last N days (default: 1)")
    own.add_argument(
        "--test-share",
        metavar="SHARE",
        help="instead of days: test on this share of the sessions, those that end last",
    )
    own.add_argument("--newest", metavar="N", help="keep only the newest N sessions, for a quick look")
    own.add_argument("--min-support", metavar="N", help="leave out items with fewer clicks (default: 5)")
    own.add_argument("--min-length", metavar="N", help="leave out sessions with fewer clicks (default: 2)")
    own.add_argument("--max-length", metavar="N", help="leave out sessions with more clicks")
    return options


def _datasets() -> _Parser:
    options = _options()
    options.add_argument(
        "--dataset",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help=f"{DATASET}; default: all that are found",
    )
    return options


def _one_dataset(*, required: bool = True) -> _Parser:
    options = _options()
    options.add_argument("--dataset", required=required, metavar="NAME", help=DATASET)
    return options


def _models() -> _Parser:
    options = _options()
    options.add_argument(
        "--model",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help=f"{MODEL}; default: all of the page",
    )
    return options


def _settings() -> _Parser:
    options = _options()
    options.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="MODEL.FIELD=VALUE",
        help="set a field of a model, such as narm.hidden=50",
    )
    return options


def _data() -> _Parser:
    options = _options()
    options.add_argument(
        "--data",
        type=_folder,
        default=_folder(os.environ.get("REPRODUCE_DATA", "data")),
        metavar="DIR",
        help="the folder with the logs (default: $REPRODUCE_DATA, or data/)",
    )
    return options


def _results(default: str = "results/local", told: str = "default: results/local/") -> _Parser:
    options = _options()
    options.add_argument("--results", type=Path, default=Path(default), metavar="DIR", help=told)
    return options


def _device(default: str = "auto") -> _Parser:
    options = _options()
    options.add_argument(
        "--device", default=default, metavar="DEVICE", help=f"auto, cpu, cuda or cuda:N (default: {default})"
    )
    return options


def _seed(default: int | None = 0, told: str = "default: 0") -> _Parser:
    options = _options()
    options.add_argument("--seed", type=int, default=default, metavar="N", help=told)
    return options


def _measures(told: str, default: Sequence[str] = ()) -> _Parser:
    options = _options()
    options.add_argument("--metric", nargs="+", default=list(default), metavar="NAME@K", help=told)
    return options


def _ranks() -> _Parser:
    options = _options()
    outside = options.add_argument_group("for ranks from other libraries (see docs/other-libraries.md)")
    outside.add_argument(
        "--ranks",
        nargs="+",
        action="extend",
        default=[],
        metavar="[LABEL=]FILE",
        help="also show what another library ranked: a .parquet, .csv or .tsv of every test prefix; several files of "
        "one label are its seeds, as are those of a pattern such as mine-seed*.csv",
    )
    outside.add_argument(
        "--family",
        choices=("softmax", "sampled", "none"),
        default="",
        help="how much these rows vary between seeds: as networks trained by a softmax over all items, as models "
        "trained on pairs or samples, or not at all; default: only their own seeds tell",
    )
    return options


def _view() -> _Parser:
    options = _options()
    options.add_argument(
        "--protocol",
        choices=("all", "last"),
        default="all",
        help="all (default): every click of a test session is predicted; last: only its last one",
    )
    options.add_argument(
        "--ties",
        choices=("against", "random", "favour"),
        default="against",
        help="how an item tied with the target counts: against it (default), at random, or in its favour",
    )
    return options


def _sitting(group: argparse._ActionsContainer) -> None:
    """Add the options of every command that trains."""
    group.add_argument(
        "--minutes",
        type=positive,
        metavar="N",
        help="stop after the last epoch that fits into N minutes; the same command resumes",
    )
    group.add_argument("--fresh", action="store_true", help="ignore checkpoints of interrupted runs")
    group.add_argument("--traceback", action="store_true", help="show the traceback of an error in your own model")
    group.add_argument("--quiet", action="store_true", help="no progress, only the result")


def _sitting_alone() -> _Parser:
    options = _options()
    _sitting(options)
    return options


def _running() -> _Parser:
    """Return the options of a page that runs what it lacks."""
    options = _options()
    how = options.add_argument_group("how to run it")
    how.add_argument("--seed", nargs="+", type=int, default=[0], metavar="N", help="default: 0")
    how.add_argument("--device", default="auto", metavar="DEVICE", help="auto (default), cpu, cuda or cuda:N")
    how.add_argument(
        "--jobs",
        type=positive,
        default=1,
        metavar="N",
        help="the number of runs at a time, each in its own process (default: 1)",
    )
    how.add_argument(
        "--slurm",
        metavar="KEY=VALUE,...",
        help="submit every run as a Slurm job, such as partition=gpu,time=60,gres=gpu:1,at-once=8",
    )
    how.add_argument("--stored", action="store_true", help="run nothing: draw the page from stored records")
    how.add_argument("--dry-run", action="store_true", help="print what would run and what is stored, and stop")
    how.add_argument("--force", action="store_true", help="run again even where a record is stored")
    how.add_argument(
        "--keep-model", action="store_true", help="also keep the fitted models beside their records, for recommend"
    )
    _sitting(how)
    return options


# --- commands ---------------------------------------------------------------------------------------------------------


def parser() -> _Parser:
    """Return the parser of the whole command line."""
    whole = _Parser(
        prog=PROGRAM,
        description="Rebuild every table and figure of the NARM paper (Li et al., CIKM 2017) from click logs.",
        epilog=f"Help on a command: {PROGRAM} table2 --help",
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, told: str, carry_out: str, *parents: _Parser) -> _Parser:
        # No abbreviations: in a command without --data, --data would be taken for --dataset.
        made = commands.add_parser(
            name, help=told, description=f"{told[0].upper()}{told[1:]}.", parents=parents, allow_abbrev=False
        )
        made.set_defaults(carry_out=carry_out)
        return made

    own, datasets, models, settings, data, results, ranks = (
        _own_log(),
        _datasets(),
        _models(),
        _settings(),
        _data(),
        _results(),
        _ranks(),
    )
    measures = _measures(
        "metrics at a cut-off: recall, hitrate, mrr or ndcg (default: recall@20 mrr@20)", ["recall@20", "mrr@20"]
    )
    more = _measures("further metrics, such as ndcg@10 mrr@5 (recall@20 and mrr@20 are always shown)")

    # Pages that run what they lack.
    table2 = command(
        "table2",
        "compare the recommenders (the paper's Table 3) and the decoders (its Table 2)",
        PAGE, datasets, models, settings, more, _view(), data, results, own, ranks, _running(),
    )  # fmt: skip
    table2.add_argument(
        "--beyond",
        action="store_true",
        help=f"also later baselines: {', '.join(row.label for row in controls.ROWS)}",
    )
    ablation = command(
        "ablation",
        "compare NARM with variants of it (the paper's Tables 4 and 2)",
        PAGE, datasets, settings, more, data, results, own, _running(),
    )  # fmt: skip
    meanings = "; ".join(f"{name}: {variant.meaning}" for name, variant in VARIANTS.items())
    ablation.add_argument(
        "--variant",
        nargs="+",
        default=[],
        choices=tuple(VARIANTS),
        metavar="NAME",
        help=f"{meanings}. Default: {', '.join(PAPERS)}".replace("%", "%%"),
    )
    command(
        "audit",
        "measure the order of clicks, and the effect of counting rules and tie-breaking",
        PAGE, datasets, models, settings, data, results, own, _running(),
    )  # fmt: skip

    # Pages that only show what is stored.
    for name, told, parents in (
        ("lengths", "show accuracy by length of the prefix (the paper's Table 5)", (data, ranks)),
        ("significance", "compare the recommenders with NARM: differences with intervals", (data, ranks)),
        ("figure5", "draw all models as bars (the paper's Figure 5) and their learning curves", ()),
    ):
        command(name, told, PAGE, datasets, models, settings, _view(), results, own, *parents)
    attention = command(
        "attention", "show what NARM attends to (the paper's Figure 6)", PAGE, datasets, settings, results, own
    )
    attention.add_argument(
        "--session", nargs="+", type=int, default=[], metavar="N", help="test sessions, from 0 (default: a sample)"
    )
    claims = command("claims", "test the paper's claims on the stored records", PAGE, results)
    claims.add_argument("--strict", action="store_true", help="exit 4 when a claim is contradicted on the paper's data")
    command(
        "table1",
        "count the data as the paper did, beside its published counts (Table 1)",
        PAGE, datasets, data, results, own,
    )  # fmt: skip
    everything = command(
        "all",
        "draw every page from stored records, and an index",
        PAGE, datasets, models, data, results, own, _running(),
    )  # fmt: skip
    everything.set_defaults(stored=True)
    everything.add_argument(
        "--run", dest="stored", action="store_false", help="first make the records that are missing"
    )
    everything.add_argument("--html", type=Path, metavar="FILE", help="also write all pages as one file to send")

    # Other commands.
    run = command(
        "run",
        "make the record of a single run",
        "reports.making:run_one", _one_dataset(), own, settings, _seed(), _device(), data, results, _sitting_alone(),
    )  # fmt: skip
    run.add_argument("--model", required=True, metavar="NAME", help=MODEL)
    run.add_argument("--force", action="store_true", help="run again even where a record is stored")
    run.add_argument("--keep-model", action="store_true", help="also keep the fitted model, for recommend")
    search = command(
        "search",
        "search the best settings of a model on held-out training sessions, and print the command for them",
        "runs.search:answer", _one_dataset(), own, settings, _seed(), _device(), data, results, _sitting_alone(),
    )  # fmt: skip
    search.add_argument("model", metavar="MODEL", help=MODEL)
    search.add_argument(
        "--trials",
        type=positive,
        default=20,
        metavar="N",
        help="settings tried in all, with those of earlier searches; the best 3 are then fitted anew (default: 20)",
    )
    search.add_argument(
        "--trial-epochs",
        type=positive,
        metavar="N",
        help="train networks for at most so many epochs in a trial; the same for all models that are to be compared",
    )
    search.add_argument(
        "--slurm", metavar="KEY=VALUE,...", help="make the search a job: partition=gpu,time=60,gres=gpu:1"
    )
    recommend = command(
        "recommend",
        "print what a kept model offers after some clicks",
        "recommend:answer",
        _one_dataset(required=False), own, settings, _seed(None, "if several are kept"), _device(), results,
    )  # fmt: skip
    recommend.add_argument("model", metavar="MODEL", help=f"{MODEL}, or of a .model file that --keep-model wrote")
    recommend.add_argument(
        "--clicks", nargs="+", default=[], metavar="ITEM", help="items, the oldest first, as the log calls them"
    )
    recommend.add_argument(
        "--sessions",
        type=Path,
        metavar="FILE",
        help="several sessions at once: a .csv, .tsv or .parquet with session and item, in the order of the clicks",
    )
    recommend.add_argument(
        "--format", choices=("csv", "json"), default="csv", help="of the answer to --sessions (default: csv)"
    )
    recommend.add_argument(
        "--skip-unknown", action="store_true", help="leave out clicks on items that the model was not fitted on"
    )
    recommend.add_argument("--exclude-seen", action="store_true", help="do not recommend the items clicked")
    recommend.add_argument("--top", type=positive, default=20, metavar="N", help="items to print (default: 20)")
    export = command(
        "export",
        "write tables as CSV, LaTeX and JSON, and the rank of every test prefix, from stored records",
        "export:answer", datasets, models, settings, measures, _view(), data, results, own, ranks,
    )  # fmt: skip
    export.add_argument(
        "--page",
        nargs="+",
        default=[],
        choices=("ablation", "audit", "claims", "figure5", "lengths", "significance", "table1", "table2"),
        metavar="PAGE",
        help="the tables of these pages, as they stand; default: a comparison of all rows that have records",
    )
    export.add_argument(
        "--format",
        nargs="+",
        default=[],
        choices=("csv", "latex", "json", "parquet"),
        metavar="FORMAT",
        help="of tables csv, latex, json; default: all three. Of a split csv or parquet; default: parquet",
    )
    export.add_argument(
        "--per-prefix",
        choices=("csv", "parquet"),
        metavar="FORMAT",
        help="also session, length, target and rank of every test prefix: csv, or parquet (needs the parquet extra)",
    )
    export.add_argument(
        "--split",
        type=Path,
        metavar="DIR",
        help="instead: the split of a data set for other libraries, with a note on what ranks to return",
    )
    export.add_argument("--to", type=Path, metavar="DIR", help="default: export/ in the results folder")
    expect = command(
        "expect",
        "judge a published number: ours, the difference, and which causes on record explain it",
        "expect:answer",
        _one_dataset(), own, settings, _measures("of the numbers (default: recall@20 mrr@20)"), _view(), data,
    )  # fmt: skip
    expect.add_argument("model", metavar="MODEL", help=f"{MODEL}, or the label of a row")
    expect.add_argument(
        "values",
        nargs="+",
        type=float,
        metavar="NUMBER",
        help="the published Recall@20, or that and MRR@20, in per cent",
    )
    expect.add_argument("--results", type=Path, metavar="DIR", help="default: the reference, then results/local/")
    expect.add_argument("--json", action="store_true", help="answer in JSON; exit 4 where a number is not within noise")
    merge = command(
        "merge",
        "bring the records and kept models of other results folders into one, checked first",
        "overview:merged",
        results,
    )
    merge.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="results folders, such as another machine's results/local"
    )
    check = command(
        "check",
        "verify stored records and pages",
        "overview:check", own, _results("results", "default: results/, the reference"),
    )  # fmt: skip
    check.add_argument(
        "--model", nargs="+", default=[], metavar="FILE", help="the .py files of your own models that pages show"
    )
    check.add_argument("--dataset", nargs="+", default=[], metavar="PATH", help="your own data that pages show")
    contract = command("contract", "check a model against the contract", "overview:contract", _device("cpu"))
    contract.add_argument("model", nargs="+", metavar="MODEL", help=MODEL)
    contract.add_argument("--traceback", action="store_true", help="show the traceback of an error in your own model")
    listing = command(
        "data",
        "list the data sets found, their counts against the paper's, and how to get the others",
        "overview:data_sets", datasets, own, data,
    )  # fmt: skip
    listing.add_argument("--clear", action="store_true", help="empty the cache of splits instead")
    fetch = command("fetch", "download a log that anyone may have, and verify it", "overview:fetched", data)
    fetch.add_argument("name", metavar="NAME", help="such as eshop")
    fetch.add_argument("--url", metavar="URL", help="another place to get the same file from")
    command("list", "list the models with their fields, and the data sets", "overview:catalogue")
    command(
        "bench", "measure speed and peak memory of every model at the paper's sizes", "bench:answer", models, _device()
    )
    return whole
