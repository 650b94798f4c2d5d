"""From a model's name to a folder on this machine.

A name that is a folder is used as it is, without the hub. Anything else is a hub id, downloaded (or found in the
cache) by huggingface_hub, which is imported only then. Only settings, tokenizer files and safetensors weights are
downloaded: no pickles, no code.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

DEFAULT_ORGANIZATION = "sentence-transformers"
CACHE_FOLDER_VARIABLE = "SENTENCE_TRANSFORMERS_HOME"
DOWNLOADED_FILES = ("*.json", "*.txt", "*.safetensors")


def model_folder(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_folder: str | os.PathLike[str] | None = None,
    token: bool | str | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder with the files of the model `name`, downloaded from the hub if need be.

    Args:
        name: A folder, or a hub id `owner/name`; `name` alone stands for `sentence-transformers/name`.
        revision: A branch, tag or commit of the hub's repository.
        cache_folder: Where downloads are kept. By default `$SENTENCE_TRANSFORMERS_HOME`, else huggingface_hub's own.
        token: A hub token, or True for the one saved on this machine.
        local_files_only: Take the model from the cache and make no request.

    Raises:
        NotADirectoryError: `name` is a file.
        FileNotFoundError: There is no such folder, and no such model or revision on the hub or, without the hub, in
            the cache.
        PermissionError: The hub refuses this model to this token.
    """
    path = Path(name)
    if name != "" and path.is_dir():  # Path("") is the current folder, which nobody named
        return path.absolute()  # links are kept: errors name the path that was given
    if path.is_file():
        raise NotADirectoryError(errno.ENOTDIR, "a model is a folder, found a file", str(name))
    if not isinstance(name, str) or _is_path(name):
        raise FileNotFoundError(errno.ENOENT, "no such model folder", str(name))
    repository = name if "/" in name else f"{DEFAULT_ORGANIZATION}/{name}"
    return _download(
        repository, revision, cache_folder or os.environ.get(CACHE_FOLDER_VARIABLE), token, local_files_only
    )


def _is_path(name: str) -> bool:
    """Whether `name` cannot be a hub id, so that there is no use in asking the hub for it."""
    return (
        not name
        or name.startswith((".", "/", "~"))
        or name.endswith("/")
        or name.count("/") > 1
        or "\\" in name
        or "\0" in name
        or Path(name).is_absolute()
    )


def _download(
    repository: str,
    revision: str | None,
    cache_folder: str | os.PathLike[str] | None,
    token: bool | str | None,
    local_files_only: bool,
) -> Path:
    from huggingface_hub import errors, snapshot_download  # noqa: PLC0415  importing it costs more than corten

    where = f'"{repository}"' if revision is None else f'"{repository}" at revision "{revision}"'
    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            cache_dir=None if cache_folder is None else str(cache_folder),
            token=token,
            local_files_only=local_files_only,
            allow_patterns=list(DOWNLOADED_FILES),
        )
    except errors.GatedRepoError as error:
        raise PermissionError(
            f"{where}: the hub gives this model only to those who accepted its terms (hint: accept them, pass token=)"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{where}: neither a folder nor a model on the hub (hint: check the name; a private model needs token=)"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise FileNotFoundError(f"{where}: the hub's model has no such revision") from error
    except errors.HFValidationError as error:
        raise FileNotFoundError(f"{where}: neither a folder nor a hub id of the form owner/name") from error
    except errors.LocalEntryNotFoundError as error:
        reason = "local_files_only is set" if local_files_only else "the hub cannot be reached"
        raise FileNotFoundError(f"{where}: neither a folder nor in the cache, and {reason}") from error
    return Path(folder)
