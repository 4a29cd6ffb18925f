# Two farms on one VIP, of the same servers and SNAT address: a web server that listens on another port than
# the VIP, beside SIP; IPv4 and IPv6, two workers.

source "$BATS_TEST_DIRNAME/../lab.sh"

farms() # SUFFIX VIP NET
{
	printf '[farm web%s]\nvip = %s\nports = 80:8080, 7000-7003:17000-17003\ncheck = 8080\n' "$1" "$2"
	printf 'check_interval = 500ms\ncheck_timeout = 300ms\nfall = 2\n'
	printf '[farm sip%s]\nvip = %s\nports = 5060-5061\ncheck = 5061\n' "$1" "$2"
	printf 'check_interval = 500ms\ncheck_timeout = 300ms\nfall = 2\n'
	for server in 1 2; do
		printf '[server web%s%s]\nfarm = web%s\naddress = %s4%s\n' "$1" "$server" "$1" "$3" "$server"
		printf '[server sip%s%s]\nfarm = sip%s\naddress = %s4%s\n' "$1" "$server" "$1" "$3" "$server"
	done
}

setup_file()
{
	local server

	lab_up
	for server in fe1 fe2; do
		server_tcp $server 5060 5061 17000 17001 17002 17003
		server_http $server 8080
	done
	lab_file big 8
	{
		printf '[bridge]\nworkers = 2\nmax_connections = 10000\nfast_path = %s\non_exit = cut\n' "$FAST_PATH"
		farms "" "$VIP" 10.0.0.
		farms 6 "$VIP6" fd00::
	} >"$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 10 tmbridge_is_served 8
}

teardown_file()
{
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

connect() # NAMESPACE VIP PORT TIMES
{
	in_ns "$1" "$TOOLS/manyconns" connect -g -n "$4" -t 20 "$2" "$3" | grep '^fe'
}

@test "a mapped port: files arrive whole from nginx at another port" {
	for vip in "$VIP" "[$VIP6]"; do
		for ns in client fe1; do
			in_ns $ns curl -gsS -m 30 "http://$vip/big" | cmp - "$LAB_DIR/www/big"
		done
	done
}

@test "servers see their own port and the SNAT address, through both workers" {
	for vip in "$VIP" "$VIP6"; do
		for port in 7000 7003; do
			connect client "$vip" $port 40
		done >"$LAB_DIR/said"
		[[ $(grep -c . "$LAB_DIR/said") = 80 ]]
		[[ $(grep -c ':17000$' "$LAB_DIR/said") = 40 && $(grep -c ':17003$' "$LAB_DIR/said") = 40 ]]
		[[ $(cut -d' ' -f1 "$LAB_DIR/said" | sort | uniq -c | awk '{ print $1 }' | xargs) = "40 40" ]]
		[[ $(sed -nE 's/^fe. [^ ]+:([0-9]+) .*/\1/p' "$LAB_DIR/said" | awk '{ print $1 % 2 }' | sort -u | wc -l) = 2 ]]
	done
	# no frame came to the wrong worker
	tmbridge_counts '.workers.handed_over' 0
}

@test "hairpin to a mapped port, also to itself" {
	for vip in "$VIP" "$VIP6"; do
		connect fe1 "$vip" 7001 20 >"$LAB_DIR/said"
		[[ $(grep -c ':17001$' "$LAB_DIR/said") = 20 ]]
		grep -q '^fe1' "$LAB_DIR/said" && grep -q '^fe2' "$LAB_DIR/said"
	done
}

@test "a port of neither farm is refused, and so is the server's" {
	for port in 81 8080 5062; do
		run in_ns client curl -gsS -m 5 "http://$VIP:$port/"
		[[ $status = 7 ]] # and at once
	done
}

farm_is() # NAME UP
{
	tmbridge_stats | jq -e --arg n "$1" --argjson up "$2" 'any(.farms[]; .name == $n and .up == $up)'
}

@test "one farm dies: the other's connections and the VIP's pings don't notice" {
	local held=()

	for vip in "$VIP" "$VIP6"; do
		lab_spawn "held${#held[@]}" client bash -c "exec 3<>/dev/tcp/$vip/5061; exec cat <&3"
		held+=("held${#held[@]}")
	done
	for name in "${held[@]}"; do
		wait_until 5 grep -q fe "$LAB_DIR/$name.out"
	done
	lab_spawn pings client ping -i 0.05 "$VIP"
	for name in fe1-http fe2-http; do
		lab_signal $name TERM # its workers end with it
		lab_wait $name 5
	done
	wait_until 10 farm_is web false
	wait_until 10 farm_is web6 false
	farm_is sip true
	run in_ns client curl -gsS -m 5 "http://$VIP/name"
	[[ $status = 7 ]]
	[[ $(connect client "$VIP" 5060 20 | grep -c '^fe') = 20 ]]
	[[ $(connect client "$VIP6" 5060 20 | grep -c '^fe') = 20 ]]
	lab_signal pings INT
	lab_wait pings 5
	pings_answered "$LAB_DIR/pings.out" 5
	in_ns client ping -q -c 1 -W 10 "$VIP6"
	for name in "${held[@]}"; do
		[[ ! -s $LAB_DIR/$name.status ]]
		lab_kill "$name"
	done
	# and it comes back by itself
	server_http fe1 8080
	wait_until 10 farm_is web true
	in_ns client curl -gsS -m 5 "http://$VIP/name" | grep '^fe1 '
}
