#!/bin/bash
#
# Runs tests in a virtual machine with Debian 12's kernel: tests/vm/run.sh JOB..., a job being unit, unit:SUITE, unit:K/N, demo, or
# a file of bats tests; or shell. It takes .build/release, built, and the image, VM_IMAGE, that
# tests/vm/image.sh made. What the jobs say is printed as TAP. The machine ends by itself, and with this
# process at the latest; after VM_LIMIT_S it is ended. VM_INIT is its process 1, if that isn't systemd; it has VM_PROCESSORS (2).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

LIMIT_S=${VM_LIMIT_S:-1500}
CAPTURES=${CAPTURES:-../shared/captures/malformed}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# The project as the tests need it, under /tmbridge, and what `make install` installs.
pack() # JOB...
{
	local root=$WORK/pack

	mkdir -p "$root/tmbridge/.build" "$root/etc/systemd/system/multi-user.target.wants"
	git ls-files -z --cached --others --exclude-standard |
		xargs -0 cp -a --parents -t "$root/tmbridge" 2>/dev/null || true # a file may be removed, and not yet so in git
	find .build/release -type f \( -perm -u+x -o -name '*.bpf.o' \) -exec cp -a --parents -t "$root/tmbridge" {} +
	find "$root/tmbridge/.build/release" -type f -perm -u+x -exec strip -g {} + # they are half of all that is packed
	find .build/deb -maxdepth 1 -name '*.deb' -exec cp -a --parents -t "$root/tmbridge" {} + 2>/dev/null || true
	[[ ! -d $CAPTURES ]] || cp -a "$CAPTURES" "$root/tmbridge/.build/captures"
	printf '%s\n' "$@" >"$root/tmbridge/.build/vm.jobs"
	make -s install install-console DESTDIR="$root" PREFIX=/usr >/dev/null
	cp tests/vm/vm.service "$root/etc/systemd/system"
	ln -s ../vm.service "$root/etc/systemd/system/multi-user.target.wants"
	(cd "$root" && find . -mindepth 1 | cpio -o -H newc --quiet -R 0:0)
}

# Some machines offer /dev/kvm, and then can't run a kernel like this one: to have it seen booting is to know.
boots_by_kvm()
{
	[[ -w /dev/kvm ]] || return 1
	timeout 10 qemu-system-x86_64 -accel kvm -cpu host -m 256 "${QUIET[@]}" -display none \
		-serial "file:$WORK/kvm" -kernel "$VM_IMAGE/vmlinuz" -append "console=ttyS0 panic=-1" >/dev/null 2>&1 || true
	grep -q 'Linux version' "$WORK/kvm" 2>/dev/null
}

# That it does is kept until this machine, too, boots anew. That it doesn't isn't: it may have been too busy.
accelerator()
{
	local kept=.build/vm/accelerator this boot="" accel=tcg

	this=$(</proc/sys/kernel/random/boot_id)
	[[ ! -s $kept ]] || read -r boot accel <"$kept"
	if [[ $boot != "$this" || ! -w /dev/kvm ]]; then
		accel=tcg
		! boots_by_kvm || { accel=kvm && echo "$this $accel" >"$kept"; }
	fi
	echo "$accel"
}

# An emulated machine that others leave no time sees no tick of its timer when it looks: hence no_timer_check.
QUIET=(-nodefaults -no-user-config -no-reboot -nic none)

boot() # ARGUMENT...
{
	local accel cpu=max

	accel=$(accelerator)
	[[ $accel = tcg ]] || cpu=host
	setpriv --pdeathsig KILL timeout --foreground -k 5 "$LIMIT_S" \
		qemu-system-x86_64 -accel "$accel" -cpu "$cpu" -smp "${VM_PROCESSORS:-2}" -m 2048 "${QUIET[@]}" "$@" \
		-kernel "$VM_IMAGE/vmlinuz" -initrd "$WORK/initrd" \
		-append "console=ttyS0 rdinit=${VM_INIT:-/lib/systemd/systemd} panic=-1 quiet systemd.show_status=0 mitigations=off no_timer_check"
}

mkdir -p .build/vm
rm -f .build/vm/console # of the machine before
pack "$@" | cat "$VM_IMAGE/root.cpio" - >"$WORK/initrd"
if [[ $* = shell ]]; then
	LIMIT_S=infinity
	boot -nographic -serial mon:stdio
	exit
fi
: >"$WORK/result"
echo "# packed: $SECONDS s"
boot -display none -serial "file:.build/vm/console" -serial "file:$WORK/result" || echo "# qemu ended with status $?"
echo "# the machine has ended: $SECONDS s"
tr -d '\r' <"$WORK/result" | grep -vx 'the end' || true
if ! grep -q '^the end' "$WORK/result"; then
	echo "not ok the machine came to its end; the last that it said:"
	tail -n 20 .build/vm/console | sed 's/^/# /'
fi
! grep -q '^the end' "$WORK/result" || ! grep -q '^not ok' "$WORK/result"
