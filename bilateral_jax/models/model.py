"""A network with its parameters as one pytree that is called on images."""

import dataclasses
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp

from bilateral_jax import tree_paths
from bilateral_jax.models import inference_methods


# Two models are equal if they are the same object, so that `jax.jit(model)` finds a hash.
@flax.struct.dataclass(eq=False)
class Model:
    """Parameters and batch statistics of a network, with the network itself as a static field.

    Attributes:
      params: pytree of float32 arrays.
      batch_stats: pytree of moving means and variances; empty where the network has no batch norm.
      module: the linen module; static, so two models of the same network share compiled functions.
    """

    params: Any
    batch_stats: Any
    module: nn.Module = flax.struct.field(pytree_node=False)

    @classmethod
    def init(cls, module: nn.Module, key: jax.Array) -> "Model":
        """Initialises the parameters.

        Args:
          module: the network.
          key: random key.

        Returns:
          The model.
        """
        # Random weights are drawn once: compiling quickly matters more than running fast (1 s
        # against 5). Inside another compilation there is nothing to choose.
        quick = jax.default_backend() == "cpu" and not isinstance(key, jax.core.Tracer)
        options = {"xla_backend_optimization_level": 0} if quick else None
        variables = jax.jit(_init, static_argnums=0, compiler_options=options)(module, key)
        return cls(variables["params"], variables.get("batch_stats", {}), module)

    @classmethod
    def from_leaves(cls, module: nn.Module, params, batch_stats) -> "Model":
        """Builds a model from stored leaves.

        Args:
          module: the network.
          params: pytree of arrays.
          batch_stats: pytree of arrays, empty where the network has none.

        Returns:
          The model, on the default device.

        Raises:
          ValueError: leaves are missing, unexpected or of another shape; each is named.
        """
        shapes = variable_shapes(module)
        target = {"params": shapes["params"], "batch_stats": shapes.get("batch_stats", {})}
        leaves = tree_paths.flatten({"params": params, "batch_stats": batch_stats})
        misfit = f"the weights do not fit {type(module).__name__}"
        filled = tree_paths.fill(target, leaves, misfit=misfit, check_dtypes=False)
        return cls(*jax.device_put((filled["params"], filled["batch_stats"])), module)

    def __call__(self, image) -> jax.Array:
        """Enhances whole images in memory.

        Args:
          image: `[*b, h, w, 3]`, float, values in [0, 1].

        Returns:
          `[*b, h, w, 3]` of the image's dtype, unbounded.

        Raises:
          TypeError: integer image.
          ValueError: not three channels or fewer than three axes, or the network enhances nothing.
        """
        inference_methods.declared(self.module)
        image = jnp.asarray(image)
        if not jnp.issubdtype(image.dtype, jnp.floating):
            raise TypeError(f"image must be float with values in [0, 1], got {image.dtype}")
        if image.ndim < 3 or image.shape[-1] != 3:
            raise ValueError(f"image must be [*b, h, w, 3], got {tuple(image.shape)}")
        flat = image.reshape(-1, *image.shape[-3:]).astype(jnp.float32)
        return self.apply(flat, method="enhance").reshape(image.shape).astype(image.dtype)

    def apply(self, *args, method: str | None = None, train: bool = False, **options) -> Any:
        """Runs a method of the network with this model's leaves.

        Args:
          *args: arguments of the method.
          method: its name; None for `__call__`.
          train: use batch statistics and update the moving ones.
          **options: keyword arguments of the method.

        Returns:
          What the method returns; in training (that, the model with new moving statistics).
        """
        variables = {"params": self.params, "batch_stats": self.batch_stats}
        if not train:
            return self.module.apply(variables, *args, method=method, **options)
        out, updates = self.module.apply(
            variables, *args, method=method, train=True, mutable=["batch_stats"], **options
        )
        return out, self.replace(batch_stats=updates.get("batch_stats", {}))


def _init(module, key):
    return module.init(key, *module.example_inputs())


def synchronised(module: nn.Module, axis_name: str) -> nn.Module:
    """Returns the network with batch norms, if any, averaged over the devices of a mapped axis.

    Args:
      module: a network.
      axis_name: of the mapped axis.
    """
    fields = {field.name for field in dataclasses.fields(module)}
    return module.clone(axis_name=axis_name) if "axis_name" in fields else module


def variable_shapes(module: nn.Module) -> Any:
    """Returns a network's variables as a pytree of `jax.ShapeDtypeStruct`; computes nothing."""
    inputs = jax.eval_shape(module.example_inputs)
    return jax.eval_shape(module.init, jax.random.key(0), *inputs)


def parameter_count(params) -> int:
    """Counts the numbers in a pytree of arrays."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
