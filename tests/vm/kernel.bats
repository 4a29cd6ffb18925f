# The kernel that users have, and what of it the kernel fast path takes.

source "$BATS_TEST_DIRNAME/../lab.sh"

PROGRAMS=$LAB_ROOT/.build/release/tests/vm
PIN=/sys/fs/bpf/kernel-bats

teardown()
{
	rm -rf "$PIN"
}

# bats test_tags=short
@test "it is Debian 12's own" {
	[[ $(uname -r) = 6.1.*-amd64 ]]
	grep -q 'Debian' /proc/version
}

# bats test_tags=short
@test "a sound program passes the verifier, is pinned, and is attached at tc ingress" {
	bpftool prog load "$PROGRAMS/sound.bpf.o" "$PIN" type classifier
	bpftool -j prog show pinned "$PIN" | jq -e '.type == "sched_cls" and .jited'
	bpftool -j map show name places | jq -e '[.. | .flags? // empty] | any(. >= 1024)' # BPF_F_MMAPABLE
	lab_ns probe off
	ip -n probe link add eth0 up type veth peer name eth1
	in_ns probe tc qdisc add dev eth0 clsact
	in_ns probe tc filter add dev eth0 ingress bpf direct-action object-pinned "$PIN"
	in_ns probe tc filter show dev eth0 ingress | seek 'direct-action.*jited'
	ip netns del probe
}

# bats test_tags=short
@test "an unsound one doesn't pass" {
	run bpftool prog load "$PROGRAMS/unsound.bpf.o" "$PIN" type classifier
	echo "$output"
	[[ $status != 0 && $output = *"invalid access to packet"* && ! -e $PIN ]]
}

passes() # OBJECT WITH...
{
	local object=$1

	shift
	mkdir "$PIN"
	"$@" bpftool prog loadall "$LAB_ROOT/.build/release/bridge/fastpath/$object.bpf.o" "$PIN" >"$LAB_DIR/verifier" 2>&1 ||
		{ tail -n 30 "$LAB_DIR/verifier" >&2; false; }
	[[ -n $(ls "$PIN") ]]
	rm -rf "$PIN"
}

# (make test has this file, in a machine of its own.)
@test "all of tmbridge's own pass it, for each mode" {
	for object in fastpath_any guard bouncer image; do
		passes "$object" env
	done
}

# By the capabilities that a process has left when it loads them.
@test "what filters' programs are made with passes it without CAP_PERFMON" {
	passes image setpriv --bounding-set -perfmon,-sys_admin --
}
