#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build the guest's Debian root file system and print its path.
#
# The image is named after a hash of the package list and of this script, so
# that a change to either makes a new one. Everything which changes more often
# (tools, tests, the real init) reaches the guest through 9p instead.
set -euo pipefail

: "${BUILD:?BUILD is not set: use the Makefile}"
suite=bookworm
packages="ca-certificates criu iproute2 mount procps psmisc redis-server redis-tools stress-ng util-linux ${ROOT_EXTRA:-}"

key=$( (echo "$suite $packages"; cat "$0") | sha256sum | cut -c1-12)
image=$BUILD/rootfs-$key.ext4

# The sources of this machine, so that its mirror is used; third-party ones,
# which have no "main" of our suite, are left out.
host_sources() {
	local f

	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
		[ -f "$f" ] || continue
		grep -qE "^(deb|Suites:).*$suite" "$f" || continue
		grep -qE '^(deb|Components:).*\<main\>' "$f" || continue
		case $(grep -E '^(deb|URIs:)' "$f") in
		*debian*) echo "$f" ;;
		esac
	done
}

# Runs as the guest's first process: only finds the share with the real one.
stub_init() {
	cat <<-'EOF'
	#!/bin/sh
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro,cache=loose \
		tools /opt/checkpoint && exec /opt/checkpoint/sbin/vm-init
	echo "vm: no tools share" >/dev/console
	EOF
}

build() {
	local work=$1 root=$1/root
	local sources

	mapfile -t sources < <(host_sources)
	stub_init >"$work/stub"
	# policy-rc.d: no package may start its service in the chroot.
	mmdebstrap --quiet --variant=apt --format=directory \
		--include="$(echo $packages | tr ' ' ,)" \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--essential-hook='printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"' \
		--essential-hook='chmod 755 "$1/usr/sbin/policy-rc.d"' \
		"$suite" "$root" "${sources[@]}" >&2
	install -D -m 755 "$work/stub" "$root/sbin/vm-init"
	mkdir -p "$root/opt/checkpoint" "$root/host" "$root/ctl"
	echo vm >"$root/etc/hostname"
	echo '127.0.0.1 localhost vm' >"$root/etc/hosts"
	rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
	truncate -s 2G "$work/image"
	mke2fs -q -t ext4 -m 0 -L checkpoint-root -d "$root" "$work/image" >&2
	mv "$work/image" "$image"
}

mkdir -p "$BUILD"
# A root file system has files of many owners.
if [ ! -f "$image" ] && [ "$(id -u)" != 0 ]; then
	exec sudo --preserve-env=BUILD,ROOT_EXTRA bash "$0"
fi
if [ ! -f "$image" ]; then
	exec 9>"$BUILD/.rootfs.lock"
	flock 9
fi
if [ ! -f "$image" ]; then
	echo "  ROOTFS  $suite: $packages" >&2
	work=$(mktemp -d "$BUILD/rootfs.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	build "$work"
fi
echo "$image"
