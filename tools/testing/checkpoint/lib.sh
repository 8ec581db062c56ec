# SPDX-License-Identifier: GPL-2.0
# Paths and helpers shared by the scripts here; sourced, never run.

: "${BUILD:?BUILD is not set: use the Makefile}"
BUILD=$(readlink -f "$BUILD")
SRC=$BUILD/linux
TARBALL=/usr/src/linux-source-6.12.tar.xz
# The source package's version; asked for by everything which may extract.
VERSION=$(dpkg-query -W -f '${Version}' linux-source-6.12)

export CCACHE_DIR=$BUILD/ccache CCACHE_BASEDIR=$BUILD
export LC_ALL=C

CONFIGS=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/config

# The kernel flavours: normal is base.config, any other adds a fragment of its name.
kernel_dir() {
	if [ "$1" = normal ]; then
		echo "$BUILD/kernel"
	elif [ "$1" != base ] && [ "$1" != checkpoint ] && [ -f "$CONFIGS/$1.config" ]; then
		echo "$BUILD/kernel-$1"
	else
		echo "unknown KERNEL=$1: no config/$1.config" >&2
		return 1
	fi
}

# The outer make's flags (its -j, its variables) are none of an inner one's business.
umake() {
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u MAKEOVERRIDES -u KERNEL -u CMD \
		-u TESTS make -s "$@"
}

# make in the kernel tree, output in $out.
kmake() {
	umake -C "$SRC" O="$out" ARCH=x86_64 CC="ccache gcc" "$@"
}
