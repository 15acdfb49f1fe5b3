"""The command line: a command for every page and every file in commands/.

Only descriptions are read before it is clear what is to be done: help and the answer to a mistyped name come at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from reproduce import __version__, commands, names, reports
from reproduce.errors import SuiteError, UsageError
from reproduce.files import Terminated, heed_sigterm
from reproduce.reports.description import RUN, About, AboutPage, options_of

INTERRUPTED, TERMINATED = 130, 143
PROGRAM = "python -m reproduce"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 a run failed, 2 wrong use, 3 bad input, 75 time is up, 130 or 143 stopped."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except SuiteError as error:
        print(f"reproduce: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print(
            "\nreproduce: interrupted; finished epochs and runs are kept, the same command resumes them",
            file=sys.stderr,
        )
        return INTERRUPTED
    except Terminated:
        print("reproduce: terminated; no file is half-written, the same command resumes the run", file=sys.stderr)
        return TERMINATED
    except BrokenPipeError:  # `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(words: list[str]) -> int:
    pages = reports.abouts()
    abouts: dict[str, About] = {**pages, **commands.abouts()}
    parser = _parser(abouts)
    if words and not words[0].startswith("-"):
        names.known("command", words[0], abouts)
    options, rest = parser.parse_known_args(words)
    if options.command is None:
        parser.print_help()
        return 0
    _check(options, rest, abouts[options.command])
    heed_sigterm()
    if hasattr(options, "traceback"):
        from reproduce.fitting import user_model  # with torch, which such a command needs anyway

        user_model.show_tracebacks(options.traceback)
    if options.command in pages:
        from reproduce.reports import making  # with torch, which takes seconds

        return making.make(options.command, options)
    print(commands.load(options.command).answer(options))
    return 0


def _parser(abouts: Mapping[str, About]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Rebuild every table and figure of the NARM paper (Li et al., CIKM 2017) from click logs.",
        epilog=f"Help on a command: {PROGRAM} table2 --help",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    several = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, about in abouts.items():
        command = several.add_parser(name, help=_escaped(about.help), description=_escaped(about.help) + ".")
        how = command.add_argument_group("how to run it") if isinstance(about, AboutPage) and about.runs else command
        for option in options_of(about):
            option.add_to(how if option in RUN else command)
    return parser


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _check(options: argparse.Namespace, rest: Sequence[str], about: About) -> None:
    """Raise UsageError at a wrong name, before anything heavy is imported."""
    offered = options_of(about)
    for word in rest:
        if not word.startswith("--"):
            raise UsageError(f"{options.command}: unexpected {word!r}; see {PROGRAM} {options.command} --help")
        flags = [one.name for one in offered if one.name.startswith("--")]
        names.known(f"option of {options.command}", word.partition("=")[0], flags)
    own = [Path(word).stem for word in _words(options, "model") if word.endswith(".py")]
    for option in offered:
        for word in _words(options, option.key):
            if option.choices:
                names.known(option.key, word, option.choices)
            elif option.names:
                names.check(option.names, word, own)


def _words(options: argparse.Namespace, key: str) -> list[str]:
    value = getattr(options, key, None)
    return list(map(str, value)) if isinstance(value, list) else [value] if isinstance(value, str) else []


if __name__ == "__main__":
    sys.exit(main())
