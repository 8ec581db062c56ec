#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build the kernel: kernel.sh FLAVOUR, as kernel_dir() knows them. Expects BUILD, and
# the build lock held.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
. "$here/lib.sh"

flavour=${1:-normal}
out=$(kernel_dir "$flavour")
fragments=("$here/config/base.config")
[ "$flavour" = normal ] || fragments+=("$here/config/$flavour.config")
project=$here/config/checkpoint.config

configure() {
	local want="$out/.config.key" key checked=("${fragments[@]}")

	# Kconfig files are part of the key: a new option of ours must be asked for.
	# checkpoint/Kconfig may not be there yet, which is no error.
	key=$( (cat "${fragments[@]}" "$project" "$SRC"/{,init,arch/x86,checkpoint}/Kconfig \
		"$BUILD/linux.version" 2>/dev/null || :) | sha256sum)
	[ -f "$out/.config" ] && [ "$(cat "$want" 2>/dev/null)" = "$key" ] && return

	echo "  CONFIG  $flavour"
	rm -f "$want"
	kmake tinyconfig >"$out/config.log"
	(cd "$SRC" && scripts/kconfig/merge_config.sh -m -O "$out" "$out/.config" \
		"${fragments[@]}" "$project") >>"$out/config.log" 2>&1
	kmake olddefconfig >>"$out/config.log"
	# Without a patch that sources it, checkpoint/Kconfig offers nothing.
	grep -qs '^+source.*checkpoint/Kconfig' "$here"/../../../patches/*.patch &&
		checked+=("$project")
	check_config "${checked[@]}"
	echo "$key" >"$want"
}

# Complain about every option which was asked for but is not there.
check_config() {
	python3 - "$out/.config" "$@" <<-'EOF'
	import re, sys

	def load(path):
	    text = open(path).read()
	    opts = dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.M))
	    opts.update((n, "n") for n in
	                re.findall(r"^# (CONFIG_\w+) is not set$", text, re.M))
	    return opts

	have, want = load(sys.argv[1]), {}
	for path in sys.argv[2:]:
	    want.update(load(path))
	bad = [f"{n}={v}, but the result has {have.get(n, 'n')}"
	       for n, v in want.items() if have.get(n, "n") != v]
	if bad:
	    sys.exit("config: options which did not make it:\n  " + "\n  ".join(bad))
	EOF
}

python3 "$here/prepare.py" "$BUILD" "$TARBALL" "$VERSION"
mkdir -p "$out"
configure
kmake -j"$(nproc)" bzImage
