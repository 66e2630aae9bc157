#!/usr/bin/env python3
"""Runs tests of `residue trace` on 64-bit Arm: a kernel of Debian's in qemu, with programs and tests built for it here.

    conformance/kernels/arm64.py --kernel IMAGE.deb --busybox BUSYBOX.deb --go GOROOT [--go GOROOT...] [TEST...]

Needs the packages gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-system-arm, and Rust's standard library for
aarch64-unknown-linux-gnu; IMAGE.deb is linux-image-…:arm64, BUSYBOX.deb busybox-static:arm64. There is no Go in the guest: what
the tests ask `go build` for is built here before, for each release.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = "aarch64-unknown-linux-gnu"
LIBRARIES = Path("/usr/aarch64-linux-gnu/lib")
NEEDED = ["ld-linux-aarch64.so.1", "libc.so.6", "libgcc_s.so.1", "libm.so.6"]
PROGRAMS = ROOT / "crates/residue/tests/programs"
STRIPPED, PIE = "-ldflags=-s -w", "-buildmode=pie"
# What tests build, with the flags they build it with; by each release, or only by the newest. And the tests that need no more.
EACH = {"fdlabels", "fdleaks", "fdpanics"}
BUILDS = {"fdbirths": [[]], "fdring": [[STRIPPED]], "fdexec": [[]], "fdlabels": [[STRIPPED]],
          "fdleaks": [[], [STRIPPED], [PIE, STRIPPED]], "fdpanics": [[], [STRIPPED], [PIE, STRIPPED]]}
TESTS = {
    "trace": ["every_way", "leaks_are_found", "callers_that_share", "closes_that_go_wrong", "children_are_followed",
              "a_running_process", "a_table_that_is_full", "nothing_is_missed"],
    "trace_births": [],
    "trace_goroutines": ["labels"],
    "trace_hostile": [],
    "trace_panics": ["descriptors_lost", "what_a_panic", "a_panic_that_ends"],
}
# `go build FLAGS… -o OUT SOURCE` gives what was built before; anything else is said to be missing.
GO = """#!/bin/sh
name=
while [ $# -gt 1 ]; do
    case $1 in
    build) ;;
    -o) out=$2; shift ;;
    *) name="$name,$1" ;;
    esac
    shift
done
program=$(dirname "$0")/../built/$(basename "$(dirname "$1")")$(printf %s "$name" | tr -c 'a-z0-9,=' _)
exec cp "$program" "$out"
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--busybox", required=True)
    parser.add_argument("--go", action="append", required=True, type=Path)
    parser.add_argument("--limit", default="1800")
    parser.add_argument("tests", nargs="*", help="of which files, all else")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        guest = Path(folder)
        for name in NEEDED:
            place(LIBRARIES / name, guest / "lib" / name)
        commands = []
        for name, executable in built_tests(guest).items():
            if options.tests and name not in options.tests:
                continue
            for only in TESTS[name] or [""]:
                commands.append(f"echo '# {name} {only}'; {executable} --test-threads=1 {only} || failed=1")
        roots = [release(root, root == options.go[-1], guest) for root in options.go]
        script = guest / "tests.sh"
        script.write_text("failed=0\n" + "\n".join(commands) + "\nexit $failed\n")
        run = [HERE / "run.py", "--kernel", options.kernel, "--busybox", options.busybox, "--files", f"{guest}:/"]
        run += ["--memory", "4G", "--limit", options.limit, "--env", "RESIDUE_TEST_GOROOTS=" + ":".join(roots)]
        return subprocess.run([*run, "--", "sh", "/tests.sh"], check=False).returncode


def built_tests(guest: Path) -> dict[str, str]:
    """Builds residue and its tests; puts them where they expect each other."""
    environment = os.environ | {f"CARGO_TARGET_{TARGET.upper().replace('-', '_')}_LINKER": "aarch64-linux-gnu-gcc",
                                f"CC_{TARGET.replace('-', '_')}": "aarch64-linux-gnu-gcc"}
    command = ["cargo", "test", "-q", "--no-run", "--target", TARGET, "-p", "residue", "--message-format=json"]
    for name in TESTS:
        command += ["--test", name]
    out = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    tests = {}
    for line in out.splitlines():
        message = json.loads(line)
        executable = message.get("executable")
        if executable and (message["target"]["name"] in TESTS or message["target"]["kind"] == ["bin"]):
            place(Path(executable), guest / executable.lstrip("/"))
            if message["target"]["name"] in TESTS:
                tests[message["target"]["name"]] = executable
    shutil.copytree(PROGRAMS, guest / str(PROGRAMS).lstrip("/"), dirs_exist_ok=True)
    return tests


def release(root: Path, newest: bool, guest: Path) -> str:
    """Builds what tests build, with the release in `root`; where it lies in the guest."""
    version = (root / "VERSION").read_text().split()[0]
    here = guest / "go" / version
    place(root / "VERSION", here / "VERSION")
    (here / "bin").mkdir()
    (here / "bin/go").write_text(GO)
    (here / "bin/go").chmod(0o755)
    environment = os.environ | {"GOROOT": str(root), "GOTOOLCHAIN": "local", "GO111MODULE": "off", "GOFLAGS": "",
                                "CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": "arm64"}
    for name, flags in ((name, flags) for name in BUILDS for flags in BUILDS[name]):
        if newest or name in EACH:
            program = here / "built" / (name + re.sub("[^a-z0-9,=]", "_", "".join(f",{flag}" for flag in flags)))
            build = [root / "bin/go", "build", *flags, "-o", program, PROGRAMS / name / "main.go"]
            subprocess.run(build, env=environment, check=True)
    return f"/go/{version}"


def place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


if __name__ == "__main__":
    sys.exit(main())
