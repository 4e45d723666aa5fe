"""CLIP from the open_clip library: names, preprocessing, weights and logits against the library itself."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.pretrained import get_pretrained_cfg
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image
from safetensors.torch import save_file

from benchmark.cli import main
from benchmark.predictions import read_predictions
from benchmark.result import Result
from models_zoo import library_index, open_clip_networks
from models_zoo.loading import load_spec
from models_zoo.open_clip_index import architectures
from models_zoo.open_clip_origins import NOT_KNOWN, origin
from models_zoo.preprocessing import normalise, prepare
from models_zoo.sources.open_clip_models import SHORT, listing, quick_variant
from models_zoo.spec import MODELS, HubFile, ModelSpec, Preprocess, Reading
from models_zoo.torchscript import read_tensors
from models_zoo.training_data import official
from shifts.catalogue import add
from shifts.errors import UnknownNameError, WeightsError
from shifts.labels import LABEL_SPACES, LabelSpace
from shifts.spec import SHIFTS, Pooling
from tests.shifts import imagenet_layouts as layouts

ARCHITECTURES = architectures()
PAIRS = open_clip.list_pretrained()

# --- names ---


def test_the_shipped_table_is_that_of_the_library() -> None:
    table = library_index.shipped("open_clip")
    if table.version != open_clip.__version__:
        pytest.skip(f"the table is of version {table.version}")
    made = json.loads(library_index.make("open_clip"))["entries"]
    # Other tests of this process bring architectures of their own into the library.
    own = {name for name in made if name in TINY or name.startswith("hf-")}
    assert {name: entry for name, entry in made.items() if name not in own} == table.entries


@pytest.mark.parametrize("spelling", [str, str.upper, str.lower])
def test_every_pair_of_the_library_is_a_model(spelling: Any) -> None:
    for architecture, tag in PAIRS:
        spec = MODELS.get(f"open_clip:{spelling(f'{architecture}:{tag}')}")
        used = spec.arguments["architecture"]
        assert spec.name == f"open_clip:{used.lower()}:{tag}"
        assert used.removesuffix("-quickgelu") == architecture.removesuffix("-quickgelu")
        quick = open_clip.get_model_config(used).get("quick_gelu", False)
        wanted = get_pretrained_cfg(architecture, tag).get("quick_gelu", False)
        # One text tower of the Hub carries the flag, which its image tower of the library then needs as well.
        assert quick == wanted or architecture == "roberta-ViT-B-32"
        corrected = used != architecture
        assert bool(spec.notes) == corrected
        assert MODELS.get(spec.name) == dataclasses.replace(spec, notes=())


def test_openai_weights_have_quickgelu_under_every_name() -> None:
    short = MODELS.get("clip-vit-b16")
    for name in ("open_clip:ViT-B-16:openai", "open_clip:ViT-B-16-quickgelu:openai"):
        spec = MODELS.get(name)
        assert spec.arguments == {"architecture": "ViT-B-16-quickgelu"}
        assert spec.digest("w") == short.digest("w")
    (note,) = MODELS.get("open_clip:ViT-B-16:openai").notes
    assert note == (
        "ViT-B-16 was asked for and ViT-B-16-quickgelu evaluated: "
        "the weights 'openai' were trained with QuickGELU"
    )


def test_listed_names_are_canonical_and_say_where_they_come_from() -> None:
    specs = [*listing(), *(MODELS.get(name) for name in SHORT)]
    assert len({spec.name for spec in specs}) == len(specs)
    assert {spec.arguments["architecture"] for spec in specs} <= set(open_clip.list_models())
    for spec in specs:
        assert spec.name == spec.name.lower()
        assert not spec.notes
        assert spec.parameters
        assert isinstance(spec.weights, HubFile)
        assert all(official(name) for name in spec.training_data)
        architecture, tag = spec.arguments["architecture"], spec.title.split(", ")[1].split(" ")[0]
        assert origin(architecture, tag) is not NOT_KNOWN, spec.name


def test_short_names_of_openai() -> None:
    published = {name: tag for name, (architecture, tag) in SHORT.items() if tag == "openai"}
    assert set(published) >= {"clip-rn50", "clip-rn101", "clip-vit-b16", "clip-vit-b32", "clip-vit-l14"}
    assert all(SHORT[name][0].endswith("-quickgelu") for name in published)
    assert MODELS.get("clip-vit-l14-336").preprocess.crop == (336, 336)
    # Published: CLIP ViT-B/16 has 149.62 million parameters, 86.19 of them in the image tower.
    assert MODELS.get("clip-vit-b16").parameters == 86_192_640


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("open_clip:ViT-B-16:none", "one of laion400m_e31.* openai, "),
        ("open_clip:ViT-B-16-quickgelu:laion2b_s34b_b88k", "open_clip:vit-b-16:laion2b_s34b_b88k"),
        ("open_clip:ViT-M-16:openai", "--weights FILE"),
        ("open_clip:ViTB16:openai", "list models"),
    ],
)
def test_a_wrong_name_is_answered_with_a_right_one(name: str, told: str) -> None:
    with pytest.raises(UnknownNameError, match=told):
        MODELS.get(name)


# --- preprocessing ---


def odd_sized(real_data: Path) -> list[Image.Image]:
    """Real JPEGs of odd sizes: as they are, cut to thin strips, smaller and larger than any input."""
    with tarfile.open(real_data / "imagenet_sample" / "imagenet_sample_300.tar") as archive:
        names = [member.name for member in archive if member.name.endswith(".jpg")][5:7]
        whole = [Image.open(io.BytesIO(archive.extractfile(name).read())).convert("RGB") for name in names]  # type: ignore[union-attr]
    first = whole[0]
    boxes = [(0, 0, 101, 67), (3, 5, 4, 29), (0, 0, 17, 1)]
    return [*whole, *(first.crop(box) for box in boxes)]


def test_preprocessing_is_the_librarys_own(real_data: Path) -> None:
    images = odd_sized(real_data)
    arrays = [np.asarray(image) for image in images]
    seen: dict[Preprocess, str] = {}
    for spec in [*listing(), *(MODELS.get(name) for name in SHORT)]:
        seen.setdefault(spec.preprocess, f"{spec.arguments['architecture']}|{spec.title}")
    assert len(seen) > 15
    for preprocess, label in seen.items():
        architecture, _, title = label.partition("|")
        tag = title.split(", ")[1].split(" ")[0]
        found = merge_preprocess_dict(PreprocessCfg(), get_pretrained_cfg(architecture, tag))
        size = open_clip.get_model_config(architecture)["vision_cfg"]["image_size"]
        transform = image_transform_v2(PreprocessCfg(**{**found, "size": size}), is_train=False)
        for image, array in zip(images, arrays, strict=True):
            own = normalise(prepare([array], preprocess), preprocess)[0]
            assert torch.equal(own, transform(image)), (label, image.size)


# --- small networks ---

TINY: dict[str, dict[str, Any]] = {
    "tiny-clip": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    },
    "tiny-sigmoid": {
        "embed_dim": 32,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    },
    "tiny-coca": {
        "embed_dim": 32,
        "multimodal_cfg": {"width": 32, "context_length": 76, "vocab_size": 49408, "layers": 1, "heads": 2},
        "custom_text": True,
        "vision_cfg": {
            "image_size": 32,
            "layers": 1,
            "width": 64,
            "patch_size": 8,
            "attentional_pool": True,
            "attn_pooler_heads": 2,
            "output_tokens": True,
        },
        "text_cfg": {
            "context_length": 76,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 1,
            "embed_cls": True,
            "output_tokens": True,
        },
    },
}


@pytest.fixture(scope="module", autouse=True)
def _tiny_architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("configs")
    for name, config in TINY.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


def tiny(name: str = "tiny-clip") -> ModelSpec:
    """A small member of the family, which the contract of all models is checked on."""
    return dataclasses.replace(
        MODELS.get("clip-vit-b16"),
        name=name,
        arguments={"architecture": name},
        preprocess=Preprocess(resize=32, crop=(32, 32), interpolation="bicubic"),
        parameters=None,
        weights=None,
    )


def saved(folder: Path, name: str = "tiny-clip") -> Path:
    """Weights whose features differ from image to image, in OpenAI's scale of logits."""
    torch.manual_seed(0)
    network = open_clip.create_model(name, pretrained=None)
    state = {
        key: value.clone() * (3 if value.dim() > 1 else 1) for key, value in network.state_dict().items()
    }
    state["logit_scale"] = torch.tensor(100.0).log()
    # The library leaves a part that writes captions, and takes no part here, uninitialised.
    state.update({key: torch.zeros_like(value) for key, value in state.items() if "decoder" in key})
    path = folder / f"{name}.safetensors"
    save_file(state, path)
    return path


def pictures(number: int = 5, *, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (number, 40, 36, 3), dtype=np.uint8))


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


def loaded(weights: Path | None, spec: ModelSpec | None = None, space: str = "digits", **options: Any) -> Any:
    return load_spec(spec or tiny(), weights, label_space=space, device="cpu", **options)


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


# --- weights files ---


def test_a_training_checkpoint_and_older_names(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    images = pictures(2)
    for name in ("tiny-clip", "tiny-sigmoid"):
        path = saved(tmp_path, name)
        expected, state = loaded(path, tiny(name)).logits(images), load_file(path)
        trained = {"epoch": 3, "name": "run", "state_dict": {f"module.{key}": v for key, v in state.items()}}
        torch.save(trained, tmp_path / "epoch_3.pt")
        np.testing.assert_array_equal(loaded(tmp_path / "epoch_3.pt", tiny(name)).logits(images), expected)
        plain = {key.removeprefix("text."): value for key, value in state.items()}
        plain["logit_scale"] = plain["logit_scale"].reshape(1)
        torch.save({**plain, "input_resolution": torch.tensor(32)}, tmp_path / "old.pt")
        np.testing.assert_array_equal(loaded(tmp_path / "old.pt", tiny(name)).logits(images), expected)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda state: state.update({"visual.positional_embedding": torch.zeros(50, 64)}),
            "50×64 instead of",
        ),
        (lambda state: state.pop("token_embedding.weight"), "lacks token_embedding.weight"),
        (lambda state: [state.pop(key) for key in list(state) if not key.startswith("visual.")], "lacks"),
        (lambda state: state.update(extra=torch.zeros(1)), "has extra"),
    ],
)
def test_weights_of_another_network_are_refused(change: Any, told: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    state = load_file(saved(tmp_path))
    change(state)
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=told):
        loaded(tmp_path / "other.safetensors")


def test_a_lenient_reading_never_makes_up_a_text_tower(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    state = {key: value for key, value in load_file(saved(tmp_path)).items() if key.startswith("visual.")}
    save_file(state, tmp_path / "image.safetensors")
    lenient = dataclasses.replace(tiny(), reading=Reading(lenient=True))
    with pytest.raises(WeightsError, match="does not fill both towers"):
        loaded(tmp_path / "image.safetensors", lenient)


def as_torchscript(weights: Path, path: Path) -> Any:
    """As OpenAI published it: traced, with a size as a buffer and a tensor that is a plain attribute."""
    network = open_clip.create_model("tiny-clip", pretrained=str(weights)).eval()
    network.register_buffer("input_resolution", torch.tensor(32))
    network.transformer.resblocks[0].mask = torch.ones(3)  # type: ignore[assignment]
    inputs = {
        "encode_image": torch.zeros(1, 3, 32, 32),
        "encode_text": torch.zeros(1, 77, dtype=torch.long),
    }
    with torch.no_grad():
        traced = torch.jit.trace_module(network, inputs, check_trace=False)
    traced.save(str(path))
    return traced


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_archive_is_read_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = saved(tmp_path)
    traced = as_torchscript(plain, tmp_path / "tiny.pt")

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the archive was loaded as a program")

    monkeypatch.setattr(torch.jit, "load", forbidden)
    tensors, expected = read_tensors(tmp_path / "tiny.pt"), traced.state_dict()
    assert set(tensors) == set(expected)
    assert all(torch.equal(tensors[key], expected[key]) for key in expected)
    images = pictures(2)
    np.testing.assert_array_equal(loaded(tmp_path / "tiny.pt").logits(images), loaded(plain).logits(images))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("damage", ["code", "cut", "packed"])
def test_a_hostile_or_damaged_archive_is_refused(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    as_torchscript(saved(tmp_path), tmp_path / "tiny.pt")
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad.pt"
    with zipfile.ZipFile(tmp_path / "tiny.pt") as good, zipfile.ZipFile(bad, "w") as archive:
        for name in good.namelist():
            content = good.read(name)
            if damage == "code" and name.endswith("data.pkl"):
                content = pickle.dumps(Evil())
            if damage == "cut" and name.endswith("data.pkl"):
                content = content[: len(content) // 2]
            packed = damage == "packed" and name.endswith("/data/1")
            archive.writestr(name, content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    told = {"code": "wants to use", "cut": "not a readable TorchScript", "packed": "packed as PyTorch"}
    with pytest.raises(WeightsError, match=told[damage]):
        loaded(bad)
    assert not (tmp_path / "pwned").exists()


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("pwned"),))


# --- tokenizers of the Hub ---


def test_a_tokenizer_of_the_hub_is_asked_for_in_one_message() -> None:
    pytest.importorskip("transformers")
    architecture = ARCHITECTURES["vit-b-16-siglip"]
    with pytest.raises(WeightsError, match="cuts its prompts into tokens with files of timm/ViT-B-16-SigLIP"):
        open_clip_networks._tokenizer("ViT-B-16-SigLIP", architecture)


def test_a_tokenizer_of_the_hub_is_read_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[UNK]": 0, "[PAD]": 1, "a": 2, "cat": 3}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]", pad_token="[PAD]")
    fast.save_pretrained(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path))
    tokenize = open_clip_networks._tokenizer("ViT-B-16-SigLIP", ARCHITECTURES["vit-b-16-siglip"])
    tokens = tokenize(["A cat!", "dog"])
    assert tokens.shape == (2, 64)
    assert tokens[:, :3].tolist() == [[2, 3, 1], [0, 1, 1]]


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
