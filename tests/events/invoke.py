"""Runs each function in AWS's runtime interface emulator and invokes it with the files of events/.

invoke.py FOLDER PROGRAMS, with the description of a local stack on standard input. The folder has the emulator, the stack's
env.json, and gets the logs. The programs are `teams` and so on, or `TeamsFunction/bootstrap` and so on.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

ROOT = Path(__file__).parents[2]
# Seconds; a program starts faster even on a busy machine.
PATIENCE = 60

# Requests to this machine must not use a proxy.
http = build_opener(ProxyHandler({}))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def program(programs: Path, function: str) -> Path:
    built = programs / f"{function.title()}Function" / "bootstrap"
    return built if built.exists() else programs / function


def environment(env_vars: dict, function: str) -> dict:
    """Returns the environment that `sam local` makes from env.json for a function, with placeholder credentials."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    aws = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    return {**inherited, **aws, **env_vars["Parameters"], **env_vars.get(f"{function.title()}Function", {})}


def invoke(url: str, event: bytes) -> object:
    """Returns the function's response. Retries until the emulator listens."""
    request = Request(url, event, {"content-type": "application/json"})
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with http.open(request, timeout=PATIENCE) as response:
                return json.load(response)
        except URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def responses(folder: Path, programs: Path, function: str, events: list[Path]):
    """Yields each event with its response, from one execution environment of the function."""
    port, env_vars = free_port(), json.loads((folder / "env.json").read_text())
    command = [
        folder / "emulator",
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{port}",
        "--runtime-api-address",
        f"127.0.0.1:{free_port()}",
        program(programs, function),
    ]
    with open(folder / f"{function}.log", "wb") as log:
        # In a new process group, so that the function's program ends with the emulator.
        emulator = subprocess.Popen(
            command, env=environment(env_vars, function), stdout=log, stderr=log, start_new_session=True
        )
    try:
        for event in events:
            yield event, invoke(f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations", event.read_bytes())
    finally:
        os.killpg(emulator.pid, signal.SIGKILL)
        emulator.wait()


def main(folder: Path, programs: Path) -> bool:
    stack = json.load(sys.stdin)
    expected = json.loads((ROOT / "tests/events/responses.json").read_text())
    as_expected = True
    # In the order of their names, so that a ticket is created before it is read.
    for function in sorted({name.split("/")[0] for name in expected}):
        events = [ROOT / "events" / f"{name}.json" for name in sorted(expected) if name.startswith(f"{function}/")]
        failed = False
        for event, response in responses(folder, programs, function, events):
            name = event.relative_to(ROOT / "events").with_suffix("").as_posix()
            if response.get("statusCode", response) != expected[name]:
                failed = True
                print(f"the response to {name} is {json.dumps(response)}", file=sys.stderr)
        if failed:
            print((folder / f"{function}.log").read_text(errors="replace")[-4000:], file=sys.stderr)
            as_expected = False
    with http.open(f"{stack['url']}/_dev/queues") as queues:
        for name, queue in json.load(queues).items():
            if queue["dead_letters"]:
                as_expected = False
                print(f"dead letters of {name}: {json.dumps(queue['dead_letters'])}", file=sys.stderr)
    return as_expected


sys.exit(not main(Path(sys.argv[1]), Path(sys.argv[2])))
