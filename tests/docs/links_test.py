"""The pages of docs/: their links lead somewhere, and the files they name exist."""

import re

import pytest

from tests import assets

PAGES = sorted([*assets.ROOT.glob("docs/*.md"), assets.ROOT / "experiments/README.md"])
_FOLDERS = "bilateral_jax|experiments|configs|tests|benchmarks|tools|docs|notebooks"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_exist(page):
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```|`[^`]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", prose) if "://" not in link]
    for link in links:
        assert (page.parent / link).exists(), link
    for path in re.findall(rf"`((?:{_FOLDERS})/[\w/.*-]+)`", text):
        if not re.search(r"/[A-Z]+\.py$", path):  # stands for any
            assert list(assets.ROOT.glob(path)), path
