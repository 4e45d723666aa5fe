"""Models of the user's own in files: every format of a network answers alike, and what cannot be is said."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from benchmark.cli import run
from models_zoo.loading import load_spec
from models_zoo.onnx_graph import external_files, read_graph
from models_zoo.overrides import check_declared, override
from models_zoo.spec import MODELS, ModelSpec
from models_zoo.weights import weights_digest, weights_file
from shifts.digest import canonical
from shifts.errors import LabelSpaceError, UserError, WeightsError
from tests.models_zoo.own_network import PREPROCESS, expected, images, network

__all__ = ["expected", "images", "network"]  # the fixtures, found by their names


@pytest.fixture(scope="module")
def folder(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network in every format."""
    home = tmp_path_factory.mktemp("formats")
    images, free = torch.zeros(2, 3, 16, 16), ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"], "dynamo": False}
        axes = {"images": {0: "B"}, "logits": {0: "B"}}
        torch.onnx.export(network, (images,), home / "free.onnx", dynamic_axes=axes, **names)
        torch.onnx.export(network, (torch.zeros(3, 3, 16, 16),), home / "three.onnx", **names)
        torch.onnx.export(network, (torch.zeros(1, 3, 20, 20),), home / "larger.onnx", **names)
        torch.export.save(torch.export.export(network, (images,), dynamic_shapes=free), home / "free.pt2")
        torch.export.save(torch.export.export(network, (torch.zeros(3, 3, 16, 16),)), home / "three.pt2")
        torch.jit.save(torch.jit.trace(network, images), home / "script.pt")  # type: ignore[no-untyped-call]
        torch.export.save(torch.export.export(network.train(), (images,)), home / "training.pt2")
    network.eval()
    model = onnx.load(home / "free.onnx")
    onnx.save(
        model, home / "outside.onnx", save_as_external_data=True, location="outside.data", size_threshold=0
    )
    return home


def declared(name: str, **how: Any) -> ModelSpec:
    return override(MODELS.get(name), preprocess=PREPROCESS, label_space="digits", **how)


def logits(spec: ModelSpec, images: list[Any]) -> Any:
    return load_spec(spec, weights_file(spec), device="cpu").logits(images)


@pytest.mark.parametrize("name", ["free.onnx", "three.onnx"])
def test_features_of_an_onnx_graph(folder: Path, network: nn.Module, images: list[Any], name: str) -> None:
    spec = declared(f"onnx:{folder / name}")
    classifier = load_spec(spec, weights_file(spec), device="cpu")
    found = classifier.features(images)
    assert found.shape == (5, 16)
    again = network.head(torch.from_numpy(found)).detach().numpy()
    np.testing.assert_allclose(again, classifier.logits(images), atol=1e-5)


def test_a_graph_with_tensors_elsewhere_has_no_features(folder: Path, images: list[Any]) -> None:
    spec = declared(f"onnx:{folder / 'outside.onnx'}")
    with pytest.raises(UserError, match="features"):
        load_spec(spec, weights_file(spec), device="cpu").features(images)


@pytest.mark.parametrize("name", ["free.onnx", "three.onnx", "outside.onnx"])
def test_onnx_answers_as_the_network(folder: Path, images: list[Any], expected: Any, name: str) -> None:
    spec = declared(f"onnx:{folder / name}")
    assert spec.name == f"onnx:{name[:-5]}"
    np.testing.assert_allclose(logits(spec, images), expected, atol=1e-4)
    np.testing.assert_allclose(logits(spec, images[:1]), expected[:1], atol=1e-4)


@pytest.mark.parametrize("name", ["free.pt2", "three.pt2", "script.pt"])
def test_programs_run_where_the_user_says_so(
    folder: Path, images: list[Any], expected: Any, name: str
) -> None:
    with pytest.raises(WeightsError, match="runs code of the file") as caught:
        logits(declared(f"export:{folder / name}"), images)
    assert "--trust-code" in str(caught.value.hint)
    spec = declared(f"export:{folder / name}", trust_code=True)
    np.testing.assert_allclose(logits(spec, images), expected, atol=1e-5)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_a_program_that_is_not_trusted_runs_nothing(folder: Path, tmp_path: Path, images: list[Any]) -> None:
    """torch.export.load unpickles without restriction: shown here, so that the refusal stays justified."""
    import io
    import zipfile

    stream = io.BytesIO()
    torch.save(Evil(tmp_path / "ran"), stream)
    with (
        zipfile.ZipFile(folder / "free.pt2") as whole,
        zipfile.ZipFile(tmp_path / "evil.pt2", "w") as changed,
    ):
        for member in whole.namelist():
            config = member.endswith("_weights_config.json")
            content = whole.read(member)
            if config:
                table = json.loads(content)
                for entry in table["config"].values():
                    entry["use_pickle"] = True
                content = json.dumps(table).encode()
            evil = "/data/weights/" in member and not config
            changed.writestr(member, stream.getvalue() if evil else content)
    with pytest.raises(WeightsError, match="nothing of it was loaded"):
        logits(declared(f"export:{tmp_path / 'evil.pt2'}"), images)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(WeightsError, match="can read"):
        logits(declared(f"export:{tmp_path / 'evil.pt2'}", trust_code=True), images)
    assert (tmp_path / "ran").exists(), "if this fails, torch.export.load may have become safe"


def test_programs_that_cannot_be(folder: Path, tmp_path: Path, images: list[Any]) -> None:
    with pytest.raises(WeightsError, match="training mode"):
        logits(declared(f"export:{folder / 'training.pt2'}", trust_code=True), images)
    (tmp_path / "cut.pt2").write_bytes((folder / "free.pt2").read_bytes()[:-300])
    torch.save({"a": torch.ones(1)}, tmp_path / "state.pt2")
    for name in ("cut.pt2", "state.pt2"):
        with pytest.raises(WeightsError, match="neither"):
            logits(declared(f"export:{tmp_path / name}", trust_code=True), images)


def test_another_size_or_head_is_refused(folder: Path, images: list[Any]) -> None:
    with pytest.raises(UserError, match="takes images of 20×20 pixels, the preprocess makes them 16×16"):
        logits(declared(f"onnx:{folder / 'larger.onnx'}"), images)
    for name in ("onnx:free.onnx", "export:free.pt2"):
        kind, _, file = name.partition(":")
        spec = dataclasses.replace(
            declared(f"{kind}:{folder / file}", trust_code=True), label_space="imagenet-1k"
        )
        with pytest.raises(LabelSpaceError, match="10 outputs, not the 1000"):
            logits(spec, images)


def graph(
    tmp_path: Path,
    *,
    shape: tuple[Any, ...] = ("B", 3, 16, 16),
    op: str = "GlobalAveragePool",
    domain: str = "",
    dtype: int = TensorProto.FLOAT,
    outputs: tuple[str, ...] = ("y",),
) -> Path:
    """A small graph: a step, then each image as a vector."""
    nodes = [helper.make_node(op, ["x"], ["pooled"], domain=domain)]
    nodes += [helper.make_node("Flatten", ["pooled"], [name]) for name in outputs]
    answers = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", None]) for name in outputs]
    made = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", dtype, shape)], answers)
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    path = tmp_path / "g.onnx"
    path.write_bytes(helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


def test_layout_batch_and_size_are_read_off_the_graph(tmp_path: Path) -> None:
    nchw = read_graph(graph(tmp_path))
    assert (nchw.layout, nchw.batch, nchw.size, nchw.dtype) == ("NCHW", None, (16, 16), "float32")
    nhwc = read_graph(graph(tmp_path, shape=(4, None, 32, 3), dtype=TensorProto.FLOAT16))
    assert (nhwc.layout, nhwc.batch, nhwc.size, nhwc.dtype) == ("NHWC", 4, (None, 32), "float16")
    assert read_graph(graph(tmp_path, outputs=("features", "logits"))).output_name == "logits"


def test_an_nhwc_graph_gets_its_channels_last(tmp_path: Path) -> None:
    flat = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 1, 2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", 6])],
    )
    model = helper.make_model(flat, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "n.onnx").write_bytes(model.SerializeToString())
    pixels = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    from models_zoo.sources.onnx_models import _answer, _session

    found = _answer(
        _session(tmp_path / "n.onnx", "cpu"),
        read_graph(tmp_path / "n.onnx"),
        torch.from_numpy(pixels).permute(0, 3, 1, 2).float(),
    )
    assert found.tolist() == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"domain": "com.evil", "op": "Run"}, "operators of com.evil"),
        ({"shape": ("B", None, 16, 16)}, "where the three colours are"),
        ({"shape": ("B", 3, 16, 3)}, "where the three colours are"),
        ({"shape": ("B", 768)}, "takes float of shape"),
        ({"dtype": TensorProto.UINT8}, "takes uint8"),
        ({"outputs": ("a", "b")}, "2 outputs"),
    ],
)
def test_graphs_that_are_no_classifiers(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        read_graph(graph(tmp_path, **change))


def test_probabilities_are_not_taken_for_logits(tmp_path: Path) -> None:
    model = onnx.load(graph(tmp_path))
    model.graph.node[-1].output[0] = "z"
    model.graph.node.append(helper.make_node("Softmax", ["z"], ["y"]))
    (tmp_path / "s.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match="ends with Softmax"):
        read_graph(tmp_path / "s.onnx")


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><p>quota exceeded", b"\x08\x07", b"x" * 1000])
def test_files_that_are_no_onnx(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match="not a readable ONNX file"):
        read_graph(tmp_path / "x.onnx")


def test_external_data_lies_beside_the_file(folder: Path, tmp_path: Path, images: list[Any]) -> None:
    first = weights_digest(folder / "outside.onnx")
    model = onnx.load(folder / "outside.onnx", load_external_data=False)
    assert [path.name for path in external_files(folder / "outside.onnx")] == ["outside.data"]
    content = (folder / "outside.data").read_bytes()
    (tmp_path / "outside.onnx").write_bytes((folder / "outside.onnx").read_bytes())
    with pytest.raises(WeightsError, match=r"needs outside\.data"):
        external_files(tmp_path / "outside.onnx")
    (tmp_path / "outside.data").write_bytes(bytes(len(content)))
    assert weights_digest(tmp_path / "outside.onnx") != first, "the digest covers the data"
    (tmp_path / "secret").write_bytes(content)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "link").symlink_to(tmp_path / "secret")
    for location in ("../secret", str(tmp_path / "secret"), "link"):
        for tensor in model.graph.initializer:
            next(entry for entry in tensor.external_data if entry.key == "location").value = location
        (tmp_path / "sub" / "x.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(WeightsError, match="not in its own folder"):
            logits(declared(f"onnx:{tmp_path / 'sub' / 'x.onnx'}"), images)


def test_what_is_not_known_has_to_be_stated(folder: Path) -> None:
    spec = MODELS.get(f"onnx:{folder / 'free.onnx'}")
    with pytest.raises(UserError, match="preprocess and label space") as caught:
        check_declared(spec)
    assert "--preprocess" in str(caught.value.hint)
    assert "--label-space" in str(caught.value.hint)
    with pytest.raises(UserError, match="nothing tells the label space"):
        check_declared(override(spec, preprocess=PREPROCESS))
    assert declared(f"onnx:{folder / 'free.onnx'}").suite == "digits"


def test_the_command_end_to_end(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], images: list[Any]
) -> None:
    common = ["eval", "--shift", "digits", "--limit", "40", "--results", str(tmp_path), "--json"]
    onnx_file = ["--model", f"onnx:{folder / 'free.onnx'}"]
    stated = ["--preprocess", json.dumps(canonical(PREPROCESS)), "--label-space", "digits"]
    assert run([*common, *onnx_file]) == 2
    assert "nothing tells" in capsys.readouterr().err
    assert run([*common, *onnx_file, *stated, "--name", "my-net"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert (row["model"], row["status"], row["n"]) == ("my-net", "ok", 40)
    stored = json.loads(next(tmp_path.glob("my-net@*/*/result.json")).read_text())["provenance"]["model"]
    assert stored["weights"] == weights_digest(folder / "free.onnx")
    assert stored["weights_origin"] == {"own": "free.onnx"}
    assert run([*common, "--model", "digits-cnn", "--name", "mine"]) == 2
    assert run([*common, "--model", "digits-cnn", "--ema"]) == 2
    assert run([*common, *onnx_file, "--model", "digits-cnn", *stated]) == 2
