"""The command line: one command for every page and for every file in commands/.

Until the command is known, only descriptions are read, so help and the error for a mistyped name appear at once.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from reproduce import __version__, commands, names, reports, terminal
from reproduce.errors import SuiteError, UsageError
from reproduce.files import Terminated, exists, heed_sigterm
from reproduce.reports.description import OWN_LOG, RUN, About, AboutPage, options_of
from reproduce.terminal import Stream

PROGRAM = "python -m reproduce"


def main(words: Sequence[str], output: Stream) -> int:
    """Run a command and return its exit status.

    0: done. 1: a run failed. 2: wrong use. 3: bad input. 4: a claim was contradicted (`claims --strict`). 75: the time
    is up. 130 or 143: stopped by Ctrl-C or SIGTERM.

    Args:
        words: the arguments, without the program's name.
        output: standard output, as `terminal.sturdy` returns it.
    """
    page = ""
    try:
        abouts: dict[str, About] = {**reports.abouts(), **commands.abouts()}
        options = _parsed(words, abouts)
        if options is None:
            return terminal.told(output, 0, "")
        page = _page(options, abouts)
        return terminal.told(output, _run(options, abouts), page)
    except SystemExit as end:  # --help, --version, and what argparse does not understand
        raise SystemExit(terminal.told(output, int(end.code or 0), "")) from end
    except SuiteError as error:
        print(f"reproduce: {error}", file=sys.stderr)
        return terminal.told(output, error.status, page)
    except KeyboardInterrupt:
        print(f"\nreproduce: {terminal.PARTING[signal.SIGINT]}", file=sys.stderr)
        return terminal.INTERRUPTED
    except Terminated:
        print(f"reproduce: {terminal.PARTING[signal.SIGTERM]}", file=sys.stderr)
        return terminal.TERMINATED


def _parsed(words: Sequence[str], abouts: Mapping[str, About]) -> argparse.Namespace | None:
    """Parse and check the options; None if there was no command, in which case the help has been printed."""
    parser = _parser(abouts)
    if words and not words[0].startswith("-"):
        names.known("command", words[0], abouts)
    options, rest = parser.parse_known_args(words)
    if options.command is None:
        parser.print_help()
        return None
    _check(options, rest, abouts[options.command])
    return options


def _page(options: argparse.Namespace, abouts: Mapping[str, About]) -> str:
    """The file to which the printed page is also written; "" if the command prints no page."""
    about = abouts[options.command]
    if not isinstance(about, AboutPage) or getattr(options, "dry_run", False) or getattr(options, "slurm", None):
        return ""
    return str(options.results / reports.file_of(options.command, about))


def _run(options: argparse.Namespace, abouts: Mapping[str, About]) -> int:
    with terminal.leaving_at_once():  # loading torch takes seconds
        if isinstance(abouts[options.command], AboutPage):
            from reproduce.reports import making
        else:
            command = commands.load(options.command)
        heed_sigterm()
    if hasattr(options, "traceback"):
        from reproduce.fitting import user_model  # imports torch, which such a command needs anyway

        user_model.show_tracebacks(options.traceback)
    if isinstance(abouts[options.command], AboutPage):
        return making.make(options.command, options)
    print(command.answer(options))
    return 0


def _parser(abouts: Mapping[str, About]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Rebuild every table and figure of the NARM paper (Li et al., CIKM 2017) from click logs.",
        epilog=f"Help on a command: {PROGRAM} table2 --help",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    several = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, about in abouts.items():
        # No abbreviations: in a command without --data, --data would be taken for --dataset.
        told = _escaped(about.help)
        command = several.add_parser(name, help=told, description=f"{told}.", allow_abbrev=False)
        how = command.add_argument_group("how to run it") if isinstance(about, AboutPage) and about.runs else command
        options = options_of(about)
        own = command.add_argument_group("for a log of your own") if OWN_LOG[0] in options else command
        for option in options:
            option.add_to(how if option in RUN else own if option in OWN_LOG else command)
    return parser


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _check(options: argparse.Namespace, rest: Sequence[str], about: About) -> None:
    """Raise UsageError for a wrong name before anything heavy is imported."""
    offered = options_of(about)
    for word in rest:
        if not word.startswith("--"):
            raise UsageError(f"{options.command}: unexpected {word!r}; see {PROGRAM} {options.command} --help")
        flags = [one.name for one in offered if one.name.startswith("--")]
        names.known(f"option of {options.command}", word.partition("=")[0], flags)
    data = getattr(options, "data", None)
    if data is not None and exists(data) and not data.is_dir():
        raise UsageError(f"--data {data}: not a folder; name the one that the logs lie in")
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
