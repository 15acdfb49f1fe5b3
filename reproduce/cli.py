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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from reproduce import __version__, own_process, terminal
from reproduce.errors import SuiteError, UsageError
from reproduce.files import Terminated, data_folder, heed_sigterm
from reproduce.paper import later_baselines
from reproduce.paper.variants import PAPERS, VARIANTS

PROGRAM = "python -m reproduce"
PAGE = "reports.making:make"  # what carries out a command: a function of a module, loaded when it is called
UNWRITABLE = 3  # exit status: standard output cannot be written


def main(words: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    0: done. 1: a run failed. 2: wrong use. 3: bad input. 4: a claim was contradicted (`claims --strict`), or
    a number is not within noise (`expect`). 75: the time is up. 130 or 143: stopped by Ctrl-C or SIGTERM.

    Args:
        words: the arguments, without the program's name; by default those of the process.
    """
    with terminal.sturdy() as output:
        try:
            whole = parser()
            options = whole.parse_args(_model_first(sys.argv[1:] if words is None else list(words)))
            if options.command is None:
                whole.print_help()
                status = 0
            else:
                given = {key: getattr(options, key, None) for key in vars(_own_log().parse_args([]))}
                options.rules = {key: value for key, value in given.items() if value not in (None, [])}
                options.data = getattr(options, "data", data_folder())  # own data in a .py may read from it
                own_process.show_tracebacks(getattr(options, "traceback", False))
                if interruptible := signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a library that is loading may swallow the exception
                module, _, function = options.carry_out.partition(":")
                carry_out = getattr(importlib.import_module(f"reproduce.{module}"), function)
                catalog = importlib.import_module("reproduce.catalog")
                if interruptible:
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                heed_sigterm()
                with catalog.using(catalog.Catalog()):
                    answer = carry_out(options)
                status = answer if isinstance(answer, int) else 0
                if isinstance(answer, str):
                    print(answer)
        except SystemExit as end:  # --help, --version, and what argparse does not understand
            status = int(end.code or 0)
        except SuiteError as error:
            print(f"reproduce: {error}", file=sys.stderr)
            status = error.status
        except (KeyboardInterrupt, Terminated) as stop:
            ended, status = ("\nreproduce: interrupted", 130)
            if isinstance(stop, Terminated):
                ended, status = ("reproduce: terminated", 143)
            print(f"{ended}; finished epochs and runs are kept, the same command resumes", file=sys.stderr)
        output.flush()
        if output.fault is not None:
            why = output.fault.strerror or output.fault
            print(f"reproduce: standard output cannot be written ({why})", file=sys.stderr)
            return status or UNWRITABLE
        return status


def _model_first(words: list[str]) -> list[str]:
    """Let `--model NAME` stand for the word MODEL of a command on one model, as on pages."""
    if words[:1] and words[0] in ("run", "search", "recommend", "expect"):
        words = [part for word in words for part in re.split("(?<=^--model)=", word, maxsplit=1)]
        if "--model" in words[:-1]:
            at = words.index("--model")
            words = [words[0], words[at + 1], *words[1:at], *words[at + 2 :]]
    return words


# --- values -----------------------------------------------------------------------------------------------------------


def positive(text: str) -> int:
    """Parse a whole number from 1 to 100,000."""
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= 100_000:
        raise ArgumentTypeError(f"{text[:20]!r} is not a number from 1 to 100,000")
    return int(text)


def _path(text: str) -> Path:
    if not text.strip():
        raise ArgumentTypeError("an empty path, as of a variable that is not set")
    try:
        Path(text).exists()
    except (OSError, ValueError) as error:
        raise ArgumentTypeError(f"{text[:60]}: no path ({error})") from error
    return Path(text)


def _folder(text: str) -> Path:
    if (folder := _path(text)).exists() and not folder.is_dir():
        raise ArgumentTypeError(f"{text}: not a folder; name the one that the logs lie in")
    return folder


# --- options that several commands share ------------------------------------------------------------------------------

DATASET = (
    "a name, or your own data: a log of clicks (.csv, .tsv, .inter, .jsonl, .parquet, ...; packed or in parts), "
    "a folder of processed files, a .toml or .py"
)
MODEL = "a name, or the path of a .py file with your model"
SLURM = "partition=gpu,time=60,gres=gpu:1"


class _Parser(ArgumentParser):
    """A parser whose errors are a line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def _add(to: argparse._ActionsContainer, name: str, metavar: str, meaning: str, **words: Any) -> None:
    to.add_argument(name, metavar=metavar, help=meaning, **words)


def _many(to: argparse._ActionsContainer, name: str, metavar: str, meaning: str, **words: Any) -> None:
    """Add an option that takes several values and may be given several times."""
    to.add_argument(name, nargs="+", action="extend", default=[], metavar=metavar, help=meaning, **words)


def _choose(to: argparse._ActionsContainer, name: str, choices: Sequence[str], meaning: str) -> None:
    """Add an option with a choice of words, of which the first is the default."""
    to.add_argument(name, choices=choices, default=choices[0], help=meaning)


def _flag(to: argparse._ActionsContainer, name: str, meaning: str) -> None:
    to.add_argument(name, action="store_true", help=meaning)


def _parent(add: Callable[..., None], *words: str, **more: Any) -> _Parser:
    """Return a parent parser with a single option."""
    parent = _Parser(add_help=False)
    add(parent, *words, **more)
    return parent


def _own_log() -> _Parser:
    """Return the options on how a log of one's own is read; see reading.own_log.Rules."""
    parent = _Parser(add_help=False)
    own = parent.add_argument_group("for a log of your own")
    usual = "such as session=visit item=product time=ts; default: the usual names"
    _many(own, "--columns", "ROLE=NAME", f"name its columns, {usual}")
    _many(own, "--where", "NAME=VALUE", "read only rows with this value in this column, such as event_type=view")
    _many(own, "--missing", "WORD", "words that stand for a missing value (default: NA, N/A, null, None and others)")
    _add(own, "--gap", "SPAN", "start a new session of a user after a pause of this length: 30m, 1h, ...")
    _add(own, "--time-unit", "UNIT", "the unit of its times: s, ms, us or ns; default: judged by their size")
    _add(own, "--time-format", "FORM", "the form of its times, such as %%d.%%m.%%Y, as in strptime")
    _add(own, "--test", "PATH", "a second table, which holds the test sessions")
    _add(own, "--test-days", "N", "test on the sessions that end in the last N days (default: 1)")
    _add(own, "--test-share", "SHARE", "instead of days: test on this share of the sessions, those that end last")
    _add(own, "--newest", "N", "keep only the newest N sessions, for a quick look")
    _add(own, "--min-support", "N", "leave out items with fewer clicks (default: 5)")
    _add(own, "--min-length", "N", "leave out sessions with fewer clicks (default: 2)")
    _add(own, "--max-length", "N", "leave out sessions with more clicks")
    return parent


def _ranks() -> _Parser:
    parent = _Parser(add_help=False)
    outside = parent.add_argument_group("for ranks from other libraries (see docs/other-libraries.md)")
    ranked = (
        "also show what another library ranked: a .parquet, .csv or .tsv of every test prefix; several files of one "
        "label are its seeds, as are those of a pattern such as mine-seed*.csv"
    )
    _many(outside, "--ranks", "[LABEL=]FILE", ranked)
    vary = (
        "how much these rows vary between seeds: as networks trained by a softmax over all items, as models trained on "
        "pairs or samples, or not at all; default: only their own seeds tell"
    )
    outside.add_argument("--family", choices=("softmax", "sampled", "none"), default="", help=vary)
    return parent


def _view() -> _Parser:
    parent = _Parser(add_help=False)
    every = "all (default): every click of a test session is predicted; last: only its last one"
    tied = "how an item tied with the target counts: against it (default), at random, or in its favour"
    _choose(parent, "--protocol", ("all", "last"), every)
    _choose(parent, "--ties", ("against", "random", "favour"), tied)
    return parent


def _sitting(to: argparse._ActionsContainer) -> None:
    """Add the options of every command that trains."""
    stop = "stop after the last epoch that fits into N minutes; the same command resumes"
    _add(to, "--minutes", "N", stop, type=positive)
    _flag(to, "--fresh", "ignore checkpoints of interrupted runs")
    _flag(to, "--traceback", "show the traceback of an error in your own model")
    _flag(to, "--quiet", "no progress, only the result")


def _running() -> _Parser:
    """Return the options of a page that runs what it lacks."""
    parent = _Parser(add_help=False)
    how = parent.add_argument_group("how to run it")
    _add(how, "--seed", "N", "default: 0", nargs="+", type=int, default=[0])
    _add(how, "--device", "DEVICE", "auto (default), cpu, cuda or cuda:N", default="auto")
    _add(how, "--jobs", "N", "runs at a time, each in its own process (default: 1)", type=positive, default=1)
    _add(how, "--slurm", "KEY=VALUE,...", f"submit every run as a Slurm job, such as {SLURM},at-once=8")
    _flag(how, "--stored", "run nothing: draw the page from stored records")
    _flag(how, "--dry-run", "print what would run and what is stored, and stop")
    _flag(how, "--force", "run again even where a record is stored")
    _flag(how, "--keep-model", "also keep the fitted models beside their records, for recommend")
    _sitting(how)
    return parent


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

    def command(name: str, meaning: str, carry_out: str, *parents: _Parser) -> _Parser:
        # No abbreviations: in a command without --data, --data would be taken for --dataset.
        made = commands.add_parser(
            name, help=meaning, description=f"{meaning[0].upper()}{meaning[1:]}.", parents=parents, allow_abbrev=False
        )
        made.set_defaults(carry_out=carry_out)
        return made

    own, ranks, view, running = _own_log(), _ranks(), _view(), _running()
    sitting = _parent(_sitting)
    datasets = _parent(_many, "--dataset", "NAME", f"{DATASET}; default: all that are found")
    dataset = _parent(_add, "--dataset", "NAME", DATASET, required=True)
    models = _parent(_many, "--model", "NAME", f"{MODEL}; default: all of the page")
    settings = _parent(_many, "--set", "MODEL.FIELD=VALUE", "set a field of a model, such as narm.hidden=50")
    seed = _parent(_add, "--seed", "N", "default: 0", type=int, default=0)
    device = _parent(_add, "--device", "DEVICE", "auto, cpu, cuda or cuda:N (default: auto)", default="auto")
    try:
        folder = _folder(os.environ.get("REPRODUCE_DATA", "data"))
    except ArgumentTypeError as error:
        raise UsageError(f"REPRODUCE_DATA: {error}") from error
    found_in = "the folder with the logs (default: $REPRODUCE_DATA, or data/)"
    data = _parent(_add, "--data", "DIR", found_in, type=_folder, default=folder)
    local = Path("results/local")
    results = _parent(_add, "--results", "DIR", "default: results/local/", type=_path, default=local)
    # The options of most pages, and of those that run what they lack.
    stored = (settings, results, own)
    page = (*stored, datasets, data, running)
    further = "further metrics, such as ndcg@10 mrr@5 (recall@20 and mrr@20 are always shown)"
    more = _parent(_add, "--metric", "NAME@K", further, nargs="+", default=[])

    # Pages that run what they lack.
    compared = "compare the recommenders (the paper's Table 3) and the decoders (its Table 2)"
    table2 = command("table2", compared, PAGE, *page, models, more, view, ranks)
    _flag(table2, "--beyond", f"also later baselines: {', '.join(row.label for row in later_baselines.ROWS)}")
    ablation = command("ablation", "compare NARM with variants of it (the paper's Tables 4 and 2)", PAGE, *page, more)
    meanings = "; ".join(f"{name}: {variant.meaning}" for name, variant in VARIANTS.items()).replace("%", "%%")
    variants = f"{meanings}. Default: {', '.join(PAPERS)}"
    _add(ablation, "--variant", "NAME", variants, nargs="+", default=[], choices=tuple(VARIANTS))
    measured = "measure the order of clicks, and the effect of evaluation protocols"
    command("audit", measured, PAGE, *page, models)

    # Pages that only show what is stored.
    for name, meaning, parents in (
        ("lengths", "show accuracy by length of the prefix (the paper's Table 5)", (data, ranks)),
        ("significance", "compare the recommenders with NARM: differences with intervals", (data, ranks)),
        ("figure5", "draw all models as bars (the paper's Figure 5) and their learning curves", ()),
    ):
        command(name, meaning, PAGE, *stored, datasets, models, view, *parents)
    attention = command("attention", "show what NARM attends to (the paper's Figure 6)", PAGE, *stored, datasets)
    _add(attention, "--session", "N", "test sessions, from 0 (default: a sample)", nargs="+", type=int, default=[])
    claims = command("claims", "test the paper's claims on the stored records", PAGE, results)
    _flag(claims, "--strict", "exit 4 when a claim is contradicted on the paper's data")
    counted = "count the data as the paper did, beside its published counts (Table 1)"
    command("table1", counted, PAGE, datasets, data, results, own)
    drawn = "draw every page from stored records, and an index"
    everything = command("all", drawn, PAGE, datasets, models, data, results, own, _running())
    everything.set_defaults(stored=True)  # which changes the option --stored itself: that of the others is another
    lacking = "first make the records that are missing"
    everything.add_argument("--run", dest="stored", action="store_false", help=lacking)
    _add(everything, "--html", "FILE", "also write all pages as one file to send", type=_path)

    # Other commands.
    making = (dataset, *stored, seed, device, data, sitting)
    run = command("run", "make the record of a single run", "reports.making:run_one", *making)
    run.add_argument("model", metavar="MODEL", help=MODEL)
    _flag(run, "--force", "run again even where a record is stored")
    _flag(run, "--keep-model", "also keep the fitted model, for recommend")

    tried = "search the best settings of a model on held-out training sessions, and print the command for them"
    search = command("search", tried, "runs.search:answer", *making)
    search.add_argument("model", metavar="MODEL", help=MODEL)
    budget = "settings tried in all, with those of earlier searches; the best 3 are then fitted anew (default: 20)"
    _add(search, "--trials", "N", budget, type=positive, default=20)
    cap = "train networks for at most so many epochs in a trial; the same for all models that are to be compared"
    _add(search, "--trial-epochs", "N", cap, type=positive)
    _add(search, "--slurm", "KEY=VALUE,...", f"make the search a job: {SLURM}")

    offered = "print what a kept model offers after some clicks"
    recommend = command("recommend", offered, "recommend:answer", *stored, device)
    recommend.add_argument("model", metavar="MODEL", help=f"{MODEL}, or of a .model file that --keep-model wrote")
    _add(recommend, "--dataset", "NAME", DATASET)
    _add(recommend, "--seed", "N", "if several are kept", type=int)
    _add(recommend, "--clicks", "ITEM", "items, the oldest first, as the log calls them", nargs="+", default=[])
    several = "several sessions at once: a .csv, .tsv or .parquet with session and item, in the order of the clicks"
    _add(recommend, "--sessions", "FILE", several, type=_path)
    _choose(recommend, "--format", ("csv", "json"), "of the answer to --sessions (default: csv)")
    _flag(recommend, "--skip-unknown", "leave out clicks on items that the model was not fitted on")
    _flag(recommend, "--exclude-seen", "do not recommend the items clicked")
    _add(recommend, "--top", "N", "items to print (default: 20)", type=positive, default=20)

    tables = "write tables as CSV, LaTeX and JSON, and the rank of every test prefix, from stored records"
    export = command("export", tables, "export:answer", *stored, datasets, models, view, data, ranks)
    cutoffs = "metrics at a cut-off: recall, hitrate, mrr or ndcg (default: recall@20 mrr@20)"
    _add(export, "--metric", "NAME@K", cutoffs, nargs="+", default=["recall@20", "mrr@20"])
    pages = ("ablation", "audit", "claims", "figure5", "lengths", "significance", "table1", "table2")
    stand = "the tables of these pages, as they stand; default: a comparison of all rows that have records"
    _add(export, "--page", "PAGE", stand, nargs="+", default=[], choices=pages)
    formats = "of tables csv, latex, json; default: all three. Of a split csv or parquet; default: parquet"
    kinds = ("csv", "latex", "json", "parquet")
    _add(export, "--format", "FORMAT", formats, nargs="+", default=[], choices=kinds)
    each = "also session, length, target and rank of every test prefix: csv or parquet"
    _add(export, "--per-prefix", "FORMAT", each, choices=("csv", "parquet"))
    note = "instead: the split of a data set for other libraries, with a note on what ranks to return"
    _add(export, "--split", "DIR", note, type=_path)
    _add(export, "--to", "DIR", "default: export/ in the results folder", type=_path)

    judged = "judge a published number: ours, the difference, and which causes on record explain it"
    expect = command("expect", judged, "expect:answer", dataset, own, settings, view, data)
    expect.add_argument("model", metavar="MODEL", help=f"{MODEL}, or the label of a row")
    published = "the published Recall@20, or that and MRR@20, in per cent"
    expect.add_argument("values", nargs="+", type=float, metavar="NUMBER", help=published)
    _add(expect, "--metric", "NAME@K", "of the numbers (default: recall@20 mrr@20)", nargs="+", default=[])
    _add(expect, "--results", "DIR", "default: the reference, then results/local/", type=_path)
    _flag(expect, "--json", "answer in JSON")

    brought = "bring the records and kept models of other results folders into one, checked first"
    merge = command("merge", brought, "overview:merged", results)
    others = "results folders, such as another machine's results/local"
    merge.add_argument("folders", nargs="+", type=_path, metavar="DIR", help=others)
    check = command("check", "verify stored records and pages", "overview:check", own)
    _add(check, "--results", "DIR", "default: results/, the reference", type=_path, default=Path("results"))
    _many(check, "--model", "FILE", "the .py files of your own models that pages show")
    _many(check, "--dataset", "PATH", "your own data that pages show")
    _add(check, "--data", "DIR", "also draw the pages that read logs again, from this data folder", type=_path)
    contract = command("contract", "check a model against the contract", "overview:contract")
    contract.add_argument("model", nargs="+", metavar="MODEL", help=MODEL)
    _add(contract, "--device", "DEVICE", "auto, cpu, cuda or cuda:N (default: cpu)", default="cpu")
    _flag(contract, "--traceback", "show the traceback of an error in your own model")
    there = "list the data sets found, their counts against the paper's, and how to get the others"
    listing = command("data", there, "overview:data_sets", datasets, own, data)
    _flag(listing, "--clear", "empty the cache of splits instead")
    fetch = command("fetch", "download a log that anyone may have, and verify it", "overview:fetched", data)
    fetch.add_argument("name", metavar="NAME", help="such as eshop")
    command("list", "list the models with their fields, and the data sets", "overview:catalogue")
    speed = "measure speed and peak memory of every model at the paper's sizes"
    command("bench", speed, "bench:answer", models, device)
    return whole
