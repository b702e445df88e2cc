#!/usr/bin/env bash
# The viewer's types and unit tests, and that the committed bundle is what its source builds.
set -euo pipefail
cd "$(dirname "$0")/../web"
npm ci --silent --no-audit --no-fund
npm run --silent check
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
npm run --silent build -- --outDir "$built" --emptyOutDir
for file in viewer.js viewer.css; do
    cmp "$built/$file" "../src/radiolucent/report/viewer/$file" || {
        echo "$file is not what web/ builds; run 'make web' and commit it"
        exit 1
    }
done
