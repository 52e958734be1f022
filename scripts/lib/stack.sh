# shellcheck shell=bash
# Builds `muster` and starts local stacks. Sets `muster` to the program and `scratch` to a temporary folder; at the end of the
# script the stack is stopped and the folder deleted. To be sourced after tools.sh.

cargo build --quiet --locked --package muster-cli
muster=$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd)/muster
scratch=$(mktemp -d)
stack=
# The stack is not the one that the user's own commands find.
export MUSTER_RUNTIME_DIR=$scratch/runtime
trap 'stop_stack; rm -rf "$scratch"' EXIT

# start_stack ARGUMENT...: starts a stack in memory, and sets `description` to the line of JSON that describes it.
start_stack() {
    mkfifo "$scratch/description"
    "$muster" dev --in-memory --port 0 --json "$@" >"$scratch/description" &
    stack=$!
    # shellcheck disable=SC2034 # The scripts that source this read it.
    read -r description <"$scratch/description" || fail 'muster dev ended before it served'
    rm "$scratch/description"
}

stop_stack() {
    if [[ -n $stack ]]; then
        kill "$stack" 2>/dev/null || true
        wait "$stack" 2>/dev/null || true
        stack=
    fi
}
