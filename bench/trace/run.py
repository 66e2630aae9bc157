#!/usr/bin/env python3
"""Measures what tracing costs the traced thread: `bench/trace/run.py [--rounds N] [--residue FILE]`, as root.

A Go program (loops/) opens and closes a file, or gets and closes a pinned eBPF map, and prints the processor time that the
kernel counted for its thread, a pair of calls. Every round runs every way of tracing once, one after the other; the table
has the least of all rounds, and its ratio to the least of the untraced ones. strace works in another process, so its cost
shows on the wall only. Needs Go; strace and bpftrace are left out where they are not installed.

"Two programs that do nothing" is what the kernel takes for itself where anything looks at every system call's beginning and
end: no way of tracing by these can cost less.

Last it is measured what residue itself takes while 10,000 descriptors a second are opened or closed.
"""

import argparse
import contextlib
import ctypes
import os
import platform
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Pairs under strace cost some 30 times as much.
PAIRS = {"strace": 20_000}
PAIRS_DEFAULT = 200_000
CALLS = {"open": "openat", "objget": "bpf"}
PAIRS_A_SECOND = 5_000
STEADY_S = 40
BPF_PROG_LOAD, BPF_RAW_TRACEPOINT_OPEN, BPF_PROG_TYPE_RAW_TRACEPOINT = 5, 17, 17
SYS_BPF = {"x86_64": 321, "aarch64": 280}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--residue", default=str(ROOT / "target/release/residue"))
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("error: tracing needs root")
    with tempfile.TemporaryDirectory() as folder:
        loops = Path(folder) / "loops"
        subprocess.run(["go", "build", "-o", loops, "."], cwd=HERE / "loops", check=True)
        bpffs = Path(folder) / "bpf"
        bpffs.mkdir()
        subprocess.run(["mount", "-t", "bpf", "bpf", bpffs], check=True)
        try:
            measure(args, str(loops), bpffs)
            itself(args, str(loops))
        finally:
            subprocess.run(["umount", bpffs], check=False)


def ways(args, call):
    """How the loop is run, by name; `{}` stands for the loop's own words."""
    trace = [args.residue, "trace", "--quiet"]
    yield "untraced", ["{}"]
    yield "two programs that do nothing, on all calls", ["{}"]
    yield "residue, another process traced", ["{}"]
    yield "residue --no-stacks (counting)", [*trace, "--no-stacks", "--", "{}"]
    yield "residue (stack of every open)", [*trace, "--", "{}"]
    yield "residue --closes (and of every close)", [*trace, "--closes", "--", "{}"]
    if not Path("/sys/kernel/tracing/events/syscalls").exists():
        print("bpftrace left out: no tracefs at /sys/kernel/tracing", file=sys.stderr)
    elif shutil.which("bpftrace"):
        points = f"tracepoint:syscalls:sys_exit_{call},tracepoint:syscalls:sys_enter_close /pid == cpid/"
        for name, action in [("count", "@ = count();"), ("count[ustack]", "@[ustack] = count();"),
                             ("printf", 'printf("%d %s\\n", tid, ustack);')]:
            yield f"bpftrace {name}", ["bpftrace", "-e", points + " { " + action + " }", "-c", "{}"]
    if shutil.which("strace"):
        yield "strace -f", ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call},close", "{}"]
        yield "strace -f --seccomp-bpf", ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null",
                                          "-e", f"trace={call},close", "{}"]


def measure(args, loops, bpffs):
    print(f"{platform.release()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, "
          f"least of {args.rounds} interleaved rounds\n")
    for what, call in CALLS.items():
        best = {}
        for _ in range(args.rounds):
            for name, command in ways(args, call):
                took = run(args, loops, bpffs, what, name, command)
                best[name] = tuple(map(min, zip(took, best.get(name, took))))
        print(f"| {what} and close | CPU ns a pair | ratio | wall ns | ratio |\n|---|---|---|---|---|")
        base = best["untraced"]
        for name, (cpu, wall) in best.items():
            print(f"| {name} | {cpu:,} | {cpu / base[0]:.2f} | {wall:,} | {wall / base[1]:.1f} |")
        print(flush=True)


def run(args, loops, bpffs, what, name, command):
    pairs = next((count for tool, count in PAIRS.items() if name.startswith(tool)), PAIRS_DEFAULT)
    words = [loops, "-what", what, "-pairs", str(pairs), "-pin", str(bpffs / "map")]
    if command[-2:] == ["-c", "{}"]:
        command = [*command[:-1], " ".join(words)]
    else:
        command = [*command[:-1], *words]
    if "do nothing" in name:
        with nothing():
            return figures(what, command)
    other = None
    if "another process" in name:
        other = subprocess.Popen([args.residue, "trace", "--quiet", "--", "sleep", "20"], stdout=subprocess.DEVNULL)
        subprocess.run(["sleep", "1"], check=True)
    try:
        return figures(what, command)
    finally:
        if other:
            # The second one ends it whatever the command does.
            for _ in range(2):
                other.send_signal(signal.SIGINT)
                subprocess.run(["sleep", "0.2"], check=True)
            other.wait()


def figures(what, command):
    out = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    line = next(line for line in out.splitlines() if line.startswith(f"{what} ns "))
    words = line.split()
    return int(words[2]), int(words[4])


@contextlib.contextmanager
def nothing():
    """Programs of two instructions (r0 = 0; exit) at the beginning and the end of every system call."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(bytes.fromhex("b700000000000000" "9500000000000000"))
    licence = ctypes.create_string_buffer(b"GPL")

    def bpf(command, attr):
        fd = libc.syscall(SYS_BPF[platform.machine()], command, ctypes.create_string_buffer(attr, 128), 128)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "bpf")
        fds.append(fd)
        return fd

    fds = []
    try:
        for name in (b"sys_enter", b"sys_exit"):
            at = map(ctypes.addressof, (code, licence))
            program = bpf(BPF_PROG_LOAD, struct.pack("=IIQQ", BPF_PROG_TYPE_RAW_TRACEPOINT, 2, *at))
            point = ctypes.create_string_buffer(name)
            bpf(BPF_RAW_TRACEPOINT_OPEN, struct.pack("=QI", ctypes.addressof(point), program))
        yield
    finally:
        for fd in fds:
            os.close(fd)


def itself(args, loops):
    """What residue takes while a program opens and closes steadily, from when it has settled."""
    print(f"| {2 * PAIRS_A_SECOND:,} events a second | part of a processor | memory at most |\n|---|---|---|")
    for name, more in [("residue", []), ("residue --closes", ["--closes"])]:
        words = [loops, "-rate", str(PAIRS_A_SECOND), "-for", f"{STEADY_S}s"]
        with subprocess.Popen([args.residue, "trace", *more, "--", *words], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as residue:
            time.sleep(STEADY_S / 4)
            before, began = cpu_s(residue.pid), time.monotonic()
            time.sleep(STEADY_S / 2)
            share = (cpu_s(residue.pid) - before) / (time.monotonic() - began)
            status = Path(f"/proc/{residue.pid}/status").read_text()
        peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        print(f"| {name} | {100 * share:.1f} % | {int(peak) / 1024:.0f} MB |")


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


main()
