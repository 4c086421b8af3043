"""Where the models of a station lie: the one in use, the shipped one, and those that `refit` made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url

from auroramon.bundle import DESCRIPTION, ModelBundle, default_bundle, load_bundle
from auroramon.config import Settings, state_folder
from auroramon.errors import BundleError


def models_folder(settings: Settings) -> Path:
    """Give the folder for new models: `models` beside a SQLite database, else in the state folder.

    Beside the database, because the daemon and the people of a station have different homes, and one database.
    """
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(url.database).expanduser().parent / "models"
    return state_folder() / "models"


def bundle_folders(settings: Settings) -> list[Path]:
    """Give the folders of all models, the one in use first."""
    shipped, own = default_bundle(), models_folder(settings)
    made = sorted(path.parent for path in own.glob(f"*/{DESCRIPTION}")) if own.is_dir() else []
    return list(dict.fromkeys((settings.model.path or shipped, shipped, *made)))


def find_bundle(settings: Settings, which: str | Path | None) -> ModelBundle:
    """Give the bundle in a folder, or of a name; without either the one in use.

    Raises:
        BundleError: there is none, or it is damaged.
    """
    if which is None:
        return load_bundle(settings.model.path or default_bundle())
    if Path(which).is_dir():
        return load_bundle(Path(which))
    for bundle in _sound(settings):
        if bundle.name == str(which):
            return bundle
    known = ", ".join(dict.fromkeys(bundle.name for bundle in _sound(settings)))
    raise BundleError(f"there is no model {which}: it is no folder, and the models here are {known}")


def trained(settings: Settings, bundle: ModelBundle) -> ModelBundle:
    """Give the model that a model was moved from; one that was trained gives itself.

    Raises:
        BundleError: its parent lies nowhere here.
    """
    adapted = bundle.provenance.adapted
    if adapted is None:
        return bundle
    for parent in _sound(settings):
        if parent.digest == adapted.parent_digest:
            return parent
    raise BundleError(
        f"{bundle.name} was moved from {adapted.parent} ({adapted.parent_digest[:12]}), whose bundle is not here: "
        "name its folder with --from"
    )


def _sound(settings: Settings) -> Iterator[ModelBundle]:
    """Give the models that can be read; a damaged one keeps nobody from the others."""
    for folder in bundle_folders(settings):
        try:
            yield load_bundle(folder)
        except BundleError:
            continue
