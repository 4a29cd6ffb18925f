# The lab in which modes are compared, and those in which tmbridge is no cable: sourced, behind lab.sh.
#
# transparent: lab.sh's own.
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

transparent_up()
{
	lab_up
	INTERFACES=(eth0 eth1) NET4=10.0.0 NET6=fd00
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
	in_ns "$1" timeout 60 "$TOOLS/manyconns" connect -n "$4" -j 1 -c -g "$2" "$3"
}

capture() # NAMESPACE FILTER [OPTION...]
{
	lab_spawn "$1-dump" "$1" tcpdump -i eth0 -n -l --immediate-mode "${@:3}" "$2"
	wait_until 20 grep -q listening "$LAB_DIR/$1-dump.err"
}

# Counts, in the host's stack, what is the balancer's: to addresses that aren't the host's all of it.
host_probe() # [MODE]
{
	local ports=${PORTS// /,} vip=10.0.0.40 vip6=fd00::40

	{
		echo "add table inet probe"
		echo "delete table inet probe" # which else would go on counting, with what came while nobody kept it from the host
		echo "table inet probe {"
		echo "  chain seen { type filter hook prerouting priority -300;"
		echo "    ip daddr { 10.0.0.49, 10.0.0.50, 192.168.0.50 } counter"
		if [[ ${1:-} = transparent ]]; then
			echo "    ip daddr $vip counter"
			echo "    ip6 daddr $vip6 counter"
		else
			echo "    ip daddr $vip tcp dport { $ports } counter"
			echo "    ip6 daddr $vip6 tcp dport { $ports } counter"
			echo "    ip daddr { $vip, 192.168.0.40 } tcp sport { $ports } tcp dport { 1008-1023, 1024-32767 } counter"
			echo "    ip6 daddr { $vip6, fd01::40 } tcp sport { $ports } tcp dport { 1008-1023, 1024-32767 } counter"
		fi
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
