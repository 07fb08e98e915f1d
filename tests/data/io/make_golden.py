#!/usr/bin/env python3
"""Writes the files of this folder with numpy, safetensors and Pillow: what other programs write, for the tests of io.

Values follow simple rules that the tests restate. Run it in this folder; the files are small and are kept in the repository.
"""
import gzip
import io
import zipfile

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

rows = np.arange(12).reshape(3, 4)  # element (i, j) is 4 i + j
for name in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
    np.save(f"{name}.npy", rows.astype("<" + name))
np.save("bool.npy", rows % 2 == 1)
np.save("scalar.npy", np.float32(2.5))
np.save("vector.npy", np.arange(5, dtype="<f8") / 2)
np.save("empty.npy", np.zeros((0, 3), "<f4"))
np.save("cube.npy", np.arange(24, dtype="<f4").reshape(2, 3, 4))
np.save("long.npy", np.zeros(100, "<f4"))
np.save("axes.npy", np.ones((1,) * 16, "<f4"))  # its header is long enough for numpy's room to grow to show
np.save("fortran.npy", np.asfortranarray(rows.astype("<f4")))
np.save("big_endian.npy", rows.astype(">f4"))
np.save("object.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
np.save("structured.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
np.save("complex.npy", rows.astype("<c8"))
for version in [(2, 0), (3, 0)]:
    with open(f"version{version[0]}.npy", "wb") as f:
        np.lib.format.write_array(f, rows.astype("<f4"), version=version)

np.savez("stored.npz", W_in=rows.astype("<f4"), b=np.arange(3.0))
np.savez_compressed("deflated.npz", W_in=rows.astype("<f4"), b=np.arange(3.0))
buffer = io.BytesIO()
np.save(buffer, np.zeros(4_000_000, "<f4"))
with zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as f:
    f.writestr("zeros.npy", buffer.getvalue())

tensors = {
    "W_in": rows.astype(np.float32),
    "b": np.arange(3.0),
    "half": np.array([0.5, -2.0, 65504.0, 6e-8, np.inf], np.float16),
    "steps": np.array([7], np.int64),
    "mask": np.array([[True, False]]),
    "small": np.arange(3, dtype=np.uint8),
}
save_file(tensors, "python.safetensors", metadata={"kind": "reservoir_sampler"})

with gzip.GzipFile("text.gz", "wb", mtime=0) as f:
    f.write(b"tarn " * 200)

gray = (np.arange(35).reshape(5, 7) * 7).astype(np.uint8)  # (i, j) is 7 (7 i + j)
rgb = np.stack([gray, 255 - gray, gray // 2], axis=2)
Image.fromarray(gray).save("gray.png")
Image.fromarray(rgb).save("rgb.png")
Image.fromarray(np.dstack([rgb, np.full_like(gray, 128)])).save("rgba.png")
Image.fromarray(gray.astype(np.uint16) * 257).save("gray16.png")
Image.fromarray(gray > 120).save("bilevel.png")
Image.fromarray(rgb).quantize(256).convert("RGB").quantize(64).save("palette.png")
Image.fromarray(np.dstack([gray, np.full_like(gray, 9)])).save("gray_alpha.png")
np.save("palette_expected.npy", np.array(Image.open("palette.png").convert("RGB")).reshape(5, 21))
