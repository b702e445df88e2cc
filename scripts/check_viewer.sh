#!/usr/bin/env bash
# Both pages' types and unit tests, and that the committed bundles are what their sources build.
set -euo pipefail
cd "$(dirname "$0")/../web"
npm ci --silent --no-audit --no-fund
npm run --silent check
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
same() { # folder of the committed bundle, its files
    local folder=$1 file
    shift
    for file in "$@"; do
        cmp "$built/$file" "../src/radiolucent/$folder/$file" || {
            echo "$folder/$file is not what web/ builds; run 'make web' and commit it"
            exit 1
        }
    done
}
npx vite build --logLevel warn --outDir "$built" --emptyOutDir
same report/viewer viewer.js viewer.css
npx vite build --logLevel warn --mode clinic --outDir "$built" --emptyOutDir
same clinic/page clinic.js clinic.css index.html favicon.svg
