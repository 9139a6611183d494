"""HDRNet and its training step in PyTorch: convolutions, `grid_sample`, Adam.

The network of `configs/hdrnet.py` (`HDRNetCurves`) with as many parameters, layer by layer, and the
same step: weighted loss, gradient, clipping by norm, Adam, moving average of the weights. Eager
PyTorch in its own layout, channels before pixels; `load` takes our weights, so that outputs and
losses can be compared.
"""

import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers import grid_sample

_KNOTS = 16


class HDRNet(nn.Module):
    """HDRNet: predicts a grid from the low-res input and applies it to the image.

    Args:
      net_input_size: side of the low-res input.
      spatial_bin: cells per side.
      luma_bins: depth of the grid.
      channel_multiplier: multiplies every width.
    """

    def __init__(self, *, net_input_size, spatial_bin, luma_bins, channel_multiplier):
        super().__init__()
        width, self.depth = channel_multiplier * luma_bins, luma_bins
        layers, channels = [], 3
        for i in range((net_input_size // spatial_bin).bit_length() - 1):
            layers += [_Halving(channels, 2**i * width), nn.ReLU()]
            channels = 2**i * width
        self.splat = nn.Sequential(*layers)
        full, side = 8 * width, -(-spatial_bin // 4)
        self.scene = nn.Sequential(
            _Halving(channels, full), nn.ReLU(), _Halving(full, full), nn.ReLU()
        )
        self.dense = nn.Sequential(
            nn.Linear(side * side * full, 32 * width), nn.ReLU(),
            nn.Linear(32 * width, 16 * width), nn.ReLU(),
            nn.Linear(16 * width, full),
        )  # fmt: skip
        self.local = nn.Sequential(
            nn.Conv2d(channels, full, 3, padding=1), nn.ReLU(),
            nn.Conv2d(full, full, 3, padding=1, bias=False),
        )  # fmt: skip
        self.prediction = nn.Conv2d(full, 12 * luma_bins, 1)
        self.guide = Guide()

    def forward(self, lowres, image, window):
        """Enhances `image` `[n, 3, h, w]`: the grid `[n, 12, gd, gh, gw]` and the result.

        Args:
          lowres: `[n, 3, s, s]`, the low-res input of the whole image.
          image: a crop of it.
          window: `[n, 4]`: (top, left, full height, full width) of the crop.
        """
        features = self.splat(lowres)
        scene = self.scene(features).permute(0, 2, 3, 1).flatten(1)
        fused = functional.relu(self.local(features) + self.dense(scene)[:, :, None, None])
        grid = self.prediction(fused).unflatten(1, (4, 3, self.depth)).transpose(1, 2).flatten(1, 2)
        return grid, _apply(_slice(grid, self.guide(image), window), image)


class Guide(nn.Module):
    """Colour matrix, a curve of ramps per channel, weighted sum, clip."""

    def __init__(self):
        super().__init__()
        self.matrix, self.bias = nn.Parameter(torch.eye(3)), nn.Parameter(torch.zeros(3))
        knots = torch.arange(_KNOTS) / _KNOTS
        self.shifts = nn.Parameter(knots.repeat(3, 1))
        self.slopes = nn.Parameter((knots == 0).float().repeat(3, 1))
        self.mix, self.mix_bias = (
            nn.Parameter(torch.full((3,), 1 / 3)),
            nn.Parameter(torch.zeros(())),
        )

    def forward(self, image):
        """`[n, 3, h, w]` to `[n, h, w]` in [0, 1]."""
        value = functional.conv2d(image, self.matrix.T[:, :, None, None], self.bias)
        ramps = functional.relu(value[..., None] - self.shifts[:, None, None])
        curves = (ramps * self.slopes[:, None, None]).sum(-1)
        return (self.mix_bias + (curves * self.mix[:, None, None]).sum(1)).clamp(0, 1)


class _Halving(nn.Conv2d):
    """A convolution of stride two whose one row of padding lies below and to the right."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 3, stride=2)

    def forward(self, x):
        return super().forward(
            functional.pad(x, (0, x.shape[-1] % 2 == 0, 0, x.shape[-2] % 2 == 0))
        )


def _slice(grid, guide, window):
    batch, height, width = guide.shape
    top, left, full_height, full_width = window.to(guide.dtype).T[..., None]
    rows = torch.arange(height, device=guide.device, dtype=guide.dtype)
    columns = torch.arange(width, device=guide.device, dtype=guide.dtype)
    y = (2 * (top + rows) + 1) / full_height - 1
    x = (2 * (left + columns) + 1) / full_width - 1
    y, x = y[:, :, None].expand_as(guide), x[:, None].expand_as(guide)
    coordinates = torch.stack([x, y, 2 * guide - 1], dim=-1)[:, None]
    return functional.grid_sample(
        grid, coordinates, mode="bilinear", padding_mode="border", align_corners=False
    )[:, :, 0]


def _apply(coefficients, image):
    matrices = coefficients.unflatten(1, (3, 4))
    return (matrices[:, :, :3] * image[:, None]).sum(2) + matrices[:, :, 3]


class Trainer:
    """The network with its optimiser; `step(batch)` is one training step.

    Args:
      network: a `HDRNet`.
      grid_variation: weight of the total variation of the grid in the loss.
      learning_rate: of Adam.
      clip_norm: largest norm of the gradient.
      average_decay: of the moving average of the weights.
    """

    def __init__(self, network, *, grid_variation, learning_rate, clip_norm, average_decay):
        self.network, self._variation, self._clip = network, grid_variation, clip_norm
        self._decay, self._count = average_decay, 0
        self.average = [parameter.detach().clone() for parameter in network.parameters()]
        self._adam = torch.optim.Adam(network.parameters(), lr=learning_rate)

    def step(self, batch):
        """Updates the weights; returns the loss and the norm of the gradient before clipping."""
        grid, output = self.network(batch["lowres"], batch["input"], batch["window"])
        error = (output - batch["target"]).square().mean((1, 2, 3))
        loss = error + self._variation * _total_variation(grid)
        loss = (loss * batch["weight"]).sum() / batch["weight"].sum()
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._clip)
        self._adam.step()
        decay = min(self._decay, (1 + self._count) / (10 + self._count))
        self._count += 1
        with torch.no_grad():
            for mean, parameter in zip(self.average, self.network.parameters()):
                mean.lerp_(parameter, 1 - decay)
        return loss.detach(), norm


def _total_variation(grid):
    return sum(grid.diff(dim=axis).square().mean((1, 2, 3, 4)) for axis in (2, 3, 4))


def batch_of(arrays, device="cpu"):
    """Our batch (NumPy, channels last) in PyTorch's layout."""
    tensors = {}
    for name, array in arrays.items():
        is_image = array.ndim == 4
        tensors[name] = (grid_sample.planar if is_image else grid_sample.tensor)(array).to(device)
    return tensors


def load(network, params):
    """Copies the parameters of our `HDRNetCurves` into a `HDRNet`.

    Args:
      network: the module.
      params: nested dictionary of arrays.
    """
    coefficients = params["coefficient_network"]
    halvings = [layer for layer in network.splat if isinstance(layer, nn.Conv2d)]
    named = {f"splat_conv{i + 1}": layer for i, layer in enumerate(halvings)}
    named |= {"global_conv1": network.scene[0], "global_conv2": network.scene[2]}
    named |= {f"global_fc{i + 1}": network.dense[2 * i] for i in range(3)}
    named |= {"local_conv1": network.local[0], "local_conv2": network.local[2]}
    named["prediction"] = network.prediction
    with torch.no_grad():
        for name, layer in named.items():
            kernel = grid_sample.tensor(coefficients[name]["kernel"])
            layer.weight.copy_(kernel.T if kernel.ndim == 2 else kernel.permute(3, 2, 0, 1))
            if layer.bias is not None:
                layer.bias.copy_(grid_sample.tensor(coefficients[name]["bias"]))
        guide = params["guide_network"]
        names = {"ccm": "matrix", "ccm_bias": "bias"}
        for name, values in guide.items():
            getattr(network.guide, names.get(name, name)).copy_(grid_sample.tensor(values))
    used = sum(len(layer) for layer in coefficients.values()) + len(guide)
    assert used == len(list(network.parameters())), "a parameter has no counterpart"
