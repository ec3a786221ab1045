"""Check a built distribution: what is in it, and that it works, as does each of its extras alone.

Run `python .ci/package.py DIST`; `DIST` holds one wheel and one sdist.
"""

# ruff: noqa: T201, S603 - a script that prints and runs programs

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
IN_WHEEL = ("flowrunner/py.typed", "flowrunner/__main__.py", ".dist-info/entry_points.txt", "/licenses/LICENSE")
IN_SDIST = ("pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "src/flowrunner/py.typed", "tests/conftest.py")

CONNECT = """
import flowrunner
flowrunner.connect(backend='fme-flow-v4', base_url='https://fme.example.com', token={token}).close()
"""
PLAIN = CONNECT.format(token="'t-t-t-t'")  # noqa: S106 - made up
FROM_KEYRING = CONNECT.format(token="{'keyring': 'fme/prod'}")  # noqa: S106 - where it is
SIMULATE = """
from flowrunner.simulator import Simulator
with Simulator('fme-flow') as simulator:
    assert simulator.base_url
"""
COMMAND = """
import runpy, sys
sys.argv = ['flowrunner', '{}']
try:
    runpy.run_module('flowrunner', run_name='__main__')
except SystemExit as end:
    assert not end.code, end.code
"""
MISFITS = """
from flowrunner.answering import _misfits
assert list(_misfits({'required': ['a']}, {}))
"""
KEYRING = """
import keyring, keyring.backend
class Filled(keyring.backend.KeyringBackend):
    priority = 1
    def get_password(self, service, user):
        return 't-t-t-t'
    set_password = delete_password = None
keyring.set_keyring(Filled())
"""
TELEMETRY = "from flowrunner import telemetry; telemetry.instrument()"
AIOHTTP = """
import asyncio, flowrunner
async def main():
    settings = {'backend': 'fme-flow-v4', 'base_url': 'https://fme.example.com', 'token': 't-t-t-t'}
    async with flowrunner.connect_async(**settings, transport='aiohttp'):
        pass
asyncio.run(main())
"""
MSGSPEC = "from flowrunner import pages; assert pages.msgspec() is not None"

WORKS = {
    "aiohttp": AIOHTTP,
    "cli": f"import yaml\n{COMMAND.format('backends')}",
    "fast": MSGSPEC,
    "forms": MISFITS,
    "keyring": KEYRING + FROM_KEYRING,
    "otel": TELEMETRY + PLAIN,
    "simulator": SIMULATE,
    "testing": f"import pytest, flowrunner.testing.plugin{SIMULATE}{MISFITS}",
}
"""What works with an extra alone."""
LACKS = {
    "aiohttp": AIOHTTP,
    "cli": COMMAND.format("backends"),
    "forms": MISFITS,
    "keyring": FROM_KEYRING,
    "otel": TELEMETRY,
    "simulator": SIMULATE,
}
"""What says which extra to install, where there is none."""


def main(dist: Path) -> None:
    """Check all of it."""
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    check_contents(wheel, sdist)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(extras) - {"dev", "docs"} == set(WORKS), "each extra has its line in WORKS"
    with tempfile.TemporaryDirectory() as folder:
        core = installed(Path(folder) / "core", str(wheel))
        run(core, PLAIN)
        run(core, COMMAND.format("--version"))
        for extra, code in LACKS.items():
            said = subprocess.run([core, "-c", code], capture_output=True, text=True, check=False)
            assert said.returncode, f"{extra} works without its extra"
            assert f'pip install "flowrunner[{extra}]"' in said.stderr, said.stderr
        for extra, code in WORKS.items():
            print("with", extra, "alone")
            run(installed(Path(folder) / extra, f"{wheel}[{extra}]"), code)


def check_contents(wheel: Path, sdist: Path) -> None:
    """What users need is there, and tests are in the sdist alone."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert all(any(name.endswith(end) for name in names) for end in IN_WHEEL), names
    strangers = [name for name in names if not name.startswith("flowrunner")]
    assert not strangers, strangers
    with tarfile.open(sdist) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    assert files.issuperset(IN_SDIST), set(IN_SDIST) - files


def installed(where: Path, wanted: str) -> str:
    """The interpreter of a new environment with what is wanted."""
    venv.create(where, symlinks=True)
    python = str(where / "bin" / "python")
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "-q", wanted], check=True)
    return python


def run(python: str, code: str) -> None:
    """Run a program, which has to succeed."""
    subprocess.run([python, "-c", code], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
