"""The circumstances of a run: device, commit, versions, memory. They are stored but are not part of its identity."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import reproduce
from reproduce.errors import UsageError
from reproduce.evaluation import ranking

CODE = ("reproduce", "baselines", "datasets")  # the folders of a checkout that contain imported code


def choose_device(name: torch.device | str) -> torch.device:
    """Return a torch device by name; `auto` is the GPU if there is one. Raises UsageError if it does not exist."""
    gpus = torch.cuda.device_count()  # not is_available(), which may start CUDA in this process
    if str(name) == "auto":
        return torch.device("cuda", 0) if gpus else torch.device("cpu")
    with suppress(RuntimeError):  # torch knows no such device
        device = torch.device(name)
        if device.type == "cpu" and not device.index:
            return torch.device("cpu")
        if device.type == "cuda" and (device.index or 0) < gpus:
            return torch.device("cuda", device.index or 0)
    raise UsageError(f"unknown device {str(name)!r}; available: auto, cpu{''.join(f', cuda:{i}' for i in range(gpus))}")


def circumstances(device: torch.device, n_items: int) -> dict[str, Any]:
    """The circumstances to store and show with a run, without any path, host or user name."""
    commit, dirty = commit_of_checkout()
    libraries: dict[str, Any] = {}
    if device.type == "cuda":
        libraries = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}  # type: ignore[no-untyped-call]
    return {
        "commit": commit,
        "dirty": dirty,
        "suite": reproduce.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        **libraries,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "scoring_chunk": ranking.chunk_rows(n_items, device),
        "started": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),  # fine enough to tell the newer of two runs
    }


@lru_cache
def commit_of_checkout() -> tuple[str | None, bool | None]:
    """The commit that this code runs from, and whether the code differs from it; (None, None) outside a checkout.

    The code differs if a tracked file outside results/ does, or if a Python file that is not in the commit lies in one
    of the folders that are searched for models, data sets and pages, even if git ignores it.

    Cached per process, since the code in memory is the code at the time of the first call.
    """
    root = Path(reproduce.__file__).resolve().parent.parent

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout

    try:
        top, commit = git("rev-parse", "--show-toplevel", "HEAD").split("\n")[:2]
        if Path(top).resolve() != root:
            return None, None
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")
        untracked = git("ls-files", "--others", "--", *(f"{folder}/*.py" for folder in CODE))
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None, None
    return commit, bool((changed + untracked).strip())


def forget_peak_memory(device: torch.device) -> None:
    """Free the unused memory of a GPU and reset its peak; the peak of the process cannot be reset."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_mib(device: torch.device) -> int:
    """The peak memory in MiB: of the GPU since it was last reset, or of this process so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) >> 20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> 20 if sys.platform == "darwin" else peak >> 10
