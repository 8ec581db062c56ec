#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# ckpt --progress: how far an image is, also when it goes through a pipe.
set -u

. "$(dirname "$0")/tap.bash"

dir=$(mktemp -d)
pid=

cleanup() {
	kill -9 $pid 2>/dev/null
	rm -rf "$dir"
}

# ckpt has told how far it is; "read" or "written".
told() {
	local tries

	for ((tries = 0; tries < 600; tries++)); do
		grep -q "^ckpt: $1" "$dir/said" 2>/dev/null && return
		sleep 0.1
	done
}

# Nobody reads until something has been told.
written() {
	ckpt checkpoint "$pid" -o - --progress 2>"$dir/said" | (
		told written
		cat >"$dir/image"
	)
	sed 's/^/# /' "$dir/said"
	grep -q '^ckpt: written [0-9]* MiB of about [0-9]* MiB ([0-9]* %), .* left$' "$dir/said"
}

# The last line tells the whole.
written_all() {
	grep -q '^ckpt: written [0-9]* MiB, [0-9]* MiB/s$' "$dir/said"
}

restarted() {
	(
		head -c 20000 "$dir/image"
		told read
		tail -c +20001 "$dir/image"
	) | ckpt restart - --progress >"$dir/pid" 2>"$dir/said"
	sed 's/^/# /' "$dir/said"
	[ "$(<"$dir/pid")" = $pid ] && kill -0 $pid &&
		grep -q '^ckpt: read [0-9]* MiB, [0-9]* MiB/s$' "$dir/said"
}

quiet() {
	ckpt checkpoint $pid -o "$dir/image" >/dev/null 2>"$dir/said" && [ ! -s "$dir/said" ]
}

in_words() {
	! ckpt discard 2147483647 2>"$dir/said" && grep -q 'no such checkpoint' "$dir/said" &&
		! ckpt checkpoint $pid -o /dev/full 2>"$dir/said" &&
		grep -q 'cannot take an image' "$dir/said"
}

need ckpt setsid
trap cleanup EXIT

echo "TAP version 13"
echo "1..5"
setsid sleep 1000 </dev/null >/dev/null 2>&1 &
pid=$!
disown $pid
until [ "$(</proc/$pid/comm)" = sleep ]; do
	sleep 0.1
done
written
result "an image that goes through a pipe, with the size it may have"
written_all
result "and at the end what it has"
kill -9 $pid
while kill -0 $pid 2>/dev/null; do
	sleep 0.1
done
restarted
result "an image that comes through a pipe"
quiet
result "nothing is told where nobody has asked"
in_words
result "failures in the words of the kernel"
exit $failed
