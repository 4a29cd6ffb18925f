#!/bin/bash
#
# Makes the virtual machine's image and prints its directory: tests/vm/image.sh DIRECTORY PACKAGE...
#
# DIRECTORY/KEY holds vmlinuz, root.cpio (the whole root, an initramfs) and versions. The kernel is Debian
# 12's own, unpacked for a few modules of it; the root is made of the packages and what they depend on, unpacked anew; or, with
# ROOT=copied, of the files that this host has of them, which takes a fifth of the time. KEY stands for this script, the modules and
# the packages' versions, so an image is made once for each.
set -euo pipefail

# Those that a test may want; what these depend on comes along.
MODULES=${MODULES:-"veth bridge 8021q bonding team team_mode_activebackup team_mode_loadbalance dummy macvlan ifb tun vxlan
	sch_netem sch_ingress sch_fq sch_fq_codel sch_tbf cls_bpf cls_matchall cls_u32 cls_flower act_bpf act_mirred act_vlan
	af_packet_diag inet_diag tcp_diag udp_diag nf_tables nf_conntrack nft_chain_nat nft_ct nft_masq nft_nat
	br_netfilter tls"}
ROOT=${ROOT:-unpacked}

# What nobody reads in there.
LEFT_OUT="man doc locale i18n info zoneinfo bash-completion"

# The package that linux-image-amd64 stands for.
kernel_package()
{
	apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p'
}

# "PACKAGE VERSION" of each, as apt would install it.
versions() # PACKAGE...
{
	apt-cache policy "$@" | awk '/^[^ ]/ { name = $1 } /^ *Candidate:/ { print name, $2 }'
}

# "PACKAGE VERSION" of those, and of what of their dependencies this host has.
installed() # PACKAGE...
{
	apt-cache depends --installed --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
		--no-enhances "$@" | grep '^[a-z0-9]' |
		{ xargs dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' 2>/dev/null || true; } | # what is named may not be there
		sed -n 's/^ii *//p' | sort -u
}

# What the root will be made of.
root_versions() # PACKAGE...
{
	if [[ $ROOT = copied ]]; then
		installed "$@"
	else
		versions "$@"
	fi
}

# Without what is nine tenths of it: file systems, and drivers of other things than networks.
unpack_kernel() # PACKAGE DIRECTORY
{
	local release=${1#linux-image-} parts

	mkdir "$2/deb" "$2/kernel"
	(cd "$2/deb" && apt-get -qq -o APT::Sandbox::User=root download "$1")
	mapfile -t parts < <(printf "./lib/modules/$release/kernel/%s\n" net drivers/net lib crypto arch)
	dpkg-deb --fsys-tarfile "$2"/deb/*.deb |
		tar -x -C "$2/kernel" --wildcards "./boot/vmlinuz-$release" "./lib/modules/$release/modules.*" "${parts[@]}"
	depmod -b "$2/kernel" "$release"
}

add_modules() # KERNEL-PACKAGE DIRECTORY
{
	local release=${1#linux-image-}
	local modules=lib/modules/$release

	(
		cd "$2/kernel"
		for module in $MODULES; do
			modprobe -d "$PWD" -S "$release" --show-depends "$module" | awk '/^insmod/ { print $2 }' | sed "s|^$PWD/||"
		done | sort -u | xargs cp --parents -t "$2/root" $modules/modules.{builtin,builtin.modinfo,order}
	)
	depmod -b "$2/root" "$release"
	mv "$2/kernel/boot/vmlinuz-$release" "$2/vmlinuz"
	rm -rf "$2/deb" "$2/kernel"
}

# From the mirrors that the host's own packages come from.
unpack_root() # DIRECTORY PACKAGE...
{
	local sources options=()

	mapfile -t sources < <(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian')
	for name in $LEFT_OUT; do
		options+=(--dpkgopt="path-exclude=/usr/share/$name/*")
	done
	mmdebstrap --quiet --variant=essential --include="$(IFS=,; echo "${*:2}")" "${options[@]}" --dpkgopt=force-unsafe-io \
		--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
		bookworm "$1/root" "${sources[@]}"
}

# The files of packages that are there, from the root of the file system on, without what nobody reads; and no directories.
installed_files() # PACKAGE...
{
	local file

	installed "$@" | cut -d' ' -f1 | xargs dpkg -L | sed -nE 's|^/((bin\|sbin\|lib[0-9]*)/)|/usr/\1|; s|^/||p' |
		grep -vE "^usr/share/(${LEFT_OUT// /|})/" | sort -u | while IFS= read -r file; do
		[[ ! -e /$file || -d /$file ]] || echo "$file"
	done
}

copy_root() # DIRECTORY PACKAGE...
{
	local root=$1/root name

	mkdir -p "$root"/{dev,etc,proc,root,run,sys,tmp,usr/{bin,sbin,lib,lib64}}
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$root/$name"
	done
	installed_files "${@:2}" | (cd / && cpio -p -d --quiet "$root")
	cp -a /etc/{passwd,group,nsswitch.conf,alternatives} "$root/etc"
}

pack() # DIRECTORY
{
	(cd "$1/root" && find . -xdev | cpio -o -H newc --quiet) >"$1/root.cpio"
	rm -rf "$1/root"
}

declare -A ROOT_MAKERS=([unpacked]=unpack_root [copied]=copy_root)

make_image() # DIRECTORY KERNEL-PACKAGE PACKAGE...
{
	unpack_kernel "$2" "$1" &
	"${ROOT_MAKERS[$ROOT]}" "$1" "${@:3}"
	wait $! # and fail if that has failed
	add_modules "$2" "$1"
	echo 7b1d0000000000000000000000000040 >"$1/root/etc/machine-id" # else systemd takes each boot for the first
	echo tmbridge-vm >"$1/root/etc/hostname"
	pack "$1"
}

main() # DIRECTORY PACKAGE...
{
	local kernel key image

	[[ -n $(kernel_package) ]] || apt-get -qq update
	kernel=$(kernel_package)
	[[ -n $kernel ]] || { echo "tests/vm/image.sh: apt knows no linux-image-amd64" >&2; return 1; }
	key=$({ cat "$0"; echo "$ROOT" $MODULES; versions "$kernel"; root_versions "${@:2}"; } | sha256sum | cut -c 1-16)
	image=$1/$key
	if [[ ! -e $image ]]; then
		rm -rf "${1:?}"/* # older ones
		mkdir -p "$image.new"
		chmod 755 "$image.new"
		echo "making the virtual machine's image, once: $kernel" >&2
		make_image "$(realpath "$image.new")" "$kernel" "${@:2}" >&2
		{ versions "$kernel"; root_versions "${@:2}"; } >"$image.new/versions"
		mv "$image.new" "$image"
	fi
	echo "$image"
}

main "$@"
