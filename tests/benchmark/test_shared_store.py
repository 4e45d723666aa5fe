"""Results in a store that machines share: in memory, on a disk, on a server that speaks S3."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from benchmark.away import away, local_path, url_of
from benchmark.cli import run
from benchmark.predictions import read_predictions
from benchmark.result import RESULT
from benchmark.shared_store import SharedStore, put_whole
from benchmark.store import PREDICTIONS, SHARDS, Store, open_store
from shifts.errors import ResultsError, UserError

CHOSEN = ["eval", "-m", "constant", "-s", "digits", "-s", "digits/pad", "--no-check"]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a server on this machine with one bucket."""
    server_module = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place in a store."""
    if request.param == "memory":
        return f"memory://{tmp_path.name}/results"
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = tmp_path.name.replace("_", "-").lower()
    fsspec.filesystem("s3").mkdir(bucket)
    return f"s3://{bucket}/results"


def another_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(folder))


def test_what_one_machine_measures_another_one_has(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*CHOSEN, "--results", str(tmp_path / "local")]) == 0
    assert run([*CHOSEN, "--results", url]) == 0
    files, base = fsspec.core.url_to_fs(url)
    stored = {name.removeprefix(base).strip("/"): files.cat_file(name) for name in files.find(base)}
    whole = {str(path.relative_to(tmp_path / "local")): path for path in (tmp_path / "local").rglob("*.*")}
    assert set(stored) == set(whole)
    for name, path in whole.items():
        assert name.endswith(RESULT) or stored[name] == path.read_bytes()
    another_machine(monkeypatch, tmp_path / "second")
    monkeypatch.setattr("benchmark.runner.run_pass", None)  # nothing is left to run
    assert run([*CHOSEN, "--results", url]) == 0
    capsys.readouterr()
    assert run(["report", "--results", url, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["results"]) == 2
    store = open_store(Path(url))
    folders = [folder for folder, _ in store.results()]
    home = store.root
    assert not list(home.rglob(PREDICTIONS)), "predictions are fetched when they are read"
    assert len(read_predictions(folders[0] / PREDICTIONS)) == 597
    assert len(list(home.rglob(PREDICTIONS))) == 1


def test_shards_that_one_machine_put_are_continued_on_another(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run([*CHOSEN, "--results", str(tmp_path / "local")]) == 0
    (folder,) = (tmp_path / "local").glob("*/digits@*")
    whole = folder / PREDICTIONS
    first = SharedStore(url)
    here = first.root / folder.parent.name / folder.name
    first.put_shard(here, 0, whole.read_bytes())
    files, base = fsspec.core.url_to_fs(url)
    shard = f"{base}/{folder.parent.name}/{folder.name}/{SHARDS}/{0:012d}.parquet"
    assert files.exists(shard)
    another_machine(monkeypatch, tmp_path / "second")
    second: SharedStore = pickle.loads(pickle.dumps(first))
    assert second.root != first.root
    there = second.root / folder.parent.name / folder.name
    with second.sharing([there]):
        assert [path.read_bytes() for path in (there / SHARDS).iterdir()] == [whole.read_bytes()]
    assert run([*CHOSEN, "--results", url]) == 0
    assert not files.exists(shard), "a finished cell needs none"


def test_a_result_that_changed_is_fetched_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run([*CHOSEN, "--results", url]) == 0
    (folder,) = open_store(Path(url)).root.glob("*/digits@*")
    changed = json.loads((folder / RESULT).read_text()) | {"warnings": ["changed elsewhere"]}
    files, base = fsspec.core.url_to_fs(url)
    place = f"{base}/{folder.parent.name}/{folder.name}/{RESULT}"
    files.pipe_file(place, json.dumps(changed).encode())
    found = open_store(Path(url)).finished(folder)
    assert found is not None
    assert found.warnings == ("changed elsewhere",)


def test_a_store_that_is_gone_ends_the_run_only_when_all_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"memory://{tmp_path.name}/gone"

    def refuse(files: object, place: str, data: bytes) -> None:
        if ".probe" in place:
            return put_whole(files, place, data)
        raise ConnectionError("the network is down")

    with monkeypatch.context() as broken:
        broken.setattr("benchmark.shared_store.put_whole", refuse)
        assert run([*CHOSEN, "--results", url]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "2 finished evaluations could not be put" in said
    assert "the network is down" in said
    assert run([*CHOSEN, "--results", url]) == 0
    assert len(fsspec.filesystem("memory").find(f"/{tmp_path.name}/gone")) == 4


def test_on_a_disk_an_object_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    files = fsspec.filesystem("file")
    put_whole(files, str(tmp_path / "a" / "b"), b"first")
    put_whole(files, str(tmp_path / "a" / "b"), b"second")
    assert (tmp_path / "a" / "b").read_bytes() == b"second"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_url_is_told_from_a_path(tmp_path: Path) -> None:
    assert url_of(Path("s3://bucket/a/b")) == "s3://bucket/a/b"
    assert url_of(Path("C:/results")) is None
    assert type(open_store(tmp_path)) is Store
    assert run([*CHOSEN, "--results", f"file://{tmp_path}/here"]) == 0
    assert len(list((tmp_path / "here").rglob(RESULT))) == 2
    assert local_path(Path(f"file:{tmp_path}")) == tmp_path
    assert away(tmp_path / PREDICTIONS) is None


def test_an_unknown_kind_of_store_is_named() -> None:
    with pytest.raises(UserError, match="nothing://"):
        open_store(Path("nothing://bucket"))
    with pytest.raises(ResultsError):
        read_predictions_of_nothing()


def read_predictions_of_nothing() -> None:
    from benchmark.away import Away, fetch, put_away

    path = open_store(Path("memory://nothing/here")).root / "m@1" / "s@1" / PREDICTIONS
    put_away(path, Away(url="memory://nothing/there", state=""))
    fetch(path)


def test_no_name_in_a_store_leads_out_of_its_copy(tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}/hostile"
    files, base = fsspec.core.url_to_fs(url)
    assert run([*CHOSEN, "--results", url]) == 0
    good = next(name for name in files.find(base) if name.endswith(RESULT))
    cell = good.removeprefix(base).strip("/").removesuffix(f"/{RESULT}")
    hostile = ["../../" + RESULT, f"{cell}/{SHARDS}/../../../../../planted.parquet", "a@1/../" + RESULT]
    for name in hostile:  # past the file system's own tidying of paths
        files.store[f"{base}/{name}"] = files.store[good]
    store = SharedStore(url)
    assert {f"/{name}" for name in hostile} <= {f"/{name}" for name in store._list("")}, "they are there"
    before = {path for path in store.root.parent.parent.rglob("*") if store.root not in path.parents}
    assert len(list(store.results())) == 2
    store._listed[cell.partition("/")[0]] = store._list("")
    assert not store._fetch_shards(store.root / cell)
    after = {path for path in store.root.parent.parent.rglob("*") if store.root not in path.parents}
    assert after == before
