"""The package's description: README.md, its links made absolute."""

import pathlib
import re
import tomllib

import setuptools

ROOT = pathlib.Path(__file__).resolve().parent


def absolute_links(text: str, repository: str) -> str:
    """Makes the relative links of a Markdown text absolute.

    Args:
      text: Markdown, written to lie at the root of the repository.
      repository: its address.

    Returns:
      The text; images lead to files as they are, other links to their pages.
    """
    link = re.compile(r"(!?)(\[[^\]]*\])\((?!\w+:|#)([^)\s]+)\)")
    kinds = {"!": "raw", "": "blob"}
    return link.sub(
        lambda found: f"{found[1]}{found[2]}({repository}/{kinds[found[1]]}/HEAD/{found[3]})", text
    )


project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
setuptools.setup(
    long_description=absolute_links(
        (ROOT / "README.md").read_text(encoding="utf-8"), project["urls"]["Repository"]
    ),
    long_description_content_type="text/markdown",
)
