#!/usr/bin/env bash
# Builds the fuzz targets by clang and runs them one after another: docs/hostile-input.md.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$root/scripts/packages.sh"
source "$root/scripts/options.sh"
cd "$root"

all_targets=(idx gzip cifar npy npz png safetensors toml manifest choices)
build_dir="$root/build"
jobs="$(tarn_cores)"
seconds=10
runs=0
total=0
slice=120  # seconds between two entries in the tally: short, so that little is lost when the script is stopped
targets=()

usage() {
  cat <<TEXT
Usage: scripts/fuzz.sh [--seconds N | --runs N | --total N] [--jobs N] [--build-dir DIR] [target...]

Feeds each target (default: all) with changed inputs until the time is over or so many were tried. A finding stops it with
exit code 1; the input is kept as DIR/fuzz/TARGET-crash-... (or -oom-, -timeout-), and the target run on that file shows it
again. What a run learns stays in DIR/fuzz/TARGET, where the next one goes on from; DIR/fuzz/TARGET.tally holds how many inputs
were tried so far and in how many seconds.

  --seconds N      for each target (default: 10)
  --runs N         inputs for each target
  --total N        inputs for each target, those of earlier runs counted: may be stopped at any time and called again
  --jobs N         compile N files at a time (default: all cores, here $jobs)
  --build-dir DIR  folder of the build folders (default: build in the clone)
  targets:         ${all_targets[*]}
TEXT
}
while (($#)); do
  case "$1" in
    --seconds) number_option "$@"; seconds="$2"; shift 2 ;;
    --runs) number_option "$@"; runs="$2"; shift 2 ;;
    --total) number_option "$@"; total="$2"; shift 2 ;;
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

# Short traces of allocations and a small quarantine make many inputs a second; libFuzzer prints the whole trace of a finding
# anyway, and what one input frees fits into the quarantine.
export ASAN_OPTIONS=malloc_context_size=1:quarantine_size_mb=16:allocator_may_return_null=0 UBSAN_OPTIONS=print_stacktrace=1

# fuzz TARGET LIMIT...: one run of the target; adds what it tried to the tally, sets `tried` and `code`. What it replays of
# earlier runs before the first new input does not count.
fuzz() {
  local target="$1" start=$SECONDS executed replayed before=(0 0)
  shift
  code=0
  "$build/tests/fuzz/fuzz_$target" "$@" -rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=10 -entropic=0 \
    -artifact_prefix="$work/$target-" -print_final_stats=1 -verbosity=1 "$work/$target" "$work/seeds/$target" >"$work/$target.log" 2>&1 || code=$?
  executed="$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log")"
  replayed="$(sed -n 's/^#\([0-9]*\)[[:space:]]*INITED.*/\1/p' "$work/$target.log")"
  tried=$((${executed:-0} > ${replayed:-0} ? ${executed:-0} - ${replayed:-0} : 0))
  [[ ! -f "$work/$target.tally" ]] || read -r -a before <"$work/$target.tally"
  echo "$((before[0] + tried)) $((before[1] + SECONDS - start))" >"$work/$target.tally.new"
  mv "$work/$target.tally.new" "$work/$target.tally"
}
tally_of() { if [[ -f "$work/$1.tally" ]]; then cat "$work/$1.tally"; else echo "0 0"; fi; }

failed=()
for target in "${targets[@]}"; do
  mkdir -p "$work/$target"
  if ((total)); then
    code=0
    while read -r inputs spent < <(tally_of "$target") && ((code == 0 && inputs < total)); do
      fuzz "$target" -max_total_time="$slice"
    done
  else
    start=$SECONDS
    if ((runs)); then fuzz "$target" -runs="$runs"; else fuzz "$target" -max_total_time="$seconds"; fi
    inputs=$tried spent=$((SECONDS - start))
  fi
  printf '%-12s %10s inputs %6d s  %s\n' "$target" "$inputs" "$spent" "$( ((code == 0)) && echo "no finding" || echo "FINDING, see $work/$target.log")"
  if ((code != 0)); then
    failed+=("$target")
    grep -aE 'finding:|ERROR:|runtime error:|Test unit written' "$work/$target.log" >&2 || tail -n 5 "$work/$target.log" >&2
  fi
done
if ((${#failed[@]})); then
  echo "fuzz.sh: findings in: ${failed[*]}" >&2
  exit 1
fi
