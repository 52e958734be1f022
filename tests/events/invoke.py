"""Runs each function in AWS's runtime interface emulator and hands it the files of events/.

invoke.py FOLDER PROGRAMS, with the description of a local stack on standard input. The folder has the emulator, the stack's
env.json, and room for logs. The programs are `teams` and so on, or `TeamsFunction/bootstrap` and so on.
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
# Longer than a program takes to start on a busy machine.
PATIENCE = 60

# A proxy has no business with this machine's own addresses.
http = build_opener(ProxyHandler({}))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def program(programs: Path, function: str) -> Path:
    built = programs / f"{function.title()}Function" / "bootstrap"
    return built if built.exists() else programs / function


def environment(env_vars: dict, function: str) -> dict:
    """What `sam local` would make of env.json for a function, and credentials, which nobody looks at."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    aws = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    return {**kept, **aws, **env_vars["Parameters"], **env_vars.get(f"{function.title()}Function", {})}


def invoke(url: str, event: bytes) -> object:
    """The function's answer. Until the emulator listens, it is tried again."""
    request = Request(url, event, {"content-type": "application/json"})
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with http.open(request, timeout=PATIENCE) as answer:
                return json.load(answer)
        except URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def answers(folder: Path, programs: Path, function: str, events: list[Path]):
    """The answers to these events of one instance of a function."""
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
        # A group of its own, so that the function's program ends with the emulator.
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
    expected = json.loads((ROOT / "tests/events/answers.json").read_text())
    as_expected = True
    # In the order of their names: a ticket is created before somebody asks for it.
    for function in sorted({name.split("/")[0] for name in expected}):
        events = [ROOT / "events" / f"{name}.json" for name in sorted(expected) if name.startswith(f"{function}/")]
        failed = False
        for event, answer in answers(folder, programs, function, events):
            name = event.relative_to(ROOT / "events").with_suffix("").as_posix()
            if answer.get("statusCode", answer) != expected[name]:
                failed = True
                print(f"{name} is answered with {json.dumps(answer)}", file=sys.stderr)
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
