# What the kernel has put off for a frame, and the header that goes with it can't say: merged frames in tunnels, other sums than
# TCP's and UDP's, lengths that only a bridge allows.

source "$BATS_TEST_DIRNAME/../lab.sh"

# Outside is a virtual machine: see tests/tools/merged.c.
setup_file()
{
	lab_up
	ip -n tmb link del eth0
	mkfifo "$LAB_DIR/frames"
	lab_spawn machine tmb bash -c "exec '$TOOLS/merged' eth0 <>'$LAB_DIR/frames'"
	wait_until 5 grep -q ready "$LAB_DIR/machine.out"
	server_tcp fe1 5061
	server_tcp fe2 5061
	lab_ini 'ports = 5061'
	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 10 grep -q 'balancing$' "$LAB_DIR/tmbridge.err"
}

# What comes inside of the machine's frames is captured, of a whole test in one file: tshark takes longer to start than all the rest.
setup()
{
	: >"$LAB_DIR/sends"
	: >"$LAB_DIR/merged"
	lab_spawn watch segment tcpdump -U --immediate-mode -B 65536 -s 2000 -i tmb -Q in -w "$LAB_DIR/watch.pcap" ether src 02:02:02:02:02:ab
	wait_until 20 grep -q listening "$LAB_DIR/watch.err"
}

teardown()
{
	lab_kill watch
}

teardown_file()
{
	tmbridge_stats | stats_add_up
	tmbridge_stop
	lab_kill_all
}

captured()
{
	tcpdump -r "$LAB_DIR/watch.pcap" --count 2>/dev/null | cut -d' ' -f1
}

# So much has been captured, and nothing more for a while.
has_settled() # FRAMES
{
	local now

	now=$(captured)
	((${now:-0} >= $1)) || return 1
	sleep 0.1
	[[ $(captured) = "$now" ]]
}

# Has the machine send a frame, and waits for the FRAMES (1) that come of it.
send() # HEADER... L4 PAYLOAD SEGMENT
{
	local all=$(($(captured) + ${FRAMES:-1}))

	echo "$EPOCHREALTIME" >>"$LAB_DIR/sends"
	: >"$LAB_DIR/machine.out"
	echo "$@" >"$LAB_DIR/frames"
	wait_until 5 grep -q sent "$LAB_DIR/machine.out"
	wait_until 5 has_settled "$all"
}

# Behind the number of the send, from 1.
FIELDS=(frame.len tcp.len tcp.seq_raw tcp.flags tcp.checksum.status ip.checksum.status udp.checksum.status ip.id _ws.malformed
	ip.len udp.length sctp.checksum.status)

# Writes to $LAB_DIR/came, of each frame that came, of which send it was, and these fields, those of several headers separated by commas.
dissect()
{
	lab_signal watch TERM
	lab_wait watch 5 >/dev/null
	tshark -r "$LAB_DIR/watch.pcap" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE \
		-o "sctp.checksum:CRC 32c" -T fields -e frame.time_epoch "${FIELDS[@]/#/-e}" 2>/dev/null |
		awk -F '\t' -v OFS='\t' 'NR == FNR { from[NR] = $1; n = NR; next }
			{ for (i = n; i > 1 && $1 < from[i]; i--); $1 = i; print }' "$LAB_DIR/sends" - >"$LAB_DIR/came"
}

# These fields of what came of a send.
came() # SEND FIELD...
{
	awk -F '\t' -v send="$1" -v all="${FIELDS[*]}" -v fields="${*:2}" '
		BEGIN { n = split(all, names, " "); for (i = 1; i <= n; i++) at[names[i]] = i + 1; n = split(fields, wanted, " ") }
		$1 == send { for (i = 1; i <= n; i++) printf "%s%s", $at[wanted[i]], i < n ? "\t" : "\n" }' "$LAB_DIR/came"
}

# Sends a merged TCP frame.
merged() # PAYLOAD SEGMENT HEADER...
{
	FRAMES=$((($1 + $2 - 1) / $2)) send "${@:3}" tcp "$1" "$2"
	echo "$(wc -l <"$LAB_DIR/sends") $1 $2" >>"$LAB_DIR/merged"
}

# Each of those has come as segments, each whole and with right sums, numbered on, none longer than the MTU allows. CWR is with
# the first one only, PSH and FIN with the last.
all_came_in_segments()
{
	dissect
	awk -F '[\t]' '
		function wrong(what) { print "send " $1 ", segment " n[$1] ": " what; bad = 1 }
		NR == FNR { split($0, sent, " "); payload[sent[1]] = sent[2]; size[sent[1]] = sent[3]; next }
		{
			i = ++n[$1]
			last = int((payload[$1] + size[$1] - 1) / size[$1])
			if ($2 > 1518) wrong("too long")
			if (i < last && $3 != size[$1]) wrong("its length")
			if (i > 1 && ($4 - before + 2 ^ 32) % 2 ^ 32 != size[$1]) wrong("its number")
			if ($5 != (i == 1 ? "0x0090" : i == last ? "0x0019" : "0x0010")) wrong("its flags")
			if ($6 != 1) wrong("its TCP sum")
			if ($7 ~ /0/) wrong("an IP sum")
			if ($8 ~ /0/) wrong("a UDP sum")
			if ($9 != "" && ($1, $9) in ids) wrong("its ID, again")
			if ($10 != "") wrong("malformed")
			before = $4
			sum[$1] += $3
			ids[$1, $9]
		}
		END {
			for (s in payload) {
				last = int((payload[s] + size[s] - 1) / size[s])
				if (n[s] != last || sum[s] != payload[s]) { print "send " s ": " n[s] " of " last ", " sum[s] " bytes"; bad = 1 }
			}
			exit bad
		}' "$LAB_DIR/merged" "$LAB_DIR/came"
}

@test "TCP merged in IPIP, 6in4, 4in6 and 6in6" {
	merged 50000 1400 ipv4 ipv4
	merged 50000 1400 ipv4 ipv6
	merged 50001 1300 ipv6 ipv4
	merged 2801 1400 ipv6 ipv6
	all_came_in_segments
}

@test "TCP merged in GRE, with a key, with a sum, and bridged" {
	merged 50000 1400 ipv4 gre ipv4
	merged 50000 1300 ipv6 gre-key ipv6
	merged 9001 1400 ipv4 gre-sum ipv4
	merged 50000 1400 ipv4 gretap ipv4
	merged 50000 1350 ipv4 gretap tag ipv6
	all_came_in_segments
}

@test "TCP merged in VXLAN, without and with a sum, on either IP" {
	merged 50000 1400 ipv4 vxlan ipv4
	merged 50000 1400 ipv4 vxlan-sum ipv4
	merged 50000 1300 ipv6 vxlan-sum ipv6
	merged 5000 1300 ipv6 vxlan ipv4
	all_came_in_segments
}

@test "TCP merged behind MPLS labels and PPPoE, two tunnels, in a VLAN" {
	merged 50000 1400 mpls ipv4
	merged 50000 1400 pppoe ipv4
	merged 50000 1400 pppoe ipv6
	merged 50000 1300 tag ipv4 gre ipv4 ipv6
	merged 9000 1400 tag ipv4 vxlan tag ipv4
	all_came_in_segments
}

# Segments from the smallest to one that fills a frame.
@test "sizes: a segment that is all, one byte over, many small ones" {
	merged 1401 700 ipv4 ipv4
	merged 1400 700 ipv4 ipv4
	merged 60000 8 ipv4 ipv4
	merged 65000 1440 ipv4 ipv4
	all_came_in_segments
}

# Where there is no tunnel, what was merged stays merged: that is what makes bulk fast.
@test "TCP and UDP that aren't in a tunnel pass in one piece" {
	send ipv4 tcp 50000 1400
	send tag ipv6 tcp 50000 1400
	send ipv4 udp 50000 1400
	dissect
	[[ $(came 1 ip.len) = 50040 ]]
	[[ $(came 2 tcp.len) = 50000 ]]
	[[ $(came 3 udp.length | awk '{ n += $1 - 8 } END { print n }') = 50000 ]]
}

# tmbridge completes such sums, as a network card would look for them in the first IP header.
@test "sums that are put off within tunnels, and SCTP's" {
	local send

	for tunnel in "ipv4 ipv4" "ipv6 gre ipv4" "ipv4 vxlan ipv6" mpls\ ipv4; do
		send $tunnel tcp 1000 0
		send $tunnel udp 1001 0
	done
	for outside in ipv4 ipv6 "tag ipv4" "ipv4 ipv4"; do
		send $outside sctp 1000 0
	done
	dissect
	cat "$LAB_DIR/came"
	for send in 1 3 5 7; do
		[[ $(came $send tcp.checksum.status) = 1 ]]
	done
	for send in 2 4 6 8; do
		[[ $(came $send udp.checksum.status) = *1 ]]
	done
	for send in 9 10 11 12; do
		[[ $(came $send sctp.checksum.status) = 1 ]]
	done
}
