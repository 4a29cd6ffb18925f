# The lab for modes in which tmbridge is no cable: sourced, behind lab.sh.
#
# one-armed: tmb and all others on one switch; the servers in the clients' subnet or, with far=on, behind a router.
# Everything is 10.0.0.0/24 and fd00::/64, what is far 10.0.1.0/24 and fd01::/64.
#
#	client .100, dc .10 ── switch ── eth0 [tmb .40]
#	                         ├── fe1 .41, fe2 .42
#	                         └── [router .99, 10.0.1.1] ── segment ── fe1 10.0.1.41, fe2 10.0.1.42
#
# routed: 10.0.0.0/24 outside, 192.168.0.0/24 inside; tmb is .40 in both, and the servers' gateway.
#
#	client .100, dc .10 ── switch ── eth0 [tmb] eth1 ── segment ── fe1 .41, fe2 .42

topology_host() # NAMESPACE BRIDGE NUMBER NET4 NET6 [GATEWAY-NUMBER]
{
	lab_host "$1" "$2" "$3"
	{
		echo "addr flush dev eth0"
		echo "addr add $4.$3/24 dev eth0"
		echo "addr add $5::$3/64 dev eth0 nodad"
		[[ -z ${6:-} ]] || printf 'route add default via %s dev eth0\n' "$4.$6" "$5::$6"
	} | ip -n "$1" -b -
}

topology_tmb() # INTERFACE MAC BRIDGE NET4 NET6
{
	lab_cable tmb "$1" "$2" "$3" "tmb$1"
	ip -n "$3" link set "tmb$1" master br0
	ip -n tmb addr add "$4.40/24" dev "$1"
	ip -n tmb addr add "$5::40/64" dev "$1" nodad
}

topology_begin() # [mtu=N]
{
	export LAB_MTU=1500 LAB_OFFLOADS=${TOPOLOGY_OFFLOADS:-on} LAB_IPV6=on LAB_ADDRESSES=1
	lab_bridge switch
	lab_bridge segment
	lab_ns tmb on
}

one_armed_up() # [far=on]
{
	topology_begin
	topology_tmb eth0 02:00:00:00:00:01 switch 10.0.0 fd00
	topology_host client switch 100 10.0.0 fd00
	topology_host dc switch 10 10.0.0 fd00
	INTERFACES=(eth0)
	if [[ ${1:-} != far=on ]]; then
		topology_host fe1 switch 41 10.0.0 fd00
		topology_host fe2 switch 42 10.0.0 fd00
		NET4=10.0.0 NET6=fd00
		return
	fi
	NET4=10.0.1 NET6=fd01
	topology_host fe1 segment 41 10.0.1 fd01 1
	topology_host fe2 segment 42 10.0.1 fd01 1
	topology_host router switch 99 10.0.0 fd00
	lab_cable router eth1 02:00:00:00:01:01 segment routerin
	ip -n segment link set routerin master br0
	ip -n router addr add 10.0.1.1/24 dev eth1
	ip -n router addr add fd01::1/64 dev eth1 nodad
	lab_sysctl router net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip -n tmb route add default via 10.0.0.99
	ip -n tmb -6 route add default via fd00::99
	for host in client dc; do
		ip -n "$host" route add 10.0.1.0/24 via 10.0.0.99
		ip -n "$host" -6 route add fd01::/64 via fd00::99
	done
}

routed_up() # [inside_mtu=N]
{
	topology_begin
	NET4=192.168.0 NET6=fd01
	topology_tmb eth0 02:00:00:00:00:01 switch 10.0.0 fd00
	topology_tmb eth1 02:00:00:00:00:02 segment "$NET4" "$NET6"
	topology_host client switch 100 10.0.0 fd00
	topology_host dc switch 10 10.0.0 fd00
	topology_host fe1 segment 41 "$NET4" "$NET6" 40
	topology_host fe2 segment 42 "$NET4" "$NET6" 40
	for host in client dc; do
		ip -n "$host" route add "$NET4.0/24" via 10.0.0.40
		ip -n "$host" -6 route add "$NET6::/64" via fd00::40
	done
	INTERFACES=(eth0 eth1)
}

topology_down()
{
	lab_kill_all
	printf 'netns del %s\n' client dc fe1 fe2 segment switch tmb router | ip -force -b - 2>/dev/null || true
	rm -rf "${LAB_DIR:?}"/*
}

# A farm of the Front Ends with VIP 10.0.0.40, tmbridge's own, and one of IPv6; SETTINGS are lines for [bridge].
topology_ini() # MODE [SETTING...]
{
	local version server

	{
		printf '[bridge]\nmode = %s\nmax_connections = %s\nfast_path = %s\n' "$1" "$LAB_CONNECTIONS" "$FAST_PATH"
		[[ -z $WORKERS ]] || echo "workers = $WORKERS"
		printf '%s\n' "${@:2}"
		for version in 4 6; do
			[[ $version = 4 ]] && printf '[farm pool]\nvip = %s\n' 10.0.0.40 || printf '[farm pool6]\nvip = %s\n' fd00::40
			printf 'preset = ocs2007r2\ncheck_interval = 1s\ncheck_timeout = 500ms\n'
		done
		for server in 1 2; do
			printf '[server fe%s]\nfarm = pool\naddress = %s.4%s\n' $server "$NET4" $server
			printf '[server fe%s-6]\nfarm = pool6\naddress = %s::4%s\n' $server "$NET6" $server
		done
	} >"$LAB_DIR/lb.ini"
}

topology_start() # [ARGUMENT...]
{
	lab_spawn tmbridge tmb "$TMBRIDGE" "${INTERFACES[@]}" -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json" "$@"
	wait_until 20 topology_is_up || tmbridge_fail "didn't start"
}

topology_is_up()
{
	[[ ! -s $LAB_DIR/tmbridge.status ]] || return 0
	grep -q 'balancing$' "$LAB_DIR/tmbridge.err"
}

topology_reload()
{
	local lines

	lines=$(wc -l <"$LAB_DIR/tmbridge.err")
	lab_signal tmbridge HUP
	wait_until 20 said_since "$lines" 'reloaded'
}

said_since() # LINES PATTERN
{
	tail -n "+$(($1 + 1))" "$LAB_DIR/tmbridge.err" | seek "$2"
}

# What tests of several modes have in common.

PORTS="135 443 444 5060 5061 5065 5069 5071 5072 5073 5074 8404"

topology_services()
{
	local fe

	for fe in fe1 fe2; do
		lab_spawn "$fe-tcp" "$fe" "$TOOLS/manyconns" serve "$fe" $PORTS
		wait_until 20 server_listens "$fe" 8404
	done
}

server_tcp_at() # NAMESPACE PORT
{
	lab_spawn "$1-own" "$1" "$TOOLS/manyconns" serve "$1" "$2"
	wait_until 20 server_listens "$1" "$2"
}

server_http_at() # (NAMESPACE PORT)...
{
	while [[ $# -ge 2 ]]; do
		server_http "$1" "$2"
		shift 2
	done
}

# Who answered, whom it saw, and where, for each of N connections.
connects() # NAMESPACE ADDRESS PORT N
{
	in_ns "$1" timeout 10 "$TOOLS/manyconns" connect -n "$4" -j 1 -c -g "$2" "$3"
}

capture() # NAMESPACE FILTER [OPTION...]
{
	lab_spawn "$1-dump" "$1" tcpdump -i eth0 -n -l --immediate-mode "${@:3}" "$2"
	wait_until 20 grep -q listening "$LAB_DIR/$1-dump.err"
}

# Counts, in the host's stack, what is the balancer's.
host_probe()
{
	local ports=${PORTS// /,} ip family snat

	{
		echo "table inet probe {"
		echo "  chain seen { type filter hook prerouting priority -300;"
		for family in ip ip6; do
			[[ $family = ip ]] && ip="10.0.0.40" snat="{ 10.0.0.40, 192.168.0.40 }" || ip="fd00::40" snat="{ fd00::40, fd01::40 }"
			echo "    $family daddr $ip tcp dport { $ports } counter"
			echo "    $family daddr $snat tcp sport { $ports } tcp dport { 1008-1023, 1024-32767 } counter"
		done
		echo "  }"
		echo "}"
	} | in_ns tmb nft -f -
}

host_saw_nothing()
{
	local seen

	seen=$(in_ns tmb nft list table inet probe | grep -o 'packets [0-9]*' | sort -u)
	[[ $seen = "packets 0" ]] || lab_die "the host's stack has seen: $(in_ns tmb nft list table inet probe)"
}

# A capture on a server has both addresses rewritten; the servers alternate; hairpin.
served_by_vip() # VIP SNAT-PATTERN SERVER-PATTERN
{
	local answers

	answers=$(connects client "$1" 5061 6)
	echo "$answers"
	[[ -n $WORKERS || $(cut -d' ' -f1 <<<"$answers" | uniq | wc -l) = 6 ]] # each worker for itself
	[[ $(grep -cE "^fe[12] $2:[0-9]+ $3[12]\]?:5061$" <<<"$answers") = 6 ]]
	answers=$(connects fe1 "$1" 444 4)
	[[ $(grep -cE "^fe[12] $2:[0-9]+ $3[12]\]?:444$" <<<"$answers") = 4 ]]
	[[ $(cut -d' ' -f1 <<<"$answers" | sort -u | wc -l) = 2 ]]
}

# An open connection to the Front End that fails ends at once.
fails_and_returns() # VIP
{
	local lines name on_first= held

	lines=$(wc -l <"$LAB_DIR/tmbridge.err")
	for held in held1 held2; do
		lab_spawn "$held" client bash -c "exec 3<>/dev/tcp/$1/5061; exec cat <&3"
		wait_until 5 grep -q fe "$LAB_DIR/$held.out"
	done
	for held in held1 held2; do
		! grep -q fe1 "$LAB_DIR/$held.out" || on_first=$held
	done
	[[ -n $on_first ]]
	ip -n fe1 link set eth0 down
	wait_until 20 said_since "$lines" 'server fe1: down'
	wait_until 2 test -s "$LAB_DIR/$on_first.status"
	[[ $(connects client "$1" 5061 3 | cut -d' ' -f1 | sort -u) = fe2 ]]
	lines=$(wc -l <"$LAB_DIR/tmbridge.err")
	ip -n fe1 link set eth0 up
	ip -n fe1 route add default via "$(front_end_gateway)" 2>/dev/null || true
	ip -n fe1 addr add "$NET6::41/64" dev eth0 nodad 2>/dev/null || true
	ip -n fe1 -6 route add default via "$(front_end_gateway 6)" 2>/dev/null || true
	wait_until 20 said_since "$lines" 'server fe1: up'
	connects client "$1" 5061 4 | seek '^fe1 '
	lab_kill held1
	lab_kill held2
}

front_end_gateway() # [6]
{
	local number=40

	[[ $NET4 != 10.0.1 ]] || number=1
	[[ ${1:-} = 6 ]] && echo "$NET6::$number" || echo "$NET4.$number"
}

changes_by_reload() # SNAT-ADDRESS ANOTHER-ONE
{
	local lines mode

	sed -i "s/^\[farm pool\]/&\nsnat = $1, $2/" "$LAB_DIR/lb.ini"
	topology_reload
	[[ $(connects client 10.0.0.40 5061 8 | cut -d' ' -f2 | cut -d: -f1 | sort -u | paste -sd' ') = "$1 $2" ]]
	sed -i 's/^\[server fe1\]/&\nstate = drain/' "$LAB_DIR/lb.ini"
	topology_reload
	[[ $(connects client 10.0.0.40 5061 4 | cut -d' ' -f1 | sort -u) = fe2 ]]
	sed -i '/^\[server fe1\]/,/^address/d' "$LAB_DIR/lb.ini"
	topology_reload
	tmbridge_counts '[.farms[0].servers[] | select(.removed | not) | .name]' '["fe2"]'
	[[ $(connects client 10.0.0.40 5061 2 | cut -d' ' -f1 | sort -u) = fe2 ]]
	lines=$(wc -l <"$LAB_DIR/tmbridge.err")
	mode=$(sed -n 's/^mode = //p' "$LAB_DIR/lb.ini")
	sed -i 's/^mode = .*/mode = transparent/' "$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 5 said_since "$lines" "mode: is $mode, and changing it to transparent needs a restart"
}

# Filters have a say in what goes to the VIPs, and none in what is the host's; in each version of IP. SSH to the host is served.
filters_have_a_say()
{
	local vip

	cp "$LAB_DIR/lb.ini" "$LAB_DIR/lb.ini.kept"
	cat >>"$LAB_DIR/lb.ini" <<-'END'
		[filter syns]
		match = tcp[tcpflags] & tcp-syn != 0 or ip6 proto 6
		side = outside
		action = count
		[filter web]
		match = tcp dst port 444
		side = outside
		action = reset
		[filter ssh]
		match = tcp port 22
		action = drop
	END
	topology_reload
	[[ $(connects client 10.0.0.40 22 1) = "tmb 10.0.0.100:"* ]]
	for vip in 10.0.0.40 fd00::40; do
		[[ $(connects client $vip 5061 2 | wc -l) = 2 ]]
		run in_ns client timeout 5 bash -c "exec 3<>/dev/tcp/$vip/444"
		[[ $status = 1 ]] # and not the time
	done
	tmbridge_stats | jq -e '.filters | .[0].matched >= 6 and .[1].dropped == 2 and .[2].matched == 0'
	tmbridge_counts .reasons.filter_reset 2
	tmbridge_counts .fast_path.active "$([[ $FAST_PATH = kernel ]] && echo true || echo false)"
	tmbridge_stats | stats_add_up
	mv "$LAB_DIR/lb.ini.kept" "$LAB_DIR/lb.ini"
	topology_reload
}

bundle_goes_on()
{
	[[ -s $LAB_DIR/bundle/capture.pcapng ]] && grep -q ^flow "$LAB_DIR/bundle/state"
}

# Connections of before and of now to the address, of which a bundle is made, and replayed without what it was of: what is
# sent is the same.
topology_replays() # ADDRESS FILTER...
{
	local line

	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 4 -t 30 -w "$1" 5061 3>&-; }
	read -r -t 30 line <&"${HELD[0]}"
	lab_spawn bundle tmb "$TMBRIDGE" capture --bundle "$LAB_DIR/bundle" "${@:2}"
	wait_until 20 bundle_goes_on
	echo >&"${HELD[1]}"
	read -r -t 30 line <&"${HELD[0]}"
	jq -e '.echoed == 4 and .lost == 0' <<<"$line"
	in_ns client "$TOOLS/manyconns" connect -n 5 -t 10 "$1" 5061 | jq -e '.echoed == 5'
	wait_until 20 bundle_has_ended
	lab_kill bundle
	"$TMBRIDGE" -b "$LAB_DIR/bundle" -w "$LAB_DIR/again-outside.pcap,$LAB_DIR/again-inside.pcap"
	"$TOOLS/pcapcmp" "$LAB_DIR/bundle/outside-out.pcap" "$LAB_DIR/again-outside.pcap" \
		"$LAB_DIR/bundle/inside-out.pcap" "$LAB_DIR/again-inside.pcap"
	[[ $(tcpdump -r "$LAB_DIR/again-outside.pcap" tcp 2>/dev/null | wc -l) -ge 30 ]]
	rm -r "$LAB_DIR/bundle"
}

# The five later connections have closed, both ways.
bundle_has_ended()
{
	[[ $(tcpdump -r "$LAB_DIR/bundle/outside-in.pcap" 'dst port 5061 and (tcp[13] & 5 != 0 or ip6[53] & 5 != 0)' 2>/dev/null | wc -l) -ge 5 ]]
}
