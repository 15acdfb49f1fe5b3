"""Runs a user's own Python code, models and data files, in a process of its own, so that its mistakes end there.

Whatever the code does to torch, numpy or the standard streams is gone with the process; its prints go to standard
error. The process is forked from a server that has imported torch and computed nothing: a fork from a process in which
OpenMP has run can hang, and a spawned one needs seconds to start.
"""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
import traceback as tracebacks
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from reproduce import terminal
from reproduce.errors import ModelError, SuiteError, in_a_line
from reproduce.files import Terminated, heed_sigterm

PATIENCE = 30.0  # seconds that a process has to end after its answer


_printed: set[str] | None = None  # errors whose traceback was printed, each once; None without --traceback


def show_tracebacks(on: bool) -> None:
    """Set whether errors of a user's own code are also printed with a traceback on standard error."""
    global _printed
    _printed = set() if on else None


def context() -> Any:
    """Return the multiprocessing context whose processes may run a user's own code."""
    import torch

    if torch.cuda.device_count():  # a process that is to use CUDA is spawned
        return multiprocessing.get_context("spawn")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["torch", "reproduce.runs.runner"])
    return server


def start(file: Path | None, work: Callable[..., object], *args: Any) -> tuple[Any, Any]:
    """Start a process that computes `work(file, *args)`; `result` waits for it.

    Args:
        file: the user's own file, which messages name; None for code of the suite.
        work: a function of a module, which is pickled, as are its arguments and its answer.

    Returns:
        The process, and the connection that the answer comes by.
    """
    processes = context()
    reader, writer = processes.Pipe(duplex=False)
    folders = list(importlib.import_module("reproduce.datasets").__path__)
    process = processes.Process(target=_answer, args=(writer, _printed is not None, folders, file, work, args))
    process.start()
    writer.close()
    return process, reader


def result(process: Any, reader: Any) -> Any:
    """Wait for a process and return its answer.

    Raises:
        SuiteError: as `work` raised it.
        ModelError: the code raised anything else, or its process died or did not end; the message is one line.
    """
    try:
        multiprocessing.connection.wait([reader, process.sentinel])
        if not reader.poll():
            raise EOFError
        answer = reader.recv()
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            raise ModelError(f"its process did not end within {PATIENCE:g} seconds after its result")
    except EOFError as error:
        process.join(PATIENCE)
        code = process.exitcode
        ended = f"exit {code}" if code is None or code >= 0 else f"killed by signal {-code}"
        memory = " (out of memory?)" if code == -9 else ""
        raise ModelError(f"its process ended without a result: {ended}{memory}") from error
    finally:
        reader.close()
        process.terminate()
        process.join(PATIENCE)
        process.kill()
        process.join()
    if isinstance(answer, SuiteError):
        raise answer
    return answer


def call(file: Path | None, work: Callable[..., Any], *args: Any) -> Any:
    """Return `work(file, *args)`, computed in a process of its own; see `start` and `result`."""
    return result(*start(file, work, *args))


def _answer(
    writer: Any,
    traceback: bool,
    folders: list[str],
    file: Path | None,
    work: Callable[..., object],
    args: Sequence[Any],
) -> None:
    """Send what `work` returns or raises, and end the process at once, whatever threads it has left running."""
    os.dup2(2, 1)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 (anew: standard error may not seek)
    heed_sigterm()
    show_tracebacks(traceback)
    tqdm.set_lock(threading.RLock())  # its own is one between processes, which the end of this one would leak
    importlib.import_module("reproduce.datasets").__path__[:] = folders  # the same data sets
    with terminal.sturdy():
        answer: object
        try:
            answer = work(file, *args)
        except SuiteError as error:
            answer = error
        except (Terminated, KeyboardInterrupt):
            os._exit(143)
        except BaseException as error:  # SystemExit too
            answer = unforeseen(error) if file is None else ModelError(raised(error, file))
        try:
            writer.send(answer)
        except Exception as error:  # it cannot be pickled, or nobody waits for it
            with suppress(BrokenPipeError):
                writer.send(ModelError(f"its result cannot be sent ({type(error).__name__})"))
    os._exit(0)


def unforeseen(error: BaseException) -> ModelError:
    """Print the traceback of an error that is neither the suite's own nor of a user's code, and put it in a line."""
    tracebacks.print_exception(error)
    return ModelError(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")


def raised(error: BaseException, file: Path) -> str:
    """Describe an exception in one line: type, message and innermost place, in `file` if it is there."""
    frames = tracebacks.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == str(file)]
    place = (own or frames)[-1] if frames else None
    try:
        text = in_a_line(str(error).partition("\n")[0], 200)
    except Exception:  # its __str__ fails too
        text = ""
    where = "" if isinstance(error, SyntaxError) or not place else f" ({Path(place.filename).name}:{place.lineno})"
    line = f"raised {type(error).__name__}{f': {text}' if text else ''}{where}"
    if _printed is not None and line not in _printed:
        _printed.add(line)
        tracebacks.print_exception(error)
    return line
