#!/bin/sh
# Prints the path of a Python that the pinned requirements support, or says what is missing.
#
# A name on the PATH proves nothing: a version manager's shim may exist and fail, a distribution's python3 may be too
# old, or lack a module. So every candidate is run, in the order a user would expect: $PYTHON if set, then what
# `python3` means, then versioned names anywhere on the PATH, then installations that are not on it.
# 3.11 to 3.13 are tried first, 3.14 only when nothing else is there (it resolves, but the tests do not run on it).
set -u

probe='
import sys
version = sys.version_info[:2]
if version < (3, 11):
    sys.exit("is %d.%d, too old" % version)
if sys.implementation.name != "cpython":
    sys.exit("is not CPython")
if version > (3, 14):
    sys.exit("is %d.%d, newer than the pinned packages" % version)
if sys.maxsize < 2**32:
    sys.exit("is a 32-bit build")
import sysconfig
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit("is a free-threaded build")
for module in ("venv", "ssl", "zlib", "ctypes"):
    try:
        __import__(module)
    except ImportError as error:
        sys.exit("lacks the module %s (%s)" % (module, error))
print("spare" if version == (3, 14) else "fits")
'

candidates() {
    oldifs=$IFS
    for name in python3 python python3.12 python3.13 python3.11 python3.14; do
        IFS=:
        for directory in $PATH; do
            IFS=$oldifs
            [ -x "${directory:-.}/$name" ] && printf '%s\n' "${directory:-.}/$name"
        done
        IFS=$oldifs
    done
    home=${HOME:-/nonexistent}
    for pattern in "${PYENV_ROOT:-$home/.pyenv}"/versions/*/bin/python3 \
        "$home"/.local/share/uv/python/*/bin/python3 /usr/local/bin/python3.1? /usr/bin/python3.1?; do
        [ -x "$pattern" ] && printf '%s\n' "$pattern"
    done
}

# The line of a failed probe's output that says most: a traceback's last, otherwise the first.
reason() {
    case $answer in
        *Traceback*) printf '%s\n' "$answer" | tail -n 1 ;;
        *) printf '%s\n' "$answer" | head -n 1 ;;
    esac
}

if [ -n "${PYTHON:-}" ]; then
    if answer=$("$PYTHON" -c "$probe" 2>&1 </dev/null); then
        command -v "$PYTHON"
        exit 0
    fi
    echo "PYTHON=$PYTHON cannot be used: $(reason)" >&2
    exit 1
fi

spare=
tried=
while IFS= read -r candidate; do
    if answer=$("$candidate" -c "$probe" 2>&1 </dev/null); then
        case $answer in
            *fits) printf '%s\n' "$candidate"; exit 0 ;;
            *spare) spare=${spare:-$candidate} ;;
        esac
    else
        tried="$tried
  $candidate: $(reason)"
    fi
done <<LIST
$(candidates | awk '!seen[$0]++')
LIST

if [ -n "$spare" ]; then
    printf '%s\n' "$spare"
    exit 0
fi
{
    echo "No usable Python found: this project needs CPython 3.11, 3.12 or 3.13, 64 bit, with the standard library."
    echo "Tried, by running each:${tried:-
  nothing called python on the PATH}"
    echo "Install one (for example: apt install python3, brew install python@3.12, pyenv install 3.12),"
    echo "or name one: make PYTHON=/path/to/python3.12 ..."
} >&2
exit 1
