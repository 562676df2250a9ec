# Sourced by the scripts beside it: makes .venv and installs the project into it, once for each change of the pins.

install_mire() { # install_mire EXTRAS
    local python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "error: Python 3.11 or newer is needed, $("$python" --version) was found; name another as PYTHON=..." >&2
        exit 1
    }
    [ -x .venv/bin/python ] || "$python" -m venv .venv || {
        echo "error: no virtual environment could be made (on Debian: apt install python3-venv)" >&2
        exit 1
    }
    export VIRTUAL_ENV=$PWD/.venv PATH="$PWD/.venv/bin:$PATH"
    unset PYTHONHOME PYTHONDONTWRITEBYTECODE
    local stamp
    stamp="$1 $(cat setup.cfg constraints.txt pyproject.toml | cksum)"
    if [ "$(cat .venv/installed 2>/dev/null)" != "$stamp" ]; then
        echo "installing into $PWD/.venv, which takes about a minute" >&2
        # Compiling every file would take a minute more: Python compiles what is imported, once, unless it is told not to.
        python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e ".[$1]"
        echo "$stamp" > .venv/installed
    fi
}
