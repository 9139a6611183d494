"""Damaged and forged weight files: every importer raises one sentence that names the file.

None takes memory, waits, or reads another file. A few seconds.
"""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from bilateral_jax.cli import import_weights
from bilateral_jax.importers import dped, hdrnet, nima, vgg
from bilateral_jax.importers.formats import keras, npz, torch_file
from tests import fake_torch_files
from tests.importers.formats import tensor_bundle_test as bundles

_MEMORY = 256 << 20  # bytes that no refusal may add to the process


def refused(load, path, message):
    """Checks that loading fails with one sentence that names the file, and takes no memory."""
    tracemalloc.start()  # the process' own peak would be that of any test before
    try:
        with pytest.raises(ValueError, match=message) as caught:
            load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert peak < _MEMORY


def torch_zip(path, data_pickle, *, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("archive/data.pkl", data_pickle)
        archive.writestr("archive/data/0", bytes(64))
    return path


STORAGE = (
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x10tQ"
)


def number(value):
    return pickle.dumps(value, protocol=2)[2:-1]


def tensor(shape, strides):
    """A pickled dictionary with one view of 16 numbers."""
    content = STORAGE + b"K\x00" + number(tuple(shape)) + number(tuple(strides)) + b"\x89}t"
    return b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n(" + content + b"Rs."


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((2_000_000_000,), (0,)), ((10**6, 10**7), (0, 0)), ((2**70,), (1,)), ((4, 5), (1, 1)),
     ((2,), (2**70,)), ((2,), (-1,)), ((2, 2), (1,))],
)  # fmt: skip
def test_views_larger_than_their_storage(tmp_path, shape, strides):
    path = torch_zip(tmp_path / "x.pth", tensor(shape, strides))
    refused(torch_file.read, path, "cannot be read as a PyTorch file: a tensor")


def test_a_view_within_its_storage_is_read(tmp_path):
    path = torch_zip(tmp_path / "x.pth", tensor((4, 4), (1, 4)))
    assert torch_file.read(path)["a"].shape == (4, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # A key whose hash and text take for ever, and one too deep for either.
        (b"\x80\x02})" + b"2\x86" * 60 + b"K\x01s.", "DUP"),
        (b"\x80\x02})" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(60)) + b"K\x01s.", "a key"),
        (b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s.", "a key is a tuple"),
        (b"\x80\x02}r\xff\xff\xff\x7f", "pickle exhausted"),
        (b"\x80\x02h\x05.", "lacks 5"),
        (b"\x80\x02}X\x01\x00\x00\x00ac__builtin__\neval\n)Rs.", "asks for __builtin__.eval"),
        (b"\x80\x02X\xff\xff\xff\x7fa.", "expected 2147483647 bytes"),
    ],
)
def test_pickles_that_ask_for_much(tmp_path, content, message):
    refused(torch_file.read, torch_zip(tmp_path / "x.pth", content), message)


def test_a_memo_index_costs_nothing(tmp_path):
    path = torch_zip(tmp_path / "x.pth", b"\x80\x02}r\xff\xff\xff\x7f.")
    refused(vgg.load, path, "found 0, so this is neither")


def test_archives_that_claim_much(tmp_path):
    path = torch_zip(tmp_path / "x.pth", bytes(1 << 26), method=zipfile.ZIP_DEFLATED)
    refused(torch_file.read, path, "claims more bytes than the file has, or is compressed")
    arrays = {"a": np.ones((3, 3), np.float32)}
    fake_torch_files.write(tmp_path / "old.pth", arrays, zipped=False)
    content = (tmp_path / "old.pth").read_bytes()
    at = content.rindex(struct.pack("<q", 10))
    (tmp_path / "old.pth").write_bytes(content[:at] + struct.pack("<q", 2**61) + content[at + 8 :])
    refused(torch_file.read, tmp_path / "old.pth", "bytes left, and needs 9223372036854775808")


def npy(shape, *, content=b"", header=None):
    header = header or f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


@pytest.mark.parametrize(
    "member",
    [
        npy((10**7, 10**7)),
        npy((-1,)),
        npy((), header="{'descr': '<f4', 'shape': '''"),
        npy((), header="(" * 300),
        npy((), header="{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"),
        b"something else",
        b"",
    ],
)
def test_npz_with_a_damaged_member(tmp_path, member):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("inference/a.npy", member)
    refused(hdrnet.load, tmp_path / "x.npz", "cannot be read as an .npz file")


def test_npz_of_other_kinds(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.arange(1000.0))
    content = path.read_bytes()
    at = content.index(b"a.npy") + 60
    for step in range(3):  # one damaged byte anywhere in the compressed numbers
        changed = bytearray(content)
        changed[at + 100 * step] ^= 0x55
        path.write_bytes(changed)
        refused(lambda p: np.asarray(npz.read(p)["a"]), path, "cannot be read as an .npz file")
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    path.write_bytes(buffer.getvalue())
    refused(hdrnet.load, path, "not a zip file")
    encrypted = bytearray(content)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[content.index(signature) + flags] |= 1
    path.write_bytes(encrypted)
    refused(hdrnet.load, path, "encrypted")
    method = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        method[content.index(signature) + offset] = 99
    path.write_bytes(method)
    refused(hdrnet.load, path, "compression method")


def test_hdf5_reads_no_other_file(tmp_path):
    path, secret = tmp_path / "x.h5", tmp_path / "secret"
    secret.write_bytes(b"secret!!")
    with h5py.File(path, "w") as file:
        layer = file.create_group("conv1")
        layer.create_dataset("kernel:0", (8,), "u1", external=[(str(secret), 0, 8)])
    refused(keras.read, path, "takes its numbers from another file")
    for link in (h5py.ExternalLink(str(tmp_path / "other.h5"), "/conv1"), h5py.SoftLink("/other")):
        for name in ("conv1", "model_weights", "layer/deeper/kernel:0"):
            with h5py.File(path, "w") as file:
                file[name] = link
            refused(keras.read, path, "is a link to elsewhere")
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((8,), "u1")
        layout[:] = h5py.VirtualSource(str(secret), "x", (8,))
        file.create_group("conv1").create_virtual_dataset("kernel:0", layout)
    refused(keras.read, path, "takes its numbers from another file")


def test_hdf5_that_claims_much(tmp_path):
    path = tmp_path / "x.h5"
    for chunks in (None, (1000, 1000)):
        with h5py.File(path, "w") as file:
            layer = file.create_group("conv1")
            layer.create_dataset("conv1/kernel:0", (10**7, 10**7), "f4", chunks=chunks)
        refused(nima.load, path, "needs 400000000000000 bytes, and the file has 0")
    with h5py.File(path, "w") as file:
        file["model_weights"] = np.zeros(3)
    refused(nima.load, path, "model_weights is no group")
    with h5py.File(path, "w") as file:  # a group that holds itself
        file["conv1/a"] = np.zeros(3)
        file["conv1/b"] = file["conv1"]
    assert set(keras.read(path)) == {"a"}


def test_shapes_are_compared_with_the_network_before_reading(tmp_path):
    path, shape = tmp_path / "x.npz", (1 << 29,)  # 512 MiB, of which the file has 520 kB
    header = npy(f"({shape[0]},)", header=None).replace(b"<f4", b"|u1")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("generator/W1", "generator/W9"):
            buffer = io.BytesIO()
            np.save(buffer, np.zeros((9, 9, 3, 4), np.float32))
            archive.writestr(f"{name}.npy", buffer.getvalue())
        with archive.open("generator/extra.npy", "w") as file:
            file.write(header)
            for _ in range(shape[0] >> 20):
                file.write(bytes(1 << 20))
    refused(dped.load, path, r"unexpected: generator/extra \(536870912,\)")


def matrix(content, *, kind=6, sizes=(1, 1), fields=b""):
    """An array of MATLAB's format 5: flags, sizes, no name, then the content."""
    flags = struct.pack("<IIII", 6, 8, kind, 0)
    sizes = struct.pack(f"<II{len(sizes)}i", 5, 4 * len(sizes), *sizes)
    content = flags + sizes + struct.pack("<II", 1, 0) + fields + content
    return struct.pack("<II", 14, len(content)) + content


def nested(depth):
    content = b""
    for _ in range(depth):
        content = matrix(content, kind=1)
    return content


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (matrix(struct.pack("<II", 9, 8) + bytes(8), sizes=(1 << 20, 1 << 20)), "an array of"),
        (matrix(b"", kind=1, sizes=(1 << 30, 1)), "an array of"),
        (struct.pack("<II", 14, 1 << 31), "claims 2147483648 bytes"),
        (struct.pack("<II", 9, 1 << 31), "claims 2147483648 bytes"),
        (nested(2000), "nest deeper than 32"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_files_that_claim_much(tmp_path, element, message, compressed):
    if compressed:
        element = zlib.compress(element)
        element = struct.pack("<II", 15, len(element)) + element
    path = tmp_path / "x.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + element)
    refused(vgg.load, path, message)


def test_matlab_file_that_expands(tmp_path):
    element = zlib.compress(
        matrix(struct.pack("<II", 9, 1 << 27) + bytes(1 << 27), sizes=(1 << 24, 1))
    )
    path = tmp_path / "x.mat"
    header = (
        b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(element))
    )
    path.write_bytes(header + element)
    refused(vgg.load, path, "expands to more than")


@pytest.mark.parametrize("number_of_field", [1, 3, 4, 5, 6])
def test_checkpoint_index_with_fields_of_another_type(tmp_path, number_of_field):
    entry = bundles.field(number_of_field, b"text") + bundles.field(2, b"")
    with pytest.raises(ValueError, match="in place of int"):
        bundles.tensor_bundle._entry(entry)
    with pytest.raises(ValueError, match="in place of bytes"):
        bundles.tensor_bundle._entry(bundles.field(2, 5))


@pytest.mark.parametrize("kind", sorted(import_weights._KINDS))
def test_every_importer_fails_with_one_sentence(tmp_path, kind):
    load = import_weights._KINDS[kind][0]
    rng = np.random.default_rng(0)
    contents = {
        "noise": rng.bytes(1000),
        "empty": b"",
        "zip": b"PK\x05\x06" + bytes(18),
        "compressed": zlib.compress(bytes(1000)),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(500),
        "mat": b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + rng.bytes(200),
    }
    for name, content in contents.items():
        for suffix in (".npz", ".pth", ".h5", ".mat", ".index", ".other"):
            (tmp_path / f"{name}{suffix}").write_bytes(content)
            refused(load, tmp_path / f"{name}{suffix}", ".")
    for suffix in (".npz", ".pth", ".h5", ".mat", ".other"):  # waiting for a writer would hang
        os.mkfifo(tmp_path / f"fifo{suffix}")
        with pytest.raises((ValueError, FileNotFoundError), match=f"fifo{suffix}"):
            load(tmp_path / f"fifo{suffix}")


@pytest.mark.parametrize("load", [hdrnet.load, dped.load, nima.load])
def test_pytorch_files_are_named(tmp_path, load):
    fake_torch_files.write(tmp_path / "x.pth", {"a": np.ones(3, np.float32)}, zipped=True)
    refused(
        load, tmp_path / "x.pth", "is a PyTorch file, and this network was published in TensorFlow"
    )


def test_a_failure_inside_an_importer_names_the_file(tmp_path):
    np.savez(tmp_path / "x.npz", **{"inference/guide/ccm": np.zeros((3, 3), np.float32)})
    refused(hdrnet.load, tmp_path / "x.npz", "x.npz cannot be imported: the variables do not fit")


def _backbone(n):
    return {"backbone.model.1.weight": (n, 3, 3, 0)}


@pytest.mark.parametrize(
    "kind", ["hdrnet", "nima", "can", "neurop", "lut-bgrid", "svdlut", "seplut"]
)
def test_empty_arrays_with_shapes_of_a_huge_network(tmp_path, kind):
    path, n = tmp_path / "x.npz", 2**20
    shapes = {
        "hdrnet": {
            "inference/guide/ccm": (3, 3),
            "inference/coefficients/prediction/conv1/weights": (0, 1, n, 12 * n),
            "inference/coefficients/splat/conv1/weights": (0, 3, 3, n),
            "inference/coefficients/global/fc1/weights": (8 * n * n, 0),
        },
        "nima": {"conv1/kernel": (0, 3, 3, 2**25), "conv_dw_1/depthwise_kernel": (0, 3, 3, n)},
        "can": {f"g_conv{i}/weights": (0, 3, 3, n) for i in range(1, 2000)},
        "neurop": {
            "image_encoder.conv1.weight": (n, 3, 7, 0),
            "bc_renderer.encoder.weight": (n, 3, 1, 0),
        },
        "lut-bgrid": _backbone(n)
        | {
            "slice.conv_1d.weight": (0, n, 1, 1),
            "gen_3d_lut.basis_luts_bank.weight": (2**30, 0),
            "gen_bilateral.basis_grids_bank.weight": (2**30, 0),
        },
        "svdlut": _backbone(n)
        | {
            "gen_2d_lut.basis_luts_bank.weight": (2**30, 0),
            "gen_2d_bilateral.basis_grids_bank.weight": (2**30, 0),
            "gen_2d_grid_weight_bias.basis_luts_bank.weight": (2**30, 0),
        },
        "seplut": {
            "backbone.0.0.weight": (n, 3, 3, 0),
            "lut1d_generator.lut1d_generator.weight": (2**30, 0),
            "lut3d_generator.basis_luts_bank.weight": (2**30, 0),
        },
    }[kind]
    np.savez(path, **{name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    refused(
        import_weights._KINDS[kind][0],
        path,
        "do not fit|at most 24 layers|there is no matrix|there are no kernels",
    )
