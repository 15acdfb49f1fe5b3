"""--slurm against a fake sbatch: what is asked of it, what is written, and what a job does however its cell ends."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from reproduce.__main__ import main
from reproduce.runs import slurm

TABLE = ["table2", "--dataset", "cycle", "--model", "pop", "s_pop", "narm", "--set", "narm.epochs=1"]
FAKES = {
    "sbatch": 'n=$(($(ls "$FAKE" | grep -c "^sbatch-") + 1)); printf "%s\\n" "$@" > "$FAKE/sbatch-$n"\n'
    '[ -z "$REFUSE" ] || { echo "sbatch: error: invalid partition" >&2; exit 1; }\necho "$((40 + n));cluster"',
    "squeue": 'case "$*" in *%T*) echo "${STATE:-RUNNING}";; *) cat "$FAKE/queue" 2> /dev/null;; esac',
    "scontrol": 'echo "$@" >> "$FAKE/scontrol"',
    "srun": 'printf "%s\\n" "$@" > "$FAKE/srun"; exit "${ENDS:-0}"',
}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which fake Slurm commands note their arguments."""
    folder, commands = tmp_path / "fake", tmp_path / "commands"
    folder.mkdir()
    commands.mkdir()
    for name, text in FAKES.items():
        (commands / name).write_text(f"#!/bin/bash\n{text}\n")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(folder))
    return folder


def submitted(results: Path) -> list[Path]:
    return sorted((results / "slurm").iterdir())


def ask(results: Path, words: str = "partition=gpu,gres=gpu:1,time=60,at-once=2", *more: str) -> int:
    return main([*TABLE, "--results", str(results), "--slurm", words, *more])


def test_every_missing_cell_is_a_line_that_a_person_could_type(
    tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "a folder"
    assert main(["run", "--dataset", "cycle", "--model", "pop", "--results", str(results), "--quiet"]) == 0
    assert ask(results, "partition=gpu,time=60,at-once=2", "--seed", "0", "1", "--minutes", "30") == 0
    told = capsys.readouterr().out
    assert "job 41: 5 runs; job 42: the page after them" in told
    (folder,) = submitted(results)
    lines = (folder / "cells.txt").read_text().splitlines()
    rest = ["--minutes", "30", "--data", str(Path("data").resolve()), "--results", str(results)]
    assert [shlex.split(line) for line in lines] == [
        ["run", "--dataset", "cycle", "--model", *model, *seed, *rest]
        for model, seed in (
            (["pop"], ["--seed", "1"]),
            (["s_pop"], []),
            (["s_pop"], ["--seed", "1"]),
            (["narm", "--set", "narm.epochs=1"], []),
            (["narm", "--set", "narm.epochs=1"], ["--seed", "1"]),
        )
    ]
    assert (folder / "job").read_text() == "41\n"


def test_keys_go_to_sbatch_as_they_are_and_the_page_comes_after_any_end(tmp_path: Path, fake: Path) -> None:
    assert ask(tmp_path / "r") == 0
    (folder,) = submitted(tmp_path / "r")
    assert (fake / "sbatch-1").read_text().splitlines() == [
        "--array=1-3%2",
        f"--output={folder}/cell-%a.log",
        "--partition=gpu",
        "--gres=gpu:1",
        "--time=60",
        "--parsable",
        f"{folder}/job.sh",
    ]
    assert (fake / "sbatch-2").read_text().splitlines() == [
        "--dependency=afterany:41",
        f"--output={folder}/page.log",
        "--partition=gpu",
        "--time=60",
        "--parsable",
        f"{folder}/page.sh",
    ]
    assert (
        "#SBATCH --job-name=reproduce --requeue --open-mode=append --signal=TERM@60\n"
        in (folder / "job.sh").read_text()
    )
    page = shlex.split((folder / "page.sh").read_text().splitlines()[-1])
    assert page[:1] == ["exec"] and page[2:5] == ["-m", "reproduce", "table2"]
    assert page[-1] == "--stored" and "--slurm" not in page
    assert page[page.index("--set") + 1] == "narm.epochs=1"


def test_the_file_to_send_is_written_by_the_job_that_draws_the_pages(tmp_path: Path, fake: Path) -> None:
    results, report = tmp_path / "r", tmp_path / "report.html"
    everything = ["all", "--run", "--dataset", "cycle", "--results", str(results), "--html", str(report)]
    assert main([*everything, "--slurm", "time=60"]) == 0
    page = shlex.split((submitted(results)[0] / "page.sh").read_text().splitlines()[-1])
    assert page[4] == "all" and page[-2:] == ["--html", str(report)]


def test_cells_that_are_queued_still_are_not_submitted_twice(
    tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path / "r") == 0
    (fake / "queue").write_text("1\n3\nN/A\n")
    assert ask(tmp_path / "r") == 0
    first, second = submitted(tmp_path / "r")
    assert (second / "cells.txt").read_text().splitlines() == [(first / "cells.txt").read_text().splitlines()[1]]
    (fake / "queue").write_text("1\n2\n3\n")
    capsys.readouterr()
    assert ask(tmp_path / "r") == 0
    assert capsys.readouterr().out == "nothing to submit: of 3 runs 3 are missing, and those are queued\n"
    assert len(submitted(tmp_path / "r")) == 2


def test_with_every_run_stored_nothing_is_submitted(
    tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "stored", lambda options, experiment, split: (None, True))
    assert ask(tmp_path / "r") == 0
    assert capsys.readouterr().out == "nothing to submit: all 3 runs are stored\n"
    assert not (tmp_path / "r/slurm").exists()


def job(results: Path, fake: Path, task: int = 1, ends: int = 0, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    environ = {
        **os.environ,
        "SLURM_ARRAY_TASK_ID": str(task),
        "SLURM_ARRAY_JOB_ID": "41",
        "SLURM_JOB_ID": "41",  # the last task of an array has the array's id
        "SLURM_CPUS_PER_TASK": "6",
        "SLURM_RESTART_COUNT": str(restarts),
        "ENDS": str(ends),
    }
    script = ["bash", str(submitted(results)[0] / "job.sh")]
    return subprocess.run(script, env=environ, capture_output=True, text=True, check=False)


def test_a_job_runs_the_line_of_its_number_through_srun(tmp_path: Path, fake: Path) -> None:
    results = tmp_path / "it's a folder"
    assert ask(results) == 0
    assert job(results, fake, task=2).returncode == 0
    given = (fake / "srun").read_text().splitlines()
    assert given[1:7] == ["-m", "reproduce", "run", "--dataset", "cycle", "--model"] and given[7] == "s_pop"
    assert given[given.index("--results") + 1] == str(results)


@pytest.mark.parametrize("ends", [143, 75])
def test_a_job_that_was_cut_off_is_queued_again_but_not_for_ever(tmp_path: Path, fake: Path, ends: int) -> None:
    assert ask(tmp_path / "r", "time=1,restarts=2") == 0
    assert job(tmp_path / "r", fake, ends=ends, restarts=1).returncode == ends
    assert (fake / "scontrol").read_text() == "requeue 41_1\n"
    last = job(tmp_path / "r", fake, ends=ends, restarts=2)
    assert last.returncode == 1
    assert "not done after 2 restarts; give it more time" in last.stderr
    assert (fake / "scontrol").read_text() == "requeue 41_1\n"


def test_a_job_that_was_cancelled_is_not_queued_again(
    tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(tmp_path / "r") == 0
    monkeypatch.setenv("STATE", "COMPLETING")
    assert job(tmp_path / "r", fake, ends=143).returncode == 143
    assert not (fake / "scontrol").exists()


@pytest.mark.parametrize("ends", [0, 1, 2, 3])
def test_a_job_that_came_to_its_own_end_is_not_queued_again(tmp_path: Path, fake: Path, ends: int) -> None:
    assert ask(tmp_path / "r") == 0
    assert job(tmp_path / "r", fake, ends=ends).returncode == ends
    assert not (fake / "scontrol").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("gpu", "'gpu': expected KEY=VALUE"),
        ("time=", "'time=': expected KEY=VALUE"),
        ("time=1,,at-once=2", "'': expected KEY=VALUE"),
        *((f"{key}=x", f"{key} is set by the suite") for key in ("array", "output", "open-mode", "requeue", "signal")),
        ("at-once=0", "at-once=0: must be a number from 1 on"),
        ("restarts=many", "restarts=many: must be a number from 1 on"),
    ],
)
def test_wrong_keys_are_a_line_and_2(
    tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str], words: str, told: str
) -> None:
    assert ask(tmp_path / "r", words) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(("more", "told"), [(["--jobs", "2"], "at-once=N"), (["--fresh"], "from its checkpoint")])
def test_options_that_mean_nothing_to_slurm_are_a_line_and_2(
    tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    assert ask(tmp_path / "r", "time=1", *more) == 2
    assert told in capsys.readouterr().err


def test_no_sbatch_and_one_that_refuses_are_bad_input(
    tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUSE", "yes")
    assert ask(tmp_path / "r") == 3
    assert "sbatch refused: sbatch: error: invalid partition" in capsys.readouterr().err
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    assert ask(tmp_path / "r") == 3
    assert "there is no sbatch here" in capsys.readouterr().err


def test_a_results_folder_that_cannot_be_written_is_bad_input(
    tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert ask(tmp_path / "file" / "r") == 3
    assert "cannot be written" in capsys.readouterr().err


def test_stored_draws_the_page_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TABLE, "--results", str(tmp_path), "--stored"]) == 0
    assert "Not run yet" in capsys.readouterr().out
    assert sorted(file.name for file in tmp_path.iterdir()) == ["table2.md"]


def test_a_line_names_own_data_by_its_whole_path_with_the_options(
    tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{visit},{(visit + click) % 9},{60 * visit + click}\n" for visit in range(60) for click in range(4))
    Path("shop_of_mine.csv").write_text(f"visit,product,ts\n{rows}")
    columns = ["--columns", "session=visit", "item=product", "time=ts", "--test-share", "0.2"]
    words = ["--dataset", "shop_of_mine.csv", *columns, "--results", "r"]
    assert main(["table2", *words, "--model", "pop", "--slurm", "time=1"]) == 0
    (line,) = (submitted(tmp_path / "r")[0] / "cells.txt").read_text().splitlines()
    given = shlex.split(line)
    assert given[:3] == ["run", "--dataset", str(tmp_path / "shop_of_mine.csv")]
    assert main([*given, "--quiet"]) == 0
    assert [file.stem for file in (tmp_path / "r/runs").rglob("*.json")] == ["pop-seed0"]


def test_a_log_of_the_same_name_in_another_folder_is_another_run(
    tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for shop in (1, 2):
        (tmp_path / str(shop)).mkdir()
        monkeypatch.chdir(tmp_path / str(shop))
        clicks = "".join(f"{n // 4},{shop * n % 9},{60 * (n // 4) + n % 4}\n" for n in range(240))
        Path("clicks.csv").write_text(f"session,item,time\n{clicks}")
        words = ["table2", "--dataset", "clicks.csv", "--test-share", "0.2", "--model", "pop"]
        assert main([*words, "--slurm", "time=1", "--results", "../r"]) == 0
        (fake / "queue").write_text("1\n")
    assert len(submitted(tmp_path / "r")) == 2
    words[2] = str(Path("clicks.csv").resolve())
    capsys.readouterr()
    assert main([*words, "--slurm", "time=1", "--results", str(tmp_path / "r")]) == 0
    assert "nothing to submit" in capsys.readouterr().out


def test_the_page_job_asks_for_no_gpu(tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRODUCE_DATA", str(tmp_path))
    assert ask(tmp_path / "r", "time=60,gres=gpu:1", "--device", "cuda", "--minutes", "30", "--force") == 0
    (folder,) = submitted(tmp_path / "r")
    assert "--device cuda --minutes 30 --force" in (folder / "cells.txt").read_text()
    page = (folder / "page.sh").read_text()
    assert f"--data {tmp_path} --results {tmp_path / 'r'} --stored" in page
    assert not any(word in page for word in ("--device", "--minutes", "--force"))


def test_a_search_is_one_job_and_has_no_page(tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "r"
    words = ["search", "narm", "--dataset", "cycle", "--trials", "7", "--trial-epochs", "2", "--set", "narm.epochs=3"]
    words += ["--minutes", "9", "--results", str(results), "--slurm", "partition=gpu"]
    assert main(words) == 0
    (folder,) = submitted(results)
    assert capsys.readouterr().out == f"job 41\ncommand and log: {folder}/\n"
    line = "search --dataset cycle --model narm --set narm.epochs=3 --minutes 9 --data "
    line += f"{Path('data').resolve()} --results {results} --trials 7 --trial-epochs 2\n"
    assert (folder / "cells.txt").read_text() == line
    assert {file.name for file in folder.iterdir()} == {"cells.txt", "job.sh", "job"}
    (fake / "queue").write_text("1\n")
    assert main(words) == 0
    assert capsys.readouterr().out == "nothing to submit: this search is queued\n"
    assert main([*words, "--fresh"]) == 2
    assert "a job that is queued again must go on from its checkpoint" in capsys.readouterr().err


def test_a_path_with_a_line_break_is_refused(
    tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else cells.txt has more lines than the array has tasks, and a task runs what follows the break."""
    assert ask(tmp_path / "r\ntouch x") == 2
    assert "a path with a line break or another control character" in capsys.readouterr().err
    assert not list(fake.glob("sbatch-*"))


def test_paths_that_look_like_places_of_the_script_or_of_slurm_stay_as_they_are(tmp_path: Path, fake: Path) -> None:
    results = tmp_path / "50%j @RESTARTS@ @LINE@"
    assert ask(results) == 0
    (folder,) = submitted(results)
    (output,) = [line for line in (fake / "sbatch-1").read_text().splitlines() if line.startswith("--output=")]
    assert output == f"--output={folder}/cell-%a.log".replace("50%j", "50%%j")
    assert f"{shlex.quote(str(folder))}/cells.txt" in (folder / "job.sh").read_text()


def test_the_page_waits_for_its_cells_whatever_the_cells_wait_for(tmp_path: Path, fake: Path) -> None:
    assert ask(tmp_path / "r", "time=60,dependency=afterok:99") == 0
    cells, page = ((fake / f"sbatch-{n}").read_text().splitlines() for n in (1, 2))
    assert "--dependency=afterok:99" in cells
    assert [line for line in page if line.startswith("--dependency")] == ["--dependency=afterany:41"]


def test_a_model_that_is_to_be_kept_is_a_run_although_its_record_is_stored(
    tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["table2", "--dataset", "cycle", "--model", "pop", "--results", str(tmp_path), "--quiet"]
    assert main(words) == 0
    capsys.readouterr()
    for more, said in ((["--dry-run"], "would run cycle/pop"), (["--slurm", "time=1"], "job 41: 1 runs")):
        assert main([*words, "--keep-model", *more]) == 0
        assert said in capsys.readouterr().out


def test_an_empty_job_number_is_said(
    tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "commands" / "sbatch").write_text("#!/bin/sh\n")
    assert ask(tmp_path / "r") == 3
    assert "sbatch gave no job number" in capsys.readouterr().err
