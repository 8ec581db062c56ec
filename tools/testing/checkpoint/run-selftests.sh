#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# In the guest: run the kselftest programs named as arguments one by one, or
# all of them, each between markers which the host's parser looks for. The
# kernel log gets the names too, so that a splat can be told to its test.
# TEST_SECONDS limits each program, TEST_ARGS are its arguments; TEST_DIR is
# where the programs are, if they are not the kselftests.

from=${TEST_DIR:-/opt/checkpoint/selftests}
cd "$from" || exit 1
limit=${TEST_SECONDS:-300}
[ $# = 0 ] && mapfile -t all <list && set -- "${all[@]}"

for prog; do
	echo "@@BEGIN $prog"
	echo "selftest: begin $prog" >/dev/kmsg
	# A directory of its own to write to; the share is read-only.
	dir=$(mktemp -d /tmp/selftest.XXXXXX)
	# In a session of its own, so that all it leaves behind can be killed.
	# shellcheck disable=SC2086	# several arguments
	(cd "$dir" && exec setsid -w timeout --kill-after=10 "$limit" \
		"$from/$prog" ${TEST_ARGS:-}) 2>&1
	rc=$?
	# It did not end in time: where everybody waits goes to the kernel log.
	case $rc in
	124|137) echo w >/proc/sysrq-trigger ;;
	esac
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
