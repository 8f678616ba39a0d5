#!/bin/sh
# Builds what a release publishes into dist/, and checks it: `make packages`. It publishes nothing.
set -eu
cd "$(dirname "$0")/.."

UV=.venv/bin/uv
rm -rf dist
$UV build --quiet -o dist .
$UV build --quiet -o dist clients/python
rm -f dist/.gitignore
$UV tool run --quiet twine==7.0.0 check --strict dist/*
[ -d clients/js/node_modules ] || (cd clients/js && npm ci --no-audit --no-fund)
(cd clients/js && npm run --silent check-types && npm pack --silent --pack-destination ../../dist)
cd dist
sha256sum -- * | tee SHA256SUMS
