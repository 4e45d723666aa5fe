"""The torch side of ``models_zoo.sources.open_clip_models``: towers, weights, tokenizers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import torch
from torch import nn

from models_zoo.classifier import TorchClassifier, pick_device
from models_zoo.open_clip_index import architectures, version
from models_zoo.prompts import prompts_for
from models_zoo.reading import session
from models_zoo.sources.open_clip_models import quick_variant
from models_zoo.torchscript import is_torchscript, read_tensors
from models_zoo.weights import load_into, load_state_dict, weights_digest
from models_zoo.zero_shot import CosineHead, ZeroShotNetwork, class_embeddings
from shifts.digest import digest
from shifts.errors import LabelSpaceError, UserError, WeightsError
from shifts.local import offline

if TYPE_CHECKING:
    from models_zoo.open_clip_index import Architecture
    from models_zoo.spec import ModelSpec
    from models_zoo.zero_shot import Encode

# What OpenAI's files hold beside the tensors of the network; no other program writes them.
OPENAI_EXTRAS = ("input_resolution", "context_length", "vocab_size")
LEFT_OUT = (*OPENAI_EXTRAS, "attn_mask", "text.attn_mask", "text.transformer.embeddings.position_ids")
TEXT_PARTS = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")
TOKENIZER_FILES = ("*.json", "*.txt", "*.model")

# Image towers in use, by what decides them and by device: several label spaces in one run share one.
_towers: WeakValueDictionary[tuple[str, str], nn.Module] = WeakValueDictionary()


def classifier(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str
) -> TorchClassifier:
    """The loader of the family, see ``models_zoo.sources.open_clip_models.load``."""
    name: str = spec.arguments["architecture"]
    if label_space is None:
        raise LabelSpaceError(f"{spec.name!r} answers in any classes: say in which")
    prompts = prompts_for(spec, label_space)
    architecture = architectures().get(name.lower())
    device = pick_device(device)
    network = _towers_of(name, architecture)
    identity: dict[str, Any] | None = None
    if weights is not None:
        state = _read(weights)
        _activation(spec, architecture, weights, state)
        load_into(network, _adapted(state, network), where=weights)
        identity = {
            "weights": weights_digest(weights),
            "reading": spec.reading,
            "architecture": name,
            "library": version(),
        }
        if session().left_out:
            raise WeightsError(
                f"{weights} does not fill both towers (it lacks {', '.join(session().left_out[:4])}); "
                "with random text embeddings the model would answer at random",
                hint="give the file with both towers",
            )
    head = CosineHead(
        class_embeddings(
            prompts,
            lambda: _encoder(network, name, architecture, device=device),
            identity=identity,
            label=f"{spec.name}, head of {label_space}",
        ),
        scale=float(network.logit_scale.exp()),
        bias=0.0 if getattr(network, "logit_bias", None) is None else float(network.logit_bias),
    )
    tower: nn.Module = network.visual
    if identity is not None:
        tower = _towers.setdefault((digest(identity), device), tower)
    return TorchClassifier(
        spec,
        ZeroShotNetwork(tower, head),
        head=head,
        device=device,
        precision=precision,
    )


def _towers_of(name: str, architecture: Architecture | None) -> Any:
    """Both towers with random weights; the Hub is asked only where it holds the text tower's description."""
    import open_clip

    changed: dict[str, Any] = {}
    if architecture is not None and architecture.text_network is not None:
        described = dict(open_clip.get_model_config(name)["text_cfg"], hf_model_pretrained=False)
        changed["text_cfg"] = {
            **described,
            "hf_model_name": str(_hub_folder(architecture.text_network, name)),
        }
    with _quiet():
        network = open_clip.create_model(name, pretrained=None, pretrained_text=False, **changed)
    return network.eval().requires_grad_(False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's remark that the weights are random: they are read afterwards, or wanted so."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _read(path: Path) -> dict[str, torch.Tensor]:
    return read_tensors(path) if is_torchscript(path) else load_state_dict(path)


def _adapted(state: Mapping[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """The same tensors in the names and shapes of the network.

    Left out is what older files hold beside the weights. Position embeddings of another length are not
    resized, as the library does: a network for another input size is another model.
    """
    own = network.state_dict()
    found = {key: value for key, value in state.items() if key not in LEFT_OUT}
    if "text.positional_embedding" in own and "positional_embedding" in found:
        found = {f"text.{key}" if key.startswith(TEXT_PARTS) else key: value for key, value in found.items()}
    for key in ("logit_scale", "logit_bias"):
        if key in found and key in own and found[key].numel() == own[key].numel():
            found[key] = found[key].reshape(own[key].shape)
    return found


def _activation(
    spec: ModelSpec, architecture: Architecture | None, path: Path, state: Mapping[str, torch.Tensor]
) -> None:
    """Check that the architecture computes with the activation the weights were trained with.

    It cannot be read off the tensors. What gives them away: the entries that only OpenAI's files hold, and
    the SHA-256 of files whose published address contains it. Where nothing tells, the result will say so.

    Raises:
        WeightsError: they are known to need the other variant.
    """
    if architecture is None:
        return
    known = _published(path)
    needs_quick = known[2] if known else True if all(key in state for key in OPENAI_EXTRAS) else None
    what = f"{known[0]}:{known[1]}" if known else "OpenAI's"
    quick = quick_variant(architecture)
    if needs_quick is True and quick is not None:
        raise WeightsError(
            f"{path} holds the weights {what}, trained with QuickGELU; {architecture.name} computes with "
            "GELU and would be several points worse, silently",
            hint=f"--model open_clip:{quick.name} --weights {path}",
        )
    plain = architecture.name.removesuffix("-quickgelu")
    if needs_quick is False and plain != architecture.name:
        raise WeightsError(
            f"{path} holds the weights {what}, trained with GELU; "
            f"{architecture.name} computes with QuickGELU",
            hint=f"--model open_clip:{plain} --weights {path}",
        )
    if needs_quick is None and quick is not None and spec.weights is None:
        session().notes.append(
            f"activation: {architecture.name} computes with GELU, and nothing in the weights file tells what "
            f"it was trained with; weights of OpenAI, MetaCLIP or DFN need {quick.name}"
        )


def _published(path: Path) -> tuple[str, str, bool] | None:
    """Architecture, tag and activation of a file whose published address tells its SHA-256, or its start."""
    own = weights_digest(path)
    for architecture in architectures().values():
        for weights in architecture.pretrained.values():
            parts = weights.url.split("/")
            if "openaipublic" in weights.url:
                told = parts[-2]
            elif "mlfoundations" in weights.url:
                told = parts[-1].rpartition(".")[0].rpartition("-")[2]
            else:
                continue
            if own.startswith(told):
                return architecture.name, weights.tag, weights.quick_gelu
    return None


def _encoder(network: Any, name: str, architecture: Architecture | None, *, device: str) -> Encode:
    """The text tower on the device, as a function from texts to embeddings."""
    tokenize = _tokenizer(name, architecture)
    network.to(device)

    def encode(texts: list[str]) -> torch.Tensor:
        with torch.inference_mode():
            embedded: torch.Tensor = network.encode_text(tokenize(texts).to(device))
        return embedded

    return encode


def _tokenizer(name: str, architecture: Architecture | None) -> Callable[[list[str]], torch.Tensor]:
    """The library's own tokenizer, or one whose files lie on the Hub.

    Raises:
        WeightsError: they are not on this machine and cannot be fetched.
        UserError: the package that reads them is not installed.
    """
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    if architecture is None or architecture.tokenizer is None:
        made: Callable[[list[str]], torch.Tensor] = open_clip.get_tokenizer(name)
        return made
    folder = _hub_folder(architecture.tokenizer, name)
    text = open_clip.get_model_config(name)["text_cfg"]
    return HFTokenizer(  # type: ignore[no-any-return]  # the library has no types
        str(folder),
        context_length=text.get("context_length", 77),
        tokenizer_mode=text.get("tokenizer_mode"),
        **text.get("tokenizer_kwargs", {}),
    )


def _hub_folder(repo: str, name: str) -> Path:
    """The tokenizer and description files of a repository, as a folder."""
    try:
        import transformers  # noqa: F401 - the library needs it to read them
    except ImportError as error:
        raise UserError(
            f"{name} cuts its prompts into tokens with {repo}, which the package 'transformers' reads",
            hint="pip install transformers sentencepiece",
        ) from error
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo, allow_patterns=list(TOKENIZER_FILES), local_files_only=offline()))
    except Exception as error:
        # The client raises of many libraries (its own, requests', the system's); each means no files.
        raise WeightsError(
            f"{name} cuts its prompts into tokens with files of {repo} on the Hub, "
            "which are not on this machine",
            hint="go online once; or evaluate a model with the library's own tokenizer, as clip-vit-b16",
        ) from error
