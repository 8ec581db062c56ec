#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build what the guest sees at /opt/checkpoint: our init and other helpers,
# the ckpt command and the kselftests. All static, so that the guest's libc does not matter.
# guest.sh FLAVOUR; expects BUILD and the build lock held.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"

out=$(kernel_dir "${1:-normal}")
guest=$BUILD/guest
headers=$out/usr/include
tests=$SRC/tools/testing/selftests/checkpoint
ckpt=$SRC/tools/checkpoint
uapi=$SRC/include/uapi/linux/checkpoint.h

# Replaced by a rename, never rewritten: a running machine may hold the old file.
put() {
	cmp -s "$1" "$2" && return
	mkdir -p "$(dirname "$2")"
	install -m 755 "$1" "$2.new"
	mv "$2.new" "$2"
}

# Has a header beside source $1, or of the selftests, changed since program $2 was built?
newer_header() {
	[ -n "$(find "$(dirname "$1")" "$tests" -maxdepth 1 -name '*.h' -newer "$2")" ]
}

# Every C file here is a program of its own, every script goes along with them.
build_helpers() {
	local src name bin

	mkdir -p "$BUILD/helpers"
	for src in "$here"/*.c "$here"/*/*.c; do
		[ -f "$src" ] || continue
		name=$(basename "$src" .c)
		bin=$BUILD/helpers/$name
		if [ ! "$bin" -nt "$src" ] || [ "$uapi" -nt "$bin" ] || newer_header "$src" "$bin"; then
			ccache gcc -O2 -Wall -Wextra -static -pthread -isystem "$headers" \
				-o "$bin" "$src" -lm
		fi
		case $name in
		vm-init) put "$bin" "$guest/sbin/$name" ;;
		*)	put "$bin" "$guest/bin/$name" ;;
		esac
	done
	for src in "$here"/*.sh "$here"/*/*.sh; do
		[ -f "$src" ] && put "$src" "$guest/test/${src#"$here/"}"
	done
	put "$here/run-selftests.sh" "$guest/bin/run-selftests"
}

# Neither Makefile tracks headers: start over whenever one of those changed.
drop_stale() {
	local key stamp=$1/.headers

	shift
	key=$(cat "$uapi" "$@" 2>/dev/null | sha256sum) || :
	[ "$(cat "$stamp" 2>/dev/null)" = "$key" ] && return
	rm -rf "$(dirname "$stamp")"
	mkdir -p "$(dirname "$stamp")"
	echo "$key" >"$stamp"
}

build_ckpt() {
	local objs=$BUILD/tools

	[ -f "$ckpt/Makefile" ] || return 0
	drop_stale "$objs" "$ckpt"/Makefile "$ckpt"/*.h
	umake -C "$ckpt" O="$objs" OUTPUT="$objs/" LDFLAGS=-static \
		KHDR_INCLUDES="-isystem $headers"
	put "$objs/ckpt" "$guest/bin/ckpt"
}

build_selftests() {
	local objs=$BUILD/selftests

	[ -f "$tests/Makefile" ] || return 0
	drop_stale "$objs" "$tests"/Makefile "$tests"/*.h "$tests"/../kselftest*.h
	umake -C "$tests" OUTPUT="$objs" KHDR_INCLUDES="-isystem $headers" \
		USERLDFLAGS=-static INSTALL_PATH="$BUILD/selftests.install" -j"$(nproc)" install
	umake -C "$tests" OUTPUT="$objs" COLLECTION=checkpoint emit_tests |
		sed 's/^checkpoint://' >"$BUILD/selftests.install/list"
	rsync -a --checksum --delete "$BUILD/selftests.install/" "$guest/selftests/"
}

mkdir -p "$guest/bin" "$guest/sbin"
kmake headers
build_helpers
build_ckpt
build_selftests
