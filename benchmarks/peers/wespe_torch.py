"""WESPE's step in PyTorch: two generators, two critics, Adam.

The networks of `configs/wespe_demo.py` with as many parameters, layer by layer, and the same step:
the critics' update, with the zero-centred penalty of their gradients at the good photos, then that
of the generators. Eager PyTorch in its own layout, channels before pixels; `load` takes our
weights, so that losses can be compared.
"""

import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers import grid_sample

_GRAY = 0.2989, 0.5870, 0.1140


class Generator(nn.Module):
    """DPED's generator as a residual: 9 x 9, blocks of two 3 x 3, two more 3 x 3, 9 x 9.

    Args:
      width: channels of every layer but the last.
      blocks: residual blocks.
    """

    def __init__(self, *, width, blocks):
        super().__init__()
        self.blocks, self.convs, self.norms = blocks, nn.ModuleDict(), nn.ModuleDict()
        self.convs["head"] = nn.Conv2d(3, width, 9, padding=4)
        for i in range(2 * blocks):
            self.convs[f"conv_{i}"] = nn.Conv2d(width, width, 3, padding=1)
            self.norms[f"norm_{i}"] = _instance_norm(width)
        for i in range(2):
            self.convs[f"tail_{i}"] = nn.Conv2d(width, width, 3, padding=1)
        self.convs["residual"] = nn.Conv2d(width, 3, 9, padding=4)

    def forward(self, image):
        """`[n, 3, h, w]` to the same."""
        x = functional.relu(self.convs["head"](image))
        for block in range(self.blocks):
            y = x
            for i in (2 * block, 2 * block + 1):
                y = functional.relu(self.norms[f"norm_{i}"](self.convs[f"conv_{i}"](y)))
            x = x + y
        for i in range(2):
            x = functional.relu(self.convs[f"tail_{i}"](x))
        return image + torch.tanh(self.convs["residual"](x))


class Critic(nn.Module):
    """DPED's critic with one logit and an average over positions.

    Args:
      input_channels: 3 for colours, 1 for grey.
      channels: of the five convolutions.
      hidden: units of the dense layer.
      norm: "instance" or "none".
    """

    def __init__(self, *, input_channels, channels, hidden, norm):
        super().__init__()
        self.convs, self.norms, before = nn.ModuleDict(), nn.ModuleDict(), input_channels
        steps = zip(channels, (11, 5, 3, 3, 3), (4, 2, 1, 1, 2))
        for i, (outputs, side, stride) in enumerate(steps):
            self.convs[f"conv_{i}"] = _Same(before, outputs, side, stride)
            if i and norm == "instance":
                self.norms[f"norm_{i}"] = _instance_norm(outputs)
            before = outputs
        self.convs["hidden"] = nn.Linear(before, hidden)
        self.convs["last"] = nn.Linear(hidden, 1)

    def forward(self, image):
        """`[n, c, h, w]` to scores `[n]`."""
        x = image
        for i in range(5):
            x = functional.leaky_relu(self.convs[f"conv_{i}"](x), 0.2)
            if f"norm_{i}" in self.norms:
                x = self.norms[f"norm_{i}"](x)
        x = functional.leaky_relu(self.convs["hidden"](x.mean((2, 3))), 0.2)
        return self.convs["last"](x)[:, 0]


class _Same(nn.Conv2d):
    """A strided convolution with TensorFlow's padding: the smaller half comes first."""

    def __init__(self, inputs, outputs, side, stride):
        super().__init__(inputs, outputs, side, stride)

    def forward(self, x):
        side, stride, pads = self.kernel_size[0], self.stride[0], []
        for size in (x.shape[-1], x.shape[-2]):
            total = max((-(-size // stride) - 1) * stride + side - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads))


class Trainer:
    """The four networks with both optimisers; `step(batch)` is one training step.

    Args:
      networks: `{"G", "F": Generator, "color_critic", "texture_critic": Critic}`.
      taps: of the separable blur that the critic of colours sees, without the border.
      weights: section `loss` of the config.
      learning_rate: of the generators.
      critic_learning_rate: of the critics.
      average_decay: of the moving average of the generators' weights.
    """

    def __init__(
        self, networks, *, taps, weights, learning_rate, critic_learning_rate, average_decay
    ):
        self._networks, self._weights = networks, weights
        self._taps = torch.as_tensor(taps, dtype=torch.float32)
        self._gray = torch.tensor(_GRAY).view(1, 3, 1, 1)
        sides = (("G", "F"), ("color_critic", "texture_critic"))
        parameters = [[p for name in side for p in networks[name].parameters()] for side in sides]
        self._generators, self._critics = (
            torch.optim.Adam(each, lr=rate)
            for each, rate in zip(parameters, (learning_rate, critic_learning_rate))
        )
        self._parameters, self._decay, self._count = parameters[0], average_decay, 0
        self.average = [parameter.detach().clone() for parameter in parameters[0]]

    def step(self, batch):
        """Updates all weights; returns the losses of the critics and of the generators."""
        critics = self._critics_loss(batch)
        _update(self._critics, critics)
        generators = self._generators_loss(batch)
        _update(self._generators, generators)
        decay = min(self._decay, (1 + self._count) / (10 + self._count))
        self._count += 1
        with torch.no_grad():
            for mean, parameter in zip(self.average, self._parameters):
                mean.lerp_(parameter, 1 - decay)
        return critics.detach(), generators.detach()

    def _critics_loss(self, batch):
        with torch.no_grad():
            output = self._networks["G"](batch["input"])
        total = 0.0
        for name in ("color_critic", "texture_critic"):
            critic, real = self._networks[name], self._seen(name, batch["target"])
            real.requires_grad_()
            scores = critic(real)
            generated = critic(self._seen(name, output))
            total = total + functional.softplus(-scores) + functional.softplus(generated)
            if self._weights["gradient_penalty"]:
                (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
                total = total + self._weights["gradient_penalty"] * slope.square().sum((1, 2, 3))
        return total.mean()

    def _generators_loss(self, batch):
        output = self._networks["G"](batch["input"])
        back = self._networks["F"](output)
        error = (back - batch["input"]).square().mean((1, 2, 3))
        down = (output[:, :, 1:] - output[:, :, :-1]).square().mean((1, 2, 3))
        right = (output[:, :, :, 1:] - output[:, :, :, :-1]).square().mean((1, 2, 3))
        total = self._weights["cycle_mse"] * error + self._weights["variation"] * (down + right)
        if self._weights["identity"]:
            same = self._networks["G"](batch["target"]) - batch["target"]
            total = total + self._weights["identity"] * same.square().mean((1, 2, 3))
        for name, weight in (("color_critic", "color"), ("texture_critic", "texture")):
            scores = self._networks[name](self._seen(name, output))
            total = total + self._weights[weight] * functional.softplus(-scores)
        return total.mean()

    def _seen(self, name, image):
        """What a critic sees of an image."""
        if name == "texture_critic":
            return (image * self._gray).sum(1, keepdim=True)
        taps = self._taps.expand(3, 1, -1)
        blurred = functional.conv2d(image, taps[:, :, :, None], groups=3)
        return functional.conv2d(blurred, taps[:, :, None], groups=3)


def _instance_norm(channels):
    return nn.InstanceNorm2d(channels, eps=1e-3, affine=True)


def _update(optimizer, loss):
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=optimizer.param_groups[0]["params"])
    optimizer.step()


def batch_of(arrays):
    """Our batch's images (NumPy, channels last) in PyTorch's layout."""
    return {name: grid_sample.planar(arrays[name]) for name in ("input", "target")}


def load(network, params):
    """Copies the parameters of our network into a `Generator` or a `Critic`.

    Args:
      network: the module.
      params: nested dictionary of arrays.
    """
    with torch.no_grad():
        for name, layer in network.convs.items():
            kernel = grid_sample.tensor(params[name]["kernel"])
            layer.weight.copy_(kernel.T if kernel.ndim == 2 else kernel.permute(3, 2, 0, 1))
            layer.bias.copy_(grid_sample.tensor(params[name]["bias"]))
        for name, layer in network.norms.items():
            layer.weight.copy_(grid_sample.tensor(params[name]["scale"]))
            layer.bias.copy_(grid_sample.tensor(params[name]["shift"]))
    used = sum(len(layer) for layer in params.values())
    assert used == len(list(network.parameters())), "a parameter has no counterpart"
