#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# In the guest: run the kselftest programs named as arguments one by one, or
# all of them, each between markers which the host's parser looks for. The
# kernel log gets the names too, so that a splat can be told to its test.
# TEST_SECONDS limits each program, TEST_ARGS are its arguments; TEST_DIR is
# where the programs are, if they are not the kselftests.

from=${TEST_DIR:-/opt/checkpoint/selftests}
if [ -n "$TEST_DIR" ]; then
	# Torture lets allocations fail in the client of the share as well, which
	# then no longer knows what it has open there (EINVAL). So put a copy in
	# its place, as the names of the programs stand in images, for all users.
	copy=$(mktemp -d /tmp/programs.XXXXXX) && chmod 755 "$copy" &&
		cp "$from"/* "$copy" && mount --bind "$copy" "$from" || exit 1
fi
cd "$from" || exit 1
limit=${TEST_SECONDS:-300}
[ $# = 0 ] && mapfile -t all <list && set -- "${all[@]}"

# Kill what is left of session $1, and tell. What is about to end by itself has
# five seconds for that.
end_session() {
	local tries left

	for ((tries = 0; tries < 50; tries++)); do
		pgrep -s "$1" >/dev/null || return
		sleep 0.1
	done
	left=$(pgrep -l -s "$1") || return
	pkill -KILL -s "$1"
	# The program's last line may have no end.
	printf '\n# left behind: %s\n' "${left//$'\n'/, }"
}

for prog; do
	echo "@@BEGIN $prog"
	echo "selftest: begin $prog" >/dev/kmsg
	# A directory of its own to write to; the share is read-only.
	dir=$(mktemp -d /tmp/selftest.XXXXXX)
	# In a session of its own, so that what it leaves behind in that can be
	# killed. A subshell leads no group: setsid does not fork, and its pid
	# is the session's.
	# shellcheck disable=SC2086	# several arguments
	(cd "$dir" && exec setsid timeout --kill-after=10 "$limit" \
		"$from/$prog" ${TEST_ARGS:-}) 2>&1 &
	session=$!
	wait $session
	rc=$?
	# It did not end in time: where everybody waits goes to the kernel log.
	case $rc in
	124|137) echo w >/proc/sysrq-trigger ;;
	esac
	end_session $session
	rm -rf "$dir"
	echo "selftest: end $prog" >/dev/kmsg
	echo
	echo "@@END $prog $rc"
done

leaks=/sys/kernel/debug/kmemleak
if [ -f $leaks ]; then
	# Twice, with a pause: what was reachable only by chance shows then.
	echo scan >$leaks
	sleep 6
	echo scan >$leaks
	echo "@@KMEMLEAK"
	cat $leaks
	echo "@@KMEMLEAK-END"
fi
exit 0
