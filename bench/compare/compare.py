"""tarn beside compiled PyTorch and JAX on the same arithmetic: every round runs all of them, so that a busy machine slows all alike. Prints a
table of ratios to the best rival and writes JSON.

usage: compare.py BUILD_FOLDER [--rounds 3] [--out bench/results/NAME.json] [--only step|train|hee] [--quick]
Rivals come from PyPI: pip install torch jax. Those that are missing are named and left out.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

STEP = ["1:1000:8192", "2:1000:8192", "300:2000:1024", "300:20000:1024"]
TRAIN = ["1:1000:32", "100:4000:128", "300:2000:64", "300:20000:64"]
HEE = ["144:196:256"]
HERE = os.path.dirname(os.path.abspath(__file__))


def lines_of(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def ours(build, what, case):
    """The command that measures tarn on a case."""
    if what == "hee":
        D, N, B = case.split(":")
        return [os.path.join(build, "bench", "hee_bench"), "--rounds", "7", f"{B}:{D}:{N}:patches"]
    return [os.path.join(build, "bench", "step_bench"), what, case]


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            return next(line.split(":")[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out")
    parser.add_argument("--only", choices=["step", "train", "hee"])
    parser.add_argument("--quick", action="store_true", help="leave out N = 20000")
    options = parser.parse_args()
    results = []
    for what, cases in (("step", STEP), ("train", TRAIN), ("hee", HEE)):
        if options.only not in (None, what):
            continue
        for case in cases:
            if options.quick and ":20000:" in case:
                continue
            rates, processor, missing = {}, {}, set()
            for _ in range(options.rounds):
                for line in lines_of(ours(options.build, what, case)) + lines_of([sys.executable, os.path.join(HERE, "rivals.py"), what, case]):
                    if "error" in line:
                        missing.add(f"{line['peer']}: {line['error']}")
                    else:
                        rates.setdefault(line["peer"], []).append(line["rate"])
                        if "processor_rate" in line:
                            processor.setdefault(line["peer"], []).append(line["processor_rate"])
            medians = {peer: statistics.median(values) for peer, values in rates.items()}
            rivals = {peer: rate for peer, rate in medians.items() if peer != "tarn"}
            best = max(rivals, key=rivals.get) if rivals else None
            ratio = medians["tarn"] / rivals[best] if best else None
            results.append({"what": what, "case": case, "rates": rates, "best_rival": best, "ratio": ratio, "missing": sorted(missing)})
            unit = "steps/s" if what == "train" else "chain-steps/s"
            rival_text = f"{best} {rivals[best]:.4g}" if best else "no rival installed"
            print(f"{what:5} D:N:B {case:16} tarn {medians['tarn']:.4g} {unit}, {rival_text}, ratio {ratio and round(ratio, 2)}", flush=True)
            if best in processor:
                a, b = (statistics.median(processor[peer]) for peer in ("tarn", best))
                results[-1] |= {"processor_rates": processor, "processor_ratio": a / b}
                print(f"      for a second of processor time: tarn {a:.4g}, {best} {b:.4g}, ratio {a / b:.2f}", flush=True)
            for text in sorted(missing):
                print(f"      {text}")
    if options.out:
        commit = subprocess.run(["git", "-C", HERE, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
        with open(options.out, "w", encoding="utf-8") as f:
            json.dump({"cpu": cpu_name(), "cores": os.cpu_count(), "commit": commit, "rounds": options.rounds, "results": results}, f, indent=1)


if __name__ == "__main__":
    main()
