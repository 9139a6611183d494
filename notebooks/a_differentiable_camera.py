# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A differentiable camera
#
# A camera turns light into an image in stages. Three of them are written here as differentiable
# functions: **white balance** (three gains), a **tone curve** (16 values) and a **bilateral
# grid** of colour matrices for local adjustments. Gradient descent fits the stages to one pair:
# a sensor image and the target image.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import skimage.data
import skimage.transform

import bilateral_jax as bj
from bilateral_jax import color
from bilateral_jax.data.synthetic import demo_photos
from bilateral_jax.filters import local_laplacian


def show(images):
    """Draws named images side by side."""
    figure, axes = plt.subplots(1, len(images), figsize=(4 * len(images), 3.1), dpi=80)
    for ax, (title, image) in zip(axes, images.items(), strict=True):
        ax.imshow(np.clip(image, 0, 1))
        ax.set_title(title)
        ax.axis("off")
    figure.tight_layout()


# %% [markdown]
# ## The pair
#
# The target is a photo processed by a classical filter (that of the demo): a local Laplacian
# filter brightens shadows and compresses highlights, relative to the local brightness. The input
# is the same photo as a camera would record it, underexposed by a stop, with a colour cast and a
# little noise.

# %%
photo = skimage.data.astronaut()[:300, 31:481]
photo = skimage.transform.resize(photo, (200, 300), anti_aliasing=True).astype(np.float32)
target = jax.jit(lambda image: local_laplacian.enhance(image, **demo_photos.FILTER))(photo)

cast = np.array([0.6, 0.45, 0.3], np.float32)  # gains of red, green and blue light
noise = 0.002 * jax.random.normal(jax.random.key(0), photo.shape)
sensor = jnp.clip(color.srgb_to_linear(photo) * cast + noise, 0, 1)
show({"input (shown as sRGB)": color.linear_to_srgb(sensor), "target": target})

# %% [markdown]
# ## The pipeline
#
# White balance works on linear light, the other stages on display values. Both use the library:
#
# - A tone curve *is* a bilateral grid with a single spatial cell: `bj.slice` interpolates its 16
#   values at the value of a pixel. The curve is a sum of positive steps, so it is monotonic.
# - `bj.slice_apply` interpolates a 3 x 4 matrix for every pixel and applies it. The matrices
#   start as the identity, and the guide is the luma after the tone curve.


# %%
def white_balance(parameters, linear):
    """Three gains, in stops."""
    return linear * jnp.exp2(parameters["stops"])


def tone(parameters):
    """The curve's 16 values at brightnesses 0, 1/15, ..., 1."""
    rises = jax.nn.softplus(parameters["rises"])
    return jnp.cumsum(rises) - rises[0]


def tone_curve(parameters, image):
    """Applies the curve to each channel."""
    grid = tone(parameters).reshape(1, 1, 16)
    channels = jnp.moveaxis(image, -1, 0)
    mapped = bj.slice(grid, channels, feature_axes=0, convention="align_corners")
    return jnp.moveaxis(mapped, 0, -1)


def local_colour(parameters, image):
    """Applies a colour matrix that depends on position and brightness."""
    grid = bj.identity_grid((12, 12, 8)) + parameters["grid"]
    luma = image @ jnp.array([0.299, 0.587, 0.114])
    return bj.slice_apply(grid, luma, image)


def develop(parameters, linear):
    """The camera: linear light to a display image."""
    balanced = white_balance(parameters, linear)
    encoded = color.linear_to_srgb(jnp.clip(balanced, 1e-5, 1))
    return local_colour(parameters, tone_curve(parameters, encoded))


start = {
    "stops": jnp.zeros(3),
    "rises": jnp.full(16, jnp.log(jnp.expm1(1 / 15))),  # the identity
    "grid": jnp.zeros((12, 12, 8, 3, 4)),
}

# %% [markdown]
# ## The fit
#
# One loss, one optimiser. The stages are added one after the other, each fit starting from the
# previous one, so that each stage explains as much as it can before the next is added. The
# smoothness of the grid (`bj.total_variation`) keeps cells with few pixels close to their
# neighbours.


# %%
def loss(parameters):
    """Mean squared error and a small smoothness penalty."""
    error = jnp.mean((develop(parameters, sensor) - target) ** 2)
    return error + 0.01 * bj.total_variation(parameters["grid"], feature_axes=2), error


optimizer, STEPS = optax.adam(0.02), 100


@jax.jit
def step(parameters, state, trained):
    """One step of the stages that are trained."""
    (_, error), gradient = jax.value_and_grad(loss, has_aux=True)(parameters)
    change, state = optimizer.update(gradient, state)
    change = jax.tree.map(lambda value, on: value * on, change, trained)
    return optax.apply_updates(parameters, change), state, error


def fit(parameters, *stages, steps=STEPS):
    """Fits some of the stages; returns the parameters and the PSNR over the steps."""
    state = optimizer.init(parameters)
    trained = {name: jnp.float32(name in stages) for name in start}
    errors = []
    for _ in range(steps):
        parameters, state, error = step(parameters, state, trained)
        errors.append(error)
    return parameters, -10 * np.log10(np.asarray(errors))


balanced = fit(start, "stops")
toned = fit(balanced[0], "stops", "rises")
local = fit(toned[0], "stops", "rises", "grid")
fits = {"white balance": balanced, "+ tone curve": toned, "+ bilateral grid": local}
camera = jax.jit(develop)
print(f"untouched: {fits['white balance'][1][0]:.1f} dB")
for name, (_, psnr) in fits.items():
    print(f"{name}: {psnr[-1]:.1f} dB")
show({name: camera(parameters, sensor) for name, (parameters, _) in fits.items()})

# %%
fitted = local[0]
show(
    {
        "before": color.linear_to_srgb(sensor),
        "after": camera(fitted, sensor),
        "target": target,
    }
)

# %% [markdown]
# ## The fitted parameters
#
# Fitted alone, the gains undo most of the cast. Trained together with other stages they change:
# the pair determines the output, not the contribution of each stage. The curve brightens.

# %%
for title, stops in {"alone": balanced[0]["stops"], "in the end": fitted["stops"]}.items():
    print(f"gains {title}, green = 1:", np.round(np.exp2(stops - stops[1]), 2))
print("inverse of the cast:", np.round(cast[1] / cast, 2))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), dpi=80)
knots = np.linspace(0, 1, 16)
left.plot(knots, knots, color="0.7", label="start")
for name in ("+ tone curve", "+ bilateral grid"):
    left.plot(knots, tone(fits[name][0]), marker="o", markersize=3, label=name)
left.set(xlabel="display value", ylabel="display value", title="tone curve")
left.legend()
for number, (name, (_, psnr)) in enumerate(fits.items()):
    right.plot(STEPS * number + np.arange(STEPS), psnr, label=name)
right.set(xlabel="step", ylabel="PSNR in dB", title="fit")
right.legend()
figure.tight_layout()

# %% [markdown]
# The grid holds local adjustments, which a curve cannot. For four depths (brightnesses): the change
# of a grey of that brightness in each cell. Cells differ, because the filter is local.

# %%
depths = (jnp.arange(8) + 0.5) / 8
matrices = bj.identity_grid((12, 12, 8)) + fitted["grid"]
grey = jnp.append(jnp.ones((8, 3)) * depths[:, None], jnp.ones((8, 1)), axis=1)
lift = jnp.einsum("yxzij,zj->yxzi", matrices, grey).mean(-1) - depths
figure, axes = plt.subplots(1, 4, figsize=(12, 2.5), dpi=80)
for ax, depth in zip(axes, (0, 2, 4, 6), strict=True):
    drawn = ax.imshow(lift[:, :, depth], cmap="RdGy_r", vmin=-0.25, vmax=0.25, aspect=2 / 3)
    ax.set_title(f"grey {depths[depth]:.2f}")
    ax.axis("off")
figure.colorbar(drawn, ax=axes, label="change of grey", shrink=0.7)

# %% [markdown]
# Every stage is a plain function, so stages can be inserted, parameters can be shared between
# photos, or predicted by a network: that is HDRNet.
