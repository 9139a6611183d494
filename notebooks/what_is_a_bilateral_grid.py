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
# # What is a bilateral grid?
#
# A small array of cells indexed by position *and* brightness. Two of its axes are the image's
# rows and columns, at low resolution; the third is brightness. Pixels that are neighbours in
# the image but on two sides of an edge fall into different cells, because their brightness
# differs. So any operation on the cells, however coarse they are, respects the edges of the
# image.
#
# Four operations are enough: **splat** pixels into the grid, **blur** the grid, **slice** the
# grid at every pixel, and **apply** the sliced matrix to the pixel.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import skimage.data

import bilateral_jax as bj

photo = skimage.data.astronaut()[:384, 64:448]
image = jnp.asarray(photo, jnp.float32) / 255
guide = image @ jnp.array([0.299, 0.587, 0.114])  # brightness, [h, w], in [0, 1]


def show(images, **options):
    """Draws named images side by side."""
    size = (3.2 * len(images), 3.6)
    figure, axes = plt.subplots(1, len(images), figsize=size, dpi=80)
    for ax, (title, pixels) in zip(np.atleast_1d(axes), images.items(), strict=True):
        ax.imshow(np.clip(pixels, 0, 1), cmap="gray", vmin=0, vmax=1, **options)
        ax.set_title(title)
        ax.axis("off")
    figure.tight_layout()


show({"image": image, "guide": guide})

# %% [markdown]
# ## Splat: pixels into cells
#
# Every pixel adds its value to the cells around its position *and* its brightness. With
# `weights` the sum of weights of each cell is returned, too. Shown are two of the eight layers
# of a 24 x 24 x 8 grid, each cell with its mean colour: one of dark pixels, one of bright
# pixels.

# %%
grid_shape = (24, 24, 8)
values, weights = bj.splat(image, guide, grid_shape, weights=jnp.ones_like(guide))
mean = values / jnp.maximum(weights, 1e-6)[..., None]
print("pixels:", image.shape, " values:", values.shape, " weights:", weights.shape)
print("sum of the weights:", float(weights.sum()), "for", guide.size, "pixels")
show({"depth 1 (dark)": mean[:, :, 1], "depth 6 (bright)": mean[:, :, 6]})

# %% [markdown]
# ## Blur and slice: smoothing that keeps edges
#
# Slicing interpolates the grid at every pixel's position and brightness. If the cells are
# blurred in between, the image is smoothed, but only among pixels that are near in *both*
# senses. A plain blur of the same width mixes across the edges.

# %%
blurred = bj.blur(values, (1.5, 1.5, 0.5), boundary="zero", feature_axes=1)
total = bj.blur(weights, (1.5, 1.5, 0.5), boundary="zero", feature_axes=0)
smooth = bj.slice(blurred, guide) / jnp.maximum(bj.slice(total, guide), 1e-6)[..., None]

flat_guide = jnp.full_like(guide, 0.5)  # a guide that sees no edges
flat, count = bj.splat(image, flat_guide, (24, 24, 1), weights=jnp.ones_like(guide))
flat = bj.blur(flat, (1.5, 1.5, 0), boundary="zero", feature_axes=1)
count = bj.blur(count, (1.5, 1.5, 0), boundary="zero", feature_axes=0)
plain = bj.slice(flat, flat_guide) / bj.slice(count, flat_guide)[..., None]
show({"image": image, "blurred in the grid": smooth, "the same without brightness": plain})

# %% [markdown]
# `bj.bilateral_filter(image, guide, sigma_space=..., sigma_range=...)` is this composition,
# with its sigmas in pixels and in units of the guide.
#
# ## A grid of matrices
#
# HDRNet's idea: each cell has an affine colour map `[3, 4]` (the offset is the last column), so
# that the grid changes the *mapping* rather than the pixels. Starting from the identity, we
# brighten the dark depths and leave the bright ones. The grid is tiny; the image keeps its full
# resolution, since every pixel's own colour goes through its matrix.

# %%
grid = bj.identity_grid((16, 16, 8))
gain = 1 + 1.5 * jnp.linspace(1, 0, 8) ** 2  # one gain per depth, dark to bright
lifted = grid.at[..., :3].multiply(gain[:, None, None])
brighter = bj.slice_apply(lifted, guide, image)
print("the grid has", lifted.size, "numbers, the image", image.size)
show({"identity": bj.slice_apply(grid, guide, image), "dark depths lifted": brighter})

# %% [markdown]
# ## Edge-awareness
#
# One spatial cell of this 4 x 4 grid is changed: the matrices of its bright depths turn colours
# red. What turns red is no square but the bright wall; the hair in front of it keeps its colour,
# although it is at the same position. The right image shows the same change at all depths: a
# soft square.

# %%
red = jnp.array([[1.0, 0, 0, 0.4], [0, 0.2, 0, 0], [0, 0, 0.2, 0]])
coarse = bj.identity_grid((4, 4, 8))
bright_cells = coarse.at[0, 2, 5:].set(red)
all_depths = coarse.at[0, 2].set(red)
show(
    {
        "one cell, bright depths": bj.slice_apply(bright_cells, guide, image),
        "one cell, all depths": bj.slice_apply(all_depths, guide, image),
    }
)

# %% [markdown]
# ## Everything has a gradient
#
# A grid can be *learned*. Here a target is made by a tone curve per channel; gradient descent
# on the cells finds a grid that does the same. Only `jax.grad` is needed, and slicing is linear
# in the grid, so plain descent with momentum converges.

# %%
target = jnp.clip(image ** jnp.array([0.6, 0.7, 0.8]), 0, 1)


def loss(grid):
    """Mean squared error of the enhanced image."""
    return jnp.mean((bj.slice_apply(grid, guide, image) - target) ** 2)


@jax.jit
def step(grid, velocity):
    """One step of descent with momentum."""
    value, gradient = jax.value_and_grad(loss)(grid)
    # A cell's gradient shrinks with the pixels that fall into it: scale it back.
    velocity = 0.9 * velocity - 60.0 * gradient
    return grid + velocity, velocity, value


learned = bj.identity_grid((8, 8, 8))
velocity = jnp.zeros_like(learned)
losses = []
for _ in range(150):
    learned, velocity, value = step(learned, velocity)
    losses.append(float(value))
psnr = [-10 * np.log10(losses[0]), -10 * np.log10(losses[-1])]
print(f"PSNR against the target: {psnr[0]:.1f} dB before, {psnr[1]:.1f} dB after")
result = bj.slice_apply(learned, guide, image)
show({"image": image, "learned grid applied": result, "target": target})

# %% [markdown]
# The guide has a gradient too: where would a brighter guide lower the loss? That is how HDRNet
# learns its guide, instead of using plain brightness.

# %%
sensitivity = jax.grad(lambda g: jnp.mean((bj.slice_apply(lifted, g, image) - target) ** 2))(guide)
show({"gradient in the guide (grey is 0)": 0.5 - 0.2 * sensitivity / jnp.abs(sensitivity).std()})
