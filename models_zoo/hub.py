"""Weights from the Hugging Face Hub, through its own client: mirrors, tokens, resumed downloads, cache."""

from __future__ import annotations

from pathlib import Path

from models_zoo.spec import HubFile
from shifts.errors import WeightsError
from shifts.local import offline


def hub_file(file: HubFile, *, model: str) -> Path:
    """The first of the files that the repository has, fetched unless it is there.

    Args:
        model: names the model in a message.

    Raises:
        WeightsError: it cannot be had; says what to do.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for filename in file.filenames:
        try:
            return Path(
                hf_hub_download(file.repo, filename, revision=file.revision, local_files_only=offline())
            )
        except LocalEntryNotFoundError as error:
            failure: Exception = error
        except EntryNotFoundError:
            continue
        except Exception as error:  # noqa: BLE001 - the client raises of many libraries; each means no file
            failure = error
        raise WeightsError(
            f"the weights of {model!r} ({file.repo}, {filename}) are not on this machine: {failure}",
            hint="go online once, or give a copy with --weights FILE",
        ) from failure
    raise WeightsError(f"{file.repo} on the Hub has none of {', '.join(file.filenames)}")
