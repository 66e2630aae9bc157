#!/usr/bin/env python3
"""Measure how long an edit takes `residue lsp` to answer.

    bench/lsp/run.py [options] RESIDUE NAME=DIR:FILE...

DIR is a Go module; FILE is one of its files, relative to DIR, that is edited; it stays as it is on disk. The client opens
DIR, waits for the first look at it, opens FILE, and makes edits one after the other, each when the one before is settled:

    body     a function with a leak is changed so that it leaks or doesn't; each text is a new one
    lines    the same, and a line comes or goes above all functions of the file
    declare  an exported function comes or goes: whatever imports the package may see it

An edit is answered when the diagnostics of FILE arrive; it is settled when a question about a file of another package is
answered, by which time all packages have been looked at. Figures are wall time as the client sees it, median and 95th
percentile of so many edits, in milliseconds; CPU is the server's, for each edit, as the kernel counts it.
"""

import argparse
import json
import pathlib
import queue
import subprocess
import sys
import threading
import time

TICKS = 100

LEAK = """
func residueBench() error {{
	f, err := residueos.Open("{n}")
	if err != nil {{
		return err
	}}
	{close}
	_, err = f.Stat()
	return err
}}
"""


class Client:
    """A client that talks to one server."""

    def __init__(self, command, root):
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root)
        self.root, self.ids, self.said = root, 0, queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        out = self.server.stdout
        while True:
            length = 0
            while (line := out.readline().strip()):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if not length:
                self.said.put(None)
                return
            self.said.put((time.perf_counter(), json.loads(out.read(length))))

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.server.stdin.flush()

    def notify(self, method, params):
        self.send({"method": method, "params": params})

    def ask(self, method, params):
        self.ids += 1
        self.send({"id": self.ids, "method": method, "params": params})
        return self.ids

    def until(self, found, seconds=600):
        """The time and the first message for which `found` holds; requests of the server are answered on the way."""
        end = time.monotonic() + seconds
        while True:
            said = self.said.get(timeout=max(0.001, end - time.monotonic()))
            if said is None:
                sys.exit("the server has ended")
            at, message = said
            if "method" in message and "id" in message:
                self.send({"id": message["id"], "result": None})
            if found(message):
                return at, message

    def uri(self, path):
        return (self.root / path).as_uri()

    def settle(self, path):
        at = {"line": 0, "character": 0}
        number = self.ask("textDocument/hover", {"textDocument": {"uri": self.uri(path)}, "position": at})
        return self.until(lambda message: message.get("id") == number and "method" not in message)

    def cpu(self):
        """Milliseconds of CPU time of the server so far."""
        fields = pathlib.Path(f"/proc/{self.server.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / TICKS

    def memory(self):
        status = pathlib.Path(f"/proc/{self.server.pid}/status").read_text()
        return {line.split(":")[0]: int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM") or line.startswith("VmRSS")}


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def text_of(original, kind, number):
    """The text of the `number`-th edit: odd ones leak."""
    lines = original.split("\n")
    package = next(i for i, line in enumerate(lines) if line.startswith("package "))
    lines.insert(package + 1, 'import residueos "os"')
    if kind == "lines" and number % 2:
        first = next(i for i, line in enumerate(lines) if line.startswith("func "))
        lines.insert(first, "\n// A line more.\n")
    text = "\n".join(lines)
    close = "" if number % 2 else "defer f.Close()"
    text += LEAK.format(n=f"{kind} {number}", close=close)
    if kind == "declare" and number % 2:
        text += "\n// ResidueBenchDeclared is there or not.\nfunc ResidueBenchDeclared() {}\n"
    return text


def measure(command, name, root, file, other, edits, kinds):
    start = time.perf_counter()
    client = Client(command, root)
    capabilities = {"general": {"positionEncodings": ["utf-16"]}, "workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
    folder = {"uri": root.as_uri(), "name": name}
    number = client.ask("initialize", {"capabilities": capabilities, "workspaceFolders": [folder]})
    client.until(lambda message: message.get("id") == number)
    client.notify("initialized", {})
    first, _ = client.settle(other)
    print(f"{name}: first look {1000 * (first - start):.0f} ms, CPU {client.cpu():.0f} ms, memory {client.memory()} MB", flush=True)
    original = (root / file).read_text()
    uri, version = client.uri(file), 1
    document = {"uri": uri, "languageId": "go", "version": version, "text": text_of(original, "body", 0)}
    client.notify("textDocument/didOpen", {"textDocument": document})
    client.settle(other)
    for kind in kinds:
        answered, settled = [], []
        client.notify("textDocument/didChange", {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"text": text_of(original, kind, 0)}]})
        client.settle(other)
        cpu = client.cpu()
        for number in range(1, edits + 1):
            version += 1
            text = text_of(original, kind, number)
            begin = time.perf_counter()
            client.notify("textDocument/didChange", {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"text": text}]})
            leaks = number % 2 == 1
            line = text[: text.index("residueos.Open")].count("\n")

            def shows(message):
                params = message.get("params", {})
                if message.get("method") != "textDocument/publishDiagnostics" or params["uri"] != uri:
                    return False
                return leaks == any(d["range"]["start"]["line"] == line for d in params["diagnostics"])

            at, _ = client.until(shows)
            answered.append(1000 * (at - begin))
            at, _ = client.settle(other)
            settled.append(1000 * (at - begin))
        cpu = (client.cpu() - cpu) / edits
        figures = [f"{percentile(values, share):.0f}" for values in (answered, settled) for share in (0.5, 0.95)]
        print(f"| {name} | {kind} | {edits} | " + " | ".join(figures) + f" | {cpu:.0f} |", flush=True)
    print(f"{name}: memory at the end {client.memory()} MB", flush=True)
    client.settle(other)
    client.server.stdin.close()
    client.server.wait(60)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("residue", type=pathlib.Path, help="the program")
    parser.add_argument("trees", nargs="+", metavar="NAME=DIR:FILE", help="what is edited")
    parser.add_argument("--edits", type=int, default=40, help="edits of each kind (default: 40)")
    parser.add_argument("--kinds", default="body,lines,declare", help="which kinds (default: all)")
    options = parser.parse_args()
    print("| tree | edit | edits | answered p50 | p95 | settled p50 | p95 | CPU |")
    print("|---|---|---|---|---|---|---|---|")
    for tree in options.trees:
        name, place = tree.split("=", 1)
        root, file = place.rsplit(":", 1)
        command = [str(options.residue.resolve()), "lsp"]
        measure(command, name, pathlib.Path(root).resolve(), file, "residue-no-such-dir/x.go", options.edits, options.kinds.split(","))


if __name__ == "__main__":
    main()
