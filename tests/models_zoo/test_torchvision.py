"""torchvision's classifiers under their names: declarations, loading, and that they answer alike."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import models
from torchvision.datasets import ImageFolder

from models_zoo import library_index
from models_zoo.classifier import TorchClassifier
from models_zoo.library_index import index, make
from models_zoo.loading import build_model, load_model
from models_zoo.preprocessing import normalise, prepare
from models_zoo.sources.torchvision_models import preprocess_of
from models_zoo.spec import MODELS
from shifts.errors import UnknownNameError
from shifts.spec import RemoteFile
from tests.models_zoo import real_images

PICTURE = np.random.default_rng(0).integers(0, 256, (240, 230, 3), dtype=np.uint8)


def test_the_shipped_table_is_that_of_the_library() -> None:
    shipped = library_index.SHIPPED / "torchvision.json"
    if index("torchvision").version != json.loads(shipped.read_text())["version"]:
        pytest.skip("another version of torchvision is installed than the shipped table was made from")
    assert make("torchvision") == shipped.read_text(encoding="utf-8")


def test_every_weight_is_declared_as_the_library_describes_it() -> None:
    found = 0
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            spec = MODELS.get(f"torchvision:{name}:{weights.name.lower()}")
            assert spec.preprocess == preprocess_of(weights.transforms())
            assert spec.parameters == weights.meta["num_params"]
            assert isinstance(spec.weights, RemoteFile)
            assert spec.weights.urls == (weights.url,)
            prefix = re.search(r"-([a-f0-9]*)\.", weights.url.rpartition("/")[2])  # torch.hub's rule
            assert prefix is not None
            assert spec.weights.sha256_prefix == prefix[1]
            assert (spec.label_space == "imagenet-1k") == (len(weights.meta["categories"] or ()) == 1000)
            found += 1
    assert found == len(MODELS.names("torchvision:*"))


def test_without_weights_it_is_the_librarys_default() -> None:
    spec = MODELS.get("torchvision:resnet50")
    assert spec.weights == MODELS.get("torchvision:resnet50:imagenet1k_v2").weights
    assert "default" in spec.title
    assert MODELS.get("torchvision:resnet50:imagenet1k_v1").preprocess.resize == 256
    assert spec.preprocess.resize == 232
    with pytest.raises(UnknownNameError, match="torchvision:resnet50:imagenet1k_v2"):
        MODELS.get("torchvision:resnet50:imagenet1k_v3")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_evaluated_as_the_library_evaluates(
    name: str, real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = real_images.write_sample(real_data, tmp_path / "v2")
    transform = models.get_model_weights(name).DEFAULT.transforms()  # type: ignore[attr-defined] # it has one
    torch.manual_seed(0)
    network = models.get_model(name, weights=None).eval()
    head = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
    real_images.spread(network, head, real_images.batch(images, transform))
    weights = tmp_path / "weights.pth"
    torch.save(network.state_dict(), weights)
    stored = real_images.evaluated(f"torchvision:{name}", weights, tmp_path / "results")
    capsys.readouterr()

    dataset = ImageFolder(str(tmp_path / "v2" / real_images.TOP), transform=transform)
    loader = torch.utils.data.DataLoader(dataset, batch_size=16)
    with torch.no_grad():
        logits = torch.cat([network(batch) for batch, _ in loader])
    labels = [int(Path(file).parent.name) for file, _ in dataset.samples]
    real_images.assert_same(stored, labels, logits)

    ours = load_model(f"torchvision:{name}", weights, device="cpu")
    files = dict(images)
    some = [real_images.read(files[label]) for label in labels[:6]]
    np.testing.assert_allclose(ours.logits(some), logits[:6].numpy(), atol=1e-4, rtol=0)


def test_densenets_were_saved_under_other_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = models.densenet121(weights=None).eval()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", k): v
        for k, v in network.state_dict().items()
    }
    assert old.keys() != network.state_dict().keys()
    torch.save(old, tmp_path / "old.pth")
    assert _same(network, load_model("torchvision:densenet121", tmp_path / "old.pth", device="cpu"))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
@pytest.mark.parametrize("heads", [True, False])
def test_heads_for_training_may_be_there_or_not(name: str, heads: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = models.get_model(
        name, weights=None, aux_logits=heads, transform_input=True, init_weights=False
    ).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    assert _same(network, load_model(f"torchvision:{name}", tmp_path / "weights.pth", device="cpu"))


def test_mnasnet_needs_no_version_beside_its_tensors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = models.mnasnet0_5(weights=None).eval()
    torch.save(dict(network.state_dict()), tmp_path / "plain.pth")
    torch.save(OrderedDict(network.state_dict()), tmp_path / "ordered.pth")
    for path in tmp_path.glob("*.pth"):
        assert _same(network, load_model("torchvision:mnasnet0_5", path, device="cpu"))


def test_squeezenets_features_are_averaged_over_places() -> None:
    network = build_model("torchvision:squeezenet1_1", device="cpu")
    assert network.features([PICTURE]).shape == (1, 512)


def _same(network: torch.nn.Module, ours: object) -> bool:
    """Whether they give the same for one image; a random network's answers may be of any size."""
    assert isinstance(ours, TorchClassifier)
    preprocess = ours.spec.preprocess
    with torch.no_grad():
        expected = network(normalise(prepare([PICTURE], preprocess), preprocess)).numpy()
    return bool(np.allclose(ours.logits([PICTURE]), expected, rtol=1e-4, atol=1e-5))
