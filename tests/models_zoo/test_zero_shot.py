"""Heads from prompts: against hand-computed ones, and what is kept of them on disk."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.planning import check_label_space, contestant
from models_zoo import zero_shot
from models_zoo.prompts import Prompts, prompts_for
from models_zoo.spec import MODELS
from models_zoo.zero_shot import CosineHead, class_embeddings
from shifts.errors import LabelSpaceError, UserError
from shifts.labels import LABEL_SPACES
from shifts.local import cache_home
from shifts.spec import SHIFTS

NAMES = tuple(f"thing {number}" for number in range(150))
TEMPLATES = ("a photo of a {}.", "the {}.", "{} in the wild.")
PROMPTS = Prompts(class_names=NAMES, templates=TEMPLATES)
WIDTH = 7


def vector(text: str) -> np.ndarray:
    """A direction of its own for every text, of any length."""
    draw = np.random.default_rng(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16))
    return draw.normal(size=WIDTH) * draw.uniform(0.1, 10)


class Encoder:
    """Counts what it was asked for."""

    def __init__(self) -> None:
        self.made = 0
        self.texts: list[str] = []

    def __call__(self) -> Callable[[list[str]], torch.Tensor]:
        self.made += 1

        def encode(texts: list[str]) -> torch.Tensor:
            assert 0 < len(texts) <= zero_shot.TEXTS
            self.texts += texts
            return torch.tensor(np.stack([vector(text) for text in texts]))

        return encode


def embeddings(prompts: Prompts = PROMPTS, encoder: Encoder | None = None, **identity: str) -> torch.Tensor:
    known = {"weights": "abc", "architecture": "x", **identity}
    return class_embeddings(prompts, encoder or Encoder(), identity=known, label="test")


def by_hand(name: str) -> np.ndarray:
    units = [vector(text) / np.linalg.norm(vector(text)) for text in (t.format(name) for t in TEMPLATES)]
    mean = np.mean(units, axis=0)
    return mean / np.linalg.norm(mean)


def test_the_mean_of_normalised_prompts_normalised() -> None:
    encoder = Encoder()
    head = embeddings(encoder=encoder)
    assert head.dtype == torch.float32
    np.testing.assert_allclose(head.numpy(), [by_hand(name) for name in NAMES], atol=1e-6)
    assert encoder.texts == [template.format(name) for name in NAMES for template in TEMPLATES]


def test_more_templates_than_fit_into_one_pass() -> None:
    templates = tuple(f"{number} {{}}" for number in range(600))
    head = embeddings(Prompts(class_names=("a", "b"), templates=templates))
    units = np.stack([vector(f"{number} b") for number in range(600)])
    mean = (units / np.linalg.norm(units, axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(head[1].numpy(), mean / np.linalg.norm(mean), atol=1e-5)


def kept() -> list[Path]:
    return sorted((cache_home() / "heads").iterdir())


def test_a_head_is_built_once() -> None:
    encoder = Encoder()
    first = embeddings(encoder=encoder)
    assert torch.equal(embeddings(encoder=encoder), first)
    assert encoder.made == 1
    assert [path.suffix for path in kept()] == [".safetensors"]


@pytest.mark.parametrize(
    ("prompts", "identity"),
    [
        (dataclasses.replace(PROMPTS, templates=TEMPLATES[:2]), {}),
        (dataclasses.replace(PROMPTS, templates=TEMPLATES[::-1]), {}),
        (dataclasses.replace(PROMPTS, class_names=("another", *NAMES[1:])), {}),
        (PROMPTS, {"weights": "abd"}),
        (PROMPTS, {"library": "9.9"}),
    ],
)
def test_what_decides_a_head_is_in_its_name(prompts: Prompts, identity: dict[str, str]) -> None:
    encoder = Encoder()
    embeddings(encoder=encoder)
    embeddings(prompts, encoder, **identity)
    assert encoder.made == 2
    assert len(kept()) == 2


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def _exchange(path: Path) -> None:
    embeddings(weights="another")
    other = next(found for found in kept() if found != path)
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize(
    "damage",
    [
        _flip,
        _exchange,
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("<html>"),
    ],
    ids=["flipped", "exchanged", "cut", "empty", "text"],
)
def test_a_damaged_head_is_built_again(damage: Callable[[Path], object]) -> None:
    expected = embeddings()
    (path,) = kept()
    damage(path)
    encoder = Encoder()
    for _ in range(2):
        assert torch.equal(embeddings(encoder=encoder), expected)
        assert encoder.made == 1, "once, and then it is whole again"


def test_without_an_identity_nothing_is_kept() -> None:
    class_embeddings(PROMPTS, Encoder(), identity=None, label="random weights")
    assert not (cache_home() / "heads").exists()


def test_a_cache_that_cannot_be_written_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(tmp_path / "file" / "cache"))
    np.testing.assert_allclose(embeddings()[0].numpy(), by_hand(NAMES[0]), atol=1e-6)


def test_progress_is_told_when_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    embeddings(weights="quick")
    assert capsys.readouterr().err == ""
    now = iter(range(0, 1000, 2))
    monkeypatch.setattr(zero_shot.time, "monotonic", lambda: float(next(now)))
    embeddings(weights="slow")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[0] == (
        "test: 255 of 450 prompts embedded, about 2 s left (once; the head is kept)"
    )


def test_cosine_head_against_numpy() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(4, WIDTH)).astype(np.float32)
    classes = np.stack([by_hand(name) for name in NAMES[:5]]).astype(np.float32)
    head = CosineHead(torch.from_numpy(classes), scale=100.0, bias=-10.5)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(
        head(torch.from_numpy(features)).numpy(), 100 * unit @ classes.T - 10.5, atol=1e-4
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wide = head(torch.from_numpy(features))
    assert wide.dtype == torch.float32
    assert torch.equal(wide, head(torch.from_numpy(features)))


CLIP = MODELS.get("clip-vit-b16")


def with_own(**arguments: tuple[str, ...]) -> object:
    return dataclasses.replace(CLIP, arguments={**CLIP.arguments, **arguments})


def test_the_label_spaces_prompts_unless_the_user_has_own() -> None:
    space = LABEL_SPACES.get("cifar10")
    assert prompts_for(CLIP, "cifar10") == Prompts(class_names=space.class_names, templates=space.templates)
    own = with_own(templates=("{} seen from afar",))
    assert prompts_for(own, "cifar10").texts("cat") == ["cat seen from afar"]  # type: ignore[arg-type]
    names = with_own(class_names=tuple("abcdefghij"))
    assert prompts_for(names, "cifar10").class_names == tuple("abcdefghij")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "kind", "told"),
    [
        ({"class_names": ("cat", "dog")}, LabelSpaceError, "2 class names were given for the 10 classes"),
        ({"class_names": (*"abcdefghi", " ")}, LabelSpaceError, "name of class 9"),
        ({"templates": ("a photo.",)}, UserError, "has 0 places"),
        ({"templates": ("a {} and a {}.",)}, UserError, "has 2 places"),
        ({"templates": ("a {c}.",)}, UserError, "has 0 places"),
    ],
)
def test_own_prompts_are_checked_before_an_image_is_read(
    own: dict[str, tuple[str, ...]], kind: type[UserError], told: str
) -> None:
    with pytest.raises(kind, match=told):
        check_label_space(with_own(**own), SHIFTS.get("cifar10"))  # type: ignore[arg-type]


def test_braces_in_a_class_name_are_no_slot() -> None:
    assert Prompts(class_names=("{x}",), templates=("a {}.",)).texts("{x}") == ["a {x}."]


def test_prompts_enter_the_digest() -> None:
    digests = {
        contestant(spec, weights=None).digest_in(space)  # type: ignore[arg-type]
        for spec in (CLIP, with_own(templates=("{}",)), with_own(class_names=tuple("abcdefghij")))
        for space in ("cifar10", "digits")
    }
    assert len(digests) == 6
