"""What the names of timm's and torchvision's weights say about the data behind them."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from models_zoo.library_index import index
from models_zoo.sources.torchvision_models import HISTORIES
from models_zoo.spec import MODELS
from models_zoo.timm_tags import History, has, history
from models_zoo.training_data import official

WEIGHTS = [name for name in index("timm").entries if "." in name]


def of(name: str) -> History:
    architecture, _, tag = name.partition(".")
    return history(architecture, tag)


def test_every_classifier_of_timm_has_a_history() -> None:
    unknown = [name for name in WEIGHTS if of(name).family == "unknown"]
    specs = [spec for spec in MODELS.entries("timm:*") if spec.name.removeprefix("timm:") in unknown]
    assert {spec.label_space for spec in specs} == {"none"}, "all of them give features only"
    assert len(unknown) / len(WEIGHTS) < 0.06
    assert len(WEIGHTS) > 1800


def test_histories_keep_to_the_vocabulary() -> None:
    names = {data for name in WEIGHTS for data in of(name).training_data}
    names |= {data for _, found in HISTORIES.values() for data in found}
    assert [official(name) for name in sorted(names)] == sorted(names)


def test_every_weight_of_torchvision_is_in_the_table() -> None:
    tags = {name.partition(":")[2] for name in index("torchvision").entries if ":" in name}
    assert tags == HISTORIES.keys()


@pytest.mark.parametrize(
    ("name", "family", "training_data"),
    [
        ("resnet50.a1_in1k", "standard", "imagenet-1k"),
        ("resnet50.gluon_in1k", "standard", "imagenet-1k"),
        ("deit_base_distilled_patch16_224.fb_in1k", "standard", "imagenet-1k"),
        ("convnextv2_base.fcmae_ft_in1k", "standard", "imagenet-1k"),
        ("vit_base_patch16_224.mae", "standard", "imagenet-1k"),
        ("vit_base_patch16_224.sam_in1k", "standard", "imagenet-1k"),
        ("resnet50.am_in1k", "robustness-intervention", "imagenet-1k"),
        ("tf_efficientnet_b0.ap_in1k", "robustness-intervention", "imagenet-1k"),
        ("inception_v3.tf_adv_in1k", "adversarial", "imagenet-1k"),
        ("inception_resnet_v2.tf_ens_adv_in1k", "adversarial", "imagenet-1k"),
        ("tf_efficientnet_b0.ns_jft_in1k", "more-data", "jft-300m imagenet-1k"),
        ("resnet50.fb_ssl_yfcc100m_ft_in1k", "more-data", "yfcc100m imagenet-1k"),
        ("resnet50.fb_swsl_ig1b_ft_in1k", "more-data", "instagram-1b imagenet-1k"),
        ("resnext101_32x8d.fb_wsl_ig1b_ft_in1k", "more-data", "instagram-1b imagenet-1k"),
        ("regnety_320.seer_ft_in1k", "more-data", "instagram-1b imagenet-1k"),
        ("regnety_160.swag_lc_in1k", "more-data", "instagram-3.6b imagenet-1k"),
        ("vit_base_patch16_224.augreg_in1k", "standard", "imagenet-1k"),
        ("vit_base_patch16_224.augreg_in21k", "more-data", "imagenet-21k"),
        ("vit_base_patch16_224.augreg_in21k_ft_in1k", "more-data", "imagenet-21k imagenet-1k"),
        ("convnext_base.fb_in22k_ft_in1k", "more-data", "imagenet-21k imagenet-1k"),
        ("resnetv2_50x1_bit.goog_distilled_in1k", "more-data", "imagenet-21k imagenet-1k"),
        ("hgnet_small.ssld_in1k", "more-data", "imagenet-21k imagenet-1k"),
        ("tiny_vit_21m_224.dist_in22k_ft_in1k", "more-data", "openai-wit imagenet-21k imagenet-1k"),
        ("beitv2_base_patch16_224.in1k_ft_in1k", "more-data", "openai-wit imagenet-1k"),
        ("vit_base_patch16_clip_224.openai_ft_in1k", "more-data", "openai-wit imagenet-1k"),
        (
            "vit_base_patch16_clip_224.laion2b_ft_in12k_in1k",
            "more-data",
            "laion-2b imagenet-12k imagenet-1k",
        ),
        ("convnext_base.clip_laiona_augreg_ft_in1k_384", "more-data", "laion-aesthetic imagenet-1k"),
        ("eva_giant_patch14_224.clip_ft_in1k", "more-data", "laion-400m imagenet-1k"),
        ("eva02_base_patch14_448.mim_in22k_ft_in1k", "more-data", "laion-400m imagenet-21k imagenet-1k"),
        ("vit_so400m_patch14_siglip_378.webli_ft_in1k", "more-data", "webli imagenet-1k"),
        ("vit_small_patch14_dinov2.lvd142m", "more-data", "lvd-142m"),
        ("samvit_base_patch16.sa1b", "more-data", "sa-1b"),
        ("vit_base_patch16_clip_224.metaclip_2pt5b", "more-data", "metaclip-2.5b"),
        ("vit_base_patch16_clip_224.dfn2b", "more-data", "dfn-2b"),
        ("resnet50_clip.cc12m", "more-data", "cc12m"),
        ("mobilenetv5_300m.gemma3n", "unknown", "unknown"),
    ],
)
def test_reviewed_by_hand(name: str, family: str, training_data: str) -> None:
    assert name in index("timm").entries
    assert of(name) == History(family, tuple(training_data.split()))  # type: ignore[arg-type] # a family's name


def test_words_are_whole() -> None:
    assert has("fb_in22k_ft_in1k", "in1k")
    assert not has("fb_in22k_ft_in1k", "in2")
    assert not has("ssl_yfcc100m", "s")


def test_published_list_of_scratch_and_pretrained_models(real_data: Path) -> None:
    """Cohen-Wang et al., arXiv 2403.00194: which models of timm saw ImageNet alone."""
    table = real_data / "published_results" / "cohen_wang_2024" / "models.csv"
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert Counter(row["group"] for row in rows) == {"from-scratch": 78, "pre-trained": 55}
    for row in rows:
        alone = of(row["timm_model"]).training_data == ("imagenet-1k",)
        assert alone == (row["group"] == "from-scratch"), row["timm_model"]


def test_every_model_of_the_published_tables_is_known(real_data: Path) -> None:
    with (real_data / "published_results" / "timm" / "results-imagenet.csv").open(encoding="utf-8") as lines:
        names = {row["model"] for row in csv.DictReader(lines)}
    assert len(names) > 1000
    entries = index("timm").entries
    lost = [name for name in names if name not in entries]
    assert not lost
    assert not [name for name in names if "imagenet-1k" not in of(name).training_data]
