#!/usr/bin/env bash
# Profiles a shrunken run on a GPU: where the time goes (nsys), or what limits one kernel (ncu). Prints the table of kernels.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$root/scripts/options.sh"

usage() {
  cat <<TEXT
Usage: scripts/profile.sh nsys|ncu CONFIG [options] [-- OPTIONS OF tarn run]

nsys: timeline of some calls of training and of sampling, table of kernels, host calls and NVTX ranges
ncu:  hardware counters of some launches of one kernel

  --tarn FILE     the program (default: build/release/src/cli/tarn)
  --out DIR       where the profile goes (default: profiles)
  --kernel REGEX  ncu: which kernels (default: all)
  --launches N    ncu: how many launches (default: 20)

The profile covers a few calls after the first ones (tarn run --profile). Shorten the run, for instance:
  scripts/profile.sh nsys experiments/fashion_mnist.toml -- --set training.epochs=3 --set sampling.chains=4000
TEXT
}

tool="${1:-}"
[[ "$tool" == nsys || "$tool" == ncu ]] || {
  usage
  [[ "$tool" == -h || "$tool" == --help ]] && exit 0
  bad_usage "say nsys or ncu first"
}
shift
config="${1:-}"
[[ -f "$config" ]] || bad_usage "there is no config \"$config\""
shift
tarn="$root/build/release/src/cli/tarn" out=profiles kernel=".*" launches=20
while (($#)); do
  case "$1" in
    --tarn) text_option "$@"; tarn="$2"; shift 2 ;;
    --out) text_option "$@"; out="$2"; shift 2 ;;
    --kernel) text_option "$@"; kernel="$2"; shift 2 ;;
    --launches) number_option "$@"; launches="$2"; shift 2 ;;
    --) shift; break ;;
    *) bad_usage "unknown option $1; --help lists them" ;;
  esac
done
[[ -x "$tarn" ]] || bad_usage "there is no program $tarn; build it, or give --tarn FILE"
command -v "$tool" >/dev/null || bad_usage "$tool was not found; it comes with the CUDA toolkit"

mkdir -p "$out"
name="$out/$(basename "$config" .toml)-$(date +%Y%m%d-%H%M%S)"
run=("$tarn" run "$config" --device cuda --profile --out "$out/runs" "$@")
if [[ "$tool" == nsys ]]; then
  nsys profile --trace=cuda,nvtx,cublas --cuda-graph-trace=node --capture-range=cudaProfilerApi --capture-range-end=repeat:2 \
    --output "$name" "${run[@]}"
  for report in "$name"*.nsys-rep; do
    nsys stats --report cuda_gpu_kern_sum,cuda_gpu_mem_time_sum,nvtx_sum --format table "$report"
  done
else
  # Clocks are left alone: a shared card is measured as it is found.
  ncu --profile-from-start off --clock-control none --set basic --section WarpStateStats --kernel-name "regex:$kernel" --launch-count "$launches" \
    --export "$name" --force-overwrite "${run[@]}"
  ncu --import "$name.ncu-rep" --page details
fi
echo "profile: $name"*
