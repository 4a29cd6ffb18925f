# Odd but real TCP through the VIP, by real stacks: see tests/tools/talk.c.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up ipv6=off
}

teardown()
{
	local job

	for job in tmbridge server client watch-switch watch-segment; do
		[[ ! -e $LAB_DIR/$job.pid ]] || lab_kill $job
	done
	in_ns fe1 nft flush ruleset
}

# One server, with its steps.
serve() # SETTING... -- STEP...
{
	local settings=("fe2.state = disabled" "ports = 5061")

	while [[ $1 != -- ]]; do
		settings+=("$1")
		shift
	done
	lab_ini "${settings[@]}"
	tmbridge_start "$LAB_DIR/lb.ini"
	lab_spawn server fe1 "$TOOLS/talk" serve 5061 "${@:2}"
	wait_until 20 server_listens fe1 5061
}

client_starts() # STEP...
{
	lab_spawn client client "$TOOLS/talk" connect "$VIP" 5061 "$@"
}

# Both have done all their steps.
both_end_well()
{
	[[ $(lab_wait client 60) = 0 ]] || lab_die "client: $(<"$LAB_DIR/client.err")"
	[[ ! -s $LAB_DIR/server.err ]] || lab_die "server: $(<"$LAB_DIR/server.err")"
}

# Captures on both sides what passes between tmbridge and the hosts.
watch()
{
	local side

	for side in switch segment; do
		lab_spawn "watch-$side" "$side" tcpdump -U --immediate-mode -i tmb -s 200 -w "$LAB_DIR/$side.pcap" tcp port 5061 or udp port 9
		wait_until 20 grep -q listening "$LAB_DIR/watch-$side.err"
	done
}

# Prints these fields of all that passed on the side, in order.
seen() # switch|segment FILTER FIELD...
{
	if [[ ! -s $LAB_DIR/watch-$1.status ]]; then
		wait_until 10 is_all_captured "$LAB_DIR/$1.pcap" client 10.0.0.41
		lab_signal "watch-$1" TERM
		lab_wait "watch-$1" 5 >/dev/null
	fi
	tshark -r "$LAB_DIR/$1.pcap" -Y "$2" -T fields "${@:3}" 2>/dev/null
}

# The fields were the same on both sides, and there were some.
same_on_both() # FILTER FIELD...
{
	seen switch "$@" | sort >"$LAB_DIR/outside"
	seen segment "$@" | sort >"$LAB_DIR/inside"
	[[ -s $LAB_DIR/outside ]] && cmp "$LAB_DIR/outside" "$LAB_DIR/inside"
}

# Behind a step at which it stopped.
goes_on() # NAME
{
	wait_until 5 grep -q '^State:.T' "/proc/$(<"$LAB_DIR/$1.pid")/status"
	lab_signal "$1" CONT
}

flows() # JQ-EXPRESSION
{
	tmbridge_stats | jq -e ".flows | $1"
}

# bats test_tags=plain
@test "half-closed, one end goes on far beyond the idle timeout" {
	serve 'idle_timeout = 8s' -- recv:10 eof send:1000 pause:4000 send:1000 pause:4000 send:1000 pause:4000 send:1000 pause:4000 send:1000
	client_starts send:10 fin recv:5000 eof
	both_end_well
	flows '.created == 1 and .closed == 1 and .idle_expired == 0'
	tmbridge_stop
}

# bats test_tags=plain
@test "TCP keep-alives hold a flow that says nothing else; without them it is reset" {
	serve 'idle_timeout = 3s' -- recv:10 pause:8000 send:10 eof
	client_starts keepalive:1 send:10 recv:10 fin eof
	both_end_well
	flows '.closed == 1 and .idle_expired == 0'
	client_starts send:10 pause:4500 reset
	[[ $(lab_wait client 10) = 0 ]]
	flows '.idle_expired == 1'
	tmbridge_stop
}

# bats test_tags=plain
@test "a zero window for longer than the idle timeout" {
	serve 'idle_timeout = 5s' -- rcvbuf:4096 pause:9000 recv:2000000 send:10
	watch
	client_starts send:2000000 recv:10
	both_end_well
	[[ $(seen segment 'tcp.window_size_value == 0 and tcp.flags.reset == 0' -e frame.number | wc -l) -ge 3 ]]
	flows '.idle_expired == 0'
	tmbridge_stop
}

@test "timestamps, SACK, window scale and MSS are the ends' own affair" {
	serve -- recv:100000 send:100000 eof
	watch
	client_starts send:100000 recv:100000 fin eof
	both_end_well
	same_on_both 'tcp.options.timestamp.tsval' -e tcp.options -e tcp.seq_raw -e tcp.len
	same_on_both 'tcp.flags.syn == 1 and tcp.options.sack_perm and tcp.options.wscale.shift' -e tcp.options.mss_val
	tmbridge_stop
}

@test "ECN is negotiated, ECT is kept, and so is a mark, which the server echoes" {
	lab_sysctl client net.ipv4.tcp_ecn=1
	lab_sysctl fe1 net.ipv4.tcp_ecn=1
	in_ns client nft -f - <<-END
		table ip marks {
			chain out {
				type filter hook output priority 0;
				tcp dport 5061 ip ecn ect0 ip ecn set ce
			}
		}
	END
	serve -- recv:50000 send:50000 eof
	watch
	client_starts send:50000 recv:50000 fin eof
	both_end_well
	in_ns client nft flush ruleset
	[[ $(seen segment 'tcp.flags.syn == 1' -e tcp.flags.ece -e tcp.flags.cwr | tr '\t\n' ' ,') = "1 1,1 0," ]]
	[[ -n $(seen segment 'ip.src == 10.0.0.40 and ip.dsfield.ecn == 3' -e frame.number) ]]
	[[ -n $(seen switch 'ip.src == 10.0.0.40 and ip.dsfield.ecn == 2' -e frame.number) ]]
	[[ -n $(seen switch 'ip.src == 10.0.0.40 and tcp.flags.syn == 0 and tcp.flags.ece == 1' -e frame.number) ]]
	same_on_both tcp -e tcp.seq_raw -e tcp.len -e ip.dsfield.ecn -e tcp.flags
	tmbridge_stop
}

@test "DSCP both ways" {
	serve -- tos:184 recv:10 send:10 eof
	watch
	client_starts tos:104 send:10 recv:10 fin eof
	both_end_well
	[[ $(seen segment 'ip.src == 10.0.0.40' -e ip.dsfield.dscp | sort -u) = 26 ]]
	[[ $(seen switch 'ip.src == 10.0.0.40 and tcp.len > 0' -e ip.dsfield.dscp | sort -u) = 46 ]]
	tmbridge_stop
}

@test "urgent data both ways" {
	serve -- urgent oob eof
	client_starts oob urgent fin eof
	both_end_well
	tmbridge_stop
}

@test "IP options of a client: record route" {
	serve -- recv:10 send:10 eof
	watch
	client_starts ipopt:01070f04000000000000000000000000 send:10 recv:10 fin eof
	both_end_well
	[[ $(seen segment 'ip.src == 10.0.0.40' -e ip.hdr_len | sort -u) = 36 ]]
	same_on_both 'ip.opt.type' -e tcp.seq_raw -e ip.rec_rt -e ip.cur_rt
	tmbridge_stop
}

@test "a reset by either end reaches the other one; the counts have it at once, the log in the end" {
	local begun=$SECONDS

	serve "connlog = $LAB_DIR/conn.log" -- recv:10 reset
	client_starts send:10 pause:500 rst
	both_end_well
	lab_kill server
	lab_spawn server fe1 "$TOOLS/talk" serve 5061 recv:10 rst
	wait_until 20 server_listens fe1 5061
	client_starts send:10 reset
	both_end_well
	tmbridge_stats | jq -e '.flows.open == 0 and .flows.closed == 2 and .flows.reset == 2 and
		([.farms[0].servers[].connections] | add) == 0'
	[[ ! -s $LAB_DIR/conn.log ]] || ((SECONDS - begun >= 10)) # for which they rest
	tmbridge_stop
	jq -es 'length == 2 and all(.[]; .why == "rst")' "$LAB_DIR/conn.log"
}

# bats test_tags=plain
@test "a forged reset that the server doesn't get: the flow goes on, and is logged once" {
	in_ns fe1 nft -f - <<-END
		table ip deaf {
			chain in {
				type filter hook input priority 0;
				tcp dport 5061 tcp flags & rst != 0 drop
			}
		}
	END
	serve "connlog = $LAB_DIR/forged.log" -- recv:10 recv:10 send:10 recv:10 send:10 eof
	client_starts send:10 pause:500 forge stop send:10 recv:10 stop send:10 recv:10 fin eof
	wait_until 5 flows '.open == 0 and .reset == 1 and .closed == 1'
	goes_on client
	wait_until 5 flows '.open == 1 and .reset == 0 and .closed == 0 and .revived == 1'
	tmbridge_stats | jq -e '([.farms[0].servers[].connections] | add) == 1'
	sleep 11 # longer than one that has ended rests
	goes_on client
	both_end_well
	flows '.closed == 1 and .created == 1'
	tmbridge_stop
	jq -es 'length == 1 and .[0].why == "fin"' "$LAB_DIR/forged.log"
}
