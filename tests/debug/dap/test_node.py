"""The suite in `node/`: the adapter against the client that Microsoft tests debug adapters with."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.debug.conftest import PATIENCE, environment
from tests.debug.dap.conftest import check

SUITE = Path(__file__).parent / "node"

pytestmark = [pytest.mark.node, pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def packages():
    """A directory with the packages of package.json; skips, with the reason, where they cannot be had."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < 18:
        pytest.skip(f"node 18 or later is needed, this is {version.strip()}")
    with tempfile.TemporaryDirectory(prefix="tinygrad-cnn-node-") as folder:
        shutil.copy(SUITE / "package.json", folder)
        command = ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"npm could not install the test client: {done.stderr.strip()[-500:]}")
        yield Path(folder) / "node_modules"


def test_the_adapter_passes_the_suite_of_a_real_client_and_every_message_is_valid(packages, tmp_path):
    log = tmp_path / "messages.jsonl"
    variables = {
        **environment(), "NODE_PATH": str(packages), "PYTHON": sys.executable, "DAP_LOG": str(log),
        "PATIENCE": str(PATIENCE),
    }  # fmt: skip
    done = subprocess.run(
        ["node", "--test-reporter=tap", str(SUITE / "suite.js")],
        env=variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    promised = len(re.findall(r"^test\(", (SUITE / "suite.js").read_text(), re.MULTILINE))
    assert promised > 20
    assert f"# pass {promised}\n" in said, said
    messages = [json.loads(line) for line in log.read_text().splitlines()]
    for message in messages:
        check(message)
    assert len(messages) > 10 * promised
