"""slice_apply in PyTorch: a five-dimensional `grid_sample`, then the matrix of every pixel.

With half-pixel coordinates (`align_corners=False`) and `padding_mode="border"` it computes exactly
our default convention. Everything stays in PyTorch's own layout, channels before pixels, and the
conversion to it is not timed. Derivatives are those of autograd.
"""

import os

import numpy as np
import torch

# As many as XLA takes.
torch.set_num_threads(os.cpu_count())


def slice_grid(volume, guide):
    """Slices `volume` `[n, c, gd, gh, gw]` at `guide` `[n, h, w]`: `[n, c, h, w]`."""
    batch, height, width = guide.shape
    y, x = ((2 * torch.arange(size) + 1) / size - 1 for size in (height, width))
    y = y[None, :, None].expand(batch, height, width)
    x = x[None, None, :].expand(batch, height, width)
    coordinates = torch.stack([x, y, 2 * guide - 1], dim=-1)[:, None]
    return torch.nn.functional.grid_sample(
        volume, coordinates, mode="bilinear", padding_mode="border", align_corners=False
    )[:, :, 0]


def slice_apply(volume, guide, image):
    """Slices `[n, o * (i + 1), gd, gh, gw]` and applies it to `image` `[n, i, h, w]`."""
    matrices = slice_grid(volume, guide).unflatten(1, (-1, image.shape[1] + 1))
    return (matrices[:, :, :-1] * image[:, None]).sum(2) + matrices[:, :, -1]


def forward(grid, guide, image, cotangent):
    """Prepares the call that gives `[n, o, h, w]`, from arrays in our layout."""
    operands = volume(grid), tensor(guide), planar(image)

    def run():
        with torch.no_grad():
            return slice_apply(*operands)

    return run


def forward_and_gradients(grid, guide, image, cotangent):
    """Prepares the call that gives the output and the gradients of grid, guide and image."""
    leaves = [leaf.requires_grad_() for leaf in (volume(grid), tensor(guide), planar(image))]
    cotangent = planar(cotangent)

    def run():
        out = slice_apply(*leaves)
        return out.detach(), torch.autograd.grad(out, leaves, cotangent)

    return run


def splat(grid_shape, values, guide):
    """Prepares the transpose of `slice_grid` for values `[n, h, w, c]`: `[n, c, gd, gh, gw]`.

    It is the gradient of the grid alone; autograd wants the forward to have run, untimed here.
    """
    gh, gw, gd = grid_shape
    leaf = torch.zeros(len(values), values.shape[-1], gd, gh, gw, requires_grad=True)
    out = slice_grid(leaf, tensor(guide))
    cotangent = planar(values)
    return lambda: torch.autograd.grad(out, leaf, cotangent, retain_graph=True)[0]


def tensor(array):
    """Copies an array."""
    return torch.from_numpy(np.array(array))


def planar(array):
    """`[n, h, w, c]` to `[n, c, h, w]`."""
    return tensor(array).permute(0, 3, 1, 2).contiguous()


def volume(grid):
    """`[n, gh, gw, gd, o, j]` to `[n, o * j, gd, gh, gw]`."""
    return tensor(grid).flatten(4).permute(0, 4, 3, 1, 2).contiguous()
