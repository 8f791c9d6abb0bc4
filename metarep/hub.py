"""Models on the Hugging Face Hub: the folder of a model as it is, with its manifest and a card."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

from metarep.artefact import open_artefact
from metarep.card import model_card
from metarep.errors import MetarepError
from metarep.model.pretraining import load_model
from metarep.model.transformer import ClozeModel

CARD = "README.md"


def push(
    model: Path | str, repo: str, *, private: bool = False, endpoint: str | None = None, token: str | bool | None = None
) -> str:
    """Uploads a model's folder and its card to the repository `repo` ("user/name"), made if need be; returns its address.

    `token` is by default the one that `hf auth login` keeps. Raises MetarepError for a damaged model, or where the Hub refuses.
    """
    artefact = open_artefact(model, "model", check_hashes=True)
    api = HfApi(endpoint=endpoint, token=token)
    files = [*artefact.manifest["files"], "manifest.json"]
    operations = [CommitOperationAdd(name, artefact.path / name) for name in files]
    operations.append(CommitOperationAdd(CARD, model_card(model, name=repo.partition("/")[2], where=repo).encode()))
    try:
        address = api.create_repo(repo, private=private, exist_ok=True)
        api.create_commit(repo, operations, commit_message="A model of metarep")
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        fix = "log in (hf auth login) and name a repository of yours: user/name"
        raise MetarepError(f"{repo} cannot be written to", met=error, fix=fix) from error
    return str(address)


def from_pretrained(
    model: Path | str, *, revision: str | None = None, device: str = "cpu", endpoint: str | None = None, **where: object
) -> ClozeModel:
    """A model by its folder, or by its repository on the Hub, whose files are held against the hashes of its manifest.

    `where` goes to `huggingface_hub.snapshot_download`, such as cache_dir and token. Raises MetarepError where there is none.
    """
    if Path(model).is_dir():
        return load_model(model, device=device)
    try:
        folder = snapshot_download(str(model), revision=revision, endpoint=endpoint, **where)
    except (RepositoryNotFoundError, LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        expected = "a model's folder, or a repository on the Hub: user/name"
        raise MetarepError(f"no model {model}", met=error, expected=expected) from error
    return load_model(folder, device=device)
