"""Base classes of all sources of files: validation of every file, and the handling of bad ones.

A source has a fixed length and returns the same element for the same index at any time, since a
resumed run must read what the interrupted one would have read. So records found bad at the start
are left out before anything is counted; one that turns out bad while reading is replaced by the
next good one.
"""

from __future__ import annotations

import concurrent.futures
import copy
import hashlib
import json
import operator
import warnings

from bilateral_jax.data.sources import image_files, views

VERIFY = ("none", "headers", "full")
ON_BAD = ("refuse", "skip")
# More bad records in a row than this are not a matter of single files.
_MOST_SUBSTITUTES = 100


class FileSource:
    """A source whose records are files; a subclass names, validates and reads one record.

    Args:
      records: all records, in order.
      lost: (name, reason) of records found bad when the files were listed.
      verify: "headers" checks the head and the end of every file now (zero-byte file, unknown
        format, wrong depth, truncated file, decompression bomb, members of different size); "full"
        decodes every file now; "none" checks nothing.
      on_bad: "refuse" raises, now or while reading; "skip" leaves bad records out now, and while
        reading returns the next good record in place of a bad one, with a warning.
      threads: files checked at a time.

    Attributes:
      skipped: list of (name, reason) of the records left out or replaced so far, in this process.

    Raises:
      ValueError: an unknown option; bad records with on_bad="refuse"; no good record.
    """

    def __init__(self, records, *, lost=(), verify="headers", on_bad="refuse", threads=8):
        if verify not in VERIFY:
            raise ValueError(f"verify must be one of {VERIFY}, got {verify!r}")
        if on_bad not in ON_BAD:
            raise ValueError(f"on_bad must be one of {ON_BAD}, got {on_bad!r}")
        self._on_bad, self.skipped = on_bad, list(lost)
        records = list(records)
        reasons, sizes = self._validate(records, verify, threads)
        self._records = [record for record, reason in zip(records, reasons) if not reason]
        self._sizes = [size for size, reason in zip(sizes, reasons) if not reason]
        self.skipped += [(self._name(r), reason) for r, reason in zip(records, reasons) if reason]
        if self.skipped:
            self._report(len(records) + len(lost))
        if not self._records:
            raise ValueError("the source is empty: there is no record to read")

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> dict:
        """Reads one record.

        Args:
          index: position in [-len, len).

        Returns:
          A dictionary of NumPy arrays and the record's name.

        Raises:
          IndexError: there is no such record.
          ValueError: it cannot be read, with on_bad="refuse".
        """
        return self._read_or_next(index)

    def exact(self, index: int) -> dict:
        """Reads one record, without substitution.

        Args:
          index: position in [-len, len).

        Returns:
          As `self[index]`.

        Raises:
          IndexError: there is no such record.
          ValueError: it cannot be read.
        """
        return self._read(self._records[operator.index(index)])

    def encoded(self, index: int) -> dict:
        """Reads one record as it goes into a prepared data set: images as encoded bytes.

        The images are decoded once, to validate them.

        Args:
          index: position in [-len, len).

        Returns:
          As `self[index]`, with bytes of image files in place of pixels.

        Raises:
          IndexError: there is no such record.
          ValueError: it cannot be read.
        """
        return self._encode(self._records[operator.index(index)])

    def part(self, start: int | None, stop: int | None) -> FileSource:
        """Selects a range of records; bad ones are replaced from within it.

        Args:
          start: first record, as in a Python slice.
          stop: the record after the last, as in a Python slice.

        Returns:
          A source of the same kind.

        Raises:
          ValueError: the part is empty.
        """
        indices = range(len(self))[start:stop]
        if not indices:
            raise ValueError(f"part {start}:{stop} of a source of {len(self)} records is empty")
        return self.select(indices)

    def select(self, indices) -> FileSource:
        """Selects records; bad ones are replaced from among them.

        Args:
          indices: sequence of indices, each in [0, len), at least one.

        Returns:
          A source of the same kind, of these records in this order.

        Raises:
          ValueError: there are no indices.
        """
        if not len(indices):
            raise ValueError(f"no record is selected of a source of {len(self)}")
        part = copy.copy(self)
        part._records = [self._records[index] for index in indices]
        part._sizes = [self._sizes[index] for index in indices]
        return part

    def name(self, index: int) -> str:
        """Returns the name of a record without reading it.

        Args:
          index: position in [-len, len).

        Returns:
          The name.

        Raises:
          IndexError: there is no such record.
        """
        return self._name(self._records[operator.index(index)])

    def identity(self) -> dict:
        """Describes the records, see `views.identity`; reads no file.

        Returns:
          `{"records": int, "names": checksum of the names in order}`.
        """
        names = json.dumps([self._name(record) for record in self._records])
        checksum = hashlib.blake2b(names.encode(), digest_size=16).hexdigest()
        return {"records": len(self), "names": checksum}

    def smaller_than(self, height: int, width: int) -> list[str]:
        """Lists the records whose images are too small for a crop; reads no file.

        Args:
          height: of the crop.
          width: of the crop.

        Returns:
          Their names. With verify="none" no size is known, and there are none.
        """
        known = zip(self._records, self._sizes)
        return [
            self._name(r) for r, size in known if size and (size[0] < height or size[1] < width)
        ]

    def _read_or_next(self, index):
        """Reads a record, or the next that can be read."""
        count = len(self._records)
        index = views.check_index(index, count, "records")
        for step in range(min(count, _MOST_SUBSTITUTES)):
            record = self._records[(index + step) % count]
            try:
                return self._read(record)
            except ValueError as error:
                if self._on_bad == "refuse":
                    raise
                self._note(self._name(record), str(error))
        raise ValueError(
            f"{step + 1} records in a row cannot be read, one of them: {self.skipped[-1][1]}"
        )

    def _note(self, name, reason):
        if (name, reason) not in self.skipped:
            self.skipped.append((name, reason))
            warnings.warn(f"the next record is used instead of a bad one: {reason}", stacklevel=4)

    def _validate(self, records, verify, threads):
        """Returns two lists: why each record is bad, or None; its (height, width), if known."""
        if verify == "none":
            return [None] * len(records), [None] * len(records)
        check = self._inspect if verify == "headers" else self._read

        def result(record):
            try:
                found = check(record)
                return None, _size_of(found) if isinstance(found, dict) else found
            except (OSError, ValueError) as error:
                return str(error), None

        pool = concurrent.futures.ThreadPoolExecutor(threads)
        try:
            return [list(each) for each in zip(*pool.map(result, records))] or [[], []]
        finally:  # without waiting: after Ctrl-C, the files still to be read are left alone
            pool.shutdown(wait=False, cancel_futures=True)

    def _report(self, count):
        names = image_files.join_names(
            [f"{name} ({reason})" for name, reason in self.skipped], most=3
        )
        if self._on_bad == "refuse":
            raise ValueError(
                f'{len(self.skipped)} of {count} records are bad: {names}. on_bad="skip" would '
                "leave them out"
            )
        warnings.warn(f"{len(self.skipped)} of {count} records are skipped: {names}", stacklevel=4)


def _size_of(element):
    """(height, width) of the images of an element that was read."""
    return element["input" if "input" in element else "image"].shape[-3:-1]


class ImageRecords(FileSource):
    """Base class of sources of single images: `{"image": uint8 or uint16 [h, w, 3], "name": str}`.

    Args:
      records: list of records with a `path` and a `name`.
      reader: how the files are read, see `data/sources/readers.py`.
      **checks: `lost`, `verify`, `on_bad`, `threads` of `FileSource`.

    Raises:
      ValueError: as `FileSource`.
    """

    def __init__(self, records, reader, **checks):
        self._reader = reader
        super().__init__(records, **checks)

    def _name(self, record):
        return record.name

    def _inspect(self, record):
        return self._reader.size(record.path)

    def _read(self, record):
        return {"image": self._reader.read(record.path), "name": self._name(record)}

    def _encode(self, record):
        return {"image": self._reader.encoded(record.path)[0], "name": self._name(record)}
