"""Checks the public workflows: ci.yml has one job for each step of the gate, and each action is pinned by the hash of a commit,
with its tag in a comment. Run by `.ci/run scripts` with the names of the steps."""

import re
import sys
from pathlib import Path

WORKFLOWS = Path(".github/workflows")


def check_steps(steps):
    text = (WORKFLOWS / "ci.yml").read_text()
    listed = re.search(r"^        step:\n((?:          - \w+\n)+)", text, re.MULTILINE)[1]
    jobs = [line.removeprefix("          - ") for line in listed.splitlines()]
    assert jobs == steps, f"ci.yml has jobs for {jobs}, and the gate has the steps {steps}"


def check_pins(path):
    for line in path.read_text().splitlines():
        if "uses:" in line:
            pinned = re.search(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$", line)
            assert pinned, f"{path}: not pinned as OWNER/NAME@HASH # TAG: {line.strip()}"


check_steps(sys.argv[1:])
for workflow in sorted(WORKFLOWS.iterdir()):
    check_pins(workflow)
