"""Photos for short trainings without pairs: one half made dull, the other half as it is.

Training inputs are one half of a set of photos, each made dull four times at random (`DULL`: 0.6 to
1.4 stops darker, paler, flatter, yellowish, noisy); training targets are the other half, untouched.
No photo is on both sides. Before that all photos of both sides are taken with their channels in all
six orders: a dozen photos have colours of their own (dark is green, bright is blue), which a critic
learns as if they were the wanted look. The held-out photos, which neither side contains, are made
dull in the same way, with their originals as targets, so that PSNR and SSIM say what was learnt.

The photos are those bundled with Python packages (five for training, three held out), or a folder:
`--config=configs/NAME.py:FOLDER` holds out eight of its photos, drawn at random, and
`NAME.py:open_photos:FOLDER` the eight of `OPEN_PHOTOS`, which must be there. Of fewer than ten
photos hold out fewer, the same number in both sections:

    --config.data.train.photos.heldout=2 --config.data.heldout.photos.heldout=2

The open photos are 31 of Debian's packages of wallpapers (11 of lomiri-wallpapers-16.04, one of
lomiri-wallpapers-20.04, 9 of mate-backgrounds, 10 of plasma-workspace-wallpapers), scaled to a long
side of 1200 pixels; a file has the wallpaper's name without its author, in lower case.
"""

DULL = {
    "stops": (-1.4, -0.6),
    "saturation": (0.5, 0.7),
    "contrast": (0.65, 0.8),
    "tint": (0.1, 0.05, -0.2),
    "cast": 0.03,
    "noise": 0.005,
    "untouched": 0.0,
}
# Held out of the 31 open photos that the results of the configs were measured with.
OPEN_PHOTOS = (
    "aitzgorri", "friends", "picosdeeuropa", "picture_0b",
    "picture_1a", "seeding", "sunset", "wine",
)  # fmt: skip
# Seed of their halves: of those below 200 the one whose halves, before they are made dull, differ
# least in the mean and the covariance of the colours. With a dozen photos on a side they can differ
# as much as dull photos do from others.
OPEN_PHOTOS_HALVES = 38
LONG_SIDE = 600
_NAMED = "open_photos:"


def sections(photos=None, *, seed=0, long_side=LONG_SIDE):
    """Makes the sections `data.train` (unpaired) and `data.heldout` (pairs) of a config.

    Args:
      photos: None for the bundled photos, "FOLDER", or "open_photos:FOLDER".
      seed: of both drawings: of the held-out photos and of the halves.
      long_side: to which larger photos of a folder are reduced. The bundled ones have 576 pixels,
        and are reduced where this is less.

    Returns:
      `{"train": dict, "heldout": dict}`, keywords of `data.registry.make`.
    """
    kept, held = (
        source(photos, split, seed=seed, long_side=long_side) for split in ("train", "heldout")
    )
    dull = {**DULL, "seed": seed, "rounds": 4}
    halves = OPEN_PHOTOS_HALVES if photos and photos.startswith(_NAMED) else seed
    return {
        "train": {
            "kind": "unpaired_halves",
            "photos": kept,
            "dull": dull,
            "permute_channels": True,
            "seed": halves,
            "rounds": 16,
        },
        "heldout": {"kind": "dulled", "photos": held, **DULL, "seed": seed + 1},
    }


def source(photos, split, *, seed=0, long_side=LONG_SIDE):
    """Makes the section of the photos of one split.

    Args:
      photos: as for `sections`.
      split: "train" or "heldout".
      seed: of the drawing of the held-out photos.
      long_side: as for `sections`.

    Returns:
      dict, keywords of `data.registry.make`.

    Raises:
      ValueError: "open_photos" without a folder.
    """
    if not photos:
        bundled = {"kind": "demo_inputs", "split": split}
        if long_side >= 576:
            return bundled
        return {"kind": "shrunk", "photos": bundled, "short_side": 2 * long_side // 3}
    named, root = photos.startswith(_NAMED), photos.removeprefix(_NAMED)
    if not root or photos == _NAMED.removesuffix(":"):
        raise ValueError(
            f"expected FOLDER or {_NAMED}FOLDER after the config's name, got {photos!r}"
        )
    return {
        "kind": "photos",
        "root": root,
        "long_side": long_side,
        "split": split,
        "heldout": OPEN_PHOTOS if named else 8,
        "seed": seed,
        "on_bad": "refuse",
        "follow_links": False,
    }
