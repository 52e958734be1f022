# shellcheck shell=bash
# Installs tools once into a cache folder. To be sourced by a script that has set `self` to its name for messages.

cache=${MUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/muster}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# Prints messages with the name of the script, and exits with 1.
fail() {
    printf "${self:?}: %s\n" "$@" >&2
    exit 1
}

# once FOLDER PROGRAM COMMAND...: fills a folder by `COMMAND... FOLDER`, unless it is complete and still has the program.
once() {
    local folder=$1 program=$2
    shift 2
    if ! is_complete "$folder" "$program"; then
        # Of two concurrent runs, the second waits for the first and then finds the folder complete.
        exec 9>"$folder.lock"
        if command -v flock >/dev/null; then flock 9; fi
        if ! is_complete "$folder" "$program"; then
            rm -rf "$folder"
            "$@" "$folder"
            touch "$folder/complete"
        fi
        exec 9>&-
    fi
}

# The file `complete` is written last, so its absence shows an interrupted installation. A missing program is a link to a
# system program that an upgrade has replaced.
is_complete() {
    [[ -f $1/complete && -x $1/$2 ]]
}

# python_environment FOLDER PACKAGE...: creates a Python virtual environment with the packages.
python_environment() {
    local folder=$1 pip
    shift
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail 'python3, at least 3.11, is needed'

    if python3 -c 'import ensurepip, venv' 2>/dev/null; then
        python3 -m venv "$folder"
        pip=("$folder/bin/python" -m pip)
    elif python3 -m pip --version >/dev/null 2>&1; then
        # Debian has ensurepip in a separate package, python3-venv. The pip of the system can fill the environment as well.
        python3 -m venv --without-pip "$folder"
        pip=(python3 -m pip --python "$folder/bin/python")
    else
        fail "python3 has neither ensurepip nor pip: install Debian's python3-venv"
    fi

    "${pip[@]}" --quiet --disable-pip-version-check --no-input install "$@" ||
        fail "installing into $folder failed; the next run starts again"
}

# npm_packages FOLDER SOURCE: installs the packages of SOURCE/package-lock.json.
npm_packages() {
    mkdir "$1"
    cp "$2"/package{,-lock}.json "$1"
    npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
        fail "installing into $1 failed; the next run starts again"
}
