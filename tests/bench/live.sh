#!/bin/bash
#
# The live benchmark: who could stand between the switch and the servers takes turns in that place,
# under the same load, in a lab. tests/lab.sh tests/bench/live.sh, or make bench-live.
#
# Contenders (CONTENDERS; any number of them, tmbridge with several binaries or settings as well):
#	tmbridge	the program at $TMBRIDGE, TM+SNAT
#	tmbridge:PATH,SETTING...	another one (no PATH: the same), with settings of lab_ini(), and filters=N, of
#		50 instructions each, all of which TCP runs through
#	bridge	the kernel's bridge. Nothing balances, so its clients go to fe1 itself: the reference
#	bare	a program at tc ingress that sends each frame out of the other port, and does nothing else:
#		what a cable made of such a program costs at least. Clients go to fe1 as with the bridge
#	nft	that bridge, with the VIP on it and nftables' DNAT and SNAT. The frames that are not for
#		the VIP don't pass nftables (bridge-nf-call-iptables = 0)
#	haproxy	that bridge, with the VIP on it and HAProxy in TCP mode with splice, one thread
# and with TOPOLOGY=routed, where the place is between two subnets:
#	routed	tmbridge in that mode, with settings as above
#	router	the kernel's routing with nftables' DNAT and SNAT
#
# Figures (FIGURES), all but wire* through the VIP:
#	bulk1 bulk4 bulk16	TCP in so many streams from the client, by iperf3, to fe1 only, since
#		iperf3's connections have to meet in one server
#	wire1 wire4 wire16 wirelatency	the same, and latency, past the VIP, to fe1 itself
#	wirepackets	UDP of 16 bytes past the VIP, as fast as it goes; those that arrive count
#	conns	HTTP with Connection: close, over fe1 and fe2, by wrk
#	packets	HTTP on kept connections; each request and each response is one small packet
#	latency	round trips of 64 bytes on one TCP connection, by sockperf; both ends on one processor, as
#		a wake-up across processors takes longer than all else, and chance decides who has one
#
# All share the machine's processors with clients and servers, as the lab has no others. So absolute
# figures say little, and those of two runs are not comparable: ratios are the result, each made of
# two values that were measured one soon after the other, in one round. CPU time is that of the whole machine, clients and servers included, for
# each unit of work; what exceeds the bridge's is the contender's. That of the contender's process
# alone stands beside it, though the kernel charges it with part of what its frames set off.
#
# RUNS rounds (5) of SECONDS_EACH seconds (3) for each figure. JSON=FILE gets all as JSON.
source "$(dirname "${BASH_SOURCE[0]}")/../lab.sh"
source "$(dirname "${BASH_SOURCE[0]}")/../topologies.sh"

RUNS=${RUNS:-5}
SECONDS_EACH=${SECONDS_EACH:-3}
NET=10.0.0
if [[ ${TOPOLOGY:-} = routed ]]; then
	NET=192.168.0
	CONTENDERS=${CONTENDERS:-routed routed:,bridge.fast_path=kernel router}
	FIGURES=${FIGURES:-bulk1 bulk4 bulk16 conns packets latency}
fi
CONTENDERS=${CONTENDERS:-tmbridge tmbridge:,bridge.fast_path=kernel bridge nft haproxy}
FIGURES=${FIGURES:-bulk1 bulk4 bulk16 wire1 wire4 wire16 wirelatency wirepackets conns packets latency}
HERE=$LAB_ROOT/tests/bench
RESULTS=$LAB_DIR/results.jsonl
LAB_CONNECTIONS=1000000 # the default of lb.ini
FAILED=0

# To fe1 alone; $VIP is balanced over fe1 and fe2.
VIP_ONE=10.0.0.44
HTTP=80 IPERF=5201 SOCKPERF=5202
HTTP_CONNECTIONS=32
readonly RUNS SECONDS_EACH CONTENDERS FIGURES NET HERE RESULTS VIP_ONE HTTP IPERF SOCKPERF HTTP_CONNECTIONS

# Contenders. Each leaves the place as it found it.

start_bridge()
{
	lab_plain_wire
}

stop_bridge()
{
	ip -n tmb link del br0
}

start_bare()
{
	local port other

	for port in eth0 eth1; do
		other=$((1 - ${port#eth}))
		clang -O2 -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c -o "$LAB_DIR/$port.bpf.o" \
			-D OUT="$(ip -n tmb -j link show "eth$other" | jq ".[0].ifindex")" "$HERE/bare.bpf.c"
		ip -n tmb link set "$port" promisc on up
		in_ns tmb tc qdisc add dev "$port" clsact
		in_ns tmb tc filter add dev "$port" ingress bpf direct-action object-file "$LAB_DIR/$port.bpf.o" section tc
	done
}

stop_bare()
{
	local port

	for port in eth0 eth1; do
		in_ns tmb tc qdisc del dev "$port" clsact
		ip -n tmb link set "$port" promisc off
	done
}

wire_with_vips()
{
	lab_plain_wire
	ip -n tmb addr add "$VIP/24" dev br0
	ip -n tmb addr add "$VIP_ONE/24" dev br0
}

start_nft()
{
	wire_with_vips
	lab_sysctl tmb net.ipv4.ip_forward=1 net.ipv4.conf.{all,br0}.send_redirects=0 \
		net.netfilter.nf_conntrack_tcp_timeout_time_wait=10 # the rounds' connections don't add up
	in_ns tmb nft -f - <<-END
		table ip balance {
			chain prerouting {
				type nat hook prerouting priority dstnat;
				ip daddr $VIP tcp dport $HTTP dnat to numgen inc mod 2 map { 0 : 10.0.0.41, 1 : 10.0.0.42 }
				ip daddr $VIP_ONE dnat to 10.0.0.41
			}
			chain postrouting {
				type nat hook postrouting priority srcnat;
				ct status dnat ip daddr { 10.0.0.41, 10.0.0.42 } snat to $VIP
			}
		}
	END
}

stop_nft()
{
	in_ns tmb nft delete table ip balance
	lab_sysctl tmb net.ipv4.ip_forward=0
	stop_bridge
}

# VIP_ONE is an address of tmb's as $VIP is, but tmbridge answers for it itself.
start_router()
{
	ip -n tmb addr add "$VIP_ONE/24" dev eth0
	lab_sysctl tmb net.ipv4.ip_forward=1 net.ipv4.conf.{all,eth0,eth1}.send_redirects=0 \
		net.netfilter.nf_conntrack_tcp_timeout_time_wait=10
	in_ns tmb nft -f - <<-END
		table ip balance {
			chain prerouting {
				type nat hook prerouting priority dstnat;
				ip daddr $VIP tcp dport $HTTP dnat to numgen inc mod 2 map { 0 : $NET.41, 1 : $NET.42 }
				ip daddr $VIP_ONE dnat to $NET.41
			}
			chain postrouting {
				type nat hook postrouting priority srcnat;
				ct status dnat ip daddr { $NET.41, $NET.42 } snat to $NET.40
			}
		}
	END
}

stop_router()
{
	in_ns tmb nft delete table ip balance
	lab_sysctl tmb net.ipv4.ip_forward=0
	ip -n tmb addr del "$VIP_ONE/24" dev eth0
}

start_routed() # [PATH[,SETTING...]]
{
	farms "${1:-},bridge.mode=routed"
	TMBRIDGE=${PROGRAM:-$TMBRIDGE} topology_start
}

stop_routed()
{
	stop_tmbridge
}

start_haproxy()
{
	wire_with_vips
	lab_sysctl tmb net.ipv4.ip_local_port_range="1024 65535" net.core.somaxconn=65535
	cat >"$LAB_DIR/haproxy.cfg" <<-END
		global
			nbthread 1
			maxconn 4096
		defaults
			mode tcp
			option splice-auto
			balance leastconn
			timeout connect 5s
			timeout client 1m
			timeout server 1m
		listen pool
			bind $VIP:$HTTP
			server fe1 10.0.0.41:$HTTP
			server fe2 10.0.0.42:$HTTP
		listen one
			bind $VIP_ONE:$HTTP,$VIP_ONE:$IPERF,$VIP_ONE:$SOCKPERF
			server fe1 10.0.0.41
	END
	lab_spawn haproxy tmb haproxy -db -f "$LAB_DIR/haproxy.cfg"
}

stop_haproxy()
{
	lab_kill haproxy
	stop_bridge
}

# Writes lb.ini, and sets PROGRAM.
farms() # [PATH[,SETTING...]]
{
	local settings filters=0 i

	IFS=, read -ra settings <<<"${1:-}"
	PROGRAM=${settings[0]:-}
	for i in "${!settings[@]}"; do
		[[ ${settings[i]} != filters=* ]] || {
			filters=${settings[i]#*=}
			unset "settings[i]"
		}
	done
	lab_ini "ports = $HTTP" 'scheduler = lc' "${settings[@]:1}"
	sed -i "s/^address = 10\.0\.0\./address = $NET./" "$LAB_DIR/lb.ini"
	cat >>"$LAB_DIR/lb.ini" <<-END
		[farm one]
		vip = $VIP_ONE
		ports = $HTTP, $IPERF, $SOCKPERF
		[server one]
		farm = one
		address = $NET.41
	END
	for ((i = 0; i < filters; i++)); do
		printf '[filter f%s]\nmatch = ip and tcp and (dst host 192.168.1.%s%s)\naction = drop\n' $i $i \
			"$(printf ' or 192.168.2.%s' {1..46})"
	done >>"$LAB_DIR/lb.ini"
}

start_tmbridge() # [PATH[,SETTING...]]
{
	farms "${1:-}"
	TMBRIDGE=${PROGRAM:-$TMBRIDGE} tmbridge_start "$LAB_DIR/lb.ini"
}

stop_tmbridge()
{
	tmbridge_stop
}

contender_start() # CONTENDER
{
	local ns

	"start_${1%%:*}" "$(sed 's/^[^:]*:\?//' <<<"$1")"
	contender_addresses "$1"
	# Another one had the VIPs' MAC address.
	for ns in client dc fe1 fe2; do
		ip -n "$ns" neigh flush all
	done
	wait_until 10 in_ns client curl -sf -m 1 "http://$TO/name" "http://$TO_ONE/name" || {
		cat "$LAB_DIR/$(process_of "$1").err" >&2
		lab_die "$1 doesn't work"
	}
}

# What stays in TIME_WAIT would drop SYNs of the next contender that has the same addresses and ports,
# as older than that by their timestamps.
contender_stop() # CONTENDER
{
	local ns

	"stop_${1%%:*}"
	for ns in client tmb fe1 fe2; do
		in_ns "$ns" ss -K state time-wait >/dev/null 2>&1 || true # it ends them, and then says EINVAL
	done
}

# Sets TO and TO_ONE, which the loads go to.
contender_addresses() # CONTENDER
{
	TO=$VIP TO_ONE=$VIP_ONE
	[[ $1 != @(bridge|bare) ]] || TO=10.0.0.41 TO_ONE=10.0.0.41
}

# Loads. Each prints an object: of values, in the figure's unit, and of the work that was done, in
# the unit that CPU time is said for.

in_client() # COMMAND...
{
	in_ns client timeout $((SECONDS_EACH + 15)) "$@"
}

load_streams() # ADDRESS STREAMS
{
	in_client iperf3 -J -c "$1" -p "$IPERF" -P "$2" -t "$SECONDS_EACH" |
		jq -c '.end.sum_received | select(.bytes > 0) |
			{values: {"": (.bits_per_second / 1e9)}, work: (.bytes / 1e9)}'
}

load_wirepackets()
{
	in_client iperf3 -J -c 10.0.0.41 -p "$IPERF" -u -b 0 -l 16 -t "$SECONDS_EACH" |
		jq -c '.end.sum | (.packets - .lost_packets) as $arrived | select($arrived > 0) |
			{values: {"": ($arrived / .seconds / 1e3)}, work: ($arrived / 1e6)}'
}

load_http() # [HEADER]
{
	in_client wrk -t 1 -c "$HTTP_CONNECTIONS" -d "${SECONDS_EACH}s" ${1:+-H "$1"} "http://$TO/name" |
		jq -ncR '[inputs] | join(" ") |
			(capture("Requests/sec: *(?<n>[0-9.]+)").n | tonumber) as $rate |
			(capture("(?<n>[0-9]+) requests in").n | tonumber) as $requests |
			select($requests > 0) | {values: {"": $rate}, work: ($requests / 1e6)}'
}

load_latency() # ADDRESS
{
	in_client taskset -c 0 sockperf ping-pong --tcp -i "$1" -p "$SOCKPERF" -m 64 -t "$SECONDS_EACH" --full-rtt |
		jq -ncR '[inputs] | join(" ") | . as $all |
			def percentile($p): $all | capture("percentile " + $p + " *= *(?<us>[0-9.]+)").us | tonumber;
			(capture("SentMessages=(?<n>[0-9]+)").n | tonumber) as $n |
			{values: {p50: percentile("50.000"), p99: percentile("99.000"),
				"p99.9": percentile("99.900")}, work: ($n / 1e6)}'
}

load() # FIGURE
{
	case $1 in
	bulk*) load_streams "$TO_ONE" "${1#bulk}" ;;
	wirepackets) load_wirepackets ;;
	wirelatency) load_latency 10.0.0.41 ;;
	wire*) load_streams 10.0.0.41 "${1#wire}" ;;
	conns) load_http 'Connection: close' ;;
	packets) load_http ;;
	latency) load_latency "$TO_ONE" ;;
	*) lab_die "no such figure: $1" ;;
	esac
}

# Measuring

# Prints seconds: in which the machine's processors worked, in which others had taken them away.
machine_cpu()
{
	awk -v hz="$(getconf CLK_TCK)" \
		'/^cpu / { print ($2 + $3 + $4 + $7 + $8) / hz, $9 / hz; exit }' /proc/stat
}

process_of() # CONTENDER
{
	local name=${1%%:*}

	[[ $name != routed ]] || name=tmbridge
	echo "$name"
}

# Prints the seconds that all threads of the contender's process ran; 0 if it has none.
process_cpu() # CONTENDER
{
	local pid

	if pid=$(cat "$LAB_DIR/$(process_of "$1").pid" 2>/dev/null); then
		cat "/proc/$pid"/task/*/schedstat | awk '{ ns += $1 } END { print ns / 1e9 }'
	else
		echo 0
	fi
}

# A load that fails leaves no result.
measure() # ROUND CONTENDER FIGURE
{
	local before after result

	before="$(machine_cpu) $(process_cpu "$2")"
	if ! result=$(load "$3" 2>"$LAB_DIR/load.err") || [[ -z $result ]]; then
		FAILED=$((FAILED + 1))
		echo "round $1: $2: $3 failed" >&2
		head -5 "$LAB_DIR/load.err" >&2
		return
	fi
	after="$(machine_cpu) $(process_cpu "$2")"
	jq -c --arg round "$1" --arg contender "$2" --arg figure "$3" --arg cpu "$before $after" '
		($cpu | split(" ") | map(tonumber)) as $c | . as $result |
		{$round, $contender, $figure, values, machine_s: ($c[3] - $c[0]), stolen_s: ($c[4] - $c[1]),
		process_s: ($c[5] - $c[2]), work}' <<<"$result" >>"$RESULTS"
	printf 'round %s: %s: %s %s\n' "$1" "$2" "$3" "$(jq -c .values <<<"$result")" >&2
}

# Prints how much of the machine's processors others use, in percent, while nothing is measured.
others_percent()
{
	{
		grep '^cpu ' /proc/stat
		sleep 1
		grep '^cpu ' /proc/stat
	} | awk '{ idle[NR] = $5 + $6; for (i = 2; i <= 9; i++) all[NR] += $i }
		END { printf "%.0f", 100 * (1 - (idle[2] - idle[1]) / (all[2] - all[1])) }'
}

machine()
{
	jq -nc --arg others "$OTHERS" --arg cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sed -n 1p)" \
		--arg cpus "$(nproc)" --arg kernel "$(uname -sr)" \
		--arg memory "$(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)" \
		--arg tools "$(versions)" --arg date "$(date -uI)" \
		--arg runs "$RUNS" --arg seconds "$SECONDS_EACH" '{$cpu, cpus: ($cpus | tonumber), $memory,
			$kernel, $tools, $date, others_percent: ($others | tonumber),
			runs: ($runs | tonumber), seconds: ($seconds | tonumber)}'
}

versions()
{
	{
		"$TMBRIDGE" -V
		iperf3 --version | sed -n 1p | cut -d ' ' -f 1-2
		haproxy -v | sed -n 's/^HAProxy version \([0-9.]*\).*/HAProxy \1/p'
		nft --version | cut -d ' ' -f 1-2
		wrk -v | sed -n 's/^\(wrk [^ ]*\).*/\1/p'
		sockperf --version | sed -n 's/^\(sockperf\), version \([0-9.]*\).*/\1 \2/p'
	} 2>/dev/null | paste -sd, | sed 's/,/, /g'
}

servers_start()
{
	server_http fe1 "$HTTP"
	server_http fe2 "$HTTP"
	lab_spawn iperf fe1 iperf3 -s -p "$IPERF"
	wait_until 5 server_listens fe1 "$IPERF"
	[[ $FIGURES != *latency* ]] || {
		lab_spawn sockperf fe1 taskset -c 0 sockperf server --tcp -i "$NET.41" -p "$SOCKPERF"
		wait_until 5 server_listens fe1 "$SOCKPERF"
	}
}

rounds()
{
	local round contender figure order

	for ((round = 1; round <= RUNS; round++)); do
		# who comes after whom must not decide
		order=$CONTENDERS
		((round % 2)) || order=$(tr ' ' '\n' <<<"$CONTENDERS" | tac)
		for figure in $FIGURES; do
			for contender in $order; do
				contender_start "$contender"
				measure "$round" "$contender" "$figure"
				contender_stop "$contender"
			done
		done
	done
}

main()
{
	local summary table ns

	OTHERS=$(others_percent)
	if [[ ${TOPOLOGY:-} = routed ]]; then
		routed_up
	else
		lab_up ipv6=off
	fi
	for ns in client fe1 fe2; do # what rests would be walked through for each new connection
		lab_sysctl "$ns" net.ipv4.tcp_max_tw_buckets=0
	done
	servers_start
	rounds
	summary=$(jq -s --argjson machine "$(machine)" -f "$HERE/live.jq" "$RESULTS")
	[[ -z ${JSON:-} ]] || printf '%s\n' "$summary" >"$JSON"
	for table in machine values ratios; do
		jq -r -L "$HERE" "include \"table\"; live_$table" <<<"$summary" | column -t -s $'\t'
		echo
	done
	[[ $FAILED = 0 ]] || lab_die "$FAILED loads failed"
}

main
