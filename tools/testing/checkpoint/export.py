#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Write BUILD/series: our new files and patches/ as one series for git am.

The new directories come first, as nothing builds them yet; patches/ then
wires them in, so that every step of the series builds. The result is checked:
applied to clean files it must give what is in BUILD/linux, byte for byte.
"""

import filecmp
import json
import os
import shutil
import subprocess
import sys
from email.utils import parseaddr
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]

# (prefixes, subject, body); a file goes with the first that matches. None
# stands for patches/.
GROUPS = (
    (("include/",),
     "checkpoint: add the user-space ABI, hooks and trace events",
     "The header in uapi defines the flags of the two system calls and the\n"
     "format of an image. The hooks have stubs for !CONFIG_CHECKPOINT."),
    (("checkpoint/",),
     "checkpoint: add in-kernel checkpoint and restart",
     "checkpoint() saves a set of processes, restart() makes them anew. Nothing\n"
     "is built yet: the directory is wired in by a later patch."),
    (("arch/",),
     "x86/checkpoint: save and restore registers and xstate",
     "The part which depends on the architecture."),
    (None, "", ""),
    (("tools/checkpoint/",),
     "tools/checkpoint: add the ckpt command",
     "A small front end to the two system calls."),
    (("tools/testing/selftests/",),
     "selftests/checkpoint: add tests",
     "One program for each kind of object."),
    (("tools/testing/",),
     "tools/testing/checkpoint: add the test machine",
     "Scripts to build a kernel and a guest, and to run all the tests in it."),
    (("Documentation/",),
     "Documentation: describe checkpoint and restart",
     "A guide, the design, the format of an image, and what is covered."),
    (("",),
     "checkpoint: add what goes beside existing files",
     "New files in directories of other subsystems."),
)


def git(cwd, *args, **kwargs):
    """git which minds nothing of the user's or of an outer repository's."""
    env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1")
    env.update(kwargs.pop("env", {}))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        env.pop(name, None)
    cmd = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false",
           "-c", "init.defaultBranch=main", "-c", "gc.auto=0", *args]
    done = subprocess.run(cmd, cwd=cwd, env=env, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"export: git {' '.join(args[:3])} failed:\n{done.stdout}")
    return done.stdout


def identity(patches):
    """Whoever wrote the first patch, at that patch's date: always the same."""
    name, mail, date = "checkpoint", "checkpoint@localhost", "2025-01-01T00:00:00Z"
    for patch in patches[:1]:
        for line in patch.read_text(errors="replace").splitlines():
            if line.startswith("From: "):
                name, mail = parseaddr(line[6:])
            if line.startswith("Date: "):
                date = line[6:].strip()
                break
    who = {}
    for role in ("AUTHOR", "COMMITTER"):
        who.update({f"GIT_{role}_NAME": name or mail, f"GIT_{role}_EMAIL": mail,
                    f"GIT_{role}_DATE": date})
    return who


def copy(src, dst):
    dst.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(src, dst)
    dst.chmod(0o755 if os.access(src, os.X_OK) else 0o644)


def make_base(repo, build, state, who):
    """A git tree of the files which the patches touch, as in the tarball."""
    shutil.rmtree(repo, ignore_errors=True)
    repo.mkdir()
    git(repo, "init", "-q")
    for path in state["paths"]:
        if path not in state["absent"]:
            copy(build / "pristine" / path, repo / path)
    git(repo, "add", "-A", "-f")
    git(repo, "commit", "-q", "--allow-empty", "-m", "base", env=who)
    git(repo, "tag", "base")


def add_groups(repo, ours, patches, who):
    left = sorted(ours)
    for prefixes, subject, body in GROUPS:
        if prefixes is None:
            if patches:
                git(repo, "am", "-q", *map(str, patches), env=who)
            continue
        mine = [n for n in left if n.startswith(prefixes)]
        left = [n for n in left if n not in mine]
        for name in mine:
            copy(REPO / name, repo / name)
        if mine:
            git(repo, "add", "-f", "--", *mine)
            git(repo, "commit", "-q", "-s", "-m", f"{subject}\n\n{body}\n", env=who)


def verify(build, work, series, expected, who):
    """git am the series to a fresh base and compare with the built tree."""
    check = work / "check"
    git(work, "clone", "-q", "repo", str(check))
    git(check, "checkout", "-q", "-b", "check", "base")
    names = sorted(str(p) for p in series.glob("*.patch"))
    if names:
        git(check, "am", "-q", *names, env=who)
    have = set(git(check, "ls-files", "-z").split("\0")) - {""}
    bad = [f"{n}: only on one side" for n in have ^ expected]
    bad += [f"{n}: differs" for n in have & expected
            if not filecmp.cmp(check / n, build / "linux" / n, shallow=False)]
    if bad:
        sys.exit("export: the series does not give the built tree:\n  "
                 + "\n  ".join(sorted(bad)))
    return len(names), len(have)


def main():
    build = Path(sys.argv[1]).resolve()
    state = json.loads((build / "series.json").read_text())
    ours = set(json.loads((build / "manifest.json").read_text()))
    patches = sorted((REPO / "patches").glob("[0-9]*.patch"))
    who = identity(patches)
    work, series = build / "export", build / "series"
    for path in (work, series):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    repo = work / "repo"
    make_base(repo, build, state, who)
    add_groups(repo, ours, patches, who)
    git(repo, "format-patch", "-q", "-o", str(series), "base..HEAD")
    expected = {p for p in state["paths"] if (build / "linux" / p).exists()} | ours
    count, files = verify(build, work, series, expected, who)
    shutil.rmtree(work)
    version = (build / "linux.version").read_text().strip()
    print(f"export: {count} patches in {series}, applied to linux-source {version}: "
          f"{files} files the same as those built: OK")


if __name__ == "__main__":
    main()
