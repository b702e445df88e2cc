#!/usr/bin/env bash
# Every check. Installs the system packages that tests need where it may; says what could not run, and fails in CI.
set -uo pipefail
cd "$(dirname "$0")/.."
BIN=${BIN:-.venv/bin}
export OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
failed=()
missing=()

run() {
    local name=$1
    shift
    printf '== %s\n' "$name"
    "$@" || failed+=("$name")
}

need() { # command, Debian package
    command -v "$1" >/dev/null && return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        [ -n "${updated:-}" ] || apt-get update -qq >/dev/null
        updated=1
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null 2>&1
    fi
    command -v "$1" >/dev/null || missing+=("$1 (Debian package $2)")
}

need chromium chromium
need dciodvfy dicom3tools
need dsr2html dcmtk
need Orthanc orthanc
need psql postgresql

run "ruff" "$BIN/ruff" check src tests scripts
run "ruff format" "$BIN/ruff" format --check src tests scripts
run "mypy" "$BIN/mypy"
run "import-linter" "$BIN/lint-imports"
if command -v node >/dev/null && node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)'; then
    run "viewer" bash scripts/check_viewer.sh
else
    missing+=("node 20 or newer (the viewer's type check and rebuild)")
fi
run "pytest" "$BIN/python" -m pytest -n "${PYTEST_WORKERS:-2}" --dist loadfile

for check in "${missing[@]:-}"; do
    [ -z "$check" ] || printf 'NOT RUN: needs %s\n' "$check"
done
if [ -n "${CI:-}" ] && [ ${#missing[@]} -gt 0 ]; then
    failed+=("checks that could not run")
fi
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
echo "All checks passed."
