#!/usr/bin/env bash
# gymnasium 1.2.2: the numbers of a flattened Text differ from process to process.
#
# Source: gymnasium/spaces/text.py, `alphanumeric` is a frozenset, and `_char_list = tuple(charset)` takes its order;
# gymnasium/spaces/utils.py flattens a text by that order. Sets of strings are ordered by Python's random hash seed, so
# Text(3) with its default charset, and any charset given as a set, numbers its characters anew in each process. A
# network trained on such numbers (or a mask written for them) means something else after a restart; equal spaces
# (`==` is True) flatten one text to different numbers. A charset given as a string keeps its order.
#
# Seen: with PYTHONHASHSEED 1 and 2, flatten(Text(3), "abc") gave [53 6 57] and [23 15 53]; with a string [10 11 12] twice.
# Exits with 1 where this has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gymnasium==1.2.2 numpy==2.4.6
cat > "$folder/flat.py" <<'PY'
import string
import sys

from gymnasium import spaces

charset = {} if sys.argv[1] == "default" else {"charset": string.digits + string.ascii_letters}
print(spaces.flatten(spaces.Text(3, **charset), "abc").tolist())
PY
flat() { PYTHONHASHSEED=$1 "$folder/venv/bin/python" "$folder/flat.py" "$2"; }
for kind in default string; do
    echo "$kind: $(flat 1 $kind) with hash seed 1, $(flat 2 $kind) with hash seed 2"
done
[ "$(flat 1 default)" != "$(flat 2 default)" ] && [ "$(flat 1 string)" = "$(flat 2 string)" ]
