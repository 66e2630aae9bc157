#!/usr/bin/env python3
"""Measure the type checker beside go/packages, in one run.

    bench/types/run.py [options] NAME=DIR...

Both load the module in DIR with everything it imports and type all function
bodies, keeping the result: go/packages with LoadAllSyntax, which also runs `go
list`, and residue-types. They take turns; the least CPU time (user and system,
children included) and the least peak memory of the process itself count.

The standard library is typed from source by go/packages, and from declarations
without bodies by us, so a tree outside GOROOT favours us: the number of files
says how much. With DIR = GOROOT/src both type the same files.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def build(go, directory):
    """Build both programs and return their paths."""
    ours = subprocess.run(
        ["cargo", "build", "--release", "--quiet", "-p", "residue-types", "--example", "all_bodies"], cwd=ROOT,
    )
    theirs = directory / "go-types"
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    built = subprocess.run([go, "build", "-o", theirs, "."], cwd=ROOT / "bench/types", env=environment)
    if ours.returncode or built.returncode:
        sys.exit("cannot build")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release/examples/all_bodies", theirs


def measure(command, directory, environment):
    """Run one program and return its counts, CPU seconds and peak memory in MB."""
    done = subprocess.run(
        ["/usr/bin/time", "-f", "%U %S %M", *command], check=True, capture_output=True, text=True, cwd=directory,
        env=environment,
    )
    user, system, peak = re.split(r"\s+", done.stderr.strip().splitlines()[-1])
    return [int(word) for word in done.stdout.split()], float(user) + float(system), int(peak) / 1024


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tree", nargs="+", metavar="NAME=DIR")
    arguments.add_argument("--go", default=os.environ.get("RESIDUE_GO", "go"), help="Go command of release 1.27")
    arguments.add_argument("--runs", type=int, default=3, help="turns of each program [default: 3]")
    options = arguments.parse_args()

    def ask(name):
        return subprocess.run([options.go, "env", name], check=True, capture_output=True, text=True).stdout.strip()

    goroot = ask("GOROOT")
    environment = os.environ | {
        "GOTOOLCHAIN": "local", "GOROOT": goroot, "PATH": f"{goroot}/bin:{os.environ['PATH']}", "CGO_ENABLED": "0",
    }
    print(f"All bodies typed and kept; go/packages with {ask('GOVERSION')}\n")
    print("| tree | files: go, ours | MB: go, ours | CPU s: go | ours | ratio | peak MB: go | ours | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        ours, theirs = build(options.go, pathlib.Path(directory))
        for tree in options.tree:
            name, _, path = tree.rpartition("=")
            commands = {"go": [theirs, "./..."], "ours": [ours, path]}
            cpu, peak, counts = {}, {}, {}
            for _ in range(options.runs):
                for which, command in commands.items():
                    counts[which], seconds, memory = measure(command, path, environment)
                    cpu[which] = min(cpu.get(which, seconds), seconds)
                    peak[which] = min(peak.get(which, memory), memory)
            (_, go_files, go_bytes), (_, our_files, our_bytes) = counts["go"], counts["ours"]
            print(
                f"| {name or path} | {go_files}, {our_files} | {go_bytes / 1e6:.1f}, {our_bytes / 1e6:.1f} "
                f"| {cpu['go']:.2f} | {cpu['ours']:.2f} | 1/{cpu['go'] / cpu['ours']:.1f} "
                f"| {peak['go']:.0f} | {peak['ours']:.0f} | 1/{peak['go'] / peak['ours']:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
