#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Style and static checks on what is ours. Each step prints one TAP line
# "ok - lint name" or "not ok - lint name", the latter after its complaints.
# Expects BUILD, and the build lock held.
set -uo pipefail

here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"
repo=$(readlink -f "$here/../../..")

out=$BUILD/lint
# Files which passed, by contents: only what changed is checked again.
passed=$BUILD/lint-passed
failed=0

# FILE_PATH_CHANGES: asks for a MAINTAINERS entry, which a series kept outside
# the kernel tree does not have.
checkpatch=(scripts/checkpatch.pl --strict --terse --show-types -q --no-summary)
# A loop macro uses its cursor more than once, and so do all of the kernel's.
ignore=FILE_PATH_CHANGES,MACRO_ARG_REUSE
# TRACE_EVENT() is laid out like this everywhere.
ignore_trace=$ignore,OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT
# A patch to the top-level Kconfig has "Kconfig" in it. A prototype in an old
# header looks like its neighbours there.
ignore_patches=$ignore,EMBEDDED_FILENAME,AVOID_EXTERNS
# In programs, which have none of the kernel's macros, and for which ENOSYS is
# the very answer that tells them the kernel lacks the system call.
ignore_tools=$ignore,ARRAY_SIZE,PREFER_DEFINED_ATTRIBUTE_MACRO,ENOSYS

# Our files, from the manifest prepare.py keeps; $1: pattern on the name. That
# there are none is an error: there is always something to check.
ours() {
	python3 -c 'import json, sys; print("\n".join(json.load(open(sys.argv[1]))))' \
		"$BUILD/manifest.json" | grep -E "$1" && return
	echo "lint: no files of ours match $1" >&2
	return 1
}

step() {
	local name=$1 log

	shift
	if log=$("$@" 2>&1); then
		echo "ok - lint $name"
	else
		echo "$log"
		echo "not ok - lint $name"
		failed=1
	fi
}

# $1: "-f" for a source file, "" for a patch; the rest: the file.
checkpatch_one() {
	local key types=$ignore

	case $2 in
	tools/*) types=$ignore_tools ;;
	include/trace/*) types=$ignore_trace ;;
	*.patch) types=$ignore_patches ;;
	esac
	key=$passed/$( (echo "$2"; cat "$2" "$SRC/scripts/checkpatch.pl" "$here/lint.sh") |
		sha256sum | cut -c1-32)
	[ -e "$key" ] && return
	# By its status: one that died has printed no complaint either.
	"${checkpatch[@]}" --ignore "$types" ${1:+"$1"} "$2" && touch "$key"
}

checkpatch_sources() {
	local f files bad=0

	cd "$SRC" || return
	files=$(ours '\.[chS]$') || return
	for f in $files; do
		checkpatch_one -f "$f" || bad=1
	done
	return $bad
}

checkpatch_patches() {
	local f bad=0

	cd "$SRC" || return
	for f in "$repo"/patches/[0-9]*.patch; do
		checkpatch_one "" "$f" || bad=1
	done
	return $bad
}

spdx() {
	local f files bad=0

	cd "$SRC" || return
	files=$(ours '\.([chS]|sh|py|rst|config)$|(Makefile|Kconfig)$') || return
	for f in $files; do
		head -n 3 "$f" | grep -q 'SPDX-License-Identifier: ' && continue
		echo "$f: no SPDX line"
		bad=1
	done
	return $bad
}

scripts() {
	local f shell python bad=0

	cd "$SRC" || return
	shell=$(ours '\.sh$') && python=$(ours '\.py$') || return
	for f in $shell; do
		bash -n "$f" || bad=1
	done
	for f in $python; do
		python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' \
			"$f" || bad=1
	done
	return $bad
}

# An output directory of its own: W=1 changes every command line, and the
# kernel's own objects must not be rebuilt for that.
prepare_objects() {
	mkdir -p "$out"
	if ! cmp -s "$BUILD/kernel/.config" "$out/.config.from"; then
		cp "$BUILD/kernel/.config" "$out/.config"
		kmake olddefconfig || return
		cp "$BUILD/kernel/.config" "$out/.config.from"
	fi
	kmake -j"$(nproc)" prepare
}

# e: warnings are errors, so that an object with any is not left behind as done.
w1() {
	kmake -k -j"$(nproc)" W=1e "${dirs[@]}" || return
	# Nothing is built in a directory which its parent's Makefile leaves out.
	(cd "$out" && ls "${dirs[@]/%/built-in.a}") >/dev/null
}

# Bookworm's sparse does not understand all of the 6.12 headers: complaints
# count only if they are about files of ours. They are no failure of make; that
# sparse is missing or dies is one.
sparse_ours() {
	local mine log

	if ! log=$(kmake -k -j"$(nproc)" W=1 C=2 "${dirs[@]}" 2>&1); then
		echo "$log"
		return 1
	fi
	mine=$(grep -E '(^|/)((arch/x86/)?checkpoint/[^:]*|include/[^:]*/checkpoint[^:]*\.h):[0-9]+' \
		<<<"$log" | grep -E '(warning|error):')
	[ -z "$mine" ] && return
	echo "$mine"
	return 1
}

mkdir -p "$passed"
step checkpatch-sources checkpatch_sources
step checkpatch-patches checkpatch_patches
step spdx spdx
step scripts scripts

# Both in one go, never checkpoint/ alone: the kernel's Makefile takes "check%"
# for a goal that needs no .config, unless there is another one that does.
dirs=(arch/x86/checkpoint/ checkpoint/)
if grep -q '^CONFIG_CHECKPOINT=y' "$BUILD/kernel/.config" 2>/dev/null; then
	step prepare prepare_objects
	step w1 w1
	step sparse sparse_ours
fi
exit $failed
