"""`check` compares every page and figure with what its records give, and touches nothing."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reproduce import catalog
from reproduce.__main__ import main
from reproduce.errors import InputError
from reproduce.paper.rows import Row
from reproduce.reports import check, figures, records, table2
from reproduce.reports.records import Records
from reproduce.reports.study import Study
from reproduce.runs import runner
from reproduce.runs.experiment import Experiment
from reproduce.runs.request import Request


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a small results folder with all its pages."""
    folder = tmp_path_factory.mktemp("made") / "results"
    for one in (
        Experiment.of("cycle", "pop"),
        Experiment.of("cycle", "narm", {"epochs": 1, "hidden": 4, "embedding": 4}),
    ):
        runner.run(one, data=".", results=folder, device="cpu")
    assert main(["all", "--results", str(folder)]) == 0
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def results(drawn: dict[str, bytes], tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    for name, content in drawn.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def faults(results: Path) -> list[str]:
    """Return the faults that check names, one per line."""
    with pytest.raises(InputError) as error:
        check.report(results)
    lines = [line.strip() for line in str(error.value).splitlines()[1:]]
    return [line for line in lines if not line.startswith("not compared, ")]


LENGTHS = "python -m reproduce lengths"


def snapshot(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*") if file.is_file()}


def test_what_all_wrote_is_sound_and_check_writes_nothing(results: Path) -> None:
    before = snapshot(results)
    assert {"README.md", "lengths.md", "figures/lengths-cycle.svg"} <= {
        str(file.relative_to(results)) for file in before
    }
    assert "2 records and " in check.report(results)
    assert snapshot(results) == before


def test_a_read_only_folder_is_checked(results: Path) -> None:
    folders = [results, *(place for place in results.rglob("*") if place.is_dir())]
    for place in folders:
        place.chmod(0o555)
    try:
        assert "sound" in check.report(results)
    finally:
        for place in folders:
            place.chmod(0o755)


@pytest.mark.parametrize("name", ["README.md", "lengths.md", "claims.md"])
def test_a_page_that_was_edited_is_named_and_left(name: str, results: Path) -> None:
    file = results / name
    file.write_text(file.read_text(encoding="utf-8") + "More.\n", encoding="utf-8")
    before = snapshot(results)
    (line,) = faults(results)
    assert line.startswith(f"{name}: not what its records give; python -m reproduce ")
    assert snapshot(results) == before


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_figure_of_other_bytes_is_named_and_left(kind: str, results: Path) -> None:
    file = results / f"figures/lengths-cycle.{kind}"
    file.write_bytes(file.read_bytes() + b"\n")
    before = snapshot(results)
    assert faults(results) == [
        f"figures/lengths-cycle.{kind}: not what its records give; {LENGTHS} --results {results} draws it again"
    ]
    assert snapshot(results) == before


def test_an_absent_figure_and_one_that_no_page_draws_are_named(results: Path) -> None:
    (results / "figures/more.png").write_bytes(b"a figure of no page")
    assert "not compared, of no page that was compared: figures/more.png" in check.report(results)
    (results / "figures/lengths-cycle.png").unlink()
    assert faults(results) == [f"figures/lengths-cycle.png: absent; {LENGTHS} --results {results} draws it again"]


def edit_version(results: Path, *names: str) -> None:
    for name in names:
        svg = results / "figures" / name
        here = f"Matplotlib v{figures.version()}".encode()
        svg.write_bytes(svg.read_bytes().replace(here, b"Matplotlib v1.2.3"))


def test_figures_of_another_matplotlib_are_counted_and_named_as_not_compared(results: Path) -> None:
    names = [file.name for file in (results / "figures").glob("*.svg")]
    edit_version(results, *names)
    said = check.report(results)
    (line,) = [line for line in said.splitlines() if "not compared, drawn with matplotlib 1.2.3: " in line]
    assert all(f"figures/{name}" in line for name in names)
    assert re.search(r"pages are sound; not compared: \d+\n", said)


def test_a_figure_whose_version_was_edited_is_a_fault(results: Path) -> None:
    edit_version(results, "lengths-cycle.svg")
    (line,) = faults(results)
    assert line.startswith("figures/lengths-cycle.svg: not what its records give")


def test_text_in_a_command_on_a_page_is_found(results: Path) -> None:
    """The results folder may have been renamed since; nothing else in a command may differ."""
    file = results / "lengths.md"
    text = file.read_text(encoding="utf-8")
    end = re.compile(r"--results \S+`")
    for smuggled in ("results and NARM is best`", "results --strict`"):
        file.write_text(end.sub(f"--results {smuggled}", text), encoding="utf-8")
        assert any(line.startswith("lengths.md: not what its records give") for line in faults(results)), smuggled
    file.write_text(end.sub("--results elsewhere`", text), encoding="utf-8")
    assert "sound" in check.report(results)


def test_a_search_that_is_broken_is_a_fault_and_a_sound_one_is_named(results: Path) -> None:
    file = results / "search/cycle/pop-seed0.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    assert any("search/cycle/pop-seed0.json: " in line for line in faults(results))
    assert "the trials of a search are not held against records: search/yoochoose1_64/fpmc-seed0.json" in check.report(
        copy_of_search(results)
    )


def copy_of_search(results: Path) -> Path:
    """Replace the searches of a folder by one of the reference, of a data set without records here."""
    shutil.rmtree(results / "search")
    source = Path(check.__file__).parents[2] / "results/search/yoochoose1_64/fpmc-seed0.json"
    (results / "search/yoochoose1_64").mkdir(parents=True)
    shutil.copy(source, results / "search/yoochoose1_64")
    return results


def test_pages_on_the_logs_and_files_of_no_page_are_counted_and_named(results: Path) -> None:
    (results / "table1.md").write_text("![lengths](figures/prefix-lengths.png)\n", encoding="utf-8")
    (results / "figures/prefix-lengths.png").write_bytes(b"drawn from the logs")
    (results / "more.md").write_text("NARM is best.\n", encoding="utf-8")
    (results / "README.md").unlink()  # the index would lack the new page
    said = check.report(results)
    assert "drawn from the logs; name their folder with --data: audit.md, table1.md\n" in said
    assert "of no page that was compared: figures/prefix-lengths.png, more.md" in said


def test_the_table_of_runs_is_compared_whatever_page_it_was_drawn_with(results: Path) -> None:
    for page in results.glob("*.md"):
        if page.name not in ("table1.md", "audit.md"):
            page.unlink()
    for file in [*results.glob("figures/*"), *(results / name for name in ("pairs.csv", "claims.csv", "lengths.csv"))]:
        file.unlink()
    assert "0 pages are sound; not compared: 2" in check.report(results)
    table = results / "runs.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("100", "99", 1), encoding="utf-8")
    assert faults(results) == ["runs.csv: not what its records give; draw a page again"]


def test_a_page_older_than_a_record_or_a_search_is_named_with_the_command_that_draws_it_again(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runner.run(Experiment.of("cycle", "item_knn"), data=".", results=results, device="cpu")
    assert main(["check", "--results", str(results)]) == 3
    said = capsys.readouterr().err
    assert re.search(r"results: \d+ stored files are inconsistent\n", said)
    again = f"python -m reproduce lengths --results {results} draws it again"
    assert f"lengths.md: not what its records give; {again}" in said
    assert main(["all", "--results", str(results)]) == 0
    assert "sound" in check.report(results)
    source = Path(check.__file__).parents[2] / "results/search/yoochoose1_64/fpmc-seed0.json"
    place = results / "search/cycle"
    place.mkdir(parents=True)
    shutil.copyfile(source, place / "fpmc-seed0.json")
    again = f"python -m reproduce table2 --dataset cycle --results {results} --stored draws it again"
    assert f"table2.md: not what its records give; {again}" in faults(results)


def test_a_page_on_other_logs_than_those_at_hand_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["audit", "--dataset", "cycle", "--results", "made", "--data", "."]) == 0
    whole = catalog.load_split("cycle", Path())
    half = replace(whole, test=whole.test.take(np.arange(len(whole.test)) < 30))
    assert half.digest != whole.digest
    monkeypatch.setattr(catalog, "load_split", lambda name, data: half)
    assert main(["check", "--results", "made", "--data", "."]) == 0
    assert "not compared, drawn from another cycle than . has: audit.md" in capsys.readouterr().out


def test_with_data_the_pages_on_the_logs_are_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["audit"], ["table1"], ["table2", "--model", "pop"]):
        assert main([*words, "--dataset", "cycle", "--results", "made", "--data", "."]) == 0
    assert main(["check", "--results", "made"]) == 0
    assert "drawn from the logs" in capsys.readouterr().out
    assert main(["check", "--results", "made", "--data", "."]) == 0
    assert "drawn from the logs" not in capsys.readouterr().out
    for name in ("table1.md", "audit.md"):
        page = tmp_path / "made" / name
        whole = page.read_text(encoding="utf-8")
        page.write_text(whole.replace("| the cycle", "| a cycle", 1), encoding="utf-8")
        assert page.read_text(encoding="utf-8") != whole
        assert main(["check", "--results", "made"]) == 0
        assert main(["check", "--results", "made", "--data", "."]) == 3
        assert f"{name}: not what its records give" in capsys.readouterr().err
        page.write_text(whole, encoding="utf-8")


def test_a_copy_of_the_reference_is_sound_elsewhere_too(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "reference_folder", lambda: results)
    assert main(["all", "--results", str(results)]) == 0
    copied = tmp_path / "copied"
    shutil.copytree(results, copied)
    assert "sound" in check.report(copied)


@pytest.mark.parametrize("page", ["significance", "lengths", "figure5", "attention", "claims"])
def test_a_page_made_alone_links_no_file_that_is_not_there(page: str, results: Path) -> None:
    for file in [*results.glob("*.md"), *results.glob("*.csv")]:
        file.unlink()
    assert main([page, "--results", str(results)]) == 0
    targets = re.findall(r"\]\(([^):#]+)\)", (results / f"{page}.md").read_text(encoding="utf-8"))
    absent = [name for name in targets if not (results / name).exists()]
    assert "runs.csv" in targets and not absent


def test_a_run_made_again_stands_beside_the_reference(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, pop = Records(results), Row("POP", "pop")
    runner.run(Experiment.of("cycle", "pop"), data=".", results=tmp_path / "again", device="cpu")
    ours, again = shelf.results(pop, "cycle"), Records(tmp_path / "again").results(pop, "cycle")
    monkeypatch.setattr(records, "reference_folder", lambda: results)
    for folder, shown in ((results, 0), (tmp_path / "again", 1)):
        study = Study(Request(datasets=["cycle"], data=Path(), results=folder, models=["pop"]))
        assert len(table2._Section(study, "cycle").references) == shown
    assert ours[0].identity == again[0].identity
