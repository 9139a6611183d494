#!/bin/sh
# Makes sure that .venv holds exactly requirements.txt. Costs a few milliseconds when it already does.
set -eu
cd "$(dirname "$0")/.."

# The stamp is written last, so an interrupted set-up never has it; it holds the checksum of what was installed.
key=$(cksum <requirements.txt)
if [ "$(cat .venv/ready 2>/dev/null)" = "$key" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi
python=$(sh tools/find_python.sh)
exec "$python" tools/make_venv.py "$key"
