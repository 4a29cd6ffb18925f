# Offline, captures of all kinds, real and damaged: whatever can be read of them crosses untouched.

source "$BATS_TEST_DIRNAME/../lab.sh"

CAPTURES=${CAPTURES:-$LAB_ROOT/../shared/captures/malformed}
ASAN_OPTIONS=detect_leaks=0 # to look for them takes half of such a short run; golden.bats does

setup()
{
	cd "$BATS_TEST_TMPDIR"
	# An address for documentation (RFC 5737): the VIP occurs in none of the captures.
	cat >lb.ini <<-END
		[bridge]
		outside_mac = 02:00:00:00:00:01
		inside_mac = 02:00:00:00:00:02
		max_connections = 1000
		[farm pool]
		vip = 203.0.113.40
		ports = 5061
		check = none
		[server fe1]
		farm = pool
		address = 203.0.113.41
		mac = 02:00:00:00:00:41
	END
}

# Replays each, and notes what is to be compared: what can be read of it, and what crossed.
replay_all()
{
	local f name

	trap - DEBUG # by which bats follows each line: here it would take most of the time
	for f in "$CAPTURES"/*.pcap*; do
		name=${f##*/}
		"$TMBRIDGE" -r "$f" -w "$name.out,$name.in" -f lb.ini -s "$name.stats" 2>>err || echo "failed: $f"
		echo "$f $name.read" >>copy
		echo "$name.read $name.in" >>compare
	done
}

# On each side there are up to two gratuitous ARPs, 2 s apart, which are tmbridge's own: fewer where a capture's
# clock doesn't get that far.
@test "each capture crosses byte for byte, in order, with its times, and the statistics add up" {
	if [[ ! -d $CAPTURES ]]; then
		[[ ${CI:-} != true ]] || lab_die "no captures in $CAPTURES"
		skip "no captures in $CAPTURES"
	fi
	(replay_all) | tee failed
	[[ ! -s failed ]]
	"$TOOLS/natcheck" copy <copy
	xargs "$TOOLS/pcapcmp" -t -o 02:00:00:00:00:02 <compare >counts || {
		grep differ counts
		return 1
	}
	[[ $(wc -l <counts) -gt 400 ]]
	# Nothing goes back out but those frames of ARP: 24 bytes of head, and of each 16 of a record's and 42.
	[[ -z $(find . -name '*.out' ! -size 24c ! -size 82c ! -size 140c) ]]
	cat ./*.stats | stats_add_up
	[[ $(jq -s 'map(.reasons.not_ours // 0) | add' ./*.stats) = $(jq -s add counts) ]]
	[[ $(jq -s 'map(.reasons | keys) | add | unique | join(" ")' ./*.stats) = '"not_ours"' ]]
}

@test "that one frame is the gratuitous ARP" {
	"$TMBRIDGE" -r "$LAB_ROOT/pcaps/http/outside-in.pcap" -w out.pcap,in.pcap -f lb.ini
	for f in out.pcap=01 in.pcap=02; do
		[[ $(head -c 82 "${f%=*}" | tail -c 42 | od -An -v -tx1 | tr -d ' \n') = \
			ffffffffffff0200000000${f#*=}08060001080006040001"0200000000${f#*=}"cb007128000000000000cb007128 ]]
	done
}

# What is opened first would be taken for what is closed, and be sent messages and statistics.
@test "without standard descriptors nothing else gets what they would have" {
	local f=$LAB_ROOT/pcaps/bulk-gso/inside-in.pcap

	head -c -7 "$f" >damaged.pcap # as one message says
	"$TMBRIDGE" -r damaged.pcap,"$f" -w with1.pcap,with2.pcap -f lb.ini -s - >stats 2>err
	grep -q 'damaged at frame' err
	"$TMBRIDGE" -r damaged.pcap,"$f" -w without1.pcap,without2.pcap -f lb.ini -s - <&- >&- 2>&-
	cmp with1.pcap without1.pcap
	cmp with2.pcap without2.pcap
}
