"""The command line: what it prints, and its exit status on every kind of wrong input."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reproduce import catalog, cli, reports
from reproduce.__main__ import main
from reproduce.export import FORMATS
from reproduce.reading.processed import TEST, TRAIN

HERE = Path(__file__).resolve().parent.parent
QUICK = ["--model", "pop", "s_pop", "--dataset", "cycle", "--quiet"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REPRODUCE_DATA", raising=False)


def test_without_arguments_there_is_help_with_a_line_for_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    for command in ("table2", "ablation", "list", "data", "bench"):
        assert f"\n    {command} " in out


@pytest.mark.parametrize("line", ["--help", "--version", "table2 --help", "tabel2", "table2 --beyound"])
def test_help_and_usage_errors_import_nothing_heavy(line: str) -> None:
    words = line.split()
    program = (
        "import sys; from reproduce.cli import main\n"
        f"status = main({words})\n"
        "print(sorted({'torch', 'numpy', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)), status)"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=HERE, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == f"[] {0 if words[-1] in ('--help', '--version') else 2}"
    assert "Traceback" not in run.stderr


def test_there_is_a_command_for_every_page() -> None:
    (commands,) = [one.choices for one in cli.parser()._actions if isinstance(one.choices, dict)]
    assert {name for name, one in commands.items() if one.get_default("carry_out") == cli.PAGE} == set(reports.pages())


def test_export_offers_every_page_that_has_tables_and_every_format() -> None:
    (commands,) = [one.choices for one in cli.parser()._actions if isinstance(one.choices, dict)]
    choices = {one.dest: one.choices for one in commands["export"]._actions}
    assert set(choices["page"]) == set(reports.pages()) - {"all", "attention"}
    assert choices["format"] == (*FORMATS, "parquet")  # the last for --split and --per-prefix


@pytest.mark.parametrize("words", [["--model", "mine"], ["--set", "mine.x=1"]])
def test_the_name_of_an_own_model_meets_its_file(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table2", "--dataset", "cycle", *words]) == 2
    assert capsys.readouterr().err.endswith(", and your own by its file: mine.py\n")
    (tmp_path / "mine.py").touch()
    assert main(["table2", "--dataset", "cycle", *words]) == 2
    assert "unknown model 'mine'; did you mean mine.py? available: " in capsys.readouterr().err


def test_the_table_is_printed_within_100_columns_and_the_page_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table2", *QUICK]) == 0
    out = capsys.readouterr().out
    table = out.splitlines()
    assert any(line.startswith("POP ") and "100.00" in line for line in table) and max(map(len, table)) <= 100
    page = (tmp_path / "results/local/table2.md").read_text()
    assert "| POP " in page and page.endswith('\n\n<!-- request: {"models": ["pop", "s_pop"]} -->\n')
    assert out.endswith("The whole page, with figures and details: results/local/table2.md\n")


def test_a_run_not_made_is_a_dash_with_the_command_that_fills_it(capsys: pytest.CaptureFixture[str]) -> None:
    main(["table2", *QUICK])
    assert "NARM" not in capsys.readouterr().out  # not asked for
    main(["table2", "--dataset", "cycle", "--stored"])
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith("NARM "))
    assert line.split() == ["NARM", "not", "run", "not", "run"]
    models = "item_knn bpr_mf fpmc gru4rec improved_gru_rec narm"
    said = " ".join(out.split())
    assert f"Not run yet: python -m reproduce table2 --dataset cycle --model {models}" in said


def test_a_dry_run_says_what_would_run_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["table2", "--dataset", "cycle", "--model", "pop", "--quiet"])
    capsys.readouterr()
    assert main(["table2", *QUICK, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        ["stored", "cycle/pop-seed0"],
        ["would", "run cycle/s_pop-seed0"],
    ]
    assert not list(tmp_path.glob("**/s_pop*"))


@pytest.mark.parametrize("words", [["all"], ["table2", "--stored"]])
def test_nothing_would_run_where_pages_are_drawn_from_records(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--dataset", "cycle", "--dry-run"]) == 0
    assert capsys.readouterr().out == "nothing would run\n"


def test_set_makes_a_row_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["table2", "--dataset", "cycle", "--model", "item_knn", "--set", "item_knn.neighbours=3", "--quiet"]) == 0
    )
    assert "\nItem-KNN (neighbours=3) " in capsys.readouterr().out


def test_without_data_the_synthetic_log_is_used_and_named_in_the_title(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table2", "--model", "pop", "--quiet"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Table 2: the recommenders compared, on a synthetic log")
    assert "python -m reproduce data" in said.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["table2", "--model", "nram"], "unknown model 'nram'; did you mean narm? available: "),
        (["table2", "--dataset", "yoochose1_64"], "did you mean yoochoose1_64"),
        (["table2", "--dataset", ""], "unknown data set ''; available: "),
        (["table2", "--model", ""], "unknown model ''; available: "),
        (["table2", "--model", "/tmp"], "unknown model '/tmp'; "),
        (["table2", "--set", "narm.hiden=50"], "unknown field of narm 'hiden'; did you mean hidden?"),
        (["table2", "--set", "narm.hidden=many"], "narm.hidden=many: not of type int"),
        (["table2", "--set", "narm.hidden=0"], "narm.hidden=0: must be at least 1"),
        (["table2", "--set", "narm.session_dropout=nan"], "must be at least 0.0 and at most 0.99"),
        (
            ["table2", "--set", "narm.cell=tourch"],
            "narm.cell=tourch: did you mean torch? available: torch, paper, authors",
        ),
        (["table2", "--set", "hidden=50"], "expected MODEL.FIELD=VALUE"),
        (["table2", "--model", "pop", "--set", "narm.hidden=50"], "narm is not among the models"),
        (["table2", "--device", "tpu"], "unknown device"),
        (["table2", "--results", ""], "an empty path, as of a variable that is not set"),
        (["table2", "--data", ""], "an empty path, as of a variable that is not set"),
        (["claims", "--results", "r" * 300], "no path ("),
        (["merge", "r" * 300], "no path ("),
        (["table2", "--dataset", "cycle", "--model", "pop", "--metric", "foo@20"], "unknown metric 'foo'; available"),
        (["table2", "--dataset", "cycle", "--metric", "foo@20", "--dry-run"], "unknown metric 'foo'; available"),
        (["table2", "--dataset", "cycle", "--family", "softmax"], "--family is for rows from outside"),
        (["table2", "--dataset", "cycle", "--stored", "--slurm", "time=1"], "nothing is to be run from stored records"),
        (["all", "--slurm", "time=1"], "nothing is to be run from stored records"),
        (["ablation", "--variant", "global"], "invalid choice: 'global' (choose from "),
    ],
)
def test_a_wrong_name_or_value_exits_2_and_meets_the_right_ones(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--quiet"]) == 2
    assert says in capsys.readouterr().err


def test_an_own_file_with_another_ending_meets_those_that_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clicks.log").touch()
    assert main(["table1", "--dataset", "clicks.log"]) == 3
    assert "clicks.log: expected .csv, .tsv, .txt, " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["item_knn"], ["--model", "item_knn"], ["--model=item_knn"]])
@pytest.mark.parametrize("command", ["run", "search --trials 1"])
def test_a_command_on_one_model_takes_it_as_a_word_or_by_an_option(
    command: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first, *more = command.split()
    for line in ([first, *words, "--dataset", "cycle", *more], [first, "--dataset", "cycle", *more, "--quiet", *words]):
        assert main(line) == 0
        assert "item_knn" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["", "afile", "d" * 300])
def test_a_wrong_folder_in_the_environment_is_a_line_and_2(
    folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("afile").touch()
    monkeypatch.setenv("REPRODUCE_DATA", folder)
    assert main(["--help"]) == 2
    assert "REPRODUCE_DATA: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["data", "--dataset", "d" * 300, "--gap", "30m"], ["table2", "--dataset", "cycle", "--ranks", "r" * 300]]
)
def test_a_name_that_is_too_long_for_a_file_is_a_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) in (2, 3)
    assert "Traceback" not in capsys.readouterr().err


def test_an_option_is_never_taken_for_a_longer_one_that_begins_alike(capsys: pytest.CaptureFixture[str]) -> None:
    """`check` has no --datas, and its --dataset is something else."""
    assert main(["check", "--datas", "logs"]) == 2
    assert "unrecognized arguments: --data" in capsys.readouterr().err


def test_absent_data_exits_3_with_what_to_put_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table2", "--dataset", "yoochoose1_64", "--quiet"]) == 3
    assert "put the processed" in capsys.readouterr().err


def test_a_malformed_file_exits_3_names_the_file_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data" / "yoochoose1_64"
    folder.mkdir(parents=True)
    for name in (TRAIN, TEST):
        (folder / name).write_bytes(b"\x80\x03cos\nsystem\n")
    assert main(["table2", "--quiet"]) == 3
    assert f"yoochoose1_64/{TRAIN}" in capsys.readouterr().err
    assert not list((tmp_path / "results").glob("**/*.*"))


def test_an_unwritable_results_folder_exits_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("")
    assert main(["table2", *QUICK, "--results", "taken/here"]) == 3
    assert "choose another --results DIR" in capsys.readouterr().err


def test_ctrl_c_exits_130_with_a_clean_line_and_nothing_half_written(tmp_path: Path) -> None:
    words = [sys.executable, str(HERE / "tests/with_cycle.py"), "table2", "--dataset", "cycle", "--model", "narm"]
    run = subprocess.Popen(
        [*words, "--results", str(tmp_path / "r"), "--set", "narm.epochs=100000", "narm.patience=100000"],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        # A job that a shell starts with & ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert run.stderr is not None
    seen = ""
    while "epoch 2/" not in seen:
        seen = run.stderr.readline()
        assert seen, "ended before its second epoch"
    run.send_signal(signal.SIGINT)
    _, rest = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in rest
    assert rest.splitlines()[-1].startswith("reproduce: interrupted")
    left = [file.name for file in (tmp_path / "r").rglob("*") if file.is_file()]
    assert [name.endswith(".checkpoint") for name in left] == [True]


def test_list_shows_every_model_with_its_fields_and_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in catalog.recommenders():
        assert f"\n{name}  (" in out
    assert "encoder = hybrid   hybrid | global | local" in out


def test_data_says_how_to_get_what_is_not_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 0
    assert "yoochoose1_4: the RecSys Challenge 2015 click log" in capsys.readouterr().out


def test_the_command_on_a_page_names_a_nested_results_folder_in_full(tmp_path: Path) -> None:
    assert main(["table2", *QUICK, "--results", "some/where"]) == 0
    page = (tmp_path / "some/where/table2.md").read_text()
    assert "Made by `python -m reproduce table2 --model pop s_pop --stored --results some/where`" in page


@pytest.mark.parametrize(
    "words", [["claims"], ["export", "--format", "csv"], ["figure5"], ["table2", "--stored"], ["ablation", "--stored"]]
)
def test_what_is_stored_is_shown_though_another_log_cannot_be_read(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["table2", *QUICK]) == 0
    Path("data").mkdir()
    for file in Path("results/local/runs/cycle").iterdir():
        (Path("results/local/runs/yoochoose1_4") / file.name).parent.mkdir(exist_ok=True)
        (Path("results/local/runs/yoochoose1_4") / file.name).write_bytes(file.read_bytes())
    Path("data/yoochoose-clicks.7z").write_bytes(b"7z")
    assert main(words) == 0
    monkeypatch.setenv("REPRODUCE_DATA", str(Path("data").resolve()))
    assert main(words) == 0


def test_a_command_to_paste_leaves_the_data_folder_to_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("logs").mkdir()
    monkeypatch.setenv("REPRODUCE_DATA", "logs")
    assert main(["expect", "narm", "--dataset", "cycle", "1", "--results", "r"]) == 3
    assert "python -m reproduce table2" in (said := capsys.readouterr().err) and "--data " not in said
