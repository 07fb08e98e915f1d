# Sourced by the other scripts: command-line options. A wrong one is one line and exit code 2.

bad_usage() {
  echo "$(basename "$0"): $*" >&2
  exit 2
}
# text_option OPTION [VALUE], number_option OPTION [VALUE]: refuse a value that is missing, or no number above 0.
text_option() { [[ -n "${2:-}" ]] || bad_usage "$1 needs a value"; }
number_option() { [[ "${2:-}" =~ ^[1-9][0-9]*$ ]] || bad_usage "$1: \"${2:-}\" is not a number above 0"; }
