"""What the command line reads from the text of files is what the modules hold when they are imported."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import reproduce
from reproduce import catalog, commands, names, reports, source_text
from reproduce.errors import InputError, UsageError
from reproduce.fitting import user_model

HERE = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def nothing_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_model, "MODELS", {})


def test_the_models_by_their_text_are_those_of_the_catalogue() -> None:
    found, real = names.models(), catalog.recommenders()
    assert list(found) == list(real)
    assert {name: one.label for name, one in found.items()} == {name: kind.label for name, kind in real.items()}


@pytest.mark.parametrize("name", sorted(names.models()))
def test_the_fields_by_their_text_are_those_of_the_model(name: str) -> None:
    kind = catalog.recommenders()[name]
    types = get_type_hints(kind)
    real = [
        names.Field(one.name, one.default, get_args(types[one.name]), one.metadata["search"], one.metadata["note"])
        for one in dataclasses.fields(kind)  # type: ignore[arg-type]
    ]
    assert list(names.models()[name].fields) == real


def test_the_data_sets_by_their_text_are_those_of_the_catalogue() -> None:
    real = [names.Source(one.name, one.title, one.download is not None) for one in catalog.datasets().values()]
    assert list(names.datasets().values()) == real


def test_descriptions_by_their_text_are_those_of_the_modules() -> None:
    for room, loaded in ((reports, reports.load), (commands, commands.load)):
        found = room.abouts()  # type: ignore[attr-defined]
        assert found
        for name, about in found.items():
            assert about == importlib.import_module(f"{room.__name__}.{name}").ABOUT
            assert loaded(name).about == about


def test_every_page_that_runs_something_says_so_and_no_other() -> None:
    from reproduce.reports.description import no_rows

    for name, page in reports.pages().items():
        assert (page.rows is not no_rows) == page.about.runs, name
        assert "set" not in page.about.heeds or page.about.runs or not page.about.reads_logs, name


def test_a_name_that_is_there_passes_and_any_other_meets_the_nearest() -> None:
    for what, word in (
        ("model", "narm"),
        ("model", "some/where/mine.py"),
        ("data set", "diginetica"),
        ("log to fetch", "eshop"),
        ("setting", "narm.hidden=50"),
        ("setting", "no equals sign"),  # passes here: the request will report it
    ):
        names.check(what, word)
    names.check("setting", "mine.k=3", own=["mine"])
    for what, word, near in (
        ("model", "nram", "narm"),
        ("data set", "digenetica", "diginetica"),
        ("log to fetch", "eshpo", "eshop"),
        ("setting", "narm.hiden=50", "hidden"),
        ("setting", "nram.hidden=50", "narm"),
    ):
        with pytest.raises(UsageError, match=f"did you mean {near}"):
            names.check(what, word)


def test_what_cannot_be_read_from_the_text_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "page.py"
    file.write_text("import torch\n\nA, B = 1, 'b'\nC = (A, B)\nD = [torch, A]\n")
    assert source_text.evaluate(file, source_text.assigned(file)["C"]) == (1, "b")
    with pytest.raises(InputError, match=r"page.py:5: name 'torch' is not defined"):
        source_text.evaluate(file, source_text.assigned(file)["D"])


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["list"], 0),
        (["ablation", "--help"], 0),
        (["tabel2"], 2),
        (["table2", "--model", "nram"], 2),
        (["table2", "--set", "narm.hiden=50"], 2),
        (["lengths", "--dataset", "digenetica"], 2),
        (["ablation", "--variant", "global"], 2),
        (["table2", "--beyound"], 2),
        (["search", "nram", "--dataset", "synthetic"], 2),
        (["contract", "nram"], 2),
    ],
)
def test_help_list_and_a_mistyped_name_import_nothing_heavy(words: list[str], status: int) -> None:
    program = (
        "import sys; from reproduce.__main__ import main\n"
        f"try: status = main({words})\n"
        "except SystemExit as end: status = end.code or 0\n"
        "print(sorted({'torch', 'numpy', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)), status)"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=HERE, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == f"[] {status}", run.stderr
    assert "Traceback" not in run.stderr
    assert reproduce.__version__ in run.stdout or words != ["--version"]


def test_the_name_of_an_own_model_meets_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for word, what in (("mine", "model"), ("mine.x=1", "setting")):
        with pytest.raises(UsageError, match=r"unknown model 'mine'; there is: .*, and your own by its file: mine.py$"):
            names.check(what, word)
    (tmp_path / "mine.py").touch()
    with pytest.raises(UsageError, match=r"did you mean mine\.py\?"):
        names.check("model", "mine")
