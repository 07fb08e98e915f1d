"""bench/compare/figures.py on results that are known: which line stands, what is a rival, and what a row reaches.

usage: figures_test.py ROOT
"""
import json
import os
import subprocess
import sys
import tempfile

CHAINS = {"case": "chains", "phi": "relu", "D": 1, "U": 0, "N": 1000, "integrator": "em", "chains": 270336}
RIVAL = {"what": "step", "D": 1, "N": 1000, "B": 262144, "precision": "fp32"}
RESULTS = {
    "results": [
        {"case": "issue limit", "D": 1, "neurons_per_s": 1e13},
        CHAINS | {"chosen": False, "chain_steps_per_s": 9.9e9, "share_of_issue_limit": 0.99},
        CHAINS | {"chosen": True, "chain_steps_per_s": 7.5e9, "share_of_issue_limit": 0.75, "joules_per_chain_step": 8.5e-8},
        RIVAL | {"peer": "slow-cuda", "rate": 1e9, "seconds": 1.0},
        RIVAL | {"peer": "quick-cuda", "rate": 1.5e9, "seconds": 1.0},
        RIVAL | {"peer": "torch-cpu", "rate": 9e9, "seconds": 1.0},
        RIVAL | {"peer": "bf16-cuda", "rate": 9e9, "seconds": 1.0, "precision": "bf16"},
        RIVAL | {"peer": "few-cuda", "rate": 9e9, "seconds": 1.0, "B": 1024},
        {"bench": "advance", "precision": "fp32", "phi": "relu", "D": 300, "N": 20000, "chains": 16384, "chain_steps_per_s": 2e6, "tflop_per_s": 34.0, "share": 0.68},
        {"bench": "train", "phi": "relu", "D": 300, "N": 20000, "B": 64, "clip": 0, "way": "default", "step_us": 200.0, "floor_us": 100.0, "ratio": 2.0},
    ],
    "later": [
        {"bench": "advance", "precision": "fp32", "phi": "relu", "D": 300, "N": 20000, "chains": 16384, "chain_steps_per_s": 2e6, "tflop_per_s": 42.5, "share": 0.85},
        {"bench": "train", "phi": "relu", "D": 300, "N": 20000, "B": 64, "clip": 0, "way": "default", "step_us": 300.0, "floor_us": 100.0, "ratio": 3.0},
        {"bench": "hee", "kind": "exact", "sizes": [784, 1024, 256], "chains": 1024, "step_us": 120.0, "floor_us": 90.0, "share": 0.75},
    ],
}
# by what a row begins with: share, ratio, energy and what it reaches
EXPECTED = {
    ("plain", "chain-steps, D = 1, N = 1000, relu, 270336"): ("75 %", "5", "85 nJ", "aim"),
    ("plain", "chain-steps, D = 2, N = 1000, relu, 270336"): ("", "", "", "not measured"),
    ("plain", "chain-steps, D = 300, N = 20000, fp32"): ("68 %", "", "", "missed"),
    ("plain", "training step, D = 300, N = 20000, B = 64, fp32"): ("2.00x", "", "", "must, no rival measured"),
    ("plain", "HEE step, 784-1024-256, 1024 chains, exact"): ("", "", "", "not measured"),
    ("later", "chain-steps, D = 300, N = 20000, fp32"): ("85 %", "", "", "must"),
    ("later", "training step, D = 300, N = 20000, B = 64, fp32"): ("3.00x", "", "", "missed, no rival measured"),
    ("later", "HEE step, 784-1024-256, 1024 chains, exact"): ("75 %", "", "", "no target"),
    ("one kind", "chain-steps, D = 300, N = 20000, fp32"): ("68 %", "", "", "missed"),
    ("one kind", "training step, D = 300, N = 20000, B = 64, fp32"): ("3.00x", "", "", "missed, no rival measured"),
}


def main():
    root = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "known.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(RESULTS, f)
        arguments = {"plain": [path], "later": [path, f"{path}#later"], "one kind": [path, f"{path}#later:train"]}
        failures = []
        for case, files in arguments.items():
            out = os.path.join(folder, case)
            command = [sys.executable, os.path.join(root, "bench", "compare", "figures.py"), *files, "--out", out]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(f"figures.py ended with {done.returncode}: {done.stderr}")
            with open(os.path.join(out, "gpu_targets.md"), encoding="utf-8") as f:
                rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in f]
            for (of, begins), expected in EXPECTED.items():
                if of != case:
                    continue
                found = [(row[5], row[7], row[8], row[9]) for row in rows if row[0].startswith(begins)]
                if found != [expected]:
                    failures.append(f"{case}: {begins}: expected {expected}, found {found}")
        for files in (["none.json"], [f"{path}#none"]):
            command = [sys.executable, os.path.join(root, "bench", "compare", "figures.py"), *files, "--out", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0 or len(done.stderr.splitlines()) != 1:
                failures.append(f"{files}: exit {done.returncode}, {done.stderr}")
        if failures:
            sys.exit("\n".join(failures))
    print(f"{len(EXPECTED)} rows as expected")


if __name__ == "__main__":
    main()
