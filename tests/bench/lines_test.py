"""Runs a bench on the emulated GPU and reads what it prints: every line is JSON, and the lines of one kind hold finite, positive numbers under the names
that scripts and docs read.

usage: lines_test.py PROGRAM KEY=VALUE NAMES [ARGUMENTS ...]    of the lines whose KEY is VALUE, all of NAMES (with commas); at least one such line
"""
import json
import math
import subprocess
import sys


def main():
    program, kind, names = sys.argv[1:4]
    key, value = kind.split("=")
    done = subprocess.run([program, *sys.argv[4:]], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} ended with {done.returncode}: {done.stderr}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    of_kind = [line for line in lines if line.get(key) == value]
    if not of_kind:
        sys.exit(f"no line with {kind} among {len(lines)}:\n{done.stdout}")
    for line in of_kind:
        for name in names.split(","):
            number = line.get(name)
            if not isinstance(number, (int, float)) or not math.isfinite(number) or number <= 0:
                sys.exit(f"{name} is {number} in {line}")
    print(f"{len(of_kind)} lines of {len(lines)}")


if __name__ == "__main__":
    main()
