"""What the catalogue says about published weights: the publication, its files, their checksums."""

import dataclasses
import urllib.parse


@dataclasses.dataclass(frozen=True)
class File:
    """One file of an entry.

    Attributes:
      path: below the publication's folder, with "/".
      size: bytes; None where it is not known.
      sha256: 64 hexadecimal digits; None where it is not known.
      argument: name of the importer's argument that takes the file; None for a file that the
        importer finds beside another one.
    """

    path: str
    size: int | None = None
    sha256: str | None = None
    argument: str | None = "source"

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.rpartition("/")[2]


@dataclasses.dataclass(frozen=True)
class Publication:
    """A paper and where its authors keep the weights.

    Attributes:
      title: the system's name.
      paper: authors, where it appeared, its number.
      licence: of the weights, as their authors state it.
      page: address of the folder of files, for people.
      folder: address that files are downloaded from, with "/" at the end.
      commit: of the repository; None where there is none.
      kind: `bilateral-jax import KIND` reads the files.
      release: of the Python package that is the file, in place of a commit.
    """

    title: str
    paper: str
    licence: str
    page: str
    folder: str
    commit: str | None
    kind: str
    release: str | None = None


@dataclasses.dataclass(frozen=True)
class Entry:
    """Weights of one network.

    Attributes:
      name: in commands.
      publication: the paper, its licence and its address.
      purpose: what the network is good for, in a few words.
      files: what is downloaded; the importer is given those with an `argument`.
      enhances: a network that enhances sRGB photos.
      caution: what goes wrong with photos of another kind, where much does.
    """

    name: str
    publication: Publication
    purpose: str
    files: tuple[File, ...]
    enhances: bool = True
    caution: str | None = None

    @property
    def size(self) -> int | None:
        """Bytes of all files; None where one is not known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(sizes)

    @property
    def verified(self) -> bool:
        """Whether a commit or release and the checksum of every file are known."""
        known = all(file.sha256 for file in self.files)
        return known and (self.publication.commit or self.publication.release) is not None

    @property
    def revision(self) -> str:
        """The commit's first eight digits, the release, or "unversioned"."""
        commit = self.publication.commit
        return commit[:8] if commit else self.publication.release or "unversioned"

    def address(self, file: File) -> str:
        """Formats the address of one of the files, with special characters escaped.

        Args:
          file: one of `files`.
        """
        return self.publication.folder + urllib.parse.quote(file.path)
