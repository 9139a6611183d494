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
# A camera turns light into a picture in stages. Three of them are here as differentiable
# functions: **white balance** (three gains), a **tone curve** (16 numbers) and a **bilateral
# grid** of colour matrices for all that depends on where a pixel is. Gradient descent fits the
# stages to one pair: what the sensor saw, and how the picture should look.

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


def show(pictures):
    """Draws named pictures side by side."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(4 * len(pictures), 3.1), dpi=80)
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        ax.imshow(np.clip(picture, 0, 1))
        ax.set_title(title)
        ax.axis("off")
    figure.tight_layout()


# %% [markdown]
# ## The pair
#
# The target is a photograph after a retouch by a classical filter (the demo's look): a local
# Laplacian lights the shadows and calms the highlights, by brightness relative to the
# surroundings. The input is the same photograph as a camera would have recorded it a stop too
# short and in the wrong light, with a little noise.

# %%
photo = skimage.data.astronaut()[:300, 31:481]
photo = skimage.transform.resize(photo, (200, 300), anti_aliasing=True).astype(np.float32)
target = jax.jit(lambda image: local_laplacian.enhance(image, **demo_photos.FILTER))(photo)

cast = np.array([0.6, 0.45, 0.3], np.float32)  # what is left of red, green and blue light
noise = 0.002 * jax.random.normal(jax.random.key(0), photo.shape)
sensor = jnp.clip(color.srgb_to_linear(photo) * cast + noise, 0, 1)
show({"input (shown as sRGB)": color.linear_to_srgb(sensor), "target": target})

# %% [markdown]
# ## The pipeline
#
# White balance works on linear light, the rest on display values. Two things come for free:
#
# - A tone curve *is* a bilateral grid, one with a single place: `bj.slice` interpolates its 16
#   values at the brightness of a pixel. The curve is a sum of positive steps, so it never falls.
# - `bj.slice_apply` looks a 3 x 4 matrix up for every pixel and applies it. Here the matrices
#   start as the identity, and the guide is the brightness that the tone curve gave.


# %%
def white_balance(parameters, linear):
    """Three gains, in stops."""
    return linear * jnp.exp2(parameters["stops"])


def tone(parameters):
    """The curve's 16 values at brightnesses 0, 1/15, ..., 1."""
    rises = jax.nn.softplus(parameters["rises"])
    return jnp.cumsum(rises) - rises[0]


def tone_curve(parameters, image):
    """Looks every channel up in the curve."""
    grid = tone(parameters).reshape(1, 1, 16)
    channels = jnp.moveaxis(image, -1, 0)
    mapped = bj.slice(grid, channels, feature_axes=0, convention="align_corners")
    return jnp.moveaxis(mapped, 0, -1)


def local_colour(parameters, image):
    """A colour matrix for every place and brightness."""
    grid = bj.identity_grid((12, 12, 8)) + parameters["grid"]
    luma = image @ jnp.array([0.299, 0.587, 0.114])
    return bj.slice_apply(grid, luma, image)


def develop(parameters, linear):
    """The camera: linear light to a picture."""
    balanced = white_balance(parameters, linear)
    encoded = color.linear_to_srgb(jnp.clip(balanced, 1e-5, 1))
    return local_colour(parameters, tone_curve(parameters, encoded))


start = {
    "stops": jnp.zeros(3),
    "rises": jnp.full(16, jnp.log(jnp.expm1(1 / 15))),  # the straight line
    "grid": jnp.zeros((12, 12, 8, 3, 4)),
}

# %% [markdown]
# ## The fit
#
# One loss, one optimiser. The stages join one after the other, each fit going on from the last,
# so that every stage takes what it can and leaves the rest to the next. The smoothness of the grid
# (`bj.total_variation`) keeps cells that few pixels fall into close to their neighbours.


# %%
def loss(parameters):
    """Mean squared error, and a little smoothness."""
    error = jnp.mean((develop(parameters, sensor) - target) ** 2)
    return error + 0.01 * bj.total_variation(parameters["grid"], feature_axes=2), error


optimizer, STEPS = optax.adam(0.02), 100


@jax.jit
def step(parameters, state, trained):
    """One step of the stages that are switched on."""
    (_, error), gradient = jax.value_and_grad(loss, has_aux=True)(parameters)
    change, state = optimizer.update(gradient, state)
    change = jax.tree.map(lambda value, on: value * on, change, trained)
    return optax.apply_updates(parameters, change), state, error


def fit(parameters, *stages, steps=STEPS):
    """Fits some of the stages; gives the parameters and the PSNR over the steps."""
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
# ## What it learned
#
# Fitted alone, the gains turn most of the cast back. Once other stages are trained with them they
# share the work: what the pair determines is the picture, not who does what. The curve brightens.

# %%
for title, stops in {"alone": balanced[0]["stops"], "in the end": fitted["stops"]}.items():
    print(f"gains {title}, green = 1:", np.round(np.exp2(stops - stops[1]), 2))
print("the cast turned back:", np.round(cast[1] / cast, 2))
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
# The grid holds what no curve can. For four depths (brightnesses): how much brighter the matrices
# of each place make a grey of that depth. Places differ, because the retouch looks at surroundings.

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
# Every stage is a plain function, so one can put another in between, share parameters between
# photos, or let a network predict them: HDRNet is this last step.
