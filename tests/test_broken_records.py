"""A broken record is a line and a dash on every page; `check` names it; the other rows are drawn."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reproduce import reports
from reproduce.__main__ import main
from reproduce.errors import InputError, ModelError, UsageError
from reproduce.reports import check, renderers
from reproduce.runs import record, record_shape, runner
from reproduce.runs.experiment import LONGEST_NAME, Experiment, file_name
from reproduce.runs.request import Request

NARM = Experiment.of("cycle", "narm", {"epochs": 2, "hidden": 4, "embedding": 4})
DEEP = "[" * 100_000
PAGES = ("table2", "ablation", "lengths", "significance", "figure5", "attention", "claims")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for one in (NARM, Experiment.of("cycle", "pop")):
        runner.run(one, data=".", results=folder, device="cpu")
    return folder


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    for file in made.rglob("*.*"):
        place = tmp_path / file.relative_to(made)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
    return tmp_path


def table(results: Path, one: Experiment = NARM) -> Path:
    return results / f"{one.path}.json"


def change(file: Path, edit: Callable[[dict], Any]) -> None:
    """Edit a record and give it a digest that fits, as anyone who reads the source can."""
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps({**content, "digest": record_shape.digest(content)}))


def change_arrays(file: Path, edit: Callable[[dict], Any]) -> None:
    arrays = file.with_suffix(".npz")
    with np.load(arrays) as kept:
        content = dict(kept)
    edit(content)
    np.savez_compressed(arrays, **content)
    change(file, lambda told: told.update(arrays_sha256=hashlib.sha256(arrays.read_bytes()).hexdigest()))


SHAPES = {
    "the split is no object": lambda told: told.update(split=float("nan")),
    "the environment is a number": lambda told: told.update(environment=1),
    "no fields": lambda told: told.pop("fields"),
    "no device": lambda told: told["environment"].pop("device"),
    "a catalogue that is no number": lambda told: told["split"].update(n_items=float("nan")),
    "a recall that is no number": lambda told: told.update(recall_at_20=float("nan")),
    "a count in words": lambda told: told["split"]["provenance"]["counts"].update(clicks="many"),
    "an infinite count": lambda told: told["split"]["provenance"]["counts"].update(clicks=float("inf")),
    "an unknown order": lambda told: told["split"]["provenance"].update(order="chaos"),
    "an epoch without its number": lambda told: told["epochs"][0].pop("epoch"),
    "epochs that are words": lambda told: told.update(epochs=["first"]),
    "attention in words": lambda told: told.update(attention="much"),
    "attention of ragged rows": lambda told: told["attention"]["weight"][3].append(0.5),
    "a seed below 0": lambda told: told["experiment"].update(seed=-1),
    "a data set outside": lambda told: told["experiment"].update(dataset="../../outside"),
    "a key too many": lambda told: told.update(more=1),
    "lines in a note": lambda told: told["split"]["provenance"].update(note="a\n| POP | 99.99 |"),
}
ARRAYS = {
    "unequal lengths": lambda kept: kept.update(greater=kept["greater"][1:]),
    "a matrix": lambda kept: kept.update(greater=kept["greater"][:, None]),
    "fractions": lambda kept: kept.update(equal=kept["equal"] + 0.5),
    "a negative count": lambda kept: kept["greater"].__setitem__(0, -5),
    "a session of a number that no file could hold": lambda kept: kept["session"].__setitem__(-1, 2**31 - 1),
    "words": lambda kept: kept.update(session=kept["session"].astype(str)),
    "none": lambda kept: kept.pop("length"),
    "no prefixes": lambda kept: kept.update({name: kept[name][:0] for name in record_shape.ARRAYS}),
    "weights that are no numbers": lambda kept: kept["attention_weights"].__setitem__(0, np.nan),
    "lengths beyond the weights": lambda kept: kept["attention_lengths"].__setitem__(0, 99),
}


def broken(results: Path) -> str:
    with pytest.raises(InputError) as told:
        record.load(NARM, results)
    line = str(told.value)
    assert str(table(results)) in line or str(table(results).with_suffix(".npz")) in line
    assert "\n" not in line and len(line) < 700
    return line


@pytest.mark.parametrize("what", SHAPES)
def test_a_table_of_another_shape_is_a_broken_record(what: str, results: Path) -> None:
    change(table(results), SHAPES[what])
    assert "broken record (" in broken(results)


@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_of_another_shape_are_a_broken_record(what: str, results: Path) -> None:
    change_arrays(table(results), ARRAYS[what])
    assert "broken record (" in broken(results)


def test_lengths_of_attention_in_few_bits_are_checked_as_any_others(results: Path) -> None:
    change_arrays(table(results), lambda kept: kept.update(attention_lengths=kept["attention_lengths"].astype("u1")))
    assert check.report(results)


def test_a_number_of_epochs_in_words_is_named_by_check(results: Path) -> None:
    change(table(results), lambda told: told["fields"].update(epochs="many"))
    with pytest.raises(InputError, match="2 epochs, which is not what its fields allow"):
        check.report(results)


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 50_000, "9" * 6_000, "[]", "\x00", "", "{}", '{"schema": 1}'])
def test_text_that_is_no_record_is_told_in_a_line(text: str, results: Path) -> None:
    table(results).write_text(text)
    broken(results)


def test_a_pipe_in_place_of_the_arrays_is_not_waited_for(results: Path) -> None:
    arrays = table(results).with_suffix(".npz")
    arrays.unlink()
    os.mkfifo(arrays)
    assert "is no file" in broken(results)


def test_arrays_that_unpack_to_more_than_there_is_memory_are_not_unpacked(results: Path) -> None:
    change_arrays(table(results), lambda kept: kept.update(session=np.zeros(80_000_000, np.int32)))
    assert "unpack to more than 256 MiB" in broken(results)


def test_a_header_that_claims_numbers_that_are_not_there_allocates_nothing(results: Path) -> None:
    import io
    import zipfile

    file, arrays = table(results), table(results).with_suffix(".npz")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(arrays, "w") as archive:
        for name in record_shape.ARRAYS:
            archive.writestr(f"{name}.npy", header.getvalue())
    sha = hashlib.sha256(arrays.read_bytes()).hexdigest()
    change(file, lambda told: told.update(arrays_sha256=sha, attention=None))
    assert "its arrays cannot be read" in broken(results)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("what", ["the environment is a number", "no fields", "deep"])
def test_every_page_is_drawn_from_the_other_records(page: str, what: str, results: Path) -> None:
    if what == "deep":
        table(results).write_text(DEEP)
    else:
        change(table(results), SHAPES[what])
    request = Request(datasets=["cycle"], data=results, results=results)
    assert renderers.markdown(reports.pages()[page].draw(request)).startswith("# ")


def test_a_page_shows_a_dash_and_a_line_for_a_broken_record_and_the_others_numbers(results: Path) -> None:
    settings = [f"narm.{key}={value}" for key, value in NARM.params.items()]
    words = ["table2", "--dataset", "cycle", "--model", "pop", "narm", "--results", str(results), "--quiet", "--set"]
    assert main([*words, *settings]) == 0
    change(table(results), SHAPES["the split is no object"])
    assert main([*words, *settings]) == 3  # the broken record fails its cell
    page = (results / "table2.md").read_text()
    rows = [line.split("|") for line in page.split("\n\n|")[1].partition("\n\n")[0].splitlines()]
    cells = {row[1].strip(): [cell.strip(" *≈") for cell in row[2:-1]] for row in rows}
    assert cells["POP"][0].startswith("100.00")
    assert "NARM" not in cells or set(cells["NARM"]) == {"not run"}
    assert "narm" in page and "broken" in page


def test_a_record_of_a_model_that_the_suite_does_not_have_is_named_by_check(results: Path) -> None:
    ghost = table(results, Experiment("cycle", "ghost"))
    for ending in (".json", ".npz"):
        ghost.with_suffix(ending).write_bytes(table(results).with_suffix(ending).read_bytes())
    change(ghost, lambda told: told["experiment"].update(model="ghost", params={}))
    with pytest.raises(InputError, match=r"runs/cycle/ghost-seed0\.json: .*ghost"):
        check.report(results)


def test_a_network_without_epochs_is_named_by_check(results: Path) -> None:
    change(table(results), lambda told: told.update(epochs=[], best_epoch=None))
    with pytest.raises(InputError, match="0 epochs, which is not what its fields allow"):
        check.report(results)


def test_whatever_is_edited_by_hand_breaks_the_digest_and_the_identity_stays(results: Path) -> None:
    before = record.load(NARM, results)
    assert before is not None
    content = json.loads(table(results).read_text())
    content["environment"]["device"] = "a much faster one"
    table(results).write_text(json.dumps(content))
    assert "changed after it was written" in broken(results)
    del content["digest"]  # as in older records
    table(results).write_text(json.dumps(content))
    kept = record.load(NARM, results)
    assert kept is not None and kept.identity == before.identity


def test_a_record_under_anothers_name_gives_no_number(results: Path) -> None:
    other = Experiment.of("cycle", "s_pop")
    for ending in ("json", "npz"):
        source = results / f"{Experiment.of('cycle', 'pop').path}.{ending}"
        (results / f"{other.path}.{ending}").write_bytes(source.read_bytes())
    with pytest.raises(InputError, match=r"is a record of runs/cycle/pop-seed0, not of its own name"):
        record.load(other, results)


def test_what_no_record_holds_is_not_stored_and_the_old_record_stands(results: Path) -> None:
    from dataclasses import replace

    kept = record.load(NARM, results)
    assert kept is not None
    with pytest.raises(ModelError, match=r"narm: its run cannot be recorded \(Out of range float"):
        record.store(replace(kept, epochs=[{"epoch": 1, "loss": float("nan")}]), results)
    with pytest.raises(ModelError, match=r"cannot be recorded \(Object of type object is not JSON"):
        record.store(replace(kept, fields={"a": object()}), results)
    assert record.load(NARM, results) is not None


@pytest.mark.parametrize("seed", [-1, 2**32, 2**64, -(10**30)])
def test_a_seed_that_no_random_source_takes_is_a_usage_error(seed: int) -> None:
    with pytest.raises(UsageError, match=r"must be a whole number from 0 to 4,294,967,295"):
        Experiment.of("cycle", "pop", seed=seed)
    assert Experiment.of("cycle", "pop", seed=2**32 - 1).path.endswith("-seed4294967295")


@pytest.mark.parametrize("seed", ["-1", "4294967296", "1" * 20])
def test_a_wrong_seed_exits_2(seed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["table2", "--dataset", "cycle", "--model", "pop", "--quiet", "--results", str(tmp_path)]
    assert main([*words, "--seed", seed]) == 2
    assert "seed " in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.json"))


def test_a_long_name_is_shortened_by_a_digest_and_differs_where_the_fields_do() -> None:
    fields = {f"field_{i:02d}": 0.123456789 * i for i in range(18)}
    name = file_name("gru4rec", fields)
    assert len(name) == LONGEST_NAME and name.startswith("gru4rec,field_00=0.0,")
    assert name != file_name("gru4rec", {**fields, "field_17": 7.0})
    assert len(f".{name}-seed4294967295.checkpoint.{'h' * 30}-4194304.tmp") < 255


def test_a_text_field_names_no_folder_and_no_pattern() -> None:
    assert file_name("mine", {"a": "../../x", "b": "*[é]"}) == "mine,a=..%2F..%2Fx,b=%2A%5B%C3%A9%5D"


@pytest.mark.parametrize("seed", [np.int64(1), np.uint8(1)])
def test_a_seed_of_numpy_is_a_seed(seed: int) -> None:
    assert type(Experiment.of("cycle", "pop", seed=seed).seed) is int


@pytest.mark.parametrize("value", [1e5, float("nan")])
def test_attention_that_no_record_holds_is_not_stored_and_the_old_record_stands(results: Path, value: float) -> None:
    found = record.load_file(table(results))[1]
    before = table(results).read_bytes()
    assert found.attention is not None
    wrong = np.full_like(found.attention.weights, value)
    with pytest.raises(ModelError, match="an attention weight that is not a finite number"):
        record.store(replace(found, attention=replace(found.attention, weights=wrong)), results)
    assert table(results).read_bytes() == before and record.load_file(table(results))[1].same_ranks(found)
