"""Files from the Hugging Face Hub, through its own client: mirrors, tokens, resumed downloads, cache."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_zoo.fetched import record_of, remember
from models_zoo.spec import HubFile
from shifts.errors import WeightsError
from shifts.local import offline

if TYPE_CHECKING:
    from models_zoo.weights import Bytes

COMMIT = re.compile(r"[0-9a-f]{40}")


def hub_file(file: HubFile, *, model: str, progress: Bytes | None = None) -> Path:
    """The first of the files that the repository has, fetched unless it is there.

    A branch or tag is followed once; from then on it means the commit it stood at, which is recorded. The
    content is compared with the hash that the Hub gives for it.

    Args:
        model: names the model in a message.
        progress: called with (bytes so far, bytes in all or None) while fetching.

    Raises:
        WeightsError: it cannot be had, or is not what the Hub says it is; says what to do.
    """
    from models_zoo.weights import weights_digest

    key = _key(file)
    known = record_of(key)
    revision = known.get("commit", file.revision)
    path = _fetch(
        file, revision, [known["file"]] if known else file.filenames, model=model, progress=progress
    )
    _check(path, file)
    remember(
        key,
        {"sha256": weights_digest(path), "file": path.name, "commit": commit_of(path) or file.revision},
        where=path,
    )
    return path


def was_fetched(file: HubFile) -> bool:
    """Whether the file was fetched on this machine before; looks at the record alone."""
    return bool(record_of(_key(file)))


def _key(file: HubFile) -> str:
    return f"https://huggingface.co/{file.repo}@{file.revision}/{'|'.join(file.filenames)}"


def commit_of(path: Path) -> str | None:
    """The commit that a file in the client's cache belongs to."""
    found = re.search(r"/snapshots/([0-9a-f]{40})/", path.as_posix())
    return found[1] if found else None


def _fetch(file: HubFile, revision: str, names: Any, *, model: str, progress: Bytes | None) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    options: dict[str, Any] = {
        "revision": revision,
        "local_files_only": offline(),
        "endpoint": os.environ.get("HF_ENDPOINT") or None,
    }
    if "tqdm_class" in inspect.signature(huggingface_hub.hf_hub_download).parameters:
        options["tqdm_class"] = _meter(progress)
    not_here: Exception | None = None
    for name in names:
        try:
            return Path(huggingface_hub.hf_hub_download(file.repo, name, **options))
        except errors.LocalEntryNotFoundError as error:
            not_here = error
            if not offline():
                break
        except errors.EntryNotFoundError:
            continue
        except Exception as error:
            # The client raises errors of many libraries; each of them means that there is no file.
            raise _told(error, file, model=model) from error
    if not_here is not None:
        raise _told(not_here, file, model=model) from not_here
    raise WeightsError(
        f"{file.repo} on the Hub has none of {', '.join(names)} at {revision}",
        hint=f"see what it holds: {_address(file)}/tree/{revision}",
    )


def _told(error: Exception, file: HubFile, *, model: str) -> WeightsError:
    """What went wrong and the way out, for each way a hub refuses."""
    from huggingface_hub import errors

    what, copy = f"the weights of {model!r} ({file.repo} on the Hub)", "or give a copy with --weights FILE"
    if offline():
        return WeightsError(
            f"{what} are not on this machine, and offline mode forbids fetching them",
            hint=f"unset ROBUSTBENCH_SHIFT_OFFLINE and HF_HUB_OFFLINE; {copy}",
        )
    if isinstance(error, errors.GatedRepoError):
        return WeightsError(
            f"{what}: the repository asks its users to accept its terms first",
            hint=f"open {_address(file)}, log in and click 'Agree and access repository'; make a token of "
            "type 'Read' at https://huggingface.co/settings/tokens and put it into the environment variable "
            f"HF_TOKEN; then run the command again; {copy}",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return WeightsError(
            f"{what}: there is no such repository, or it is private",
            hint=f"look at {_address(file)}; a private one needs your token in HF_TOKEN",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return WeightsError(
            f"{what}: it has no revision {file.revision!r}", hint=f"see {_address(file)}/commits"
        )
    cause = (
        error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ else error
    )
    first = str(cause).strip().partition("\n")[0] or type(cause).__name__
    status = getattr(getattr(cause, "response", None), "status_code", None)
    if status in (401, 403):
        return WeightsError(
            f"{what}: the Hub does not let you read it (HTTP {status})",
            hint=f"put a token of type 'Read' that may see {_address(file)} into HF_TOKEN; {copy}",
        )
    return WeightsError(
        f"{what} could not be fetched: {first}",
        hint=f"try again later: what was fetched so far is kept; HF_ENDPOINT names a mirror; {copy}",
    )


def _address(file: HubFile) -> str:
    return f"https://huggingface.co/{file.repo}"


def _check(path: Path, file: HubFile) -> None:
    """Compare a file with its hash on the Hub, which is the name under which the client keeps it.

    Large files are named by their SHA-256, others by git's SHA-1 of the content.

    Raises:
        WeightsError: they differ; the file is removed from the cache.
    """
    from models_zoo.weights import weights_digest

    blob = path.resolve()
    if blob == path:
        return  # a cache without links (Windows) does not keep the hash
    if re.fullmatch(r"[0-9a-f]{64}", blob.name):
        found = weights_digest(blob)
    elif COMMIT.fullmatch(blob.name):
        content = blob.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    else:
        return
    if found != blob.name:
        path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
        raise WeightsError(
            f"{file.repo} on the Hub sent {path.name} with the hash {found}; its own is {blob.name}",
            hint="nothing of it was kept; try again, without the proxy or mirror in between",
        )


def _meter(progress: Bytes | None) -> type[Any]:
    """A progress bar for the client that draws nothing and tells how far it is."""
    import importlib

    bar: Any = importlib.import_module("huggingface_hub.utils").tqdm  # re-exported without saying so

    class Meter(bar):  # type: ignore[misc]  # the client's own class, which it does not type
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._done, self._all = int(options.get("initial") or 0), options.get("total")
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self._done += int(n or 0)
            if progress is not None:
                progress(self._done, self._all)
            return None

    return Meter
