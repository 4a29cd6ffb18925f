#!/bin/bash
#
# Of the virtual machine's tests what `make test` runs: whether the oldest kernel that the fast path is for takes
# its programs. Where there is no qemu, or no mirror to make an image from, they are left out: it is said, and
# is no failure. VM_SHORT_PACKAGES are those of the image, from the Makefile; this host has them, as its own tests need them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

for tool in qemu-system-x86_64 cpio modprobe bpftool; do
	command -v $tool >/dev/null || { echo "left out: there is no $tool here"; exit 0; }
done
[[ -n ${VM_SHORT_PACKAGES:-} ]] || { echo "left out: make test knows the image's packages"; exit 0; }
export ROOT=copied MODULES="veth sch_ingress cls_bpf"
VM_IMAGE=$(timeout 300 tests/vm/image.sh .build/vm/short $VM_SHORT_PACKAGES) || { echo "left out: no image can be made here"; exit 0; }
export VM_INIT=/tmbridge/tests/vm/init.sh VM_PROCESSORS=1 # systemd would take longer than the tests, and one job needs no second one
export VM_IMAGE VM_LIMIT_S=$((${LIMIT_S:-900} - SECONDS - 20)) # what the image has left of it
exec tests/vm/run.sh tests/vm/kernel.bats
