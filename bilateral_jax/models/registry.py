"""Networks by name, as checkpoints and configs refer to them."""

import dataclasses

import flax.linen as nn

from bilateral_jax.models import (
    can,
    color_table,
    cyclegan,
    dpe,
    dped,
    efficientnet,
    hdrnet,
    lut3d,
    lut_bgrid,
    neurop,
    nima_networks,
    patch_critic,
    seplut,
    svdlut,
    upe,
    vgg,
)

REGISTRY = {
    "HDRNetCurves": hdrnet.HDRNetCurves,
    "HDRNetPointwiseNNGuide": hdrnet.HDRNetPointwiseNNGuide,
    "HDRNetGaussianPyrNN": hdrnet.HDRNetGaussianPyrNN,
    "DPE": dpe.DPE,
    "DPECritic": dpe.DPECritic,
    "DPED": dped.DPED,
    "DPEDCritic": dped.DPEDCritic,
    "CAN": can.CAN,
    "ColorTable": color_table.ColorTable,
    "ImageAdaptiveLUT": lut3d.ImageAdaptiveLUT,
    "LUTCritic": lut3d.LUTCritic,
    "NeurOp": neurop.NeurOp,
    "LUTwithBGrid": lut_bgrid.LUTwithBGrid,
    "SVDLUT": svdlut.SVDLUT,
    "SepLUT": seplut.SepLUT,
    "ResNetGenerator": cyclegan.ResNetGenerator,
    "PatchCritic": patch_critic.PatchCritic,
    "NIMAMobileNet": nima_networks.NIMAMobileNet,
    "NIMAVGG16": nima_networks.NIMAVGG16,
    "NIMAEfficientNet": nima_networks.NIMAEfficientNet,
    "UPE": upe.UPE,
    "VGG": vgg.VGG,
    "EfficientNetLite0": efficientnet.EfficientNetLite0,
}
# network -> preset -> fields, where the network differs from its defaults
_PRESETS = {name: hdrnet.PRESETS for name in REGISTRY if name.startswith("HDRNet")}
_PRESETS["UPE"] = hdrnet.PRESETS
_PRESETS["LUTwithBGrid"] = {"recommended": {"identity_start": True}}

_NOT_STORED = ("parent", "name", "axis_name")  # linen's own, and where it runs


def create(name: str, hyperparameters: dict | None = None, *, preset: str = "paper") -> nn.Module:
    """Builds a network.

    Args:
      name: of the network, a key of `REGISTRY`.
      hyperparameters: fields of the network to set; JSON-able.
      preset: where the other fields come from, "paper" (strictly the original) or "recommended";
        the same for networks without recommended values.

    Returns:
      The linen module.

    Raises:
      ValueError: unknown name, field or preset, or a value that the network refuses.
    """
    if name not in REGISTRY:
        raise ValueError(f"name must be one of {sorted(REGISTRY)}, got {name!r}")
    if preset not in hdrnet.PRESETS:
        raise ValueError(f"preset must be one of {sorted(hdrnet.PRESETS)}, got {preset!r}")
    preset_fields = _PRESETS.get(name, {}).get(preset, {})
    kind = REGISTRY[name]
    known = {field.name for field in dataclasses.fields(kind)} - {"parent", "name"}
    fields = {**preset_fields, **(hyperparameters or {})}
    unknown = sorted(set(fields) - known)
    if unknown:
        raise ValueError(
            f"{name} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}"
        )
    # Lists come out of JSON; fields of a module must be hashable.
    return kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()})


def describe(module: nn.Module) -> tuple[str, dict]:
    """Returns the name and hyper-parameters from which `create` builds an equal network.

    Args:
      module: a network of the registry.

    Returns:
      (name, JSON-able dict).

    Raises:
      ValueError: the network is not in the registry.
    """
    name = type(module).__name__
    if REGISTRY.get(name) is not type(module):
        raise ValueError(f"module must be one of {sorted(REGISTRY)}, got {name}")
    fields = (field.name for field in dataclasses.fields(module))
    return name, {field: getattr(module, field) for field in fields if field not in _NOT_STORED}
