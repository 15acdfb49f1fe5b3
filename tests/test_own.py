"""A user's own model file: it joins the table under the contract, and each of its faults is told in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.evaluation.ranking import rank_all
from reproduce.runs.experiment import Experiment

GOOD = """
from dataclasses import dataclass

import numpy as np
import torch

from reproduce import Recommender, setting


@dataclass(kw_only=True)
class Mine(Recommender):
    smoothing: float = setting(0.5, low=0.0)

    def fit(self, train, *, seed, device, journal):
        prefixes, following = train.prefixes()
        self.counts_ = np.full((train.n_items, train.n_items), self.smoothing, dtype=np.float32)
        np.add.at(self.counts_, (prefixes.last, following), 1)
        self.device_ = device

    def score(self, prefixes):
        return torch.as_tensor(self.counts_[prefixes.last], device=self.device_)
"""


PLAIN = "mine: score must return plain real numbers, in a dense tensor"
CHANGED = "it changed the sessions that it was given"


def write(folder: Path, text: str, name: str = "mine") -> str:
    file = folder / f"{name}.py"
    file.write_text(text)
    return str(file)


def table2(tmp_path: Path, *words: str) -> int:
    return main(["table2", "--dataset", "cycle", "--quiet", "--results", str(tmp_path / "results"), *words])


def cells_of(tmp_path: Path) -> dict[str, str]:
    """Return the first cell of every row of the page's table, by label."""
    page = (tmp_path / "results/table2.md").read_text().replace("\N{NO-BREAK SPACE}", " ")
    table = page.split("\n\n|")[1].partition("\n\n")[0]
    return {line.split("|")[1].strip(): line.split("|")[2].strip(" *≈¹") for line in table.splitlines()}


def test_an_own_model_joins_the_table_by_its_file(tmp_path: Path) -> None:
    assert table2(tmp_path, "--model", write(tmp_path, GOOD), "--set", "mine.smoothing=0.25") == 0
    assert cells_of(tmp_path)["mine (smoothing=0.25)"] == "100.00 ±0.0"
    assert (tmp_path / "results/runs/cycle/mine,smoothing=0.25-seed0.json").is_file()


def test_other_source_is_another_experiment(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    first = Experiment.of("cycle", file)
    before = first.identity("split")
    assert first.model == "mine"
    write(tmp_path, GOOD + "\n# changed\n")
    assert Experiment.of("cycle", file).identity("split") != before


def test_the_identity_of_the_suites_models_knows_no_source() -> None:
    assert catalog.current().source("pop") is None


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            "prefixes, following =",
            "1 / 0; prefixes, following =",
            "cycle/mine-seed0: raised ZeroDivisionError: division by zero (mine.py:",
        ),
        (
            "self.counts_[prefixes.last]",
            "self.counts_[prefixes.last] * np.nan",
            "mine: score returned a number that is",
        ),
        ("self.counts_[prefixes.last]", "self.counts_[0]", "mine: score must return a tensor of shape"),
        (
            "prefixes, following =",
            "torch.use_deterministic_algorithms(False); prefixes, following =",
            "it turned deterministic algorithms off or TF32 on",
        ),
        (
            "prefixes, following =",
            "train.items[:] = 0; prefixes, following =",
            "it changed the sessions that it was given",
        ),
        ("return torch", "prefixes.stops[:] -= 1; return torch", CHANGED),
        ("class Mine", "class Mine(:", "mine: mine.py raised SyntaxError"),
        ("@dataclass(kw_only=True)\n", "", "mine: mine.py must have @dataclass(kw_only=True) above its class Mine"),
        ("def score", "def scores", "mine: mine.py lacks score in its class Mine"),
        ("(Recommender)", "", "mine: mine.py must define one class that is a reproduce.Recommender"),
        ("setting(0.5, low=0.0)", "field(kw_only=True)", "mine: mine.py raised NameError"),
    ],
)
def test_a_broken_model_fails_its_cell_in_one_line_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, told: str
) -> None:
    assert before in GOOD
    assert table2(tmp_path, "--model", write(tmp_path, GOOD.replace(before, after)), "pop") == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and told in err
    assert cells_of(tmp_path)["mine"] == "failed"
    assert cells_of(tmp_path)["POP"] == "100.00 ±0.0"


BEGIN = "prefixes, following ="
SCORES = "torch.as_tensor(self.counts_[prefixes.last], device=self.device_)"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (BEGIN, f"import sys; sys.exit(0); {BEGIN}", "cycle/mine-seed0: raised SystemExit: 0 (mine.py:"),
        (SCORES, "exit()", "cycle/mine-seed0: raised SystemExit"),
        (BEGIN, f"raise MemoryError; {BEGIN}", "cycle/mine-seed0: out of memory in training; it has no batch"),
        (BEGIN, f"raise GeneratorExit; {BEGIN}", "cycle/mine-seed0: raised GeneratorExit"),
        (BEGIN, f"raise BaseException('a\\nb'); {BEGIN}", "cycle/mine-seed0: raised BaseException: a"),
        ("import numpy as np\n", "import numpy as np\nraise SystemExit(0)\n", "mine: mine.py raised SystemExit: 0"),
        (BEGIN, f"self.smoothing += 1; {BEGIN}", "it changed its own fields"),
        (SCORES, f"{SCORES}.to(torch.complex64)", PLAIN),
        (SCORES, f"{SCORES}.to_sparse()", PLAIN),
        (SCORES, f"{SCORES}.to('meta')", PLAIN),
        (SCORES, f"torch.quantize_per_tensor({SCORES}, 0.1, 0, torch.qint8)", PLAIN),
        ("float = setting(0.5, low=0.0)", "object = setting(object())", "must annotate smoothing as bool, int,"),
        ("setting(0.5, low=0.0)", "setting(float('nan'))", "a number, a word or a truth value as the default of"),
        ("smoothing: float", "smoothing: 'Nowhere'", "must annotate its fields with names that there are (NameError)"),
        (
            BEGIN,
            f"journal.epoch({{'loss': object()}}); {BEGIN}",
            "mine: its run cannot be recorded (Object of type object is not JSON",
        ),
        (
            BEGIN,
            f"journal.epoch({{'loss': 1.0}}); {BEGIN}",
            "mine: its run cannot be recorded (epochs[0].epoch is absent, or not what",
        ),
    ],
)
def test_a_model_that_ends_the_process_or_answers_oddly_fails_its_cell_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, told: str
) -> None:
    assert before in GOOD
    assert table2(tmp_path, "--model", write(tmp_path, GOOD.replace(before, after)), "pop") == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and told in err
    assert cells_of(tmp_path)["POP"] == "100.00 ±0.0"


def test_contract_does_not_take_an_exit_for_a_kept_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, GOOD.replace(SCORES, "__import__('sys').exit(0)"))
    assert main(["contract", file]) == 1
    assert "raised SystemExit: 0" in capsys.readouterr().err


def test_a_model_that_changes_the_working_directory_moves_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    move = f"import os; os.chdir({str(tmp_path / 'elsewhere')!r})"
    file = write(tmp_path, GOOD.replace(BEGIN, f"{move}; {BEGIN}") + f"\n{move}\n")
    assert main(["table2", "--dataset", "cycle", "--quiet", "--results", "results", "--model", file]) == 0
    assert (tmp_path / "results/runs/cycle/mine-seed0.json").is_file() and (tmp_path / "results/table2.md").is_file()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_text_field_that_climbs_out_of_the_folder_stays_in_it(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD.replace("smoothing: float", 'word: str = setting("a")\n    smoothing: float'))
    assert table2(tmp_path, "--model", file, "--set", "mine.word=/../../../out") == 0
    (kept,) = tmp_path.rglob("*.json")
    assert kept.parent == tmp_path / "results/runs/cycle"
    assert kept.name == "mine,word=%2F..%2F..%2F..%2Fout-seed0.json"


def test_a_missing_file_and_a_taken_name_are_said_at_the_border(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert table2(tmp_path, "--model", str(tmp_path / "nowhere.py")) == 3
    assert "nowhere.py: cannot read this model file" in capsys.readouterr().err
    assert table2(tmp_path, "--model", write(tmp_path, GOOD, "narm")) == 2
    assert "the suite has a model called narm; rename the file" in capsys.readouterr().err


def test_contract_says_what_is_kept_and_what_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", write(tmp_path, GOOD)]) == 0
    assert "mine keeps 9 of 9 rules" in capsys.readouterr().out
    broken = GOOD.replace("self.counts_[prefixes.last]", "self.counts_[prefixes.last][:, ::-1].copy()")
    assert main(["contract", write(tmp_path, broken, "backwards")]) == 1
    assert "backwards breaks a rule: the numbering of the items does not matter" in capsys.readouterr().err


def in_the_readme() -> dict[str, str]:
    """Return the text of the models in the README and docs/own-models.md, by the file name in each one's first line."""
    root = Path(__file__).resolve().parent.parent
    pages = [(root / name).read_text(encoding="utf-8") for name in ("README.md", "docs/own-models.md")]
    blocks = [block.partition("```")[0] for page in pages for block in page.split("```python\n")[1:]]
    return {text.partition(".py")[0].removeprefix("# "): text for text in blocks if text.startswith("# ")}


@pytest.mark.parametrize("name", ["last_next", "mean_click"])
def test_the_models_in_the_readme_are_short_and_keep_the_contract(name: str, tmp_path: Path) -> None:
    text = in_the_readme()[name]
    assert text.count("\n") < 40
    assert main(["contract", write(tmp_path, text, name)]) == 0


def test_the_network_in_the_readme_learns_what_it_can(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, in_the_readme()["mean_click"], "mean_click")
    assert (
        table2(tmp_path, "--model", file, "pop", "--set", "mean_click.batch=32", "mean_click.learning_rate=0.03") == 0
    )
    assert "Mean of clicks (batch=32, learning_rate=0.03) " in capsys.readouterr().out
    train = catalog.load_split("cycle", tmp_path).train
    model, (prefixes, targets) = catalog.make_recommender(file, {"batch": 32, "learning_rate": 0.03}), train.prefixes()
    model.fit(train)  # type: ignore[call-arg]
    single = np.flatnonzero(prefixes.lengths == 1)  # i + 1 follows i: with one click it can tell what follows
    greater, _ = rank_all(model, prefixes.take(single), targets[single])
    assert np.mean(greater == 0) > 0.9
