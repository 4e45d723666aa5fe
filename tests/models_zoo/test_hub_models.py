"""Models from their repositories: what the configuration says, against the library that wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from benchmark.cli import run
from models_zoo.hub_config import columns_for, label_space_of, processor_preprocess
from models_zoo.loading import load_model
from models_zoo.overrides import override
from models_zoo.preprocessing import normalise, prepare
from models_zoo.spec import MODELS, Preprocess
from shifts.errors import LabelSpaceError, UserError, WeightsError
from shifts.labels import LABEL_SPACES
from tests.models_zoo.hub_server import COMMIT, Hub, serving

CIFAR = LABEL_SPACES.get("cifar10").class_names


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serving(monkeypatch, str(tmp_path / "hub")) as found:
        found.small = True
        yield found


@pytest.fixture(scope="module")
def images() -> list[Any]:
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (height, 64, 3), dtype=np.uint8) for height in (50, 70)]


def publish(hub: Hub, repo: str, config: dict[str, Any], network: Any, **further: dict[str, Any]) -> None:
    state = {key: value.contiguous().clone() for key, value in network.state_dict().items()}
    hub.files[repo] = {"config.json": json.dumps(config).encode(), "model.safetensors": save(state)}
    hub.files[repo] |= {f"{name}.json": json.dumps(content).encode() for name, content in further.items()}


def test_a_repository_of_timm(hub: Hub, images: list[Any]) -> None:
    import timm
    from PIL import Image
    from timm.data import create_transform, resolve_data_config

    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=1000).eval()
    cfg = {
        "input_size": [3, 64, 64],
        "crop_pct": 0.9,
        "interpolation": "bilinear",
        "mean": [0.5] * 3,
        "std": [0.2] * 3,
    }
    publish(
        hub, "me/net", {"architecture": "test_resnet", "num_classes": 1000, "pretrained_cfg": cfg}, network
    )
    spec = MODELS.get("hf:me/net")
    assert (spec.label_space, spec.suite, spec.undeclared) == ("imagenet-1k", "imagenet", ())
    assert spec.weights is not None
    assert spec.weights.revision == COMMIT  # type: ignore[union-attr]
    transform = create_transform(**resolve_data_config(cfg))
    given = torch.stack([transform(Image.fromarray(image)) for image in images])
    with torch.inference_mode():
        expected = network(given).numpy()
    np.testing.assert_allclose(load_model("hf:me/net", device="cpu").logits(images), expected, atol=1e-4)


def test_outputs_in_another_order_are_put_in_order(hub: Hub, images: list[Any]) -> None:
    import timm

    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=10).eval()
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    names = [CIFAR[place] for place in order]
    cfg = {"input_size": [3, 32, 32], "label_names": names}
    publish(hub, "me/net", {"architecture": "test_resnet", "num_classes": 10, "pretrained_cfg": cfg}, network)
    classifier = load_model("hf:me/net", device="cpu")
    assert classifier.spec.label_space == "cifar10"
    with torch.inference_mode():
        outputs = network(
            normalise(prepare(images, classifier.spec.preprocess), classifier.spec.preprocess)
        ).numpy()
    expected = np.empty_like(outputs)
    expected[:, order] = outputs
    np.testing.assert_allclose(classifier.logits(images), expected, atol=1e-5)
    publish(
        hub, "me/unnamed", {"architecture": "test_resnet", "num_classes": 10, "pretrained_cfg": {}}, network
    )
    assert MODELS.get("hf:me/unnamed").undeclared == ("label_space",)
    stated = override(MODELS.get("hf:me/unnamed"), label_space="cifar10")
    assert (stated.label_space, stated.undeclared) == ("cifar10", ())


def test_a_repository_of_transformers(hub: Hub, images: list[Any]) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    names = list(CIFAR[::-1])
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=8,
        num_labels=10,
        id2label=dict(enumerate(names)),
        label2id={name: place for place, name in enumerate(names)},
    )
    network = transformers.ViTForImageClassification(config).eval()
    processor = {
        "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": 32, "width": 32},
        "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": [0.5] * 3, "image_std": [0.25] * 3,
    }  # fmt: skip
    described = {**config.to_dict(), "architectures": ["ViTForImageClassification"]}
    publish(hub, "me/vit", described, network, preprocessor_config=processor)
    spec = MODELS.get("hf:me/vit")
    assert (spec.label_space, spec.undeclared) == ("cifar10", ())
    given = normalise(prepare(images, spec.preprocess), spec.preprocess)
    with torch.inference_mode():
        expected = network(pixel_values=given).logits.numpy()[:, ::-1]
    np.testing.assert_allclose(load_model("hf:me/vit", device="cpu").logits(images), expected, atol=1e-4)
    publish(
        hub, "me/odd", described, network, preprocessor_config={"image_processor_type": "OwnImageProcessor"}
    )
    assert MODELS.get("hf:me/odd").undeclared == ("preprocess",)


def test_a_repository_of_open_clip(hub: Hub, images: list[Any]) -> None:
    import open_clip
    from open_clip.model import CLIP

    torch.manual_seed(0)
    model_cfg: dict[str, Any] = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    }
    network = CLIP(**model_cfg).eval()
    config = {"model_cfg": model_cfg, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    publish(hub, "me/clip", {}, network)
    files = hub.files["me/clip"]
    files["open_clip_config.json"] = json.dumps(config).encode()
    files["open_clip_model.safetensors"] = files.pop("model.safetensors")
    classifier = load_model("hf:me/clip", label_space="cifar10", device="cpu")
    space, tokenize = LABEL_SPACES.get("cifar10"), open_clip.get_tokenizer("ViT-B-32")
    preprocess = Preprocess(
        resize=32, crop=(32, 32), interpolation="bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )
    with torch.inference_mode():
        heads = []
        for name in space.class_names:
            texts = network.encode_text(
                tokenize([one.format(name) for one in space.templates]), normalize=True
            )
            heads.append(torch.nn.functional.normalize(texts.mean(0), dim=0))
        seen = network.encode_image(normalise(prepare(images, preprocess), preprocess), normalize=True)
        expected = (network.logit_scale.exp() * seen @ torch.stack(heads).T).numpy()
    np.testing.assert_allclose(classifier.logits(images), expected, atol=1e-4)


def test_the_command_records_the_commit(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import timm

    names = list(LABEL_SPACES.get("digits").class_names)
    cfg = {"input_size": [3, 32, 32], "label_names": names}
    network = timm.create_model("test_resnet", num_classes=10)
    publish(hub, "me/net", {"architecture": "test_resnet", "num_classes": 10, "pretrained_cfg": cfg}, network)
    command = [
        "eval",
        "--model",
        "hf:me/net",
        "--shift",
        "digits",
        "--limit",
        "20",
        "--results",
        str(tmp_path),
    ]
    assert run([*command, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert row["status"] == "ok"
    (stored,) = tmp_path.glob("hf--me--net@*/*/result.json")
    origin = json.loads(stored.read_text())["provenance"]["model"]["weights_origin"]
    assert origin == {"hub": "me/net", "revision": COMMIT, "file": "model.safetensors"}
    hub.asked.clear()
    assert run([*command, "--json"]) == 0
    assert hub.asked == [], "what is here is not asked for again"


def test_what_is_no_classifier_is_named(hub: Hub) -> None:
    hub.files["me/text"] = {"config.json": b'{"architectures": ["BertForMaskedLM"], "model_type": "bert"}'}
    with pytest.raises(UserError, match="no image classifier"):
        MODELS.get("hf:me/text")
    hub.files["me/broken"] = {"config.json": b"{"}
    with pytest.raises(WeightsError, match="not a configuration"):
        MODELS.get("hf:me/broken")
    with pytest.raises(UserError, match="names no repository"):
        MODELS.get("hf:resnet50")
    with pytest.raises(WeightsError, match="no such repository"):
        MODELS.get("hf:nobody/nothing")


def test_imagenets_outputs_are_known_by_the_words_of_their_synsets() -> None:
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    words = [info.index_to_description(place) for place in range(1000)]
    assert columns_for(words, "imagenet-1k") == tuple(range(1000))
    assert label_space_of(words) == "imagenet-1k"
    assert columns_for(words[::-1], "imagenet-1k")[0] == 999
    with pytest.raises(LabelSpaceError, match="not called like"):
        columns_for([f"LABEL_{place}" for place in range(1000)], "imagenet-1k")
    assert label_space_of(["LABEL_0", "LABEL_1"]) is None


def test_processors_by_hand() -> None:
    convnext = {
        "image_processor_type": "ConvNextImageProcessor",
        "size": {"shortest_edge": 224},
        "crop_pct": 0.875,
    }
    made = processor_preprocess({**convnext, "resample": 3})
    assert made is not None
    assert (made.resize, made.crop, made.interpolation) == (256, (224, 224), "bicubic")
    large = processor_preprocess({**convnext, "size": {"shortest_edge": 384}})
    assert large is not None
    assert large.resize == (384, 384)
    bit = {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256}, "crop_size": 224}
    cropped = processor_preprocess(bit)
    assert cropped is not None
    assert (cropped.resize, cropped.crop) == (256, (224, 224))
    assert processor_preprocess({**bit, "rescale_factor": 1 / 127.5}) is None


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("ViT", {}),
        ("DeiT", {}),
        ("Bit", {}),
        ("CLIP", {}),
        ("ConvNext", {"size": {"shortest_edge": 224}, "crop_pct": 0.875}),
        ("ConvNext", {"size": {"shortest_edge": 384}}),
    ],
)
def test_processors_of_pil_bit_for_bit(kind: str, options: dict[str, Any]) -> None:
    from PIL import Image

    transformers = pytest.importorskip("transformers")
    made = getattr(transformers, f"{kind}ImageProcessorPil", None) or getattr(
        transformers, f"{kind}ImageProcessor"
    )
    processor = made(**options)
    preprocess = processor_preprocess(processor.to_dict())
    assert preprocess is not None
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8))
    for size in ((301, 233), (233, 301)):
        image = noise.resize(size)
        expected = torch.as_tensor(np.asarray(processor(images=image, return_tensors="np")["pixel_values"]))
        given = normalise(prepare([np.asarray(image)], preprocess), preprocess)
        torch.testing.assert_close(given, expected, atol=1e-6, rtol=0)
