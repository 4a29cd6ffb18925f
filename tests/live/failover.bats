# A server dies, in several ways, and comes back.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../failover.sh"

setup_file()
{
	lab_up
}

setup()
{
	server_tcp fe1 5061
	server_tcp fe2 5061
}

teardown()
{
	lab_kill_all
	ip -n segment link set fe1 up
	ip -n fe1 link set eth0 up
}

@test "a killed server is out in time; its clients aren't left waiting, new ones never hang" {
	checked
	hold_both
	lab_kill fe1-tcp
	wait_until $IN_TIME health_is fe1 down
	wait_until 1 is_over "$ON_FE1"
	only_from fe2
	! is_over "$ON_FE2"
	server_tcp fe1 5061
	wait_until 5 health_is fe1 up
	only_from fe1 # which has nothing to do, while fe2 still has its client
	tmbridge_stop
}

@test "a cut cable: the same, and a client blocked in read() is reset at that moment" {
	checked
	hold_both
	ip -n segment link set fe1 down
	wait_until $IN_TIME health_is fe1 down
	wait_until 1 is_over "$ON_FE1"
	grep -q 'Connection reset by peer' "$LAB_DIR/$ON_FE1.err"
	only_from fe2
	! is_over "$ON_FE2"
	tmbridge_stats | jq -e '.flows.server_down == 1 and .flows.resets_sent >= 2'
	log_says 'server fe1: down: port 5061: (no answer|no ARP reply), after [0-9.]+ s up'
	ip -n segment link set fe1 up
	wait_until 5 health_is fe1 up
	log_says 'server fe1: up, after [0-9.]+ s down'
	tmbridge_stop
}

@test "the server's own end of a dead server's connections is reset as well" {
	lab_spawn fe1-checked fe1 "$TOOLS/manyconns" serve fe1 444
	lab_spawn fe2-checked fe2 "$TOOLS/manyconns" serve fe2 444
	lab_ini 'ports = 5061' 'check = 444' 'check_interval = 500ms' 'check_timeout = 300ms' 'fall = 2'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
	hold_both
	[[ -n $(sockets fe1 'sport = :5061') ]]
	lab_kill fe1-checked
	wait_until $IN_TIME health_is fe1 down
	wait_until 1 no_sockets fe1 'sport = :5061'
	grep -q 'Connection reset by peer' "$LAB_DIR/$ON_FE1.err"
	[[ -n $(sockets fe2 'sport = :5061') ]]
	tmbridge_stop
}

@test "on_down = keep: a connection outlives its server's absence" {
	checked 'on_down = keep'
	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 2 -w "$VIP" 5061 3>&-; }
	read -r -t 5 -u "${HELD[0]}" line
	echo >&"${HELD[1]}"
	read -r -t 5 -u "${HELD[0]}" line
	echo "$line"
	jq -e '.echoed == 2 and (.servers | keys) == ["fe1", "fe2"]' <<<"$line"
	ip -n segment link set fe1 down
	wait_until $IN_TIME health_is fe1 down
	ip -n segment link set fe1 up
	wait_until 5 health_is fe1 up
	echo >&"${HELD[1]}"
	read -r -t 10 -u "${HELD[0]}" line
	jq -e '.echoed == 2' <<<"$line"
	eval "exec ${HELD[1]}>&-"
	tmbridge_stats | jq -e '.flows.server_down == 0'
	tmbridge_stop
}

@test "no server is left: refused at once, and the log says that the farm is down" {
	checked
	lab_kill fe1-tcp
	lab_kill fe2-tcp
	wait_until $IN_TIME health_is fe1 down
	wait_until $IN_TIME health_is fe2 down
	vip_connect -n 5 -j 1 -t 2 | jq -e '.refused == 5'
	tmbridge_stats | jq -e '.reasons.no_server == 5 and .farms[0].up == false'
	log_says 'farm pool: down: no server is up'
	! in_ns client ping -c 1 -W 1 "$VIP"
	tmbridge_stop
}

@test "many connections of a dead server are reset, paced, and none of the others" {
	checked 'bridge.max_connections = 50000'
	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 10000 -t 10 -w "$VIP" 5061 3>&-; }
	read -r -t 60 -u "${HELD[0]}" line
	echo >&"${HELD[1]}"
	read -r -t 60 -u "${HELD[0]}" line
	echo "$line"
	jq -e '.echoed == 10000' <<<"$line"
	ip -n segment link set fe1 down
	wait_until $IN_TIME health_is fe1 down
	wait_until 3 reset_all 5000
	echo >&"${HELD[1]}"
	read -r -t 30 -u "${HELD[0]}" line
	echo "$line"
	jq -e '.servers.fe2 == 5000' <<<"$line"
	eval "exec ${HELD[1]}>&-"
	books_balance
	tmbridge_stop
}

reset_all() # N
{
	tmbridge_stats | jq -e --argjson n "$1" '.flows.server_down == $n'
}

@test "probes leave nothing behind on the server" {
	checked
	sleep 3
	# at most one that is under way
	[[ $(in_ns fe1 ss -Htan 'sport = :5061 and dport >= :1008 and dport <= :1023' | wc -l) -le 1 ]]
	tmbridge_stats | jq -e '[.farms[0].servers[] | .probes_ok >= 5 and .probes_failed == 0] | all'
	tmbridge_stop
}
