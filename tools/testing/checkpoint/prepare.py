#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Bring the kernel tree in BUILD/linux to: tarball + patches/ + our files.

Files are written only if their contents change, so that make rebuilds no
more than it has to. Pristine copies of everything patched are kept in
BUILD/pristine; a changed series is applied to those, aside, and nothing in
the tree changes unless the whole series applies.
"""

import filecmp
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
# At the top of the repository but no part of a kernel tree.
NOT_IN_TREE = {"build", "patches"}


def die(text):
    print(f"prepare: {text}", file=sys.stderr)
    sys.exit(1)


def read_json(path, default):
    return json.loads(path.read_text()) if path.exists() else default


def write_json(path, value):
    tmp = path.with_suffix(".tmp")
    tmp.write_text(json.dumps(value, indent=1) + "\n")
    tmp.rename(path)


def install(src, dst):
    """Copy @src over @dst unless they are the same already."""
    if dst.exists() and filecmp.cmp(src, dst, shallow=False) and \
       os.access(src, os.X_OK) == os.access(dst, os.X_OK):
        return False
    dst.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(src, dst)
    dst.chmod(0o755 if os.access(src, os.X_OK) else 0o644)
    return True


def extract(build, tarball, version):
    """Unpack the tarball once per package version."""
    tree, stamp = build / "linux", build / "linux.version"
    if stamp.exists() and stamp.read_text().strip() == version:
        return
    print(f"  EXTRACT linux-source {version}", flush=True)
    new = build / "linux.new"
    for old in (tree, new, build / "pristine"):
        shutil.rmtree(old, ignore_errors=True)
    for old in ("series.json", "manifest.json"):
        (build / old).unlink(missing_ok=True)
    new.mkdir(parents=True)
    subprocess.run(["tar", "-xf", tarball, "-C", new, "--strip-components=1"],
                   check=True)
    new.rename(tree)
    stamp.write_text(version + "\n")


def touched(patch):
    """The paths a patch changes, creates or removes."""
    text = patch.read_text(errors="surrogateescape")
    found = re.findall(r"^(?:---|\+\+\+) [ab]/(\S+)", text, re.M)
    return set(found) | set(re.findall(r"^rename (?:from|to) (\S+)", text, re.M))


def save_pristine(build, path, absent):
    """Keep the tarball's copy of @path before the first patch touches it."""
    src, keep = build / "linux" / path, build / "pristine" / path
    if keep.exists() or path in absent:
        return
    if src.exists():
        keep.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(src, keep)
    else:
        absent.add(path)


def apply_all(scratch, patches, version):
    for patch in patches:
        print(f"  PATCH   {patch.name}", flush=True)
        with patch.open("rb") as stdin:
            done = subprocess.run(
                ["patch", "-p1", "-F0", "-N", "-s", "-r-", "--no-backup-if-mismatch"],
                cwd=scratch, stdin=stdin, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            die(f"{patch.name} does not apply to linux-source {version}:\n"
                f"{done.stdout}")


def apply_series(build, version):
    """Redo the series on pristine copies if it is not the one applied last."""
    patches = sorted((REPO / "patches").glob("[0-9]*.patch"))
    digest = hashlib.sha256()
    for patch in patches:
        digest.update(patch.name.encode() + b"\0" + patch.read_bytes())
    state = read_json(build / "series.json", {"digest": "", "paths": [], "absent": []})
    if state["digest"] == digest.hexdigest():
        return
    ours = set(read_json(build / "manifest.json", []))
    absent, now = set(state["absent"]), set()
    for patch in patches:
        now |= touched(patch)
    if now & ours:
        die("both in patches/ and in the repository: " + " ".join(now & ours))
    scratch = build / "patched"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for path in now:
        save_pristine(build, path, absent)
        if path not in absent:
            install(build / "pristine" / path, scratch / path)
    # From here on an interrupted run must start over.
    write_json(build / "series.json", {"digest": "", "paths": sorted(
        now | set(state["paths"])), "absent": sorted(absent)})
    apply_all(scratch, patches, version)
    for path in now | set(state["paths"]):
        src = (scratch if path in now else build / "pristine") / path
        if src.exists():
            install(src, build / "linux" / path)
        else:
            (build / "linux" / path).unlink(missing_ok=True)
    write_json(build / "series.json", {"digest": digest.hexdigest(),
               "paths": sorted(now), "absent": sorted(absent)})


def our_files(build):
    """Every file of the repository which has a place in the kernel tree."""
    git = subprocess.run(["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"],
                         cwd=REPO, capture_output=True, text=True, check=False)
    if git.returncode == 0:
        names = [n for n in git.stdout.split("\0") if n]
    else:
        names = [str(p.relative_to(REPO)) for top in REPO.iterdir()
                 if top.is_dir() and top.name not in NOT_IN_TREE
                 for p in top.rglob("*") if p.is_file()]
    # BUILD may be in the repository under any name, and has a whole kernel tree.
    return {n for n in names if "/" in n and not n.startswith(".")
            and n.split("/")[0] not in NOT_IN_TREE
            and not f"{REPO}/{n}".startswith(f"{build}/")
            and "__pycache__" not in n and (REPO / n).is_file()}


def sync(build):
    """Install our files, and remove those which left the repository."""
    tree = build / "linux"
    manifest = build / "manifest.json"
    before, now = set(read_json(manifest, [])), our_files(build)
    patched = set(read_json(build / "series.json", {"paths": []})["paths"])
    clash = [n for n in now - before if (tree / n).exists() and n in patched]
    if clash:
        die("both in patches/ and in the repository: " + " ".join(clash))
    write_json(manifest, sorted(before | now))
    for name in sorted(before - now):
        print(f"  REMOVE  {name}")
        (tree / name).unlink(missing_ok=True)
    for name in sorted(now):
        if install(REPO / name, tree / name):
            print(f"  SYNC    {name}")
    write_json(manifest, sorted(now))


def main():
    if len(sys.argv) != 4:
        die("usage: prepare.py BUILD TARBALL VERSION")
    build, tarball, version = Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    build.mkdir(parents=True, exist_ok=True)
    extract(build, tarball, version)
    apply_series(build, version)
    sync(build)


if __name__ == "__main__":
    main()
