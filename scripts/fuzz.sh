#!/usr/bin/env bash
# Builds the fuzz targets by clang and runs them one after another: docs/hostile-input.md.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$root/scripts/packages.sh"
source "$root/scripts/options.sh"
cd "$root"

all_targets=(idx gzip cifar npy npz png safetensors toml manifest)
build_dir="$root/build"
jobs="$(tarn_cores)"
limit=(-max_total_time=10)
targets=()

usage() {
  cat <<TEXT
Usage: scripts/fuzz.sh [--seconds N | --runs N] [--jobs N] [--build-dir DIR] [target...]

Feeds each target (default: all) with changed inputs until the time is over or so many were tried. A finding stops it with
exit code 1; the input is kept as DIR/fuzz/TARGET-crash-... (or -oom-, -timeout-), and the target run on that file shows it
again. What a run learns stays in DIR/fuzz/TARGET, where the next one goes on from.

  --seconds N      for each target (default: 10)
  --runs N         inputs for each target
  --jobs N         compile N files at a time (default: all cores, here $jobs)
  --build-dir DIR  folder of the build folders (default: build in the clone)
  targets:         ${all_targets[*]}
TEXT
}
while (($#)); do
  case "$1" in
    --seconds) number_option "$@"; limit=(-max_total_time="$2"); shift 2 ;;
    --runs) number_option "$@"; limit=(-runs="$2"); shift 2 ;;
    --jobs) number_option "$@"; jobs="$2"; shift 2 ;;
    --build-dir) text_option "$@"; build_dir="$(realpath -m "$2")"; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    -*) bad_usage "unknown option $1" ;;
    *) [[ " ${all_targets[*]} " == *" $1 "* ]] || bad_usage "unknown target $1; there are: ${all_targets[*]}"; targets+=("$1"); shift ;;
  esac
done
((${#targets[@]})) || targets=("${all_targets[@]}")

build="$build_dir/clang-fuzz"
work="$build_dir/fuzz"
cmake --preset clang-fuzz -B "$build" >/dev/null
cmake --build "$build" --target fuzz_make_corpus "${targets[@]/#/fuzz_}" --parallel "$jobs"
mkdir -p "$work"
"$build/tests/fuzz/fuzz_make_corpus" "$work/seeds"

# Short traces of allocations make many inputs a second; libFuzzer prints the whole trace of a finding anyway.
export ASAN_OPTIONS=malloc_context_size=1:allocator_may_return_null=0 UBSAN_OPTIONS=print_stacktrace=1
failed=()
for target in "${targets[@]}"; do
  mkdir -p "$work/$target"
  start=$SECONDS
  code=0
  "$build/tests/fuzz/fuzz_$target" "${limit[@]}" -rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=10 -entropic=0 \
    -artifact_prefix="$work/$target-" -print_final_stats=1 -verbosity=1 "$work/$target" "$work/seeds/$target" >"$work/$target.log" 2>&1 || code=$?
  inputs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log")"
  printf '%-12s %10s inputs %6d s  %s\n' "$target" "${inputs:-?}" $((SECONDS - start)) "$( ((code == 0)) && echo "no finding" || echo "FINDING, see $work/$target.log")"
  if ((code != 0)); then
    failed+=("$target")
    grep -aE 'finding:|ERROR:|runtime error:|Test unit written' "$work/$target.log" >&2 || tail -n 5 "$work/$target.log" >&2
  fi
done
if ((${#failed[@]})); then
  echo "fuzz.sh: findings in: ${failed[*]}" >&2
  exit 1
fi
