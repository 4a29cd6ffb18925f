# Several workers: each flow's packets come to one of them, whatever kind they are.

source "$BATS_TEST_DIRNAME/../lab.sh"

teardown()
{
	lab_down
}

# Fails if there isn't a port of each remainder among the SNAT ports that the servers saw.
all_workers_took_part() # WORKERS <ANSWERS
{
	local n

	n=$(sed -nE 's/^fe. [^ ]+:([0-9]+) .*/\1/p' | awk -v n="$1" '{ print $1 % n }' | sort -u | wc -l)
	[[ $n = "$1" ]] || lab_die "connections of $n of $1 workers"
}

# One connection each: what the server says.
ask() # TIMES [CLIENT-NAMESPACE]
{
	in_ns "${2:-client}" "$TOOLS/manyconns" connect -g -n "$1" -t 20 "$VIP" 5061 | grep "^fe"
}

threads()
{
	ls "/proc/$(<"$LAB_DIR/tmbridge.pid")/task" | wc -l
}

@test "connections from both sides, spread over three workers, none by a detour" {
	lab_up
	server_tcp fe1 5061
	server_tcp fe2 5061
	lab_ini 'ports = 5061' 'bridge.workers = 3'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served
	# with the one that sleeps, the one that writes statistics, and one of the sanitizer
	[[ $(threads) = $([[ $VARIANT = tsan ]] && echo 6 || echo 5) ]]
	ask 300 >"$LAB_DIR/said"
	ask 60 fe1 >"$LAB_DIR/hairpin" # to itself as well
	[[ $(grep -c . "$LAB_DIR/said") = 300 && $(grep -c . "$LAB_DIR/hairpin") = 60 ]]
	all_workers_took_part 3 <"$LAB_DIR/said"
	all_workers_took_part 3 <"$LAB_DIR/hairpin"
	tmbridge_stats >"$LAB_DIR/counts"
	jq -e '.workers.running == 3 and .workers.handed_over == 0 and .flows.created == 360 and
		([.farms[].servers[].connections_total] | add == 360 and min > 100)' "$LAB_DIR/counts"
	stats_add_up <"$LAB_DIR/counts"
	tmbridge_stop
}

@test "IPv6, the same" {
	VIP=$VIP6
	lab_up
	server_tcp fe1 5061
	server_tcp fe2 5061
	lab_ini 'ports = 5061' 'bridge.workers = 2'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served
	ask 100 >"$LAB_DIR/said"
	[[ $(grep -c . "$LAB_DIR/said") = 100 ]]
	tmbridge_stats >"$LAB_DIR/counts"
	jq -e '.workers.handed_over == 0 and .flows.created == 100' "$LAB_DIR/counts"
	stats_add_up <"$LAB_DIR/counts"
	tmbridge_stop
}

# The probes' own ports, 1008 to 1023, are service ports as well: what answers a probe looks like a client.
# bats test_tags=plain
@test "service ports that are also the probes' source ports: servers are up, and serve, by either version of IP" {
	local ports=('ports = 1000-1030' 'check = 1010' 'check_interval = 500ms' 'check_timeout = 400ms')

	lab_up
	server_tcp fe1 1010
	server_tcp fe2 1010
	lab_ini "${ports[@]}" 'bridge.workers = 8'
	printf '%s\n' '[farm six]' "vip = $VIP6" "${ports[@]}" >>"$LAB_DIR/lb.ini"
	printf '[server six-%s]\nfarm = six\naddress = fd00::4%s\n' 1 1 2 2 >>"$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served # that each answer is its worker's by chance: 1 in 64
	sleep 9 # a probe from each of the 16 ports
	for vip in "$VIP" "$VIP6"; do
		in_ns client "$TOOLS/manyconns" connect -g -n 100 -t 20 "$vip" 1010 | grep "^fe" >"$LAB_DIR/said"
		in_ns fe1 "$TOOLS/manyconns" connect -g -n 30 -t 20 "$vip" 1010 | grep "^fe" >"$LAB_DIR/hairpin"
		[[ $(grep -c . "$LAB_DIR/said") = 100 && $(grep -c . "$LAB_DIR/hairpin") = 30 ]]
		all_workers_took_part 8 <"$LAB_DIR/said"
	done
	tmbridge_stats >"$LAB_DIR/counts"
	jq -e '[.farms[].servers[] | .health == "up" and .probes_failed == 0 and .probes_ok > 16] | length == 4 and all' "$LAB_DIR/counts"
	stats_add_up <"$LAB_DIR/counts"
	tmbridge_stop
}

@test "a large file in parts, a reload, and a server that dies, with two workers" {
	lab_up
	server_http fe1 443
	server_http fe2 443
	lab_file large 64
	lab_ini 'ports = 443' 'check = 443' 'check_interval = 1s' 'check_timeout = 300ms' 'bridge.workers = 2'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served
	for i in 1 2 3 4 5 6; do
		lab_spawn "get$i" client curl -sf --limit-rate 20M -o "$LAB_DIR/got$i" "http://$VIP:443/large"
	done
	sleep 0.5
	lab_ini 'ports = 443' 'check = 443' 'check_interval = 1s' 'check_timeout = 300ms' 'bridge.workers = 2' 'fe1.weight = 3'
	lab_signal tmbridge HUP
	wait_until 5 grep reloaded "$LAB_DIR/tmbridge.err"
	for i in 1 2 3 4 5 6; do
		[[ $(lab_wait "get$i" 30) = 0 ]]
		cmp "$LAB_DIR/www/large" "$LAB_DIR/got$i"
	done
	lab_signal fe1-http TERM
	wait_until 6 grep 'server fe1: down' "$LAB_DIR/tmbridge.err"
	sleep 0.1
	for i in $(seq 40); do
		[[ $(in_ns client curl -sf -m 2 "http://$VIP:443/name") = fe2* ]]
	done
	[[ $(grep -c 'server fe1: down' "$LAB_DIR/tmbridge.err") = 1 ]]
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "persist: a client's connections stay together, however many workers" {
	lab_up addresses=8
	server_tcp fe1 5061
	server_tcp fe2 5061
	lab_ini 'ports = 5061' 'persist = 5m' 'bridge.workers = 2'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served
	for i in $(seq 100 107); do
		in_ns client "$TOOLS/manyconns" connect -g -n 12 -t 10 -a "10.0.0.$i" "$VIP" 5061 | grep "^fe" >"$LAB_DIR/said"
		[[ $(cut -d' ' -f1 "$LAB_DIR/said" | sort -u | wc -l) = 1 ]]
	done
	tmbridge_stop
}

# What the kernel sends on a port comes back to a fanout group, the segments that it cuts a large frame into above all.
@test "nothing of what is sent comes back in, also where the kernel cuts frames up" {
	lab_up
	for port in eth0 eth1; do
		in_ns tmb ethtool -K $port tso off gso on >/dev/null
	done
	server_http fe1 443
	server_http fe2 443
	lab_file large 16
	lab_ini 'ports = 443' 'bridge.workers = 2'
	tmbridge_start "$LAB_DIR/lb.ini"
	in_ns client curl -sf "http://10.0.0.41:443/large" | cmp - "$LAB_DIR/www/large"
	in_ns client curl -sf "http://$VIP:443/large" | cmp - "$LAB_DIR/www/large"
	tmbridge_stats >"$LAB_DIR/counts"
	jq -c .reasons "$LAB_DIR/counts"
	jq -e '(.reasons.loop // 0) == 0 and .ports.outside.received < 40000' "$LAB_DIR/counts"
	# the switch learned each host's address where it is, and never behind the other port
	[[ $(in_ns switch bridge fdb show br br0 | grep 02:00:00:00:01:00) = *client* ]]
	[[ $(in_ns segment bridge fdb show br br0 | grep 02:00:00:00:00:41) = *fe1* ]]
	tmbridge_stop
}
