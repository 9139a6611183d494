"""Which page of a TIFF file is the photo: previews, thumbnails and masks lie beside it."""

from __future__ import annotations

from bilateral_jax.images import headers

# Tags and their values.
_NEW_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _DNG_VERSION = 254, 255, 50706
_REDUCED, _MASK = 1, 4  # bits of the new one
_OLD_REDUCED = 2
_COLOR_FILTER_ARRAY, _LINEAR_RAW = 32803, 34892  # photometric interpretations
_MOST_PAGES = 4096  # of one chain; a circular chain would never end


def is_raw(tiff) -> bool:
    """Whether a TIFF file is a camera's raw file: a DNG, or a mosaic in any of its pages.

    Args:
      tiff: `tifffile.TiffFile`.
    """
    if tiff.filehandle.size > 10:
        tiff.filehandle.seek(8)
        if tiff.filehandle.read(2) == b"CR":  # Canon's CR2
            return True
    return any(
        _DNG_VERSION in page.tags or page.photometric in (_COLOR_FILTER_ARRAY, _LINEAR_RAW)
        for page in _all_pages(tiff)
    )


def full_page(tiff, *, first_frame: bool):
    """Finds the page that is the photo.

    Args:
      tiff: `tifffile.TiffFile`, not of a raw file.
      first_frame: accept several full pages, and take the first.

    Returns:
      `tifffile.TiffPage`: the one page that is neither a reduced copy nor a mask.

    Raises:
      ValueError: there is none, or several.
    """
    chain = [page for page in _chain(tiff.pages) if not _is_auxiliary(page)]
    # A reduced copy may stand first, with the photo in a directory below it.
    full = chain or [page for page in _all_pages(tiff) if not _is_auxiliary(page)]
    if not full:
        raise ValueError("it holds only reduced copies of an image")
    count = max(len(full), _stacked(tiff))
    headers.check_frames(count, first_frame=first_frame, of="pages")
    return full[0]


def has_mask(tiff) -> bool:
    """Whether a page is a mask of the image.

    Args:
      tiff: `tifffile.TiffFile`.
    """
    return any(_kind(page) & _MASK for page in _all_pages(tiff))


def _kind(page):
    return int(page.tags.valueof(_NEW_SUBFILE_TYPE, 0))


def _is_auxiliary(page):
    if page.tags.valueof(_OLD_SUBFILE_TYPE) == _OLD_REDUCED:
        return True
    return bool(_kind(page) & (_REDUCED | _MASK))


def _stacked(tiff):
    """Images that ImageJ stores behind one page."""
    metadata = tiff.imagej_metadata if tiff.is_imagej else None
    return int((metadata or {}).get("images", 1))


def _all_pages(tiff):
    for page in _chain(tiff.pages):
        yield page
        if page.subifds:
            yield from _chain(page.pages)


def _chain(pages):
    """The pages of one chain of directories as full pages, not as frames of the first."""
    pages.useframes = False
    count = len(pages)
    if count > _MOST_PAGES:
        raise ValueError(f"it holds {count} pages; at most {_MOST_PAGES} are supported")
    return [pages[index] for index in range(count)]
