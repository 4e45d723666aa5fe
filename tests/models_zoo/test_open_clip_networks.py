"""CLIP from the open_clip library: logits and evaluations against the library itself."""

from __future__ import annotations

import csv
import dataclasses
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmark.cli import main
from benchmark.predictions import read_predictions
from benchmark.result import Result
from models_zoo import open_clip_networks
from models_zoo.loading import load_spec
from models_zoo.open_clip_index import architectures
from models_zoo.sources.open_clip_models import quick_variant
from models_zoo.spec import MODELS
from shifts.catalogue import add
from shifts.errors import WeightsError
from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, Pooling
from tests.models_zoo.tiny_clips import TINY, loaded, pictures, saved, tiny, tiny_architectures
from tests.shifts import imagenet_layouts as layouts

__all__ = ["tiny_architectures"]  # the fixture, used by every test

ARCHITECTURES = architectures()

# --- small networks ---


def by_the_library(name: str, weights: Path, space: str, images: list[np.ndarray]) -> np.ndarray:
    """open_clip's own zero-shot evaluation: its network, transform, tokenizer and classifier."""
    network, _, transform = open_clip.create_model_and_transforms(
        name, pretrained=str(weights), image_mean=(0, 0, 0), image_std=(1, 1, 1)
    )
    network.eval()
    classes = LABEL_SPACES.get(space)
    head = open_clip.build_zero_shot_classifier(
        network, open_clip.get_tokenizer(name), list(classes.class_names), list(classes.templates)
    )
    with torch.no_grad():
        batch = torch.stack([transform(Image.fromarray(image)) for image in images])
        logits = network.logit_scale.exp() * network.encode_image(batch, normalize=True) @ head
        if getattr(network, "logit_bias", None) is not None:
            logits = logits + network.logit_bias
    return logits.numpy()


@pytest.mark.parametrize("name", TINY)
def test_logits_are_the_librarys(name: str, tmp_path: Path) -> None:
    path, images = saved(tmp_path, name), pictures()
    classifier = loaded(path, tiny(name))
    logits = classifier.logits(images)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, by_the_library(name, path, "digits", images), atol=1e-4)
    assert np.ptp(logits, axis=0).min() > 0.1, "images differ"
    np.testing.assert_allclose(classifier.logits(images[1:2])[0], logits[1], atol=1e-4)
    features = classifier.features(images)
    assert features.shape == (5, 32)
    np.testing.assert_allclose(classifier.head(torch.from_numpy(features)).numpy(), logits, atol=1e-4)
    assert not any(module.training for module in classifier.network.modules())
    assert not any(parameter.requires_grad for parameter in classifier.network.parameters())


def test_the_text_tower_is_gone_and_counts_are_of_the_image_tower(tmp_path: Path) -> None:
    classifier = loaded(saved(tmp_path))
    whole = open_clip.create_model("tiny-clip", pretrained=None)
    kept = sum(parameter.numel() for parameter in classifier.network.parameters())
    assert kept == sum(parameter.numel() for parameter in whole.visual.parameters())


def test_features_are_the_embedding_before_it_is_normalised(tmp_path: Path) -> None:
    path, images = saved(tmp_path), pictures(2)
    network, _, transform = open_clip.create_model_and_transforms(
        "tiny-clip", pretrained=str(path), image_mean=(0, 0, 0), image_std=(1, 1, 1)
    )
    batch = torch.stack([transform(Image.fromarray(image)) for image in images])
    with torch.no_grad():
        expected = network.eval().encode_image(batch).numpy()
    np.testing.assert_allclose(loaded(path).features(images), expected, atol=1e-4, rtol=1e-4)


def test_a_kept_head_needs_no_text_tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, images = saved(tmp_path), pictures()
    expected = loaded(path).logits(images)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the text tower ran")

    monkeypatch.setattr(open_clip.CLIP, "encode_text", forbidden)
    np.testing.assert_array_equal(loaded(path).logits(images), expected)
    own = dataclasses.replace(tiny(), arguments={"architecture": "tiny-clip", "templates": ("{}",)})
    with pytest.raises(AssertionError, match="the text tower ran"):
        loaded(path, own)


def test_own_templates_change_the_answers(tmp_path: Path) -> None:
    path, images = saved(tmp_path), pictures()
    own = dataclasses.replace(tiny(), arguments={"architecture": "tiny-clip", "templates": ("{} apples",)})
    assert np.abs(loaded(path, own).logits(images) - loaded(path).logits(images)).max() > 0.1


def test_label_spaces_of_one_run_share_the_image_tower(tmp_path: Path) -> None:
    path = saved(tmp_path)
    first, second = loaded(path), loaded(path, space="pacs")
    assert first.network.tower is second.network.tower
    assert first.head is not second.head
    assert second.logits(pictures(1)).shape == (1, 7)
    network = open_clip.create_model("tiny-clip", pretrained=None)
    save_file(dict(network.state_dict()), path)
    assert loaded(path).network.tower is not first.network.tower


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_reduced_precision_is_close(precision: str, tmp_path: Path) -> None:
    path, images = saved(tmp_path), pictures()
    exact, rounded = loaded(path), loaded(path, precision=precision)
    assert rounded.logits(images).dtype == np.float32
    difference = np.abs(rounded.logits(images) - exact.logits(images)).max()
    assert 0 < difference < 3, "of logits up to 100"
    assert torch.equal(exact.head.classes, rounded.head.classes)


# --- the whole way ---

SOME = tuple(range(1, 1000, 140))  # classes of ImageNet, or the nearest with an image in the sample


@pytest.fixture(scope="module")
def clip_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """ViT-B-16-quickgelu at random, in half precision as OpenAI published it."""
    torch.manual_seed(0)
    network = open_clip.create_model("ViT-B-16-quickgelu", pretrained=None)
    state = {key: value.half() for key, value in network.state_dict().items()}
    state["logit_scale"] = torch.tensor(100.0).log()
    path = tmp_path_factory.mktemp("clip") / "ViT-B-16.safetensors"
    save_file(state, path)
    yield path
    path.unlink()


@pytest.fixture
def some(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bytes]]:
    """Real images in the layout of ImageNet-V2, and a shift of their classes: a text tower takes its time."""
    folder = real_data / "imagenet_sample"
    with tarfile.open(folder / "imagenet_sample_300.tar") as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive if m.name.endswith(".jpg")}  # type: ignore[union-attr]
    rows = csv.DictReader(io.StringIO((folder / "imagenet_sample_300.csv").read_text()))
    by_label = {int(row["label"]): files[f"{row['key']}.jpg"] for row in rows}
    classes = [min(by_label, key=lambda label: abs(label - wanted)) for wanted in SOME]
    items = [layouts.Item(label, "0.jpeg", by_label[label]) for label in classes]
    top = "imagenetv2-matched-frequency-format-val"
    add("imagenet-v2", layouts.write_folders(tmp_path / "v2", items, top=top, folder=str), partial=True)
    names = LABEL_SPACES.get("imagenet-1k").class_names
    space = LabelSpace(
        name="some",
        class_names=tuple(names[label] for label in classes),
        templates=("a bad photo of a {}.", "itap of a {}."),
    )
    monkeypatch.setitem(LABEL_SPACES._entries, "some", space)
    pooling = Pooling(
        label_space="imagenet-1k", members=tuple((label,) for label in classes), rule="max-logit"
    )
    shift = dataclasses.replace(
        SHIFTS.get("imagenet-v2"), name="imagenet-v2/some", label_space="some", pooling=pooling
    )
    monkeypatch.setitem(SHIFTS._entries, shift.name, shift)
    return [(label, item.data) for label, item in enumerate(items)]


def test_evaluated_as_the_library_evaluates(
    clip_weights: Path, some: list[tuple[int, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    command = ["--model", "clip-vit-b16", "--weights", str(clip_weights), "--shift", "imagenet-v2/some"]
    run(["eval", *command, "--results", str(results), "--device", "cpu"])
    capsys.readouterr()
    (file,) = results.glob("clip-vit-b16@*/imagenet-v2--some@*/predictions.parquet")
    stored = read_predictions(file)

    network, _, transform = open_clip.create_model_and_transforms(
        "ViT-B-16-quickgelu", pretrained=str(clip_weights)
    )
    network.eval()
    space = LABEL_SPACES.get("some")
    head = open_clip.build_zero_shot_classifier(
        network, open_clip.get_tokenizer("ViT-B-16-quickgelu"), list(space.class_names), list(space.templates)
    )
    ids = {int(one.split("/")[-2]): row for row, one in enumerate(stored.example_ids)}
    order = [row for _, row in sorted(ids.items())]
    images = [Image.open(io.BytesIO(data)) for _, data in some]
    with torch.no_grad():
        batch = torch.stack([transform(image) for image in images])
        logits = network.logit_scale.exp() * network.encode_image(batch, normalize=True) @ head
    assert stored.labels[order].tolist() == [label for label, _ in some]
    assert stored.prediction[order].tolist() == logits.argmax(dim=1).tolist()
    probs = logits.double().softmax(dim=1).max(dim=1).values.numpy()
    np.testing.assert_allclose(stored.confidence[order], probs, atol=1e-5)

    classifier = load_spec(MODELS.get("clip-vit-b16"), clip_weights, label_space="some", device="cpu")
    arrays = [np.asarray(image.convert("RGB")) for image in images[:3]]
    np.testing.assert_allclose(classifier.logits(arrays), logits[:3].numpy(), atol=1e-4)
    result = Result.from_json((file.parent / "result.json").read_text(), where=file)
    assert result.provenance["model"]["arguments"]["architecture"] == "ViT-B-16-quickgelu"
    assert not any("activation" in warning for warning in result.warnings)


def run(arguments: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr("sys.argv", ["robustbench-shift", *arguments])
        main()
    assert stopped.value.code == 0


def test_weights_without_a_tag(clip_weights: Path) -> None:
    """What an architecture computes with is said, refused or left, as far as the file tells."""
    plain, quick = ARCHITECTURES["vit-b-16"], ARCHITECTURES["vit-b-16-quickgelu"]
    assert quick_variant(plain) == quick
    assert quick_variant(quick) is None
    openai = {key: torch.tensor(1) for key in open_clip_networks.OPENAI_EXTRAS}
    spec = MODELS.get("open_clip:ViT-B-16")
    with pytest.raises(WeightsError, match="trained with QuickGELU") as refused:
        open_clip_networks._activation(spec, plain, clip_weights, openai)
    assert f"--model open_clip:ViT-B-16-quickgelu --weights {clip_weights}" in str(refused.value)
    open_clip_networks._activation(spec, quick, clip_weights, openai)
    classifier = load_spec(spec, clip_weights, label_space="celeba", device="cpu")
    (note,) = classifier.notes
    assert note.startswith("activation: ViT-B-16 computes with GELU, and nothing in the weights file tells")
    quick_spec = MODELS.get("open_clip:ViT-B-16-quickgelu")
    named = load_spec(quick_spec, clip_weights, label_space="celeba", device="cpu")
    assert named.notes == ()
    images = [np.asarray(image) for image in pictures(1)]
    assert np.abs(named.logits(images) - classifier.logits(images)).max() > 1e-3, "the activation matters"


@pytest.mark.parametrize(
    ("digest", "architecture", "told"),
    [
        (
            "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
            "vit-b-16",
            "ViT-B-16-quickgelu",
        ),
        ("d867053b" + "0" * 56, "vit-b-32", "ViT-B-32-quickgelu"),
        ("55e67d44" + "0" * 56, "vit-b-16-quickgelu", "open_clip:ViT-B-16 "),
    ],
)
def test_published_files_are_known_by_their_hash(
    digest: str, architecture: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_clip_networks, "weights_digest", lambda _: digest)
    spec = MODELS.get(f"open_clip:{architecture}")
    with pytest.raises(WeightsError, match=f"--model {told}" if " " in told else told):
        open_clip_networks._activation(spec, ARCHITECTURES[architecture], Path("file.pt"), {})
