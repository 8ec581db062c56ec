#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run lint, KUnit and the kselftests; the last line is the count.

Every case of a test, every lint step and every kernel complaint is a result
of its own. KUnit runs while the machine boots; its results are read from
debugfs in the same guest before the kselftests start.
"""

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

import vm

HERE = Path(__file__).resolve().parent
RESULT = re.compile(r"^(\s*)(ok|not ok)\b\s*(\d+)?\s*(?:- )?(.*)$")
SKIPPED_EXIT = 4		# KSFT_SKIP
SAID_LINES = 40			# of a case that failed, told again at the end


class Tally:
    """What passed, failed and was skipped, printed as it becomes known.

    What failed is told again at the end, with what it had to say.
    """

    def __init__(self):
        self.count = {"ok": 0, "not ok": 0, "skip": 0}
        self.failed = []

    def add(self, verdict, name, said=()):
        self.count[verdict] += 1
        print(f"{verdict:7}{name}", flush=True)
        if verdict == "not ok":
            self.failed += [f"failed: {name}"] + [f"failed:   {s}" for s in said[:SAID_LINES]]

    def line(self, text, prefix, said=()):
        """Take one "ok"/"not ok" line into account."""
        found = RESULT.match(text)
        verdict, name = found.group(2), found.group(4).strip()
        if re.search(r"#\s*SKIP", name, re.I):
            verdict = "skip"
        self.add(verdict, f"{prefix}{name}", said)

    def finish(self):
        c = self.count
        for text in self.failed:
            print(text)
        text = f"{c['ok']} passed, {c['not ok']} failed"
        print(text + (f", {c['skip']} skipped" if c["skip"] else ""), flush=True)
        return 1 if c["not ok"] or not c["ok"] else 0


def matches(name, patterns):
    return any(fnmatch.fnmatch(name, p) for p in patterns)


def unwanted(name, patterns):
    """Left out by a pattern with a "!" before it."""
    return matches(name, [p[1:] for p in patterns if p.startswith("!")])


def wanted(name, patterns):
    """Not left out, and one of those asked for, or nothing was asked for."""
    take = [p for p in patterns if not p.startswith("!")]
    return not unwanted(name, patterns) and (not take or matches(name, take))


def lint(tally, build):
    """lint.sh with the build lock held; one result per TAP line."""
    before = sum(tally.count.values())
    done = subprocess.run(["flock", "-o", build / ".lock", HERE / "lint.sh"],
                          stdout=subprocess.PIPE, text=True, check=False)
    for text in done.stdout.splitlines():
        if RESULT.match(text):
            tally.line(text, "")
        else:
            print(text)
    if done.returncode and not tally.count["not ok"] or \
       sum(tally.count.values()) == before:
        tally.add("not ok", "lint: did not finish")


def kunit(tally, lines, patterns):
    """Count the leaves of nested KTAP: a result with results below is a sum."""
    below, suite, parents = {}, "", []
    for text in lines:
        subtest = re.match(r"^\s*# Subtest: (\S+)", text)
        if subtest:
            suite = suite if text.startswith(" " * 8) else subtest.group(1)
            continue
        found = RESULT.match(text)
        if not found:
            if re.match(r"^\s*# .*(EXPECTATION|ASSERTION) FAILED", text):
                print(text)
            continue
        depth = len(found.group(1))
        deeper = [below.pop(d) for d in list(below) if d > depth]
        if deeper:
            # A sum that is worse than its parts has a failure of its own.
            if found.group(2) == "not ok" and all(deeper):
                parents.append(text)
            good = found.group(2) == "ok" and all(deeper)
        else:
            good = found.group(2) == "ok"
            if wanted(suite, patterns):
                tally.line(text, f"kunit {suite}.")
        below[depth] = below.get(depth, True) and good
    for text in parents:
        tally.line(text, "kunit ")
    if not below and wanted("kunit", patterns):
        tally.add("not ok", "kunit: no results")


class Selftests:
    """Follows the guest's output line by line and keeps the score."""

    def __init__(self, tally, programs, patterns):
        self.tally, self.waiting, self.patterns = tally, list(programs), patterns
        self.tail, self.section, self.lines = b"", None, []
        self.leaks = []

    def feed(self, data):
        *lines, self.tail = (self.tail + data).split(b"\n")
        for line in lines:
            self.take(line.decode(errors="replace").rstrip("\r"))

    def take(self, text):
        if text.startswith("@@BEGIN "):
            self.section, self.lines = text.split()[1], []
        elif text.startswith("@@END "):
            _, name, code = text.split()
            self.end(name, int(code))
        elif text in ("@@KUNIT", "@@KMEMLEAK"):
            self.section, self.lines = text, []
        elif text == "@@KUNIT-END":
            kunit(self.tally, self.lines, self.patterns)
            self.section = None
        elif text == "@@KMEMLEAK-END":
            self.leaks = leaks_of_ours(self.lines)
            self.section = None
        else:
            self.lines.append(text)
            if self.section and not self.section.startswith("@@"):
                print(f"  | {text}", flush=True)

    def end(self, name, code):
        """Score one program: its cases, and what the cases do not tell."""
        if name in self.waiting:
            self.waiting.remove(name)
        self.section = None
        results, said, last = [], [], self.lines[-SAID_LINES:]
        for text in self.lines:
            if re.match(r"^(ok|not ok)\b", text):
                results.append((text, said))
                said = []
            else:
                said.append(text)
        plan = [int(m.group(1)) for m in
                (re.match(r"^1\.\.(\d+)", t) for t in self.lines) if m]
        for text, said in results:
            self.tally.line(text, f"{name}: ", said)
        if plan and len(results) < plan[0]:
            self.tally.add("not ok", f"{name}: {len(results)} of {plan[0]} cases ran", last)
        elif code in (124, 137):
            self.tally.add("not ok", f"{name}: timed out", last)
        elif code and code != SKIPPED_EXIT and \
                not any(t.startswith("not ok") for t, _ in results):
            self.tally.add("not ok", f"{name}: exit status {code}", last)
        elif not results:
            # A plan that comes this far is one of no cases.
            self.tally.add("skip" if plan or code == SKIPPED_EXIT else "ok", name)

    def close(self, code):
        """What never got its turn, or never came back."""
        if self.section and not self.section.startswith("@@"):
            self.tally.add("not ok", f"{self.section}: never ended", self.lines[-SAID_LINES:])
        for name in self.waiting:
            if name != self.section:
                self.tally.add("not ok", f"{name}: never ran")
        for leak in self.leaks:
            print(leak)
            self.tally.add("not ok", "kmemleak: a report about checkpoint code")
        if code and code != vm.COMPLAINED:
            self.tally.add("not ok", f"guest: exit status {code}")


def leaks_of_ours(lines):
    """kmemleak reports that name a function of the project."""
    reports = re.split(r"^(?=unreferenced object)", "\n".join(lines), flags=re.M)
    return [r for r in reports if vm.OURS.search(r)]


def blame(tally, console):
    """One failure for each stretch of the console with a kernel complaint."""
    where, seen = "boot", set()
    for text in console.splitlines():
        mark = re.search(r"selftest: (begin|end) (\S+)", text)
        if mark:
            where = mark.group(2) if mark.group(1) == "begin" else f"after {mark.group(2)}"
        elif vm.SPLAT.search(text) and "[ cut here ]" not in text and where not in seen:
            seen.add(where)
            tally.add("not ok", f"kernel ({where}): {text.strip()}")
    return seen


def in_guest(tally, opts, patterns):
    listed = Path(opts.build) / "selftests.install" / "list"
    programs = listed.read_text().split() if listed.exists() else []
    for name in programs:
        if unwanted(name, patterns):
            tally.add("skip", f"{name}: left out by TESTS='{' '.join(patterns)}'")
    programs = [p for p in programs if wanted(p, patterns)]
    opts.cmd = ('echo @@KUNIT; cat /sys/kernel/debug/kunit/*/results 2>/dev/null; '
                'echo @@KUNIT-END; ')
    if programs:
        opts.cmd += (f"TEST_SECONDS={opts.test_seconds} run-selftests "
                     + " ".join(programs))
    follow = Selftests(tally, programs, patterns)
    machine = vm.Vm(opts, follow.feed)
    before = tally.count["not ok"]
    code, found = machine.run()
    follow.close(code)
    blame(tally, machine.console_text())
    if tally.count["not ok"] != before:
        machine.explain(code, found or ["(no complaint by the kernel)"])


def main():
    args = vm.parser()
    args.add_argument("--tests", default="",
                      help="shell patterns on test names; !pattern leaves out")
    args.add_argument("--test-seconds", type=int, default=0, help="per program")
    opts = args.parse_args()
    slow = 1 if opts.kernel == "normal" else 4
    opts.test_seconds = opts.test_seconds or 600 * slow
    opts.timeout, opts.name, opts.kunit = 2400 * slow, "test", True
    patterns = opts.tests.split()
    tally = Tally()
    if wanted("lint", patterns):
        lint(tally, Path(opts.build))
    if patterns != ["lint"]:
        in_guest(tally, opts, patterns)
    sys.stderr.flush()
    sys.exit(tally.finish())


if __name__ == "__main__":
    # The console's tail goes to stderr; keep the two in order in one log.
    os.dup2(1, 2)
    main()
