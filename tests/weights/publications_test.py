"""The publications: licences, fixed addresses, and an importer that reads the files."""

import re

import pytest

from bilateral_jax.cli import import_weights
from bilateral_jax.weights import catalogue, publications
from bilateral_jax.weights import entry as entry_lib

PUBLICATIONS = {
    name: value
    for name, value in vars(publications).items()
    if isinstance(value, entry_lib.Publication)
}


def test_each_has_entries_in_the_catalogue():
    used = {id(entry.publication) for entry in catalogue.ENTRIES}
    assert used == {id(publication) for publication in PUBLICATIONS.values()}


@pytest.mark.parametrize("name", PUBLICATIONS)
def test_a_publication_is_complete(name):
    publication = PUBLICATIONS[name]
    assert publication.title and publication.licence and re.search(r" 20\d\d", publication.paper)
    assert callable(import_weights.loader(publication.kind))
    for address in (publication.page, publication.folder):
        assert re.fullmatch(r"https://[\w./-]+/", address)


@pytest.mark.parametrize("name", PUBLICATIONS)
def test_addresses_are_at_a_fixed_commit(name):
    publication = PUBLICATIONS[name]
    if publication.commit is None:
        assert "github" not in publication.folder
    else:
        assert re.fullmatch("[0-9a-f]{40}", publication.commit)
        assert f"/tree/{publication.commit}/" in publication.page
        assert f"/{publication.commit}/" in publication.folder
