#!/usr/bin/env bash
# From a fresh clone to images drawn by a neural circuit: installs what is missing, builds `tarn`, trains on Fashion-MNIST.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$root/scripts/packages.sh"
source "$root/scripts/options.sh"

jobs="$(tarn_cores)"
build_dir="$root/build/quickstart"
out="$PWD/runs"
use_sudo=0
install=1

usage() {
  cat <<TEXT
Usage: scripts/quickstart.sh [options]

Installs missing Debian packages (as root only), builds the program and runs experiments/quickstart.toml.

  --jobs N         compile N files at a time (default: all cores, here $jobs)
  --build-dir DIR  where to build (default: build/quickstart in the clone)
  --out DIR        where run folders go (default: runs in the working directory)
  --sudo           may use sudo to install packages
  --no-install     install nothing
  -h, --help       this text
TEXT
}

while (($#)); do
  case "$1" in
    --jobs) number_option "$@"; jobs="$2"; shift 2 ;;
    --build-dir) text_option "$@"; build_dir="$(realpath -m "$2")"; shift 2 ;;
    --out) text_option "$@"; out="$2"; shift 2 ;;
    --sudo) use_sudo=1; shift ;;
    --no-install) install=0; shift ;;
    -h | --help) usage; exit 0 ;;
    *) bad_usage "unknown option $1; --help lists them" ;;
  esac
done

step() { printf '\n== %s (%d s so far)\n' "$1" "$SECONDS"; }

step "packages"
if ((install)); then
  tarn_require_packages "$use_sudo" "${tarn_build_packages[@]}" "${tarn_run_packages[@]}" "${tarn_data_packages[@]}"
else
  echo "packages: nothing is installed, as asked"
fi

step "build in $build_dir"
cuda="$(tarn_cuda_setting)"
# Of the hot files the copies that this machine takes, and no more.
options=(-DTARN_BUILD_TESTS=OFF -DTARN_CUDA="$cuda" -DTARN_BUILD_ONCE=ON -DTARN_ISAS="$(tarn_isas_here)")
if [[ "$cuda" != OFF ]]; then options+=(-DTARN_CUDA_ARCHITECTURES=native); fi  # for the GPU at hand alone
(cd "$root" && cmake --preset release -B "$build_dir" "${options[@]}")
cmake --build "$build_dir" --target tarn --parallel "$jobs"

step "train and sample"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
"$build_dir/src/cli/tarn" run "$root/experiments/quickstart.toml" --out "$out" 2>&1 | tee "$log"
run="$(ls -dt "$out"/quickstart-*/ 2>/dev/null | head -n 1)"
run="${run%/}"
if [[ ! -e "$run/DONE" ]]; then
  echo "quickstart.sh: the run in \"$run\" did not finish" >&2
  exit 1
fi

step "done"
cat <<TEXT
samples beside real images:  $run/figures/samples.png
the report:                  $run/report.html
all draws:                   $run/samples.nc
the program:                 $build_dir/src/cli/tarn
TEXT
