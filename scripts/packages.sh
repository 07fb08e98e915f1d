#!/usr/bin/env bash
# shellcheck disable=SC2034
# Which Debian packages are needed, and how they get installed. Sourced by the other scripts.

# A word "a|b" is satisfied by any of its names; the first one is what gets installed.
tarn_build_packages=(
  build-essential cmake ninja-build pkg-config git
  libopenblas-openmp-dev liblapacke-dev
  libcli11-dev libtomlplusplus-dev libfmt-dev libspdlog-dev nlohmann-json3-dev
  libnetcdf-dev libzip-dev libxxhash-dev libpng-dev zlib1g-dev
  libkissfft-dev libcminpack-dev
  "libboost-dev|libboost1.74-dev|libboost1.81-dev|libboost1.83-dev"
)
tarn_run_packages=("gnuplot-nox|gnuplot-qt|gnuplot-x11")  # figures; a run without it says so and goes on
tarn_data_packages=(dataset-fashion-mnist)
tarn_test_packages=(libgtest-dev libgmock-dev librandom123-dev libboost-context-dev ccache)
# The thread sanitizer needs clang with its own OpenMP, which knows how to tell it about barriers.
tarn_ci_packages=("clang|clang-14" "clang-format|clang-format-14" "libclang-rt-14-dev|libclang-rt-dev" "libomp-14-dev|libomp-dev" doxygen libbenchmark-dev)

# tarn_require_packages USE_SUDO PACKAGE...: prints what is missing and installs it: as root, or with USE_SUDO = 1
# through sudo. Otherwise it prints the command for the user and returns 1.
tarn_require_packages() {
  local use_sudo=$1 word name found
  shift
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "packages: this is not Debian or a system like it, so nothing is installed. Debian's names of what is needed:"
    printf '  %s\n' "${@%%|*}"
    echo "packages: going on with what is here; configuring names whatever it does not find."
    return 0
  fi
  local -a missing=()
  local -A installed=()
  while read -r name; do installed[$name]=1; done < <(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
  for word in "$@"; do
    found=0
    local -a names
    IFS='|' read -r -a names <<<"$word"
    for name in "${names[@]}"; do
      if [[ -n "${installed[$name]:-}" ]]; then
        found=1
        break
      fi
    done
    ((found)) || missing+=("${names[0]}")
  done
  if ((${#missing[@]} == 0)); then
    echo "packages: all $# are there, nothing to install"
    return 0
  fi
  echo "packages: to be installed from Debian: ${missing[*]}"
  local -a as_root=()
  if ((EUID != 0)); then
    if ((!use_sudo)); then
      {
        echo "packages: that needs root. Either run"
        echo "  sudo apt-get install ${missing[*]}"
        echo "and start again, or start again with --sudo, or with --no-install to go on without them."
      } >&2
      return 1
    fi
    as_root=(sudo)
  fi
  local -a command=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}")
  if ! "${command[@]}" </dev/null; then
    echo "packages: trying again with fresh package lists"
    "${as_root[@]}" apt-get update </dev/null
    "${command[@]}" </dev/null
  fi
}

# The cores this process may use.
tarn_cores() { nproc 2>/dev/null || echo 2; }

# tarn_isas_here: for TARN_ISAS, what the processor at hand runs (src/core/isa.cpp asks for the same).
tarn_isas_here() {
  local flags
  flags=" $(sed -n 's/^flags[[:space:]]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1) "
  has() { local flag; for flag; do [[ "$flags" == *" $flag "* ]] || return 1; done; }
  if has avx512f avx512bw avx512dq avx512vl avx512cd; then
    echo x86_64_v4
  elif has avx2 fma bmi2; then
    echo x86_64_v3
  else
    echo x86_64
  fi
}

# Prints AUTO where an NVIDIA device and its compiler are at hand, else OFF.
tarn_cuda_setting() {
  if { [[ -e /dev/nvidiactl ]] || nvidia-smi -L >/dev/null 2>&1; } && command -v nvcc >/dev/null; then
    echo AUTO
  else
    echo OFF
  fi
}
