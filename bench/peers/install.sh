#!/usr/bin/env bash
# Installs the programs of the scenarios `file` and `folder` that are neither on npm nor in Debian, at fixed versions,
# into bench/peers/installed: croc by Go, magic-wormhole by Python. Where Go or Python is missing, that program is left
# out, and the bench leaves it out too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly CROC=github.com/schollz/croc/v10@v10.7.0

mkdir -p installed
if command -v go >/dev/null; then
  GOBIN=$PWD/installed go install "$CROC"
  echo "installed: $CROC"
else
  echo "left out: croc, because there is no go"
fi
if command -v python3 >/dev/null; then
  python3 -m venv installed/wormhole
  installed/wormhole/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
  echo "installed: $(installed/wormhole/bin/wormhole --version)"
else
  echo "left out: magic-wormhole, because there is no python3"
fi
