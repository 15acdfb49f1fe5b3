"""`check` compares a page with what its own command draws: with settings, own models and data, in a moved folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from reproduce.__main__ import main
from reproduce.runs import environment

HERE = Path(__file__).resolve().parent
OWN = """
from dataclasses import dataclass
import torch
from reproduce import Recommender, setting

open("code-ran", "a").close()

@dataclass(kw_only=True)
class Mine(Recommender):
    shift: float = setting(0.5, low=0.0, high=9.0)

    def fit(self, train, *, seed, device, journal):
        self.items_, self.device_ = train.n_items, device

    def score(self, prefixes):
        return (torch.arange(self.items_, device=self.device_) + self.shift).repeat(len(prefixes), 1)
"""


@pytest.fixture(autouse=True)
def nothing_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REPRODUCE_DATA", raising=False)


def table2(*words: str, results: str = "made") -> None:
    assert main(["table2", "--results", results, "--quiet", *words]) == 0


def checked(capsys: pytest.CaptureFixture[str], *words: str, results: str = "made") -> tuple[int, str]:
    capsys.readouterr()
    status = main(["check", "--results", results, *words])
    said = capsys.readouterr()
    return status, said.out + said.err


SETTINGS = ["--dataset", "cycle", "--model", "pop", "item_knn", "--set", "item_knn.neighbours=3"]


def test_a_page_with_settings_is_compared_with_what_its_own_command_draws(capsys: pytest.CaptureFixture[str]) -> None:
    table2(*SETTINGS)
    assert "neighbours=3" in Path("made/table2.md").read_text(encoding="utf-8")
    status, said = checked(capsys)
    assert (status, "2 records and " in said) == (0, True), said


def test_a_number_changed_in_such_a_page_is_named_with_the_command_that_keeps_its_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table2(*SETTINGS)
    page = Path("made/table2.md")
    whole = page.read_text(encoding="utf-8")
    page.write_text(whole.replace("100.00", "100.01", 1), encoding="utf-8")
    status, said = checked(capsys)
    (line,) = [one for one in said.splitlines() if "table2.md" in one]
    assert status == 3 and "not what its records give; python -m reproduce table2 --dataset cycle" in line
    command = line.partition("python -m reproduce ")[2].removesuffix(" draws it again").split()
    assert {"--set", "item_knn.neighbours=3", "--results", "made"} <= set(command)
    assert main([*command, "--quiet"]) == 0
    assert page.read_text(encoding="utf-8") == whole


def test_the_command_at_the_foot_of_a_page_draws_the_same_page(capsys: pytest.CaptureFixture[str]) -> None:
    table2(*SETTINGS, "--protocol", "last", "--ties", "random", "--metric", "ndcg@10", "mrr@5")
    page = Path("made/table2.md")
    whole = page.read_text(encoding="utf-8")
    (command,) = re.findall(r"Made by `python -m reproduce ([^`]+)`", whole)
    page.unlink()
    assert main(shlex.split(command)) == 0
    assert page.read_text(encoding="utf-8") == whole
    assert "--model pop item_knn --set item_knn.neighbours=3" in command and "--protocol last" in command


def test_a_folder_that_was_renamed_is_as_sound_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    table2("--dataset", "cycle", "--model", "pop", results="first/made")
    assert main(["lengths", "--results", "first/made"]) == 0
    Path("first/made").rename("elsewhere")
    status, said = checked(capsys, results="elsewhere")
    assert status == 0, said


def test_a_page_with_an_own_model_is_sound_and_its_code_runs_only_where_it_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine.py").write_text(OWN)
    table2("--dataset", "cycle", "--model", "mine.py", "pop", "--set", "mine.shift=2.0")
    assert main(["lengths", "--results", "made"]) == 0  # drawn by a process that does not know mine
    Path("code-ran").unlink()
    status, said = checked(capsys)
    assert status == 0 and "not compared, it shows mine: name its file with --model: table2.md" in said, said
    assert not Path("code-ran").exists()
    status, said = checked(capsys, "--model", "mine.py")
    assert status == 0 and "not compared" not in said, said
    page = Path("made/table2.md")
    page.write_text(page.read_text(encoding="utf-8").replace("| POP", "| BEST", 1), encoding="utf-8")
    status, said = checked(capsys, "--model", "mine.py")
    assert (
        status == 3
        and "table2 --dataset cycle --model mine.py pop --set mine.shift=2.0 --results made --stored" in said
    )


def test_a_page_of_own_data_is_sound_where_the_data_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"s{s},i{(s + k) % 7},{86_400 * s + k}" for s in range(60) for k in range(4)]
    Path("shop.csv").write_text("session_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    words = ["--dataset", "shop.csv", "--test-days", "5"]
    table2(*words, "--model", "pop")
    status, said = checked(capsys)
    assert (
        status == 0
        and "not compared, it shows shop-30a72448: name its file with --dataset: shop-30a72448/table2.md" in said
    ), said
    status, said = checked(capsys, *words)
    assert status == 0 and "not compared" not in said, said
    Path("logs").mkdir()
    Path("shop.csv").rename("logs/shop.csv")  # the commands on the pages name it by the path it had
    status, said = checked(capsys, "--dataset", str(Path("logs/shop.csv").resolve()), *words[2:])
    assert status == 0 and "not compared" not in said, said


def test_a_page_with_a_record_of_another_source_than_the_models_file_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine.py").write_text(OWN)
    table2("--dataset", "cycle", "--model", "mine.py")
    Path("mine.py").write_text(OWN + "# edited\n")
    status, said = checked(capsys, "--model", "mine.py")
    assert status == 3 and "table2.md: not what its records give; " in said, said


@pytest.mark.parametrize(
    "line",
    [
        "rm -rf /",
        "[]",
        '{"models": "pop"}',
        '{"models": [1]}',
        '{"seeds": [0]}',
        '{"settings": {"pop": {"x": 1}}}',
        '{"settings": [["pop", 1]]}',
        '{"options": {"k": {"a": 1}}}',
        "[" * 3000,
    ],
)
def test_a_last_line_that_is_no_request_is_a_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    table2("--dataset", "cycle", "--model", "pop")
    page = Path("made/table2.md")
    text = page.read_text(encoding="utf-8").partition("\n<!-- request: ")[0]
    page.write_text(f"{text}\n<!-- request: {line} -->\n", encoding="utf-8")
    status, said = checked(capsys)
    assert status == 3 and "table2.md: cannot be drawn again: " in said


def test_a_last_line_that_names_a_file_runs_no_code(capsys: pytest.CaptureFixture[str]) -> None:
    table2("--dataset", "cycle", "--model", "pop")
    Path("evil.py").write_text("open('code-ran', 'w').close()")
    page = Path("made/table2.md")
    for line in ('{"models": ["evil.py"]}', '{"datasets": ["./evil.py"]}', '{"settings": {"evil.py": {"a": 1}}}'):
        text = page.read_text(encoding="utf-8").partition("\n<!-- request: ")[0]
        page.write_text(f"{text}\n<!-- request: {line} -->\n", encoding="utf-8")
        status, said = checked(capsys)
        assert status == 3 and "table2.md: cannot be drawn again: its last line names " in said
        assert not Path("code-ran").exists()


def test_a_last_line_that_names_a_model_without_a_record_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise a line in a comment would keep any page from being compared."""
    table2("--dataset", "cycle", "--model", "pop")
    page = Path("made/table2.md")
    text = page.read_text(encoding="utf-8").partition("\n<!-- request: ")[0].replace("100.00", "99.99")
    page.write_text(f'{text}\n<!-- request: {{"models": ["ghost"]}} -->\n', encoding="utf-8")
    status, said = checked(capsys)
    assert status == 3 and "its last line names ghost, of which there is no record" in said


def test_records_are_sound_where_there_is_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the machine that makes records nor the one that checks them needs git."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    environment.commit_of_checkout.cache_clear()
    try:
        assert environment.commit_of_checkout() == (None, None)
        table2("--dataset", "cycle", "--model", "pop")
    finally:
        environment.commit_of_checkout.cache_clear()
    run = subprocess.run(
        [sys.executable, str(HERE / "with_cycle.py"), "check", "--results", "made"],
        env={"PATH": str(tmp_path / "empty"), "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "1 record and " in run.stdout and "note" not in run.stdout


@pytest.mark.parametrize("words", [["--protocol", "last"], ["--ties", "random"], ["--metric", "ndcg@5"]])
def test_a_page_in_another_view_is_compared_in_that_view(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    table2("--dataset", "cycle", "--model", "pop", *words)
    status, said = checked(capsys)
    assert status == 0 and "1 record and 1 page are sound" in said, said


def test_a_page_with_a_failed_model_is_sound_where_the_model_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    own = OWN.replace("        self.items_,", "        raise RuntimeError('boom')\n        self.items_,")
    Path("crash.py").write_text(own)
    words = ["--dataset", "cycle", "--model", "crash.py", "pop", "--results", "made", "--quiet"]
    assert main(["table2", *words]) == 1
    status, said = checked(capsys, "--model", "crash.py")
    assert status == 0 and "not compared" not in said, said
    status, said = checked(capsys)
    assert status == 0 and "not compared, it shows crash: name its file with --model: table2.md" in said, said
