#!/usr/bin/env bash
# Registers, stack and spills of every kernel, as ptxas reports them, in a table: docs/kernel-resources.md.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$root/scripts/options.sh"
architecture=90a out="$root/docs/kernel-resources.md"
while (($#)); do
  case "$1" in
    --architecture) text_option "$@"; architecture="$2"; shift 2 ;;
    --out) text_option "$@"; out="$2"; shift 2 ;;
    -h | --help) echo "Usage: scripts/kernel_resources.sh [--architecture 90a] [--out FILE]"; exit 0 ;;
    *) bad_usage "unknown option $1; --help lists them" ;;
  esac
done
command -v nvcc >/dev/null || bad_usage "nvcc was not found; it comes with the CUDA toolkit"

report="$(mktemp)"
trap 'rm -f "$report"' EXIT
for file in "$root"/kernels/*.cu; do
  [[ "$(basename "$file")" == algorithms.cu ]] && continue  # Thrust's and CUB's own
  echo "file $(basename "$file")"
  nvcc -std=c++20 -O3 --fmad=false --expt-relaxed-constexpr -gencode "arch=compute_$architecture,code=sm_$architecture" -Xptxas -v -I "$root/include" -I "$root/kernels" \
    -I "$root/kernels/platform" -I "$root/src/compute" -c "$file" -o /dev/null 2>&1 | c++filt
done >"$report"
python3 - "$report" "$out" "$architecture" "$(nvcc --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')" <<'PYTHON'
import re, sys
report, out, architecture, version = sys.argv[1:]
rows, file, kernel = [], "", None
enums = {"Nonlinearity": ["relu", "leaky_relu", "tanh", "softplus", "sigmoid"], "Precision": ["fp32", "tf32", "bf16"],
         "Share": ["rows", "neurons", "columns"], "Engine": ["warp", "warpgroup"]}
for line in open(report):
    if line.startswith("file "):
        file = line.split()[1]
    elif found := re.search(r"Compiling entry function '(.*)' for", line):
        name = found[1].replace("tarn::cuda::", "").replace("(anonymous namespace)::", "").replace("tarn::", "")
        name = re.sub(r"\((?:\w+::)*(\w+)\)(\d)", lambda m: enums[m[1]][int(m[2])] if m[1] in enums else m[0], name)
        kernel = {"file": file, "name": re.sub(r"^void ", "", name.split("(")[0])}
    elif kernel and (found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)):
        kernel["stack"], kernel["spills"] = found[1], found[2] + " / " + found[3]
    elif kernel and (found := re.search(r"Used (\d+) registers", line)):
        smem = re.search(r"(\d+) bytes smem", line)
        rows.append((kernel["file"], kernel["name"], found[1], smem[1] if smem else "0", kernel.get("stack", "0"), kernel.get("spills", "0 / 0")))
        kernel = None
with open(out, "w") as page:
    page.write(f"""# Registers and spills of the kernels

What ptxas says of each kernel for sm_{architecture}, by nvcc {version}: `scripts/kernel_resources.sh` writes this page. Registers are
per thread, memory in bytes: static shared memory per block, stack frame and spills (stores / loads) per thread.

| file | kernel | registers | shared | stack | spills |
|---|---|---|---|---|---|
""")
    for row in sorted(set(rows)):
        page.write("| " + " | ".join(f"`{c}`" if i == 1 else c for i, c in enumerate(row)) + " |\n")
print(f"{out}: {len(set(rows))} kernels")
PYTHON
