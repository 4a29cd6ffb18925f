#!/bin/bash
#
# What honest clients notice of a flood of SYNs, and how many connects stall when one client makes 10,000 short
# connections a second; as JSON lines, for tests/bench/README.md.
#
#   flood	SYNs from spoofed sources at each of RATES (20000 100000 0; 0: as fast as they go) for FLOOD_S seconds
#		against tables of each of SIZES; beside them 100 honest visits a second, which stay up to 300 ms. FAMILY: 4 or 6,
#		of IP; SOURCE: all from that address, instead of from many; LIMIT: max_connections of each server;
#		NEWCOMERS=1: each visit from an address that was never here before, mostly of another network
#	stalls	STALLS_RATE visits a second (10000) from one address, the server closing first, through tmbridge and
#		through the kernel's NAT by turns, ROUNDS times, the order turned each time
#
# All share the machine's processors: at full speed the flood itself takes most of one.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/../lab.sh"
[[ -n ${LAB_HOST_NET:-} ]] || lab_enter "$0" "$@"

RATES=${RATES:-20000 100000 0}
SIZES=${SIZES:-1000 100000 1000000}
FLOOD_S=${FLOOD_S:-6}
AFTER_S=${AFTER_S:-4}
STALLS_RATE=${STALLS_RATE:-10000}
STALLS_S=${STALLS_S:-8}
ROUNDS=${ROUNDS:-2}
FAMILY=${FAMILY:-4}
LIMIT=${LIMIT:-0}
WHAT=${WHAT:-flood stalls}
NEWCOMERS=${NEWCOMERS:-}

visits() # SECONDS RATE OPTION...
{
	local first=()

	[[ ! $NEWCOMERS ]] || first=(-n "$(newcomer $((SECONDS * 128)))") # 100 a second
	in_ns client "$TOOLS/visits" connect -s "$1" -r "$2" -t 10 "${first[@]}" "${@:3}" "$VIP" 5061 2>"$LAB_DIR/failures"
}

newcomer() # NUMBER
{
	if [[ $FAMILY = 6 ]]; then
		printf 'fd09:0:%x::1' "$1"
	else
		echo "10.9.$(($1 & 255)).$(($1 >> 8 & 255))"
	fi
}

# Those that were connected, and then were no more.
evicted()
{
	jq -s '[.[] | select(.state > 1)] | length' "$LAB_DIR/failures"
}

# Of the two ends of a run: what the visits say, as one object.
figures() # NAME
{
	jq -c --arg name "$1" --argjson evicted "$(evicted)" '{($name): {visits, succeeded: ((1 - .failed / .visits) * 1000 | round / 10),
		p50_ms, p99_ms, longest_ms, late, evicted: $evicted}}'
}

flood() # SIZE RATE
{
	local during after sent

	lab_ini 'ports = 5061' "bridge.max_connections = $1" fe{1,2}".max_connections = $LIMIT"
	tmbridge_start "$LAB_DIR/lb.ini"
	visits 1 100 >/dev/null
	lab_spawn flood dc "$TOOLS/synflood" eth0 02:00:00:00:00:01 "$VIP" 5061 "$FLOOD_S" "$SOURCE" "$2"
	during=$(visits "$((FLOOD_S - 1))" 100 -l 300 | figures during)
	[[ $(lab_wait flood 30) = 0 ]]
	after=$(visits "$AFTER_S" 100 -l 300 | figures after)
	sent=$(<"$LAB_DIR/flood.out")
	tmbridge_stats | jq -c --argjson size "$1" --argjson rate "$2" --argjson sent "$sent" --argjson during "$during" --argjson after "$after" \
		--argjson seconds "$FLOOD_S" '{max_connections: $size, rate: $rate, sent_s: ($sent / $seconds | round), created: .flows.created,
		evicted: .flows.evicted, missed: ([.ports[].missed] | add)} + $during + $after'
	tmbridge_stop
}

nft_start()
{
	lab_plain_wire
	ip -n tmb addr add "$VIP/24" dev br0
	lab_sysctl tmb net.ipv4.ip_forward=1 net.ipv4.conf.{all,br0}.send_redirects=0 \
		net.netfilter.nf_conntrack_tcp_timeout_time_wait=10 # the rounds' connections don't add up
	in_ns tmb nft -f - <<-END
		table ip balance {
			chain prerouting {
				type nat hook prerouting priority dstnat;
				ip daddr $VIP tcp dport 5061 dnat to numgen inc mod 2 map { 0 : 10.0.0.41, 1 : 10.0.0.42 }
			}
			chain postrouting {
				type nat hook postrouting priority srcnat;
				ct status dnat ip daddr { 10.0.0.41, 10.0.0.42 } snat to $VIP
			}
		}
	END
}

nft_stop()
{
	in_ns tmb nft delete table ip balance
	ip -n tmb link del br0
}

stalls() # NAME
{
	visits "$STALLS_S" "$STALLS_RATE" | jq -c --arg name "$1" --argjson rate "$STALLS_RATE" '{stalls_of: $name, rate: $rate} + .'
}

# What is in TIME_WAIT of the one before would be in the way of the next.
forget_closed()
{
	local ns

	for ns in client fe1 fe2; do
		in_ns "$ns" ss -K state time-wait >/dev/null 2>&1 || true # it ends them, and then says EINVAL
	done
}

stalls_through() # off|kernel|nft
{
	forget_closed
	if [[ $1 = nft ]]; then
		nft_start
		stalls 'nftables'
		nft_stop
		return
	fi
	lab_ini 'ports = 5061' 'bridge.max_connections = 1000000' "bridge.fast_path = $1"
	tmbridge_start "$LAB_DIR/lb.ini"
	stalls "tmbridge, fast_path = $1"
	tmbridge_stop
}

SOURCE=${SOURCE:-0.0.0.0}
if [[ $FAMILY = 6 ]]; then
	VIP=$VIP6
	[[ $SOURCE != 0.0.0.0 ]] || SOURCE=::
fi
lab_up
servers_expect_floods
ip -n client route add local 10.9.0.0/16 dev lo
ip -n client route add local fd09::/16 dev lo
for server in fe1 fe2; do
	lab_spawn "$server" "$server" "$TOOLS/visits" serve "$server" 5061
	wait_until 5 server_listens "$server" 5061
done
if [[ $WHAT = *flood* ]]; then
	for size in $SIZES; do
		for rate in $RATES; do flood "$size" "$rate"; done
	done
fi
for ((round = 0; round < ROUNDS; round++)); do
	[[ $WHAT = *stalls* ]] || break
	order='off kernel nft' # who comes after whom must not decide
	((round % 2 == 0)) || order='nft kernel off'
	for contender in $order; do stalls_through "$contender"; done
done
