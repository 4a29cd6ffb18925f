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
	give_fe1_back
	ip -n segment link set fe1 up
	ip -n fe1 link set eth0 up
}

@test "a killed server is out in time; its clients aren't left waiting, new ones never hang" {
	checked
	hold_both
	goes_out fe1 lab_kill fe1-tcp
	ends_with fe1 "$ON_FE1"
	only_from fe2
	never is_over "$ON_FE2"
	server_tcp fe1 5061
	wait_until 5 health_is fe1 up
	[[ ${WORKERS:-1} -gt 1 ]] || only_from fe1 # which has nothing to do, while fe2 still has its client
	tmbridge_stop
}

@test "a cut cable: the same, and a client blocked in read() is reset at that moment" {
	checked
	hold_both
	goes_out fe1 ip -n segment link set fe1 down
	ends_with fe1 "$ON_FE1"
	grep -q 'Connection reset by peer' "$LAB_DIR/$ON_FE1.err"
	only_from fe2
	never is_over "$ON_FE2"
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
	no_sockets_of_before
	hold_both
	[[ -n $(sockets fe1 'sport = :5061') ]]
	goes_out fe1 lab_kill fe1-checked
	wait_until 3 no_sockets fe1 'sport = :5061'
	grep -q 'Connection reset by peer' "$LAB_DIR/$ON_FE1.err"
	[[ -n $(sockets fe2 'sport = :5061') ]]
	tmbridge_stop
}

@test "on_down = keep: a connection outlives its server's absence" {
	local n=$((2 * ${WORKERS:-1})) # so that one worker has two, of which either server gets one

	checked 'on_down = keep'
	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n $n -w "$VIP" 5061 3>&-; }
	read -r -t 60 -u "${HELD[0]}" line
	echo >&"${HELD[1]}"
	read -r -t 60 -u "${HELD[0]}" line
	echo "$line"
	jq -e --argjson n $n '.echoed == $n and (.servers | keys) == ["fe1", "fe2"]' <<<"$line"
	goes_out fe1 ip -n segment link set fe1 down
	ip -n segment link set fe1 up
	wait_until 5 health_is fe1 up
	echo >&"${HELD[1]}"
	read -r -t 60 -u "${HELD[0]}" line
	jq -e --argjson n $n '.echoed == $n' <<<"$line"
	eval "exec ${HELD[1]}>&-"
	tmbridge_stats | jq -e '.flows.server_down == 0'
	tmbridge_stop
}

@test "no server is left: refused at once, and the log says that the farm is down" {
	checked
	goes_out fe1 lab_kill fe1-tcp
	goes_out fe2 lab_kill fe2-tcp
	vip_connect -n 5 -j 1 -t 10 | jq -e '.refused == 5'
	tmbridge_stats | jq -e '.reasons.no_server == 5 and .farms[0].up == false'
	log_says 'farm pool: down: no server is up'
	never in_ns client ping -c 1 -W 1 "$VIP"
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
	goes_out fe1 ip -n segment link set fe1 down
	wait_until 3 reset_all 5000
	echo >&"${HELD[1]}"
	read -r -t 60 -u "${HELD[0]}" line
	echo "$line"
	jq -e "$JQ_SHARE"'.servers.fe2 | is_share(5000)' <<<"$line"
	eval "exec ${HELD[1]}>&-"
	in_ns fe1 ss -HKtn 'sport = :5061' >/dev/null # with the link, all their FINs would come at once, again and again
	books_balance
	tmbridge_stop
}

reset_all() # N
{
	tmbridge_stats | jq -e --argjson n "$1" "$JQ_SHARE"'.flows.server_down | is_share($n)'
}

# bats test_tags=plain
@test "probes leave nothing behind on the server" {
	checked
	sleep 3
	# at most one that is under way
	[[ $(in_ns fe1 ss -Htan 'sport = :5061 and dport >= :1008 and dport <= :1023' | wc -l) -le 1 ]]
	tmbridge_stats | jq -e '[.farms[0].servers[] | .probes_ok >= 5 and .probes_failed == 0] | all'
	tmbridge_stop
}

# fe1's address, in the hands of somebody outside.
steal_fe1()
{
	ip -n dc addr add 10.0.0.41/32 dev eth0
	lab_spawn thief dc arping -q -U -c 9 -I eth0 -s 10.0.0.41 10.0.0.41
}

give_fe1_back()
{
	ip -n dc addr del 10.0.0.41/32 dev eth0 2>/dev/null || true
	ip -n fe1 link set eth0 address 02:00:00:00:00:41
	ip -n switch link set fe1 netns segment 2>/dev/null || return 0
	ip -n segment link set fe1 master br0 up
}

@test "who says that a server is elsewhere doesn't get it while it answers" {
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	hold_both
	steal_fe1
	for ((i = 0; i < 8; i++)); do
		vip_connect -n 10 -j 1 -c -t 10 | jq -e "$JQ_SHARE"'.connected == 10 and (.servers.fe1 | is_share(5))'
		sleep 0.5
	done
	give_fe1_back
	never is_over "$ON_FE1"
	log_says 'server fe1: 02:00:00:00:00:10 on eth0 claims to be it: it answers at 02:00:00:00:00:41 on eth1, and stays there'
	tmbridge_stats | jq -e '.arp.moves == 0 and .arp.attempts >= 2'
	tmbridge_stop
}

@test "a server that isn't there any more is where somebody says" {
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	vip_connect -n 4 -j 1 -c | jq -e '.connected == 4'
	lab_spawn dc-tcp dc "$TOOLS/manyconns" serve dc 5061
	ip -n segment link set fe1 down
	steal_fe1
	wait_until 3 log_says 'server fe1: moved from 02:00:00:00:00:41 on eth1, .*, to 02:00:00:00:00:10 on eth0'
	vip_connect -n 4 -j 1 -c -t 10 | jq -e "$JQ_SHARE"'.connected == 4 and (.servers.dc | is_share(2))'
	give_fe1_back
	tmbridge_stop
}

@test "a server's new card, on the other side, of which nobody says a word, is found by SYNs that go unanswered" {
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	vip_connect -n 4 -j 1 -c | jq -e '.connected == 4'
	in_ns fe1 sysctl -qw net.ipv4.conf.eth0.arp_notify=0
	sleep 1
	ip -n fe1 link set eth0 address 02:00:00:00:04:41
	ip -n segment link set fe1 netns switch
	ip -n switch link set fe1 master br0 up
	vip_connect -n 4 -j 1 -c -t 20 | tee "$LAB_DIR/out"
	jq -e "$JQ_SHARE"'.connected == 4 and (.servers | (.fe1 | is_share(2)) and (.fe2 | is_share(2)))' "$LAB_DIR/out"
	jq -e '.seconds < 6.5' "$LAB_DIR/out" # SYNs at 0, 1 and 3 s, and the next one would be at 7
	log_says 'server fe1: moved from 02:00:00:00:00:41 on eth1, .*, to 02:00:00:00:04:41 on eth0'
	vip_connect -n 4 -j 1 -c -t 1 | jq -e '.connected == 4' # by that side it is answered
	give_fe1_back
	tmbridge_stop
}

@test "the same by probes, in time for the next one" {
	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 4s' 'check_timeout = 2s' 'fall = 2'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
	ip -n fe1 link set eth0 address 02:00:00:00:04:41
	wait_until 10 log_says 'server fe1: moved from 02:00:00:00:00:41 on eth1, .*, to 02:00:00:00:04:41 on eth1'
	vip_connect -n 4 -j 1 -c -t 10 | jq -e "$JQ_SHARE"'.connected == 4 and (.servers | (.fe1 | is_share(2)) and (.fe2 | is_share(2)))'
	never log_says 'server fe1: down'
	give_fe1_back
	tmbridge_stop
}

# 100 connections that are open, and go on when told to.
hold_many()
{
	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 100 -t 10 -w "$VIP" 5061 3>&-; }
	read -r -t 60 -u "${HELD[0]}" line
	all_go_on
}

all_go_on()
{
	echo >&"${HELD[1]}"
	read -r -t 60 -u "${HELD[0]}" line
	echo "$line"
	jq -e '.echoed == 100' <<<"$line"
}

# bats test_tags=plain
@test "our own cables are dead for a while: no server is, and no connection is reset" {
	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 1s' 'check_timeout = 500ms' 'fall = 2'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
	hold_many
	ip -n segment link set tmb down
	ip -n switch link set tmb down
	sleep 5
	tmbridge_stats | jq -e '[.farms[0].servers[].health] == ["up", "up"]'
	ip -n segment link set tmb up
	ip -n switch link set tmb up
	all_go_on
	tmbridge_stats | jq -e '.flows.server_down == 0 and .flows.open == 100'
	never log_says 'server fe[12]: down'
	eval "exec ${HELD[1]}>&-"
	tmbridge_stop
}
