"""How pages and commands describe themselves: a line of help, their options, and what they return.

Nothing heavy is imported here, because the command line reads descriptions before it imports torch.
"""

from __future__ import annotations

import os
import re
from argparse import Action, ArgumentTypeError, _ActionsContainer
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reproduce.errors import SuiteError

if TYPE_CHECKING:
    from reproduce.paper.rows import Row
    from reproduce.runs.request import Request

Common = Literal["dataset", "model", "set"]
Named = Literal["", "model", "data set", "setting", "log to fetch"]


def positive(text: str) -> int:
    """Parse a whole number from 1 to 100,000, for an option's `type`.

    Raises:
        ArgumentTypeError: the text is anything else.
    """
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= 100_000:
        raise ArgumentTypeError(f"{text[:20]!r} is not a number from 1 to 100,000")
    return int(text)


@dataclass(frozen=True)
class Option:
    """An option of the command line, or a positional argument where its name has no dashes."""

    name: str
    help: str
    metavar: str = ""  # empty: a switch, on or off
    type: Callable[[str], Any] = str
    default: Any = None
    several: bool = False  # takes one value or more; `default` None then stands for the empty list
    required: bool = False
    choices: Sequence[str] = ()  # all allowed values; the error for a wrong one gives the nearest
    names: Named = ""  # what the values name
    variable: str = ""  # the environment variable that gives the default

    @property
    def key(self) -> str:
        """The name of its value among the parsed options."""
        return self.name.removeprefix("--").replace("-", "_")

    def add_to(self, parser: _ActionsContainer) -> Action:
        if not self.metavar:
            return parser.add_argument(self.name, action="store_true", help=self.help)
        words: dict[str, Any] = {"help": self.help, "metavar": self.metavar, "type": self.type}
        if self.several:
            words |= {"nargs": "+", "default": [] if self.default is None else self.default}
        else:
            words |= {"default": self._default()}
        if self.name.startswith("--"):
            words["required"] = self.required
            if self.several:
                words["action"] = "extend" if self.default is None else "store"
        elif not self.required:
            words["nargs"] = "?"
        return parser.add_argument(self.name, **words)

    def _default(self) -> Any:
        given = os.environ.get(self.variable) if self.variable else None
        return self.default if given is None else self.type(given)


@dataclass(frozen=True)
class About:
    """What the command line knows about a page or a command.

    It is evaluated from the text of the page's file, without importing it, so it uses only literals, the file's own
    constants, and names imported from this module, from reproduce.paper and from the standard library.
    """

    help: str  # one line
    options: tuple[Option, ...] = ()  # its own, beside the common ones


@dataclass(frozen=True)
class AboutPage(About):
    """What the command line knows about a page, which offers only the options that it heeds.

    A page with `runs` set also offers the options of a run (--device, --jobs, ...), and data sets are looked for.
    """

    heeds: tuple[Common, ...] = ()
    runs: bool = False  # it has rows to run; otherwise it is a view of stored records
    runs_only_with: str = ""  # key of its own option without which nothing is run
    reads_logs: bool = False  # it cannot be drawn from records alone
    file: str = ""  # in the results folder; empty: <name>.md


@dataclass(frozen=True)
class Drawn:
    """A drawn page, which the caller writes or compares with what is stored."""

    text: str
    figures: Mapping[str, bytes] = field(default_factory=dict)  # file name in figures/ -> content
    beside: Mapping[str, str] = field(default_factory=dict)  # other pages drawn with it: file name -> text
    status: int = 0  # the exit status where nothing failed
    error: SuiteError | None = None  # something asked for that does not exist; the rest is drawn
    terminal: str = ""  # printed in place of the text; empty: the text is printed

    def files(self, name: str) -> dict[str, bytes]:
        """Return everything to write, by its path in the results folder; `name` is the file of the page itself."""
        texts = {**self.beside, name: self.text}
        return {path: text.encode() for path, text in texts.items()} | {
            f"figures/{path}": content for path, content in self.figures.items()
        }


def no_rows(request: Request) -> list[Row]:
    """Return no rows: a page that is only a view runs nothing."""
    return []


@dataclass(frozen=True)
class Page:
    """A page, which a module in reports/ defines as PAGE and describes in ABOUT."""

    about: AboutPage
    draw: Callable[[Request, Mapping[str, str]], Drawn]  # takes the request, and why cells failed, by their path
    rows: Callable[[Request], list[Row]] = no_rows  # the rows that it runs


@dataclass(frozen=True)
class Command:
    """A command that is not a page, which its module defines as COMMAND and describes in ABOUT."""

    about: About
    answer: Callable[[Any], str]  # takes the parsed options, returns the text to print


DEVICE = Option("--device", "auto (default), cpu, cuda or cuda:N", metavar="DEVICE", default="auto")
DATA = Option(
    "--data",
    "the folder with the logs (default: $REPRODUCE_DATA, or data/)",
    metavar="DIR",
    type=Path,
    default=Path("data"),
    variable="REPRODUCE_DATA",
)
RESULTS = Option("--results", "default: results/local/", metavar="DIR", type=Path, default=Path("results/local"))
OWN_DATA = (
    "a name, or your own data: a table of clicks (.csv, .tsv, .parquet; also .gz, .zip), a folder of processed files, "
    "a .toml or .py"
)
DATASETS = Option(
    "--dataset", f"{OWN_DATA}; default: all that are found", metavar="NAME", several=True, names="data set"
)
OWN_LOG = (
    Option(
        "--columns",
        "name its columns, such as session=visit item=product time=ts; default: the usual names",
        metavar="ROLE=NAME",
        several=True,
    ),
    Option("--gap", "start a new session of a user after a pause of this length: 30m, 1h, ...", metavar="SPAN"),
    Option("--time-unit", "the unit of its times: s, ms or us; default: judged by their size", metavar="UNIT"),
    Option("--test-days", "test on the sessions that end in the last N days (default: 1)", metavar="N"),
    Option("--test-share", "instead of days: test on this share of the sessions, those that end last", metavar="SHARE"),
    Option("--min-support", "leave out items with fewer clicks (default: 5)", metavar="N"),
    Option("--min-length", "leave out sessions with fewer clicks (default: 2)", metavar="N"),
)
MODELS = Option(
    "--model",
    "a name, or the path of a .py file with your model; default: all of the page",
    metavar="NAME",
    several=True,
    names="model",
)
SETTINGS = Option(
    "--set",
    "set a field of a model, such as narm.hidden=50",
    metavar="MODEL.FIELD=VALUE",
    several=True,
    names="setting",
)
CHOICE: Mapping[Common, Option] = {"dataset": DATASETS, "model": MODELS, "set": SETTINGS}
CUTOFFS = Option(
    "--k", "cut-offs, such as 5 10 20 (default: 20)", metavar="K", type=positive, several=True, default=[20]
)
MORE_CUTOFFS = Option(
    "--k", "further cut-offs, such as 5 10 (20 is always shown)", metavar="K", type=positive, several=True
)
SEEDS = Option("--seed", "default: 0", metavar="N", type=int, several=True, default=[0])
TRACEBACK = Option("--traceback", "show the whole traceback of an error in your own model")
KEEP_MODEL = Option("--keep-model", "also keep the fitted models beside their records, for recommend")
QUIET = Option("--quiet", "no progress, only the result")
MINUTES = Option(
    "--minutes",
    "stop after the last epoch that fits into N minutes; the same command resumes",
    metavar="N",
    type=positive,
)
RUN = (
    SEEDS,
    DEVICE,
    Option(
        "--jobs",
        "the number of runs at a time, each in its own process (default: 1)",
        metavar="N",
        type=positive,
        default=1,
    ),
    MINUTES,
    Option(
        "--slurm",
        "submit every run as a Slurm job, such as partition=gpu,time=60,gres=gpu:1,at-once=8",
        metavar="KEY=VALUE,...",
    ),
    Option("--stored", "run nothing: draw the page from stored records"),
    Option("--dry-run", "print what would run and what is stored, and stop"),
    Option("--force", "run again even where a record is stored"),
    Option("--fresh", "ignore checkpoints of interrupted runs"),
    KEEP_MODEL,
    TRACEBACK,
    QUIET,
)


def options_of(about: About) -> list[Option]:
    """Return all options of a command or page: its own, then the common ones that it heeds."""
    if not isinstance(about, AboutPage):
        return list(about.options)
    common = [CHOICE[name] for name in about.heeds] + (list(OWN_LOG) if "dataset" in about.heeds else [])
    logs = [DATA] if about.runs or about.reads_logs else []
    return [*about.options, *common, *logs, RESULTS, *(RUN if about.runs else ())]
