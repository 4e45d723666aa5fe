"""timm's models under their names: what is declared, what is loaded, and that it answers as timm does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.data import create_dataset, create_loader, create_transform, resolve_data_config

from models_zoo import library_index
from models_zoo.library_index import index, make
from models_zoo.loading import build_model, load_model
from models_zoo.spec import MODELS, HubFile
from models_zoo.weights import weights_file
from shifts.errors import LabelSpaceError, UnknownNameError, UserError, WeightsError
from shifts.labels import LABEL_SPACES
from shifts.local import cache_home
from tests.models_zoo import real_images

VIT, CNN = "vit_tiny_patch16_224.augreg_in21k_ft_in1k", "mobilenetv3_small_050.lamb_in1k"


def saved(name: str, folder: Path, *, images: list[tuple[int, Path]] | None = None) -> Path:
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False)
    if images is not None:
        transform = create_transform(**resolve_data_config({}, model=network))
        real_images.spread(network.eval(), network.get_classifier(), real_images.batch(images, transform))
    path = folder / "weights.safetensors"
    save_file(network.state_dict(), path)
    return path


# --- declarations ---


def test_the_shipped_table_is_that_of_the_library() -> None:
    if index("timm").version != json.loads((library_index.SHIPPED / "timm.json").read_text())["version"]:
        pytest.skip("another version of timm is installed than the table that is shipped was made from")
    assert make("timm") == (library_index.SHIPPED / "timm.json").read_text(encoding="utf-8")


def test_every_entry_can_be_declared() -> None:
    specs = MODELS.entries("timm:*")
    assert len(specs) > 3000
    assert len({spec.name for spec in specs}) == len(specs)
    for spec in specs:
        assert spec.name == spec.name.lower()
        assert spec.licence
        assert spec.citation
        assert spec.source
        assert spec.weights is not None
        assert spec.label_space in ("none", LABEL_SPACES.get("imagenet-1k").name)
        assert (spec.label_space == "none") == bool(spec.notes)
    assert sum(spec.parameters is not None for spec in specs) > 0.9 * len(specs)


def test_a_declaration() -> None:
    spec = MODELS.get("timm:resnet50.a1_in1k")
    assert (spec.preprocess.resize, spec.preprocess.crop) == (235, (224, 224))  # floor(224 / 0.95)
    assert spec.preprocess.interpolation == "bicubic"
    assert spec.weights == HubFile(repo="timm/resnet50.a1_in1k")
    assert spec.parameters == 25_557_032
    assert (spec.family, spec.training_data) == ("standard", ("imagenet-1k",))
    assert (spec.label_space, spec.head, spec.suite) == ("imagenet-1k", None, "imagenet")


def test_heads_of_more_classes_are_mapped_and_others_refused() -> None:
    assert MODELS.get("timm:vit_tiny_patch16_224.augreg_in21k").head == "imagenet-21k-goog"
    assert MODELS.get("timm:vit_base_patch16_224.bamboo").label_space == "none"
    network = build_model("timm:vit_small_patch14_dinov2.lvd142m", device="cpu")
    picture = np.zeros((32, 32, 3), dtype=np.uint8)
    assert network.features([picture]).shape == (1, 384)
    with pytest.raises(LabelSpaceError, match="features only"):
        network.logits([picture])


def test_another_size_of_the_input() -> None:
    spec = MODELS.get("timm:resnet50.a1_in1k@288-1.0")
    assert (spec.preprocess.resize, spec.preprocess.crop) == (288, (288, 288))
    assert spec.digest("w") != MODELS.get("timm:resnet50.a1_in1k").digest("w")
    with pytest.raises(UserError, match="cannot be changed"):
        MODELS.get(f"timm:{VIT}@288-1.0")
    with pytest.raises(UserError, match="share"):
        MODELS.get("timm:resnet50.a1_in1k@288-1.5")


def test_a_wrong_name_is_answered_with_a_right_one() -> None:
    with pytest.raises(UnknownNameError, match=r"timm:resnet50\.a1_in1k"):
        MODELS.get("timm:resnet50.a1_in1")


def test_an_architecture_wants_weights() -> None:
    spec = MODELS.get("timm:resnet50")
    assert spec.training_data == ("unknown",)
    with pytest.raises(WeightsError, match=r"timm:resnet50\.a1_in1k"):
        weights_file(spec)


def test_libraries_are_listed_only_when_asked_for() -> None:
    assert not [name for name in MODELS.names() if name.startswith("timm:")]
    assert f"timm:{VIT}" in MODELS.names("timm:vit_tiny*")


# --- the table of what the library holds ---


def test_another_version_is_listed_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(library_index, "_installed", lambda _library: "9.9")
    calls = []

    def write(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        table = json.loads((library_index.SHIPPED / "timm.json").read_text())
        Path(command[-1]).write_text(json.dumps({**table, "version": "9.9"}))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(library_index.subprocess, "run", write)
    assert library_index.ready("timm") is None
    assert index("timm").version == "9.9"
    assert "once" in capfd.readouterr().err
    library_index._index.cache_clear()
    assert index("timm").version == "9.9"
    assert len(calls) == 1
    (cache_home() / "index" / "timm-9.9.json").write_text("{")  # damaged
    library_index._index.cache_clear()
    assert index("timm").version == "9.9"
    assert len(calls) == 2
    library_index._index.cache_clear()


def test_a_library_that_cannot_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_index, "_installed", lambda _library: "9.9")

    def fail(command: list[str], **_options: object) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="Traceback\nImportError: no torch\n")

    monkeypatch.setattr(library_index.subprocess, "run", fail)
    with pytest.raises(UserError, match="ImportError: no torch"):
        index("timm")


# --- loading ---


def test_weights_of_the_authors_are_renamed_by_the_librarys_rule(tmp_path: Path) -> None:
    path = saved("deit_tiny_distilled_patch16_224.fb_in1k", tmp_path)
    plain = load_model("timm:deit_tiny_distilled_patch16_224", path, device="cpu")
    renamed = torch.load(_as_checkpoint(path), weights_only=True)
    assert renamed.keys() == {"model"}
    again = load_model("timm:deit_tiny_distilled_patch16_224", path.with_suffix(".pth"), device="cpu")
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    np.testing.assert_array_equal(plain.logits([picture]), again.logits([picture]))


def _as_checkpoint(path: Path) -> Path:
    from safetensors.torch import load_file

    target = path.with_suffix(".pth")
    torch.save({"model": load_file(path)}, target)
    return target


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="lacks"):
        load_model(f"timm:{VIT}", saved(CNN, tmp_path), device="cpu")


@pytest.mark.parametrize("name", [VIT, CNN])
def test_evaluated_as_the_library_evaluates(
    name: str, real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = real_images.write_sample(real_data, tmp_path / "v2")
    weights = saved(name, tmp_path, images=images)
    stored = real_images.evaluated(f"timm:{name}", weights, tmp_path / "results")
    capsys.readouterr()

    network = timm.create_model(name, checkpoint_path=str(weights)).eval()
    config = resolve_data_config({}, model=network)
    dataset = create_dataset("", root=str(tmp_path / "v2"))
    loader = create_loader(
        dataset,
        batch_size=16,
        use_prefetcher=False,
        num_workers=0,
        **{
            key: config[key]
            for key in ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")
        },
    )
    with torch.no_grad():
        logits = torch.cat([network(batch) for batch, _ in loader])
    labels = [int(Path(file).parent.name) for file in dataset.filenames(absolute=True)]
    real_images.assert_same(stored, labels, logits)

    ours = load_model(f"timm:{name}", weights, device="cpu")
    files = dict(images)
    some = [real_images.read(files[label]) for label in labels[:6]]
    np.testing.assert_allclose(ours.logits(some), logits[:6].numpy(), atol=1e-4, rtol=0)
    with torch.no_grad():
        expected = network.forward_head(network.forward_features(next(iter(loader))[0][:6]), pre_logits=True)
    np.testing.assert_allclose(ours.features(some), expected.numpy(), atol=1e-4, rtol=1e-4)


def test_listing_loads_no_torch() -> None:
    code = (
        "import sys; from models_zoo.spec import MODELS; MODELS.get('timm:resnet50.a1_in1k'); "
        "MODELS.names('torchvision:*'); print('torch' in sys.modules or 'timm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
