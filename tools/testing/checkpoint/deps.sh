#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Install the Debian packages the Makefile needs, and those named as arguments,
# as far as they are missing.
set -euo pipefail

packages=(
	bc bison build-essential ccache cpio e2fsprogs flex git kmod libelf-dev
	libssl-dev linux-source-6.12 mmdebstrap patch perl python3
	qemu-system-x86 rsync sparse util-linux xz-utils "$@"
)

missing=()
for p in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] ||
		missing+=("$p")
done
[ ${#missing[@]} = 0 ] && exit 0

run=()
[ "$(id -u)" = 0 ] || run=(sudo)
echo "  APT     ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${run[@]}" apt-get -qq update
"${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
	install --no-install-recommends "${missing[@]}" >/dev/null
