# SPDX-License-Identifier: GPL-2.0
# For the scripts here, which source it: results in the way of kselftest.

nr=0
failed=0

skip() {
	echo "1..0 # SKIP $*"
	exit 4
}

# result NAME: ok if the command before it succeeded
result() {
	local status=$?

	nr=$((nr + 1))
	if [ $status = 0 ]; then
		echo "ok $nr $1"
	else
		echo "not ok $nr $1"
		failed=1
	fi
}

die() {
	echo "Bail out! $*"
	exit 1
}

# need PROGRAM...: and root, and the kernel's part
need() {
	local program

	[ "$(id -u)" = 0 ] || skip "needs root"
	for program; do
		command -v "$program" >/dev/null || skip "needs $program"
	done
	[ -e /proc/checkpoints ] || skip "needs CONFIG_CHECKPOINT"
}
