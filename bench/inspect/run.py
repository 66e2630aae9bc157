#!/usr/bin/env python3
"""Measure `residue inspect` on a program with a large heap, beside other tools, in one run.

    bench/inspect/run.py [--trees 40] [--runs 3] --residue PATH [--dlv PATH] [--viewcore PATH] [--goref PATH]

Builds the program beside this file with the `go` on PATH, starts it, and lets the tools look at it one after the other, never
at once. Of each command's runs the one with the least CPU time is reported: user and system time of the command, its
largest memory, for residue how long the program was stopped, and the longest time in which the program itself saw nothing
happen, which is that and what the scheduler adds. On a machine that does other
things too, `chrt -f 20 bench/inspect/run.py …` keeps these out of the figures. viewcore works on a core, which is made first (gcore) and
isn't counted. viewcore (golang.org/x/debug/cmd/viewcore) and goref (github.com/cloudwego/goref/cmd/grf) are not on Go's
module proxy: build them from their repositories.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def cost(command, stdin=b"", runs=1, ask=lambda: 0):
    """CPU seconds, wall seconds, MB, the output, and what `ask` says after, of the cheapest of some runs."""
    best = None
    for _ in range(runs):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            ask()
            start = time.monotonic()
            child = subprocess.Popen(command, stdin=given, stdout=out, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.monotonic() - start
            if status != 0:
                print(f"{command[0]} ended with {status}", file=sys.stderr)
                return None
            out.seek(0)
            found = (usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, out.read(), ask())
        best = found if best is None or found[0] < best[0] else best
    return best


def row(what, found, stopped="", gap=True):
    if found:
        gap = f"{found[4] / 1000:.0f} ms" if gap else ""
        print(f"| {what} | {found[0]:.2f} | {found[1]:.1f} | {found[2]:.0f} | {stopped} | {gap} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=int, default=40)
    parser.add_argument("--goroutines", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--residue", required=True)
    for peer in ("dlv", "viewcore", "goref"):
        parser.add_argument(f"--{peer}")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/holder"
        subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, check=True)
        command = [program, "-trees", str(args.trees), "-goroutines", str(args.goroutines)]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def gap():
            holder.stdin.write("\n")
            holder.stdin.flush()
            return int(holder.stdout.readline())

        try:
            _, objects, size = holder.stdout.readline().split()
            gap()
            time.sleep(5)
            print(f"{int(objects):,} objects, {int(size) / 1e6:,.0f} MB, {args.goroutines:,} goroutines; ", end="")
            print(f"load {os.getloadavg()[0]:.1f}; longest gap of 5 s without any tool {gap() / 1000:.0f} ms\n")
            print("| | CPU s | by the clock s | memory MB | program stood still | its longest gap |")
            print("|---|---|---|---|---|---|")
            pid = str(holder.pid)
            views = [["goroutines"], ["goroutines", "--group"], ["heap"], ["why", "os.file"], ["heap", "--retained"]]
            views += [[*view, "--freeze", "full"] for view in views[2:4]]
            for view in views:
                command = [args.residue, "inspect", pid, *view]
                found = cost([*command, "--format", "json"], runs=args.runs, ask=gap)
                if found:
                    row(f"residue {' '.join(view)}", found, f"{json.loads(found[3])['frozen_us'] / 1000:.0f} ms")
            if args.dlv:
                command = [args.dlv, "attach", pid, "--allow-non-terminal-interactive=true"]
                row("dlv: goroutines", cost(command, b"goroutines -t 8\nexit\nn\n", args.runs, gap), "the whole session")
            if args.viewcore:
                subprocess.run(["gcore", "-o", f"{folder}/core", pid], check=True, stdout=subprocess.DEVNULL)
                command = [args.viewcore, f"{folder}/core.{pid}", "--exe", program, "histogram"]
                row("viewcore: histogram", cost(command), "while the core was made", gap=False)
            if args.goref:
                found = cost([args.goref, "attach", pid, "-o", f"{folder}/grf"], ask=gap)
                row("goref: attach", found, "the whole session")
        finally:
            holder.kill()
            holder.wait()


if __name__ == "__main__":
    main()
