"""scripts/gpu_check.sh run, as far as it goes without a GPU: the paper-scale part, shrunk, on the CPU, in a bundle made here. So the overrides that it gives to
`tarn run` exist, and what it promises to keep is there.

usage: gpu_check_test.py TARN ROOT
"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

SIDE, IMAGES = 10, 400


def write_images(path):
    """An IDX file of bars of random place and brightness."""
    chance = random.Random(1)
    pixels = bytearray()
    for _ in range(IMAGES):
        row, light = chance.randrange(SIDE), chance.randrange(100, 256)
        pixels += bytes(light if i // SIDE == row else chance.randrange(30) for i in range(SIDE * SIDE))
    with open(path, "wb") as f:
        f.write(struct.pack(">IIII", 0x803, IMAGES, SIDE, SIDE) + pixels)


def main():
    tarn, root = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        bundle, out, images = (os.path.join(folder, name) for name in ("bundle", "out", "images-idx3-ubyte"))
        os.makedirs(os.path.join(bundle, "bin"))
        os.symlink(os.path.abspath(tarn), os.path.join(bundle, "bin", "tarn"))
        os.symlink(os.path.join(root, "experiments"), os.path.join(bundle, "experiments"))
        write_images(images)
        command = [os.path.join(root, "scripts", "gpu_check.sh"), "run", "--bundle", bundle, "--out", out, "--parts", "paper", "--device", "cpu", "--mnist", images]
        for option in ("model.neurons=40", "filter.components=6", "sampling.chains=40", "sampling.steps=20", "evaluation.last_level_steps=5"):
            command += ["--set", option]
        done = subprocess.run(command + ["--paper-epochs", "10"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"gpu_check.sh ended with {done.returncode}: {done.stdout}{done.stderr}")
        with open(os.path.join(out, "results.json"), encoding="utf-8") as f:
            lines = json.load(f)["results"]
        timing = [line["timing"] for line in lines if line.get("run") == "paper-mnist" and "timing" in line]
        if len(timing) != 1 or timing[0]["training_steps"] != 10 * (IMAGES // 64) or timing[0]["chain_steps"] != 40 * 20:
            sys.exit(f"the times of the run are {timing}")
        if not any("metric" in line for line in lines):
            sys.exit("no metric of the run is kept")
        for name in ("metrics.jsonl", "timing.jsonl", "config.toml", "report.html"):
            if not os.path.exists(os.path.join(out, "paper", "paper-mnist", name)):
                sys.exit(f"paper/paper-mnist/{name} is not there")
    print("the paper-scale part runs")


if __name__ == "__main__":
    main()
