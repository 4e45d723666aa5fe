"""Every command that reads or writes results takes a folder, a file:// URL, or a store of many machines."""

from __future__ import annotations

import json
import re
from pathlib import Path

import fsspec
import pytest

from benchmark.cli import run
from benchmark.paired import with_paired_intervals
from benchmark.store import open_store
from benchmark.studies.measuring import Job, measure
from benchmark.studies.study import Setting
from shifts.data import load_shift
from shifts.spec import SHIFTS
from tests.benchmark.made_results import make
from tests.benchmark.studies.test_measuring import short

# Command lines that read results: PLACE is where they are, FILE a figure.
READERS = {
    "report": "report --results PLACE --json",
    "report --paired": "report --results PLACE --baseline results:PLACE --paired --json",
    "compare": "compare best weak -s digits/fog/2 --results PLACE --json",
    "agreement": "agreement -s digits/fog/2 --results PLACE --json",
    "fit --baseline": "fit -r digits -s digits/fog/2 --baseline results:PLACE --json",
    "fit --among": "fit -r digits -s digits/unseen-tint --of odd --among results:PLACE --json",
    "baselines": "baselines results:PLACE --json",
    "plot": "plot -s digits/fog/2 --results PLACE --baseline results:PLACE -o FILE",
    "plot --kind": "plot --kind reliability -s digits/fog/2 --results PLACE -o FILE",
}
SUBMITTED = ["-m", "constant", "--contact", "me@example.org", "--author", "Me", "--training-data", "unknown"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("results"))


@pytest.fixture(params=["file", "memory"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty(scheme: str, tmp_path: Path) -> str:
    """The URL of a place without results."""
    return f"file://{tmp_path}/results" if scheme == "file" else f"memory://{tmp_path.name}/results"


def in_store(scheme: str, folder: Path) -> str:
    """The URL at which the results of a folder are."""
    if scheme == "file":
        return f"file://{folder}"
    fsspec.filesystem("memory").put(f"{folder}/", f"/{folder.name}/", recursive=True)
    return f"memory://{folder.name}"


@pytest.mark.parametrize("command", READERS)
def test_a_command_says_the_same_of_results_wherever_they_are(
    command: str,
    scheme: str,
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(with_paired_intervals.__kwdefaults__, "resamples", 50)
    url = in_store(scheme, results)
    copy, figure = str(open_store(Path(url)).root), tmp_path / "figure.svg"
    said = []
    for place in (str(results), url):
        words = READERS[command].replace("PLACE", place).replace("FILE", str(figure)).split()
        assert run(words) == 0
        text = capsys.readouterr().out
        if figure.exists():  # a long name of a place moves what stands in the middle
            text += "\n".join(re.findall(">([^<]+)</text>", figure.read_text()))
        for known in (url, copy, str(results)):
            text = text.replace(known, "PLACE")
        said.append(text)
    assert said[0] == said[1] and len(said[0]) > 100


def files_at(url: str) -> set[str]:
    """The files at a URL, with the names of their cells' folders without digests."""
    files, place = fsspec.core.url_to_fs(url)
    names = (name.removeprefix(place).strip("/").split("/") for name in files.find(place))
    return {"/".join(part.partition("@")[0] for part in parts) for parts in names}


def both(cell: str) -> set[str]:
    return {f"{cell}/predictions.parquet", f"{cell}/result.json"}


def test_a_submission_is_made_of_results_wherever_they_are(
    empty: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", "-m", "constant", "--suite", "toy", "--results", empty]) == 0
    assert files_at(empty) == both("constant/toy") | both("constant/toy--tint")
    assert run(["submit", empty, "-o", str(tmp_path), *SUBMITTED]) == 0
    assert (tmp_path / "constant--toy.zip").is_file()
    capsys.readouterr()
    assert run(["submit", empty, "-o", str(tmp_path), *SUBMITTED, "-m", "another"]) == 2
    assert open_store(Path(empty)).place in capsys.readouterr().err


def test_a_check_is_made_of_results_wherever_they_are(empty: str) -> None:
    check = ["check", "-m", "constant", "-s", "toy", "--published", "0.5", "--tolerance", "1"]
    assert run([*check, "--results", empty]) == 2
    assert run(["eval", "-m", "constant", "-s", "toy", "--results", empty]) == 0
    assert run([*check, "--results", empty]) == 0


def test_answers_from_elsewhere_go_where_results_go(empty: str, tmp_path: Path) -> None:
    answers = tmp_path / "answers.csv"
    answers.write_text(
        "\n".join(["id,prediction", *(f"{one},3" for one in load_shift("digits").example_ids)])
    )
    line = ["eval", "-m", "mine", "-s", "digits", "--predictions", str(answers), "--results", empty]
    assert run(line) == 0
    assert files_at(empty) == both("mine/digits")


def test_a_study_measures_where_results_go(
    empty: str, trained_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [Job(spec=short("study-away"), shifts=(SHIFTS.get("digits"),))]
    first = measure(jobs, setting=Setting(seeds=(0, 1), results=Path(empty)))
    assert files_at(empty) == both("study-away/digits")
    monkeypatch.setattr("benchmark.runner.run_pass", None)  # nothing is measured again
    again = measure(jobs, setting=Setting(seeds=(0, 1), results=Path(empty)))
    assert again.accuracy("study-away", "digits") == first.accuracy("study-away", "digits")


@pytest.mark.parametrize(
    "command", [*READERS, "submit PLACE -m m -o . --contact me", "eval -m constant --results PLACE"]
)
@pytest.mark.parametrize(("url", "said"), [("gs://bucket/a", "gcsfs"), ("nothing://a", "nothing")])
def test_what_a_url_needs_is_named_where_it_is_not_installed(
    command: str, url: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = READERS.get(command, command).replace("PLACE", url).replace("FILE", str(tmp_path / "x.svg"))
    assert run(line.split()) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert url in message and said in message and "→" in message and "Traceback" not in message


def test_the_variable_names_a_place_as_the_option_does(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_RESULTS", in_store("memory", results))
    assert run(["report", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["results"]) == 45
