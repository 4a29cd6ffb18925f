# A process that ends, or is killed, and another one that goes on with its connections: of IPv4, IPv6 and in a VLAN.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up
	lab_host vclient switch 50
	lab_host vserver segment 43
	lab_tag vclient 0x8100:7
	lab_tag vserver 0x8100:7
	for server in fe1 fe2 vserver; do
		lab_spawn "talks-$server" $server "$TOOLS/talks" serve 5061
		wait_until 20 server_listens $server 5061
	done
}

teardown()
{
	for job in tmbridge client6 client4 clientv; do
		[[ ! -e $LAB_DIR/$job.pid ]] || lab_kill $job
	done
	in_ns tmb "$TMBRIDGE" wire release eth0 eth1 2>/dev/null || true
}

# Three farms, with SERVERS of the first one, and settings for [bridge].
ini() # SERVERS [SETTING...]
{
	local server

	{
		printf '[bridge]\nfast_path = kernel\non_exit = keep\n'
		[[ $* = *max_connections* ]] || echo 'max_connections = 10000'
		[[ -z $WORKERS || $* = *workers* ]] || echo "workers = $WORKERS"
		printf '%s\n' "${@:2}"
		printf '[farm four]\nvip = 10.0.0.40\nports = 5061\n'
		for server in $1; do
			printf '[server four-%s]\nfarm = four\naddress = 10.0.0.4%s\n' "$server" "${server#fe}"
		done
		printf '[farm six]\nvip = fd00::40\nports = 5061\n[server six-fe1]\nfarm = six\naddress = fd00::41\n'
		printf '[farm tagged]\nvip = 10.0.0.60\nvlan = 7\nports = 5061\n[server tagged]\nfarm = tagged\naddress = 10.0.0.43\n'
	} >"$LAB_DIR/lb.ini"
}

start()
{
	tmbridge_start "$LAB_DIR/lb.ini"
}

# Connections over which questions and answers go on. A thousandth of the bytes come in long ones.
talks_begin() # [CONNECTIONS-OF-EACH]
{
	lab_spawn client4 client "$TOOLS/talks" connect 10.0.0.40 5061 "${1:-80}" 20000 10
	lab_spawn client6 client "$TOOLS/talks" connect fd00::40 5061 "${1:-60}" 20000 10
	lab_spawn clientv vclient "$TOOLS/talks" connect 10.0.0.60 5061 "${1:-60}" 20000 10
	talks_are_open
}

# The same, and as many past tmbridge's process, by the same clients and servers.
talks_begin_beside() # CONNECTIONS-OF-EACH
{
	lab_spawn client4 client "$TOOLS/talks" connect 10.0.0.40 5061 "$1" 20000 10 10.0.0.41 10.0.0.42
	lab_spawn client6 client "$TOOLS/talks" connect fd00::40 5061 "$1" 20000 10 fd00::41
	lab_spawn clientv vclient "$TOOLS/talks" connect 10.0.0.60 5061 "$1" 20000 10 10.0.0.43
	talks_are_open
}

talks_are_open()
{
	for job in client4 client6 clientv; do
		wait_until 10 grep -q open "$LAB_DIR/$job.out"
	done
}

# None was lost, and none stood still for longer than the kernel needs, of which there are retransmissions, too; nor than
# so much longer than those beside them.
talks_end() # [LONGER-MS]
{
	for job in client4 client6 clientv; do
		lab_signal $job TERM
	done
	for job in client4 client6 clientv; do
		[[ $(lab_wait $job 20) = 0 ]] || { cat "$LAB_DIR/$job".{out,err} "$LAB_DIR/tmbridge.err" >&2; false; }
		tail -1 "$LAB_DIR/$job.out" | jq -e ".lost == 0 and .rounds > .connections and .longest_ms <= .beside_ms + ${1:-$((3000 * LAB_PATIENCE))}" >/dev/null ||
			{ cat "$LAB_DIR/$job".{out,err} >&2 && false; }
	done
}

# The process's log says what became of them.
adopted() # CONNECTIONS
{
	grep -q "^tmbridge: $1 connections of an earlier process go on\$" "$LAB_DIR/tmbridge.err" ||
		{ cat "$LAB_DIR/tmbridge.err" >&2; false; }
}

rounds_go_on()
{
	local n

	n=$(tmbridge_stats | jq .fast_path.forwarded)
	wait_until 5 eval "tmbridge_stats | jq -e '.fast_path.forwarded > $n + 200'"
}

# Another number of workers counts when no connection is open: those there are, are each some worker's.
restart_again_and_again() # WORKERS [WORKERS-LATER]
{
	ini 'fe1 fe2' "workers = $1"
	start
	talks_begin
	tmbridge_stop
	start
	adopted 200
	rounds_go_on
	lab_kill tmbridge
	ini 'fe1 fe2' "workers = ${2:-$1}"
	start
	adopted 200
	[[ ${2:-$1} = "$1" ]] || seek "workers: stays $1 until a start that finds no open connection" "$LAB_DIR/tmbridge.err"
	tmbridge_counts .workers.running "$1"
	# what begins now gets other ports than those that are taken
	lab_spawn new client "$TOOLS/talks" connect 10.0.0.40 5061 20 2000 10
	wait_until 5 tmbridge_counts .flows.open 220
	rounds_go_on
	lab_signal new TERM
	[[ $(lab_wait new 10) = 0 ]]
	talks_end
	wait_until 5 tmbridge_counts .flows.open 0
	tmbridge_stats >"$LAB_DIR/s"
	stats_add_up <"$LAB_DIR/s"
	# whoever's they are, segments cross in the kernel
	jq -e '.fast_path | .forwarded > 10 * .punted' "$LAB_DIR/s"
	tmbridge_stop
	[[ ${2:-$1} = "$1" ]] || {
		start
		tmbridge_counts .workers.running "$2"
		tmbridge_stop
	}
}

# bats test_tags=plain
@test "SIGTERM, kill -9, and nobody's connection notices" {
	restart_again_and_again 1 3
}

@test "the same with three workers" {
	restart_again_and_again 3 1
}

promiscuities()
{
	ip -n tmb -d -j link show | jq -c '[.[] | select(.ifname == "eth0" or .ifname == "eth1") | .promiscuity]'
}

# A file system of BPF has no names with dots, which those of VLANs have.
@test "interfaces by other names than those of the process before: connections go on, and all is set back by either" {
	ini 'fe1 fe2'
	start
	talks_begin 20
	lab_kill tmbridge
	ip -n tmb link property add dev eth0 altname wan.0
	lab_spawn tmbridge tmb "$TMBRIDGE" wan.0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 40 tmbridge_is_up
	adopted 60
	rounds_go_on
	tmbridge_stop
	start
	adopted 60
	talks_end
	lab_kill tmbridge
	in_ns tmb "$TMBRIDGE" wire release wan.0 eth1
	[[ -z $(ls /sys/fs/bpf/tmbridge) && $(promiscuities) = '[0,0]' ]]
	ip -n tmb link property del dev eth0 altname wan.0
}

# In place of eth0 or eth1.
put_in() # INTERFACE MAC BRIDGE
{
	lab_cable tmb "$1" "$2" "$3" tmb
	ip -n "$3" link set tmb master br0
}

# In place of both, and of whoever lived on them.
made_anew() # OUTSIDE MAC INSIDE MAC
{
	local name

	for name in $(ip -n tmb -j link show type veth | jq -r '.[] | select(.ifname | startswith("tmb") | not).ifname'); do
		ip -n tmb link del "$name"
	done
	put_in "$1" "$2" switch
	put_in "$3" "$4" segment
}

# Whoever asks what was left of eth0 and eth1.
is_of_others()
{
	run in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ $status = 1 && $output = *'tmbridge/wan-lan was left of interfaces that are gone'* && $(ls /sys/fs/bpf/tmbridge) = wan-lan ]]
}

# Programs of tmbridge's are there, as it was killed.
guarded() # INTERFACE...
{
	local name

	for name; do
		in_ns tmb tc filter show dev "$name" ingress | seek guard
	done
}

punt_pairs() # HOW-MANY
{
	[[ $(ip -n tmb -j link show type veth | jq '[.[] | select(.ifname | startswith("tmbo"))] | length') = "$1" ]]
}

start_otherwise() # OUTSIDE INSIDE
{
	lab_spawn tmbridge tmb "$TMBRIDGE" "$1" "$2" -f "$LAB_DIR/lb.ini"
	wait_until 20 tmbridge_is_up
}

is_index_of() # NETWORK-NAMESPACE INTERFACE
{
	ip -n "$1" -j link show "$2" | jq '.[0].ifindex'
}

# The BPF file system is one for all network namespaces, where interfaces may be the same by number and MAC address.
# bats test_tags=plain
@test "a tmbridge that lives in another network namespace keeps what is its, whether interfaces here are the same or have the same names" {
	local port

	ini fe1
	start
	lab_ns twin off
	for port in 'wan eth0 02:00:00:00:00:01' 'lan eth1 02:00:00:00:00:02'; do
		set -- $port
		ip -n twin link add index "$(is_index_of tmb "$2")" name "$1" address "$3" up type veth peer name "far-$1" index "9$(is_index_of tmb "$2")"
		ip -n twin link set "far-$1" up
	done
	lab_spawn twin twin "$TMBRIDGE" wan lan -f "$LAB_DIR/lb.ini"
	wait_until 20 grep -q 'balancing$' "$LAB_DIR/twin.err"
	seek 'tmbridge/eth0-eth1 is of a tmbridge that runs, in another network namespace' "$LAB_DIR/twin.err"
	[[ $(ls /sys/fs/bpf/tmbridge | paste -sd' ') = 'eth0-eth1 wan-lan' ]]
	lab_spawn new client "$TOOLS/talks" connect 10.0.0.40 5061 4 2000 10
	wait_until 5 grep -q open "$LAB_DIR/new.out"
	lab_signal new TERM
	[[ $(lab_wait new 10) = 0 ]]
	lab_kill twin
	in_ns twin "$TMBRIDGE" wire release wan lan
	# nor does who lives there hinder a release here of what has no maps
	sed 's/^fast_path = .*/fast_path = off/' "$LAB_DIR/lb.ini" >"$LAB_DIR/off.ini"
	lab_spawn twin twin "$TMBRIDGE" wan lan -f "$LAB_DIR/off.ini"
	wait_until 20 grep -q 'balancing$' "$LAB_DIR/twin.err"
	lab_kill twin
	in_ns twin "$TMBRIDGE" wire release wan lan
	# others by the same names
	ip -n twin link add eth0 up type veth peer name eth1
	ip -n twin link set eth1 up
	run in_ns twin timeout 60 "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini"
	[[ $status = 1 && $output = *"tmbridge/eth0-eth1 is of a tmbridge that runs, in another network namespace: it takes a BPF file system each"* ]]
	never in_ns twin "$TMBRIDGE" wire release eth0 eth1
	ip netns del twin
	[[ $(ls /sys/fs/bpf/tmbridge) = eth0-eth1 ]]
	tmbridge_stop
}

# MAC addresses tell whose it was, and if these are others nothing does: connections are lost, but nothing stays for ever.
# bats test_tags=plain
@test "both interfaces made anew, and called otherwise: what was left is taken up if the MAC addresses are the same, else removed by the names of before" {
	ini fe1
	start
	talks_begin 10
	lab_kill tmbridge
	made_anew wan 02:00:00:00:00:01 lan 02:00:00:00:00:02
	start_otherwise wan lan
	adopted 30
	talks_end 10000
	lab_kill tmbridge
	[[ $(ls /sys/fs/bpf/tmbridge) = wan-lan ]]
	punt_pairs 1
	# a part of it, or the other way round, takes nothing away
	for names in wan lan 'lan wan' 'wan eth9'; do
		never in_ns tmb "$TMBRIDGE" wire release $names
	done
	guarded wan lan
	# MAC addresses that are the other way round don't tell it; nor do those that others have, too, as VLANs have theirs in common; nor
	# if there is an interface by a name of then; nor does anybody take it for his who has no such interfaces
	made_anew eth0 02:00:00:00:00:02 eth1 02:00:00:00:00:01
	never in_ns client "$TMBRIDGE" wire release wan lan
	wait_until 5 is_of_others # at first it might be of one that lives
	ip -n tmb link set eth0 address 02:00:00:00:00:01
	ip -n tmb link set eth1 address 02:00:00:00:00:02
	ip -n tmb link add eth7 address 02:00:00:00:00:01 type veth peer name eth8
	is_of_others
	ip -n tmb link set eth7 address 02:00:00:00:00:07
	ip -n tmb link set eth8 name lan
	is_of_others
	ip -n tmb link del eth7
	in_ns tmb "$TMBRIDGE" wire release wan lan
	[[ -z $(ls /sys/fs/bpf/tmbridge) ]]
	punt_pairs 0
	never in_ns tmb "$TMBRIDGE" wire release wan lan
	start
	lab_kill tmbridge
	# of an interface that was made anew nothing stays either
	ip -n tmb link del eth0
	put_in wan 02:00:00:00:00:01 switch
	start_otherwise wan eth1
	punt_pairs 1
	lab_kill tmbridge
	ip -n tmb link del wan
	in_ns tmb "$TMBRIDGE" wire release wan eth1 # one of them is gone
	[[ -z $(ls /sys/fs/bpf/tmbridge) && $(ip -n tmb -d -j link show eth1 | jq '.[0].promiscuity') = 0 ]]
	punt_pairs 0
	ip -n tmb link del eth1
	put_in eth0 02:00:00:00:00:01 switch
	put_in eth1 02:00:00:00:00:02 segment
}

@test "rules change meanwhile: what fits them goes on, the rest is reset" {
	ini 'fe1 fe2' 'workers = 1' # so that each server has the half
	start
	talks_begin
	tmbridge_stop
	ini fe2 'workers = 2' 'max_connections = 20000' # fe1 is gone, and fe2 has its number
	start
	grep -q 'workers: stays 1 until a start that finds no open connection' "$LAB_DIR/tmbridge.err"
	grep -q 'max_connections: stays 10000 until' "$LAB_DIR/tmbridge.err"
	adopted 160
	grep -q '^tmbridge: 40 connections no longer fit the rules: they are reset' "$LAB_DIR/tmbridge.err"
	wait_until 5 eval "[[ \$(grep -c reset '$LAB_DIR/client4.err') = 40 ]]"
	rounds_go_on
	lab_signal client4 TERM
	lab_wait client4 10
	tail -1 "$LAB_DIR/client4.out" | jq -e '.lost == 40'
	for job in client6 clientv; do
		lab_signal $job TERM
		[[ $(lab_wait $job 20) = 0 ]]
	done
	wait_until 5 tmbridge_counts .flows.open 0
	tmbridge_stop
	# nothing goes on any more: the settings count
	start
	never grep -q stays "$LAB_DIR/tmbridge.err"
	tmbridge_counts .workers.running 2
	tmbridge_counts .flows.capacity 20000
	tmbridge_stop
}

is_neighbour() # ADDRESS
{
	in_ns client ping -c 1 -W 1 "$1" || true
	ip -n client neigh show "$1" | seek 'lladdr 02:00:00:00:00:01'
}

@test "without a process: neighbours are answered, connections end, and who comes next knows" {
	local ended

	ini 'fe1 fe2'
	sed -i "s|^vip = .*|&\nconnlog = $LAB_DIR/ended.log|" "$LAB_DIR/lb.ini"
	start
	talks_begin 10
	tmbridge_stop
	ip -n client neigh flush dev eth0
	wait_until 5 is_neighbour fd00::40
	wait_until 5 is_neighbour 10.0.0.40
	# nor can anybody else take the address
	lab_sysctl client net.ipv6.conf.eth0.accept_dad=1
	ip -n client addr add fd00::40/64 dev eth0
	wait_until 5 eval "ip -n client addr show dev eth0 | grep fd00::40 | seek dadfailed"
	ip -n client addr del fd00::40/64 dev eth0
	lab_sysctl client net.ipv6.conf.eth0.accept_dad=0
	ended=$SECONDS
	talks_end
	start
	adopted 0
	tmbridge_counts .flows.open 0
	tmbridge_counts .flows.quarantined 30 || ((SECONDS - ended >= 10)) # for which they rest
	tmbridge_counts '.flows | [.created, .closed]' '[30,30]'
	tmbridge_stop
	jq -es 'length == 30 and all(.[]; .why == "fin" and .start < .end)' "$LAB_DIR/ended.log"
}

@test "a handshake that a kill interrupts is the client's to begin anew, wherever the server's answer went" {
	ini fe1
	start
	# the server's answer is lost, so the flow stays half-open
	in_ns fe1 nft 'add table ip lost; add chain ip lost out { type filter hook output priority 0; }; add rule ip lost out tcp sport 5061 tcp flags syn,ack / syn,ack drop'
	lab_spawn client4 client "$TOOLS/talks" connect 10.0.0.40 5061 5 2000 10
	wait_until 5 eval "tmbridge_stats | jq -e '.flows.half_open >= 1'"
	lab_kill tmbridge
	start
	adopted 0
	in_ns fe1 nft delete table ip lost
	wait_until 15 grep -q open "$LAB_DIR/client4.out"
	tmbridge_counts .flows.open 5
	lab_signal client4 TERM
	[[ $(lab_wait client4 10) = 0 ]]
	tail -1 "$LAB_DIR/client4.out" | jq -e '.lost == 0'
	tmbridge_stop
}

@test "a start without a fast path goes on with what it finds" {
	ini 'fe1 fe2'
	start
	talks_begin 20
	tmbridge_stop
	sed -i 's/^fast_path = .*/fast_path = off/' "$LAB_DIR/lb.ini"
	start
	adopted 60
	tmbridge_counts .fast_path.active false
	talks_end
	tmbridge_stop
	# maps that are given up, which only root could remove, are held no longer than this
	in_ns tmb "$TMBRIDGE" wire release eth0 eth1 || true
	[[ -z $(ls /sys/fs/bpf/tmbridge) ]]
}

@test "a start whose filters the kernel can't have takes the connections into the process, and a reload gives them back" {
	ini 'fe1 fe2'
	start
	talks_begin 20
	tmbridge_stop
	sed -i 's/^fast_path = .*/fast_path = auto/' "$LAB_DIR/lb.ini"
	printf '[filter f]\nmatch = ip6 protochain 6\nside = both\naction = count\n' >>"$LAB_DIR/lb.ini"
	start
	adopted 60
	grep -q "filters are the process's, and packet sockets carry all" "$LAB_DIR/tmbridge.err" || { cat "$LAB_DIR/tmbridge.err" >&2; false; }
	tmbridge_counts .fast_path.active false
	wait_until 5 eval 'tmbridge_stats | jq -e ".filters[0].matched > 200"'
	in_ns client ping -c 5 -i 0.1 -w 10 10.0.0.42 >"$LAB_DIR/ping.out" # once each, though programs are there
	never grep DUP "$LAB_DIR/ping.out"
	pings_answered "$LAB_DIR/ping.out" 5
	sed -i 's/^match = .*/match = ip6 and tcp/' "$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 10 tmbridge_counts .fast_path.active true
	rounds_go_on
	talks_end
	tmbridge_stop
}

# Other numbers for the same servers.
ini_turned() # TURN [SETTING...]
{
	ini "$([[ $(($1 % 2)) = 0 ]] && echo 'fe1 fe2' || echo 'fe2 fe1')" "${@:2}"
}

reloads_are() # N
{
	[[ $(grep -c ' reloaded' "$LAB_DIR/tmbridge.err") = "$1" ]]
}

by_process()
{
	tmbridge_stats | jq '.frames.forwarded - .fast_path.forwarded'
}

# Of what the kernel leaves to a process what the process had no time for is lost with it, at the latest when it is killed.
@test "servers get other numbers, and no segment waits for the process; captured, they go on without one" {
	local i before

	ini_turned 0
	start
	talks_begin_beside 20
	before=$(by_process)
	for i in 1 2 3 4 5 6 7 8; do
		ini_turned "$i"
		lab_signal tmbridge HUP
		wait_until 5 reloads_are "$i"
	done
	[[ $(by_process) -le $((before + 5)) ]] || tmbridge_fail "forwarded $before, then $(by_process) frames" || false
	lab_kill tmbridge
	ini_turned 9
	start
	adopted 60
	rounds_go_on
	[[ $(by_process) -le 5 ]] || tmbridge_fail "forwarded $(by_process) frames" || false
	# its own frames are counted, and those of the process before aren't
	[[ $(tmbridge_stats | jq .fast_path.punted) -lt $before ]]
	lab_spawn capture tmb "$TMBRIDGE" capture -w "$LAB_DIR/none.pcapng" tcp port 9
	wait_until 5 eval '[[ $(by_process) -gt 100 ]]'
	lab_kill tmbridge
	sleep 1.5
	# Until it is gone segments still go to it: they come again after .2, .6 and 1.4 s, or, as the round trips were longer
	# while it had them, after .4 and 1.2. Had they waited for the process to be overdue, it would be 2 s at least.
	talks_end 1600
	lab_kill capture
}

# bats test_tags=plain
@test "kill -9 at random moments: no connection is lost" {
	ini 'fe1 fe2' "workers = $((RANDOM % 3 + 1))"
	start
	talks_begin_beside 20
	lab_spawn ping client ping -i 0.01 10.0.0.42
	for ((i = 0; i < ${KILLS:-3}; i++)); do
		sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
		# sometimes in the middle of a reload, whose swap takes part of a millisecond
		if ((RANDOM % 2)); then
			ini_turned $((i + 1)) "$(grep ^workers "$LAB_DIR/lb.ini")"
			lab_signal tmbridge HUP
			sleep "0.00$((RANDOM % 10))"
		fi
		lab_kill tmbridge
		sleep "0.$((RANDOM % 2))$((RANDOM % 10))"
		# sometimes in the middle of its start
		if ((RANDOM % 2)); then
			lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
			sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
			lab_kill tmbridge
		fi
		start
	done
	# make kills wants 100 ms. Among other tests one retransmission, 200 ms later, is seen once in eight runs or so, of which nobody knows
	# yet whose segment it is that a process took with it: one is let pass, two aren't
	talks_end "$((${KILLS:-3} < 50 ? 300 : 100))"
	[[ ${KILLS:-3} -lt 50 ]] || cat "$LAB_DIR"/client?.out >&3
	lab_signal ping INT
	lab_wait ping 5
	pings_answered "$LAB_DIR/ping.out" 100
	tmbridge_stop
}
