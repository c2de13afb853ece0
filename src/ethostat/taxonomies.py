"""Taxonomies from files: YAML or JSON, checked before anything is measured with them."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from ethostat.documents import SUFFIXES, kind_of, read_document
from ethostat.errors import InvalidTaxonomy
from ethostat.taxonomy import FIVE_GOALS, Taxonomy

BUILT_IN = (FIVE_GOALS.name, "eight-goals")
"""The taxonomies that need no file."""


def load_taxonomy(source: Path | str) -> Taxonomy:
    """The taxonomy of a file (.yaml, .yml, .json), or a built-in one by its name: "five-goals", "eight-goals".

    Raises InvalidTaxonomy naming the file, the line where the syntax is wrong, and the rule that is broken.
    """
    if str(source) == FIVE_GOALS.name:
        return FIVE_GOALS
    if str(source) in BUILT_IN:
        with resources.as_file(resources.files("ethostat") / "data" / "taxonomies" / f"{source}.yaml") as path:
            return _of_file(path)
    path = Path(source)
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidTaxonomy(
            f"taxonomy {str(source)!r} must be a .yaml or .json file, or {' or '.join(map(repr, BUILT_IN))}, "
            "which are built in"
        )
    return _of_file(path)


def _of_file(path: Path) -> Taxonomy:
    fields = read_document(path, error=InvalidTaxonomy)
    if not isinstance(fields, dict):
        raise InvalidTaxonomy(f"{path}: a taxonomy must be a mapping of name, version, goals; got {kind_of(fields)}")
    try:
        taxonomy = Taxonomy.from_dict(fields)
        json.dumps(taxonomy.to_dict(), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidTaxonomy(f"{path}: a text holds half of a surrogate pair; write the character itself") from error
    except (InvalidTaxonomy, ValueError) as error:
        raise InvalidTaxonomy(f"{path}: {error}") from error
    return taxonomy
