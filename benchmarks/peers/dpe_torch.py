"""Deep Photo Enhancer's two-way step in PyTorch: two generators, two critics, Adam.

The networks of `configs/dpe.py` with as many parameters, layer by layer, and the same step: the
critics' update with the one-sided penalty of their gradients, then the generators'. Eager PyTorch
in its own layout, channels before pixels; `load` takes our weights, so that losses and gradients
can be compared. Moving variances are unbiased here, which shows from the second step on.
"""

import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers import grid_sample

_SELU = 1.0026538655307724, 1.0198755295894968


class Generator(nn.Module):
    """The U-Net with a global vector; batch norm in two sets.

    Args:
      width: channels of the first layer.
      size: side of the photos, a multiple of 64.
      norm_sets: sets of batch norm.
    """

    def __init__(self, *, width, size, norm_sets):
        super().__init__()

        def norm(channels):
            sets = [nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1) for _ in range(norm_sets)]
            return nn.ModuleList(sets)

        widths = [factor * width for factor in (1, 2, 4, 8, 8)]
        widest, self.convs, self.norms = widths[-1], nn.ModuleDict(), nn.ModuleDict()
        for i, (inputs, outputs) in enumerate(zip([3, *widths], widths)):
            self.convs[f"encoder_{i}"] = (
                _Mirrored(inputs, outputs, 5, 2) if i else _Mirrored(inputs, outputs, 3)
            )
            self.norms[f"encoder_norms_{i}"] = norm(outputs)
        for i in range(2):
            self.convs[f"summary_{i}"] = _Mirrored(widest, widest, 5, 2)
            self.norms[f"summary_norms_{i}"] = norm(widest)
        self.convs["head"] = nn.Conv2d(widest, widest, size // 64)
        self.convs["vector"] = nn.Conv2d(widest, widest, 1)
        self.convs["middle"] = _Mirrored(widest, widest, 3)
        self.convs["fusion"] = nn.Conv2d(2 * widest, widest, 1)
        self.norms["fusion_norm"] = norm(widest)
        channels = widest
        for i, (outputs, skip) in enumerate(zip((8, 8, 4, 2), widths[3::-1])):
            self.convs[f"decoder_{i}"] = _Mirrored(channels, outputs * width, 3)
            channels = outputs * width + skip
            self.norms[f"decoder_norms_{i}"] = norm(channels)
        self.convs["last_0"], self.convs["last_1"] = (
            _Mirrored(channels, width, 3),
            _Mirrored(width, 3, 3),
        )
        self.norms["last_norm"] = norm(width)

    def forward(self, image, norm_set=0):
        """Enhances `[n, 3, s, s]`."""

        def activated(name, x):
            return self.norms[name][norm_set](_selu(x))

        convs, x, raw = self.convs, image, []
        for i in range(5):
            raw.append(convs[f"encoder_{i}"](x))
            x = activated(f"encoder_norms_{i}", raw[-1])
        vector = x
        for i in range(2):
            vector = activated(f"summary_norms_{i}", convs[f"summary_{i}"](vector))
        vector = convs["vector"](_selu(convs["head"](vector)))
        x = convs["middle"](x)
        x = convs["fusion"](torch.cat([x, vector.expand_as(x)], 1))
        x = activated("fusion_norm", x)
        for i in range(4):
            x = functional.interpolate(convs[f"decoder_{i}"](x), scale_factor=2, mode="nearest")
            x = activated(f"decoder_norms_{i}", torch.cat([x, raw[3 - i]], 1))
        x = activated("last_norm", convs["last_0"](x))
        return image + convs["last_1"](x)


class Critic(nn.Module):
    """Convolution, leaky ReLU, instance norm, six times; one number for each photo.

    Args:
      width: channels of the first layer.
      size: side of the photos.
    """

    def __init__(self, *, width, size):
        super().__init__()
        widths = [factor * width for factor in (1, 2, 4, 8, 8, 8)]
        self.convs, self.norms = nn.ModuleDict(), nn.ModuleDict()
        for i, (inputs, outputs) in enumerate(zip([3, *widths], widths)):
            self.convs[f"conv_{i}"] = (
                _Mirrored(inputs, outputs, 5, 2) if i else _Mirrored(inputs, outputs, 3)
            )
            self.norms[f"norm_{i}"] = nn.InstanceNorm2d(outputs, eps=1e-5, affine=True)
        self.convs["last"] = nn.Conv2d(widths[-1], 1, size // 32)

    def forward(self, x):
        """Scores `[n, 3, s, s]`: `[n]`."""
        for i in range(6):
            x = self.norms[f"norm_{i}"](functional.leaky_relu(self.convs[f"conv_{i}"](x), 0.2))
        return self.convs["last"](x).flatten()


class _Mirrored(nn.Conv2d):
    """A convolution of an image continued by mirroring, its last row and column included."""

    def forward(self, x):
        reach = self.kernel_size[0] // 2
        for axis in (2, 3):
            first, last = x.narrow(axis, 0, reach), x.narrow(axis, x.shape[axis] - reach, reach)
            x = torch.cat([first.flip(axis), x, last.flip(axis)], axis)
        return super().forward(x)


def _selu(x):
    scale, alpha = _SELU
    return scale * functional.elu(x, alpha)


class Trainer:
    """The four networks with their optimisers; `step(batch, fractions)` is one step of both groups.

    Args:
      networks: `{"G": Generator, "F": Generator, "DX": Critic, "DY": Critic}`.
      identity: weight of the term.
      cycle: weight of the term.
      penalty: weight of the critics' penalty.
      learning_rate: of the generators' Adam.
      critic_learning_rate: of the critics'.
    """

    def __init__(
        self, networks, *, identity, cycle, penalty, learning_rate, critic_learning_rate
    ):  # fmt: skip
        self.networks, self._identity, self._cycle = networks, identity, cycle
        self._penalty = penalty

        def adam(names, rate):
            parameters = [p for name in names for p in networks[name].parameters()]
            return torch.optim.Adam(parameters, lr=rate)

        self._critics = adam(("DX", "DY"), critic_learning_rate)
        self._generators = adam(("F", "G"), learning_rate)

    def step(self, batch, fractions):
        """Updates the critics, then the generators.

        Args:
          batch: of `batch_of`; all photos fill their square.
          fractions: `[n, 2]`, where the gradients of DY and DX are measured.

        Returns:
          Losses of critics and generators.
        """
        critics = self._critic_loss(batch, fractions)
        _descend(self._critics, critics)
        generators = self._generator_loss(batch)
        _descend(self._generators, generators)
        return critics.detach(), generators.detach()

    def _critic_loss(self, batch, fractions):
        value = 0.0
        for i, (name, maker, source, real) in enumerate(
            [("DY", "G", "input", "target"), ("DX", "F", "target", "input")]
        ):
            generator, critic, real = self.networks[maker], self.networks[name], batch[real]
            with torch.no_grad():
                generated = generator.eval()(batch[source])
            generator.train()
            of_real, of_generated = critic(torch.cat([real, generated])).chunk(2)
            fraction = fractions[:, i].reshape(-1, 1, 1, 1)
            between = (fraction * real + (1 - fraction) * generated).requires_grad_()
            (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            norm = gradient.square().sum((1, 2, 3)).sqrt()
            excess = (norm - 1).clamp(min=0)
            value = value + (of_generated - of_real + self._penalty * excess).mean()
        return value

    def _generator_loss(self, batch):
        g, f, x, y = self.networks["G"], self.networks["F"], batch["input"], batch["target"]
        generated, backward = g(x), f(y)
        cycle_x, cycle_y = f(generated.clamp(0, 1), 1), g(backward.clamp(0, 1), 1)
        mse = functional.mse_loss
        scores = self.networks["DY"](generated) + self.networks["DX"](backward)
        return (
            self._identity * (mse(generated, x) + mse(backward, y))
            + self._cycle * (mse(cycle_x, x) + mse(cycle_y, y))
            - scores.mean()
        )


def _descend(optimizer, loss):
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=[p for group in optimizer.param_groups for p in group["params"]])
    optimizer.step()


def batch_of(arrays):
    """The images of our batch (NumPy, channels last) in PyTorch's layout."""
    return {name: grid_sample.planar(arrays[name]) for name in ("input", "target")}


def load(network, params):
    """Copies the parameters of our `DPE` or `DPECritic`; moving statistics stay as they are.

    Args:
      network: a `Generator` or a `Critic`.
      params: nested dictionary of arrays.
    """
    used = 0
    with torch.no_grad():
        for name, layer in network.convs.items():
            own = params[name].get("convolution", params[name])
            layer.weight.copy_(grid_sample.tensor(own["kernel"]).permute(3, 2, 0, 1))
            layer.bias.copy_(grid_sample.tensor(own["bias"]))
            used += 2
        for name, layer in network.norms.items():
            sets = list(layer) if isinstance(layer, nn.ModuleList) else [layer]
            for i, each in enumerate(sets):
                suffix = f"_{i}" if isinstance(layer, nn.ModuleList) else ""
                each.weight.copy_(grid_sample.tensor(params[name][f"scale{suffix}"]))
                each.bias.copy_(grid_sample.tensor(params[name][f"shift{suffix}"]))
                used += 2
    assert used == len(list(network.parameters())), "a parameter has no counterpart"
