#!/usr/bin/env bash
# Builds the Release configuration and runs its tests. With --ci also: formatting, headers alone, API docs, a run from
# end to end, a program against the installed package, sanitizers. What it prints last is always ctest's summary of the Release tests.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$root/scripts/packages.sh"
source "$root/scripts/options.sh"
cd "$root"

jobs="$(tarn_cores)"
build_dir="$root/build"
use_sudo=0
install=1
ci=0

usage() {
  cat <<TEXT
Usage: scripts/test.sh [options]

Builds the Release configuration with CUDA where the toolkit is found, and runs every test that is not labelled slow.

  --ci             also: formatting, each header alone, API docs, a run from end to end, a program against the
                   installed package, address and undefined-behaviour sanitizers, thread sanitizer
  --jobs N         compile and test N at a time (default: all cores, here $jobs)
  --build-dir DIR  folder of the build folders (default: build in the clone)
  --sudo           may use sudo to install packages
  --no-install     install nothing
  -h, --help       this text
TEXT
}

while (($#)); do
  case "$1" in
    --ci) ci=1; shift ;;
    --jobs) number_option "$@"; jobs="$2"; shift 2 ;;
    --build-dir) text_option "$@"; build_dir="$(realpath -m "$2")"; shift 2 ;;
    --sudo) use_sudo=1; shift ;;
    --no-install) install=0; shift ;;
    -h | --help) usage; exit 0 ;;
    *) bad_usage "unknown option $1; --help lists them" ;;
  esac
done

# Tests run side by side: threads that wait should sleep, not burn the core another test needs.
export OMP_WAIT_POLICY=passive

times=()
step_name=""
step_start=0
finish_step() {
  if [[ -n "$step_name" ]]; then
    times+=("$(printf '%5d s  %s' $((SECONDS - step_start)) "$step_name")")
  fi
}
step() {
  finish_step
  step_name="$1"
  step_start=$SECONDS
  printf '\n== %s (%d s so far)\n' "$1" "$SECONDS"
}
fail() {
  echo "test.sh: $*" >&2
  exit 1
}

sources() { git ls-files --cached --others --exclude-standard -- "$@"; }

configure_and_build() {  # configure_and_build PRESET TARGET [OPTIONS...]
  local preset=$1 target=$2
  shift 2
  cmake --preset "$preset" -B "$build_dir/$preset" "$@"
  cmake --build "$build_dir/$preset" --target "$target" --parallel "$jobs"
}
run_tests() {  # run_tests PRESET [OPTIONS...]
  local preset=$1
  shift
  ctest --test-dir "$build_dir/$preset" --label-exclude slow --parallel "$jobs" --output-on-failure --no-tests=error "$@"
}

# Prints tests/long_with_sanitizers.txt as one regular expression for ctest, which leaves everything in without a word where one is too much for it.
# A line that matches nothing has lost its test to another name.
test_names() { ctest --test-dir "$build_dir/$1" --show-only "${@:2}" | sed -n 's/^ *Test *#[0-9]*: //p'; }
long_tests() {  # long_tests PRESET
  local names pattern whole=""
  names="$(test_names "$1")"
  while read -r pattern; do
    grep -qE -e "$pattern" <<<"$names" || fail "tests/long_with_sanitizers.txt: no test matches $pattern"
    whole+="${whole:+|}$pattern"
  done < <(grep -v -e '^#' -e '^$' tests/long_with_sanitizers.txt)
  if grep -qE -e "$whole" <<<"$(test_names "$1" --exclude-regex "$whole")"; then fail "ctest does not leave out what tests/long_with_sanitizers.txt lists"; fi
  echo "$whole"
}

check_format() {
  clang-format --version | grep -q 'version 14\.' || fail "formatting is judged by clang-format 14, found: $(clang-format --version)"
  sources '*.cpp' '*.hpp' '*.cu' '*.cuh' | xargs clang-format --dry-run --Werror
  echo "all files are formatted"
}

# Marks of unfinished work and paths of somebody's own machine have no place in what is committed.
check_words() {
  local pattern='\b(TO''DO|FIX''ME|XX''X|HA''CK)\b|(^|[^[:alnum:]._-])/(home|root|work|Users)/[[:alnum:]]'
  if sources | grep -vE '\.(png|npy|npz|gz|safetensors)$' | xargs grep -nIE "$pattern"; then
    fail "the lines above hold marks of unfinished work or paths of one machine"
  fi
  echo "none found"
}

# A test that no CMakeLists.txt names passes for ever.
check_all_built() {
  local file
  local -a unseen=(-e '^tests/fuzz/')
  if grep -q '^TARN_HAVE_CUDA:INTERNAL=ON' "$build_dir/release/CMakeCache.txt"; then
    unseen+=(-e '^src/compute/cuda/absent.cpp$')
  else
    unseen+=(-e '^src/compute/cuda/' -e '^kernels/' -e '^bench/gpu/')  # the emulator has most of them, under its own names
  fi
  for file in $(sources 'src/*.cpp' 'kernels/*.cpp' 'kernels/*.cu' 'tests/*.cpp' 'bench/*.cpp' 'bench/*.cu' | grep -v "${unseen[@]}"); do
    grep -qF -e "$root/$file\"" "$build_dir/release/compile_commands.json" || fail "no CMakeLists.txt names $file"
  done
  echo "every source is compiled"
}

check_headers() {
  sources 'include/*.hpp' | sed 's|^include/||' | xargs -P "$jobs" -I {} bash -c '
    echo "#include \"{}\"" | g++ -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -I include -x c++ - || {
      echo "include/{} does not compile alone" >&2
      exit 1
    }' || fail "every public header must compile alone, with g++ and no generated file"
  echo "$(sources 'include/*.hpp' | wc -l) headers compile alone"
}

# Doxygen ends with an error where a comment does not parse or a link leads nowhere.
check_api_docs() {
  mkdir -p "$build_dir/api-docs"
  TARN_API_DOCS="$build_dir/api-docs" doxygen docs/Doxyfile || fail "doxygen has something to say about the public headers"
  [[ -s "$build_dir/api-docs/html/index.html" ]] || fail "doxygen wrote no pages"
  echo "no warnings; the pages are in $build_dir/api-docs/html"
}

# The package as others meet it: installed, the clone out of sight, and a program that finds it.
check_installed_package() {
  local work="$1"
  cmake --install "$build_dir/release" --prefix "$work/prefix" >"$work/install.log" || fail "cmake --install failed: $(tail -n 3 "$work/install.log")"
  if grep -rIlF -e "$root" "$work/prefix/lib" "$work/prefix/include"; then
    fail "the installed files above name the folder of the clone"
  fi
  cp -r examples/consumer "$work/consumer"
  cmake -S "$work/consumer" -B "$work/consumer/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_CXX_FLAGS="-Wall -Wextra -Wpedantic -Werror"
  cmake --build "$work/consumer/build"
  "$work/consumer/build/consumer"
  "$work/prefix/bin/tarn" --version
}

# One small run on each road that users take; threads must not change a byte of a small network's draws.
check_end_to_end() {
  local tarn="$build_dir/release/src/cli/tarn" work="$1" run sample_run
  "$tarn" --version
  "$tarn" devices
  for config in experiments/*.toml; do "$tarn" check "$config"; done
  local -a small=(--set training.epochs=3 --set sampling.chains=300 --set sampling.steps=400)
  for threads in 1 2; do
    "$tarn" run experiments/double_peak.toml "${small[@]}" --threads "$threads" --out "$work/threads-$threads" 2>&1 | tail -n 3
  done
  local one two file
  one="$(ls -d "$work"/threads-1/double_peak-*)"
  two="$(ls -d "$work"/threads-2/double_peak-*)"
  [[ -e "$one/DONE" && -e "$two/DONE" && -e "$one/report.html" && -e "$one/samples.nc" ]] || fail "a run is not complete"
  for file in $(cd "$one" && ls weights.safetensors metrics.jsonl config.toml data.safetensors checkpoints/* samples/part-*.nc); do
    cmp "$one/$file" "$two/$file" || fail "$file differs between 1 and 2 threads"
  done
  "$tarn" inspect "$one"
  "$tarn" inspect "$one/samples.nc"

  cat >"$work/four.toml" <<TEXT
[data]
kind = "gaussian_mixture"
means = [[-1.0, 0.0, 0.0, 0.5], [1.0, 0.0, 0.0, -0.5]]
std = 0.4
[model]
neurons = 50
[training]
epochs = 5
[sampling]
chains = 200
TEXT
  "$tarn" run "$work/four.toml" --dry-run
  "$tarn" run "$work/four.toml" --out "$work/four" 2>&1 | tail -n 3
  run="$(ls -d "$work"/four/four-*)"
  "$tarn" score "$run" --at tests/data/io/f4.npy --out "$work/score.npy"
  "$tarn" inspect "$work/score.npy"
  "$tarn" export "$run" --out "$work/weights.npz"
  "$tarn" import "$work/weights.npz" --nonlinearity relu --out "$work/weights.safetensors"
  "$tarn" inspect "$work/weights.safetensors"
  sample_run=("$tarn" sample "$run" --chains 100 --steps 50 --dt 1e-3)
  "${sample_run[@]}" --out "$work/whole" 2>&1 | tail -n 1
  "${sample_run[@]}" --chain-range 0:33 --out "$work/part-a" 2>&1 | tail -n 1
  "${sample_run[@]}" --chain-range 33:100 --out "$work/part-b" 2>&1 | tail -n 1
  "$tarn" merge "$work/part-a" "$work/part-b" --out "$work/merged.nc"
  "$tarn" inspect "$work/merged.nc" | tail -n +2 >"$work/merged.txt"
  "$tarn" inspect "$work/whole/samples.nc" | tail -n +2 | diff - "$work/merged.txt" || fail "merged parts are not the whole"
  # A wrong key is one line on stderr and exit code 2.
  local code=0
  "$tarn" check "$work/four.toml" --set modle.neurons=3 || code=$?
  [[ $code == 2 ]] || fail "a wrong key gave exit code $code, not 2"
  # Images: reader, PCA, grid and its report.
  "$tarn" run experiments/quickstart.toml --set data.max_items=2000 --set filter.components=20 --set model.neurons=64 --set training.epochs=2 \
    --set sampling.chains=150 --set evaluation.last_level_steps=20 --out "$work/images" 2>&1 | tail -n 3
  [[ -s "$(ls "$work"/images/quickstart-*/figures/samples.png)" ]] || fail "the image run has no grid of samples"
}

step "packages"
if ((install)); then
  packages=("${tarn_build_packages[@]}" "${tarn_run_packages[@]}" "${tarn_data_packages[@]}" "${tarn_test_packages[@]}")
  if ((ci)); then packages+=("${tarn_ci_packages[@]}"); fi
  tarn_require_packages "$use_sudo" "${packages[@]}"
else
  echo "packages: nothing is installed, as asked"
fi

# All of a --ci run's builds together take 4 GB; a linker that finds the disk full does not say so in its first lines.
check_room() {
  local free
  mkdir -p "$build_dir"
  free="$(df --output=avail -BG "$build_dir" | tail -n 1 | tr -dc '0-9')"
  if ((free < 5)); then echo "test.sh: only $free GB are free where $build_dir lies; a run with --ci takes 4"; fi
}

if ((ci)); then
  check_room
  step "formatting"
  check_format
  step "marks of unfinished work"
  check_words
  step "each public header alone"
  check_headers
  step "API docs"
  check_api_docs
fi

step "release: build"
# Benches, so that they go on compiling; device code, where there is a toolkit, for one architecture.
configure_and_build release all -DTARN_BUILD_BENCH=$ci -DTARN_PRECOMPILE=TESTS -DTARN_CUDA_ARCHITECTURES="${TARN_CUDA_ARCHITECTURES:-90a-real}"

if ((ci)); then
  check_all_built
  step "from end to end"
  scratch="$(mktemp -d)"
  trap 'rm -rf "$scratch"' EXIT
  check_end_to_end "$scratch"
  step "installed package"
  check_installed_package "$scratch"

  step "address and undefined-behaviour sanitizers: build"
  configure_and_build cpu-debug-sanitize all
  step "address and undefined-behaviour sanitizers: tests"
  left_out="$(long_tests cpu-debug-sanitize)"
  ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 \
    LSAN_OPTIONS="suppressions=$root/tests/leaks_of_others.txt:print_suppressions=0" run_tests cpu-debug-sanitize --exclude-regex "$left_out"

  step "fuzzing"
  scripts/fuzz.sh --seconds 5 --jobs "$jobs" --build-dir "$build_dir"

  step "thread sanitizer: build"
  configure_and_build cpu-thread-sanitize tarn_threaded_tests
  step "thread sanitizer: tests"
  # Archer tells the sanitizer about OpenMP's barriers; OpenBLAS and the C library are not instrumented.
  archer="$(dirname "$(realpath "$(command -v clang++)")")/../lib/libarcher.so"
  [[ -e "$archer" ]] || fail "$archer is missing (Debian: libomp-14-dev); without it the thread sanitizer reports false races"
  OMP_TOOL_LIBRARIES="$archer" OMP_NUM_THREADS=3 TSAN_OPTIONS=ignore_noninstrumented_modules=1 run_tests cpu-thread-sanitize --label-regex threads
fi

finish_step
printf '\n== steps\n'
printf '%s\n' "${times[@]}"
step "release: tests"
# ctest lists what it skipped behind its summary (tests that want a GPU, where there is none); the summary comes last here.
results="$(mktemp)"
run_tests release | tee "$results" || { rm -f "$results"; exit 1; }
grep 'tests passed' "$results" | tail -n 1
rm -f "$results"
