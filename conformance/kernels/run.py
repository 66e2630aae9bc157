#!/usr/bin/env python3
"""Runs a command, or programs of ours, on another kernel or architecture, in qemu.

    conformance/kernels/run.py --kernel IMAGE.deb -- COMMAND...          the machine's own files, on that kernel
    conformance/kernels/run.py --kernel IMAGE.deb --files DIR[:AT] -- COMMAND...   only DIR, as /files or AT, and busybox

IMAGE.deb is a package of Debian's (`apt-get download linux-image-…`, unsigned or signed), for amd64 or arm64; for the
latter `--busybox` names a package busybox-static:arm64, and `--files` a folder with programs for it. With the machine's
own files nothing that is written lasts: a layer in memory takes it.
The exit code is the command's.
"""

import argparse
import io
import lzma
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

MACHINES = {
    # qemu, machine, processor when emulated, console; the full authentication of pointers takes most of the time there
    "amd64": ("qemu-system-x86_64", "q35", "max", "ttyS0"),
    "arm64": ("qemu-system-aarch64", "virt", "max,pauth-impdef=on", "ttyAMA0"),
}
MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay"]
DONE = "the command ended with"
# What programs expect to find.
ACCOUNTS = {"etc/passwd": b"root:x:0:0::/:/bin/sh\n", "etc/group": b"root:x:0:\n", "etc/hosts": b"127.0.0.1 localhost\n",
            "etc/hostname": b"guest\n"}

INIT = """#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
ulimit -n 65536
ip link set lo up 2>/dev/null
"""

OWN_FILES = """
mkdir -p /below /above /own
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose below /below || poweroff -f
mount -t tmpfs -o size=80% above /above; mkdir /above/upper /above/work
mount -t overlay -o lowerdir=/below,upperdir=/above/upper,workdir=/above/work own /own || poweroff -f
cd /own
for kind in proc sys dev; do mount --move /$kind /own/$kind; done
"""

MOUNTS = """
mkdir -p dev/pts dev/shm tmp run
mount -t devpts devpts dev/pts; mount -t tmpfs shm dev/shm
[ -e dev/fd ] || ln -s /proc/self/fd dev/fd
mount -t bpf bpf sys/fs/bpf; mount -t cgroup2 cgroup sys/fs/cgroup
mount -t tracefs tracing sys/kernel/tracing
"""


def unpacked(package: Path, into: Path) -> Path:
    subprocess.run(["dpkg-deb", "-x", package, into], check=True)
    return into


def architecture(package: Path) -> str:
    fields = subprocess.run(["dpkg-deb", "-f", package, "Architecture"], check=True, capture_output=True, text=True)
    return fields.stdout.strip()


def module_order(folder: Path, wanted: list[str]) -> list[tuple[str, bytes]]:
    """What is needed to load `wanted`, dependencies first. What isn't there is built into the kernel."""
    files = {}
    for path in folder.rglob("*.ko*"):
        files[path.name.split(".")[0].replace("-", "_")] = path
    order: dict[str, bytes] = {}

    def load(name: str) -> None:
        path = files.get(name.replace("-", "_"))
        if path is None or path.name in order:
            return
        content = path.read_bytes()
        if path.suffix == ".xz":
            content = lzma.decompress(content)
        for needs in re.search(rb"\0depends=([^\0]*)\0", content)[1].decode().split(","):
            if needs:
                load(needs)
        order[path.name.removesuffix(".xz")] = content

    for name in wanted:
        load(name)
    return list(order.items())


class Archive:
    """An initial file system, in the kernel's format (`cpio -H newc`, Documentation/driver-api/early-userspace)."""

    def __init__(self) -> None:
        self.out = io.BytesIO()
        self.count = 0
        self.folders: set[str] = set()

    def entry(self, name: str, mode: int, content: bytes = b"") -> None:
        parent = os.path.dirname(name)
        if parent and parent not in self.folders:
            self.folder(parent)
        self.count += 1
        path = name.encode() + b"\0"
        fields = [self.count, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (header + path, content):
            self.out.write(part + b"\0" * (-len(part) % 4))

    def folder(self, name: str) -> None:
        if name not in self.folders:
            self.folders.add(name)
            self.entry(name, 0o040755)

    def tree(self, folder: Path, at: str) -> None:
        for path in sorted(folder.rglob("*")):
            name = f"{at}/{path.relative_to(folder)}".lstrip("/")
            if path.is_symlink():
                self.entry(name, 0o120777, os.readlink(path).encode())
            elif path.is_dir():
                self.folder(name)
            else:
                self.entry(name, 0o100000 | (path.stat().st_mode & 0o777), path.read_bytes())

    def done(self) -> bytes:
        self.entry("TRAILER!!!", 0)
        return self.out.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", required=True, type=Path)
    parser.add_argument("--busybox", type=Path, help="package busybox-static of the kernel's architecture")
    parser.add_argument("--files", action="append", default=[], help="what the command needs, instead of this machine's files")
    parser.add_argument("--memory", default="6G")
    parser.add_argument("--processors", default="2")
    parser.add_argument("--accel", default="tcg", help="kvm is quicker, where it works")
    parser.add_argument("--limit", type=float, default=1800, help="seconds, after which it is ended")
    parser.add_argument("--env", action="append", default=[], help="NAME=VALUE for the command")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    arch = architecture(options.kernel)
    qemu, machine, processor, console = MACHINES[arch]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        kernel = unpacked(options.kernel, scratch / "kernel")
        image = next((kernel / "boot").glob("vmlinuz-*"))
        archive = Archive()
        busybox = Path("/bin/busybox")
        if options.busybox:
            busybox = unpacked(options.busybox, scratch / "busybox") / "bin/busybox"
        for folder in ("proc", "sys", "dev", "modules", "tmp"):
            archive.folder(folder)
        archive.entry("bin/busybox", 0o100755, busybox.read_bytes())
        archive.entry("bin/sh", 0o120777, b"busybox")
        order = module_order(kernel, MODULES)
        for name, content in order:
            archive.entry(f"modules/{name}", 0o100644, content)
        archive.entry("modules/order", 0o100644, "\n".join(name for name, _ in order).encode() + b"\n")
        command = shlex.join(["env", *options.env, *options.command])
        folder = os.getcwd() if not options.files else "/"
        run = f"cd {shlex.quote(folder)} && {command} </dev/null"
        if not options.files:
            script = INIT + OWN_FILES + MOUNTS
            run = f"chroot /own /bin/sh -c {shlex.quote(run)}"
        else:
            for files in options.files:
                files, _, at = files.partition(":")
                archive.tree(Path(files), (at or "files").strip("/"))
            for name, content in ACCOUNTS.items():
                archive.entry(name, 0o100644, content)
            script = INIT + "cd /\n" + MOUNTS
            run = f"sh -c {shlex.quote(run)}"
        environment = f"PATH={os.environ['PATH']} HOME={os.environ.get('HOME', '/')}"
        script += f"env {environment} {run}\necho; echo '{DONE}' $?\nsync; poweroff -f\n"
        archive.entry("init", 0o100755, script.encode())
        initial = scratch / "initial"
        initial.write_bytes(archive.done())

        arguments = [qemu, "-nodefaults", "-display", "none", "-no-reboot", "-m", options.memory]
        arguments += ["-smp", options.processors, "-serial", "stdio", "-kernel", image, "-initrd", initial]
        arguments += ["-machine", f"{machine},accel={options.accel}", "-cpu", processor if options.accel == "tcg" else "host"]
        arguments += ["-append", f"console={console} quiet loglevel=3 panic=-1 no_timer_check rdinit=/init"]
        if not options.files:
            share = "local,path=/,mount_tag=below,security_model=none,readonly=on,multidevs=remap"
            arguments += ["-virtfs", share]
        code = None
        with subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace") as vm:
            timer = threading.Timer(options.limit, vm.kill)
            timer.start()
            for line in vm.stdout:
                line = line.rstrip("\r\n")
                if line.startswith(DONE):
                    code = int(line.split()[-1])
                else:
                    print(line, flush=True)
            timer.cancel()
    if code is None:
        print("the machine ended, or was ended, before the command", file=sys.stderr)
        return 3
    return code


if __name__ == "__main__":
    sys.exit(main())
