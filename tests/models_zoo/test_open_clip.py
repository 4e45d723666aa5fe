"""CLIP from the open_clip library: names and preprocessing against the library itself."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.pretrained import get_pretrained_cfg
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image

from models_zoo import library_index
from models_zoo.open_clip_origins import NOT_KNOWN, origin
from models_zoo.preprocessing import normalise, prepare
from models_zoo.sources.open_clip_models import SHORT, listing
from models_zoo.spec import MODELS, HubFile, Preprocess
from models_zoo.training_data import official
from shifts.errors import UnknownNameError
from tests.models_zoo.tiny_clips import TINY

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
