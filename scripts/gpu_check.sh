#!/usr/bin/env bash
# Everything that wants a GPU, in one command: the GPU tests, compute-sanitizer on some of them, the benches, whole runs, and a
# profile; results as JSON for bench/results/. `pack` makes a bundle on a machine that has our libraries, `run` checks it on one with a GPU.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$root/scripts/options.sh"

usage() {
  cat <<TEXT
Usage: scripts/gpu_check.sh pack --out FILE.tar.xz [options]      build for a GPU and pack programs and libraries
       scripts/gpu_check.sh run --bundle DIR --out DIR [options]   check, on the machine with the GPU

pack:
  --architectures LIST   GPU architectures, as TARN_CUDA_ARCHITECTURES (default: 90a-real)
  --build-dir DIR        build folder (default: build/gpu-check)
  --jobs N               compile N at a time
run:
  --bundle DIR           the unpacked bundle
  --out DIR              where results.json and the logs go; made if it is not there
  --parts LIST           of tests,sanitizer,small,large,train,hee,scaling,runs,profile,rivals,paper (default: all but the last two)
  --fashion FILE         Fashion-MNIST's training images (IDX), for a run on images
  --mnist FILE           the same of MNIST
  --cifar DIR            CIFAR-10's data_batch_1.bin to 5, or some of them, for paper
  --rivals FILE          a script that measures other software and prints JSON lines, called with --precision fp32|tf32|bf16 D:N:B...
                         (default: the bundle's gpu_rivals.py, which needs PyTorch or JAX)
  --paper-epochs N       epochs of the paper-scale runs (default 1000, as published)
  --set KEY=VALUE        for the paper-scale runs, after all else; may be given again
  --device NAME          of the paper-scale runs (default cuda); cpu to try them, shrunk, without a GPU
  --part-seconds N       longest time of one part (default 300, paper 3600)

paper: MNIST and CIFAR-10 with the settings of arXiv 2308.11809: 300 components, N = 20000, 10 levels; then 10000 chains of 15000 (5000) steps. Figures, metrics
and times are in OUT/paper, whole runs in OUT/runs. On an H200, by counting: 225 s of training and 80 s of sampling for MNIST.
TEXT
}

command="${1:-}"
shift || true
out="" bundle="" architectures="90a-real" build_dir="$root/build/gpu-check" jobs="$(nproc)"
parts="tests,sanitizer,small,large,train,hee,scaling,runs,profile" fashion="" mnist="" cifar="" rivals="" part_seconds="" paper_epochs=1000 device=cuda
paper_set=()
while (($#)); do
  case "$1" in
    --out) text_option "$@"; out="$2"; shift 2 ;;
    --bundle) text_option "$@"; bundle="$(realpath "$2")"; shift 2 ;;
    --architectures) text_option "$@"; architectures="$2"; shift 2 ;;
    --build-dir) text_option "$@"; build_dir="$(realpath -m "$2")"; shift 2 ;;
    --parts) text_option "$@"; parts="$2"; shift 2 ;;
    --fashion) text_option "$@"; fashion="$(realpath "$2")"; shift 2 ;;
    --mnist) text_option "$@"; mnist="$(realpath "$2")"; shift 2 ;;
    --rivals) text_option "$@"; rivals="$(realpath "$2")"; shift 2 ;;
    --cifar) text_option "$@"; cifar="$(realpath "$2")"; shift 2 ;;
    --paper-epochs) number_option "$@"; paper_epochs="$2"; shift 2 ;;
    --set) text_option "$@"; paper_set+=(--set "$2"); shift 2 ;;
    --device) text_option "$@"; device="$2"; shift 2 ;;
    --jobs) number_option "$@"; jobs="$2"; shift 2 ;;
    --part-seconds) number_option "$@"; part_seconds="$2"; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) bad_usage "unknown option $1; --help lists them" ;;
  esac
done

# Programs, and the shared libraries that they need beyond what every Linux with a compiler has.
pack() {
  [[ -n "$out" ]] || bad_usage "pack needs --out FILE.tar.xz"
  cmake -S "$root" -G Ninja -B "$build_dir" -DCMAKE_BUILD_TYPE=Release -DTARN_CUDA=ON -DTARN_BUILD_BENCH=ON -DTARN_CUDA_ARCHITECTURES="$architectures"
  cmake --build "$build_dir" --parallel "$jobs" --target tarn tarn_gpu_checks
  local stage library program
  stage="$(mktemp -d)"
  mkdir -p "$stage/bundle/bin" "$stage/bundle/lib"
  for program in "$build_dir/src/cli/tarn" "$build_dir"/tests/cuda/cuda_*_gpu "$build_dir"/bench/gpu/gpu_*_bench; do
    [[ -f "$program" && -x "$program" ]] && cp "$program" "$stage/bundle/bin/"
  done
  strip "$stage"/bundle/bin/*
  for library in $(ldd "$stage"/bundle/bin/* | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u); do
    case "$(basename "$library")" in
      ld-linux* | libc.so* | libm.so* | libpthread* | libdl.so* | librt.so* | libresolv* | libstdc++* | libgcc_s*) ;;
      *) cp -L "$library" "$stage/bundle/lib/" ;;
    esac
  done
  cp -r "$root/experiments" "$stage/bundle/experiments"
  cp "$root/bench/compare/gpu_rivals.py" "$stage/bundle/"
  git -C "$root" describe --always --dirty --abbrev=10 --exclude='*' >"$stage/bundle/commit"
  mkdir -p "$(dirname "$out")"
  XZ_OPT="-T0 -6" tar -C "$stage" -cJf "$out" bundle
  rm -rf "$stage"
  echo "packed: $out ($(du -h "$out" | cut -f1))"
}

wanted() { [[ ",$parts," == *",$1,"* ]]; }
note() { printf '%s\n' "$1" >>"$out/lines.jsonl"; }

# part NAME COMMAND...: runs it within its time, keeps its output, and notes how it ended.
failed=()
usual_seconds=300
part() {
  local name="$1" code=0 start=$SECONDS
  shift
  timeout --kill-after=10 "${part_seconds:-$usual_seconds}" "$@" >"$out/log/$name.txt" 2>&1 || code=$?
  printf '%-34s exit %3d  %4d s\n' "$name" "$code" "$((SECONDS - start))"
  note "{\"part\": \"$name\", \"exit\": $code, \"seconds\": $((SECONDS - start))}"
  if ((code != 0)); then
    failed+=("$name")
    tail -n 25 "$out/log/$name.txt" | cut -c1-300
  fi
  return 0
}
# Lines of JSON that a part printed, into the results.
collect() {
  local line
  while IFS= read -r line; do
    if [[ "$line" == "{"*"}" ]]; then note "$line"; fi
  done <"$out/log/$1.txt"
}

run_tests() {
  local program
  for program in "$bundle"/bin/cuda_*_gpu; do
    part "$(basename "$program")" "${ours[@]}" "$program" --gtest_brief=1
    if grep -q 'SKIPPED' "$out/log/$(basename "$program").txt"; then
      echo "  skipped: no device?"
      failed+=("$(basename "$program"): skipped")
    fi
  done
}

# A few tests of each kind: the tools slow kernels down a hundred times.
sanitized="NoiseOnDevice.OfNothing*:SmallLangevinOnDevice.CallsMayEndAnywhere:SmallLangevinOnDevice.BadChains*:LargeLangevinOnDevice.WorkingMemory*:FusedLangevinOnDevice.QuarantineSpares*:FusedLangevinOnDevice.TheHidden*:LargeLangevinOnDevice.Quarantine*"
sanitized+=":ReservoirOnDevice.Quarantine*:ReservoirOnDevice.Clamped*:MomentsOnDevice.Nothing*:CudaAdam.*:CudaNeuronProducts.EveryNonlinearity:CudaDsmRows.NoneAre*:CudaAlgorithms.Histogram*:CudaDsmSession.AdamwWithClipping:CudaDsmSession.TrainsAJ"

run_sanitizer() {
  local program tool
  if ! command -v compute-sanitizer >/dev/null; then
    failed+=("compute-sanitizer is not here")
    return 0
  fi
  for tool in memcheck racecheck; do
    for program in "$bundle"/bin/cuda_*_gpu; do
      "${ours[@]}" "$program" --gtest_filter="$sanitized" --gtest_list_tests | grep -q '^ ' || continue
      part "$tool-$(basename "$program")" "${ours[@]}" compute-sanitizer --tool "$tool" --error-exitcode 9 --log-file "$out/log/$tool-$(basename "$program").san" \
        "$program" --gtest_brief=1 --gtest_filter="$sanitized"
    done
  done
}

run_whole() {
  local -a tarn=("${ours[@]}" "$bundle/bin/tarn")
  part devices "${tarn[@]}" devices
  part run-double-peak-cuda "${tarn[@]}" run "$bundle/experiments/double_peak.toml" --device cuda --set evaluation.compare='[]' --out "$out/runs/cuda"
  part run-double-peak-cpu "${tarn[@]}" run "$bundle/experiments/double_peak.toml" --device cpu --set evaluation.compare='[]' --out "$out/runs/cpu"
  if [[ -n "$fashion" ]]; then
    part run-fashion-cuda "${tarn[@]}" run "$bundle/experiments/fashion_mnist.toml" --device cuda --set "data.path=\"$fashion\"" --out "$out/runs/fashion"
  fi
  if [[ -n "$mnist" ]]; then
    part run-mnist-cuda "${tarn[@]}" run "$bundle/experiments/mnist_pca_tuned.toml" --device cuda --set "data.path=\"$mnist\"" --out "$out/runs/mnist"
  fi
  local name
  for name in cuda cpu fashion mnist; do note_run "$name"; done
}

# note_run NAME: what the runs in OUT/runs/NAME took, and their last metrics.
note_run() {
  local folder line
  for folder in "$out/runs/$1"/*/; do
    [[ -e "$folder/timing.jsonl" ]] || continue
    note "{\"run\": \"$1\", \"timing\": $(tail -n 1 "$folder/timing.jsonl")}"
    while IFS= read -r line; do note "{\"run\": \"$1\", \"metric\": $line}"; done < <(tail -n 12 "$folder/metrics.jsonl")
  done
}

# paper_run NAME CONFIG DATA OPTIONS...: one data set as published, and what is worth keeping of it.
paper_run() {
  local name="paper-$1" config="$2" data="$3" file folder
  shift 3
  part "$name" "${ours[@]}" "$bundle/bin/tarn" run "$bundle/experiments/$config" --device "$device" --out "$out/runs/$name" --set "data.path=\"$data\"" \
    --set training.recipe='"published"' --set training.epochs="$paper_epochs" --set training.noise.levels=10 --set filter.components=300 --set model.neurons=20000 \
    --set sampling.chains=10000 --set sampling.thin=0 "$@" ${paper_set[@]+"${paper_set[@]}"}
  for folder in "$out/runs/$name"/*/; do
    mkdir -p "$out/paper/$name"
    for file in config.toml metrics.jsonl timing.jsonl log.txt report.html figures; do
      if [[ -e "$folder/$file" ]]; then cp -r "$folder/$file" "$out/paper/$name/"; fi
    done
  done
  note_run "$name"
}

run_paper() {
  local usual_seconds=3600
  if [[ -z "$mnist$cifar" ]]; then
    failed+=("paper: --mnist or --cifar is missing")
    return 0
  fi
  [[ -z "$mnist" ]] || paper_run mnist mnist_pca.toml "$mnist"
  [[ -z "$cifar" ]] || paper_run cifar cifar10_pca.toml "$cifar" --set evaluation.last_level_steps=2000
}

run_profile() {
  if ! command -v ncu >/dev/null; then
    failed+=("ncu is not here")
    return 0
  fi
  part ncu-small "${ours[@]}" ncu --clock-control none --set detailed --launch-skip 2 --launch-count 2 --kill yes -k 'regex:small_langevin' "$bundle/bin/gpu_small_bench"
  part ncu-train "${ours[@]}" ncu --clock-control none --set basic --launch-skip 60 --launch-count 14 --kill yes "$bundle/bin/gpu_train_bench" 300:20000:64
}

# Each part is one precision of one kind: compiling takes most of the time.
run_rivals() {
  local size precision
  local -a rival=(python3 "$rivals")
  if [[ -z "$rivals" ]]; then rival=(python3 "$bundle/gpu_rivals.py" --gpu); fi
  for size in 1:1000:262144 2:1000:262144 300:20000:16384; do
    part "rivals-step-$size" "${rival[@]}" --precision fp32 "$size"
    collect "rivals-step-$size"
  done
  for precision in tf32 bf16; do
    part "rivals-$precision" "${rival[@]}" --precision "$precision" 300:20000:16384
    collect "rivals-$precision"
  done
  part rivals-train "${rival[@]}" --precision fp32 --train 300:20000:64 1:1000:32 100:4000:128 300:2000:64
  collect rivals-train
  part rivals-train-tf32 "${rival[@]}" --precision tf32 --train 300:20000:64
  collect rivals-train-tf32
}

run() {
  [[ -n "$bundle" && -n "$out" ]] || bad_usage "run needs --bundle DIR and --out DIR"
  mkdir -p "$out/log"
  out="$(realpath "$out")"
  : >"$out/lines.jsonl"
  # For our programs alone: the machine's own must not meet our libraries.
  ours=(env "LD_LIBRARY_PATH=$bundle/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}")
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.sm --format=csv || true
  wanted tests && run_tests
  wanted sanitizer && run_sanitizer
  local name
  for name in small large train hee scaling; do
    if wanted "$name"; then
      part "bench-$name" "${ours[@]}" "$bundle/bin/gpu_${name}_bench"
      collect "bench-$name"
    fi
  done
  wanted runs && run_whole
  wanted profile && run_profile
  wanted rivals && run_rivals
  wanted paper && run_paper
  python3 - "$out" "$(cat "$bundle/commit" 2>/dev/null || echo unknown)" <<'PYTHON'
import datetime, json, pathlib, subprocess, sys
out = pathlib.Path(sys.argv[1])
lines = [json.loads(line) for line in (out / "lines.jsonl").read_text().splitlines()]
gpu = subprocess.run("nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader", shell=True, capture_output=True, text=True).stdout.strip()
nvcc = subprocess.run("nvcc --version | tail -n 1", shell=True, capture_output=True, text=True).stdout.strip()
json.dump({"date": datetime.date.today().isoformat(), "commit": sys.argv[2], "gpu": gpu, "toolkit": nvcc, "results": lines},
          open(out / "results.json", "w"), indent=1)
PYTHON
  echo "results: $out/results.json"
  if ((${#failed[@]})); then
    printf 'failed: %s\n' "${failed[@]}"
    return 1
  fi
}

case "$command" in
  pack) pack ;;
  run) run ;;
  -h | --help) usage ;;
  *) bad_usage "say pack or run; --help tells more" ;;
esac
