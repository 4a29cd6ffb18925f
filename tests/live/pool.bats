# Of the preset's twelve ports two are checked; states, schedulers, limits and SNAT addresses.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../failover.sh"

setup_file()
{
	local n

	lab_up addresses=8
	for n in 1 2; do
		lab_spawn "fe$n-444" "fe$n" "$TOOLS/manyconns" serve "fe$n" 444
		lab_spawn "fe$n-135" "fe$n" "$TOOLS/manyconns" serve "fe$n" 135
		# shellcheck disable=SC2086
		lab_spawn "fe$n-others" "fe$n" "$TOOLS/manyconns" serve "fe$n" \
			$(sed 's/\b\(444\|135\)\b//g' <<<"$OCS_PORTS")
	done
	ip -n fe2 addr add 10.0.0.43/24 dev eth0
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
}

ocs()
{
	lab_ini 'preset = ocs2007r2' 'check_interval = 500ms' 'check_timeout = 300ms' 'fall = 2'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
}

all_ports_from_fe2()
{
	local port

	for port in $OCS_PORTS; do
		[[ $(PORT=$port vip_servers 2) = '{"fe2":2}' ]] || return 1
	done
}

@test "444 alone dies: the server leaves the farm for all twelve ports" {
	ocs
	goes_out fe1 lab_kill fe1-444
	all_ports_from_fe2
	lab_spawn fe1-444 fe1 "$TOOLS/manyconns" serve fe1 444
	wait_until 5 health_is fe1 up
	tmbridge_stop
}

# bats test_tags=apart
@test "135 alone dies, which isn't checked: the server stays" {
	ocs
	lab_kill fe1-135
	sleep 3
	health_is fe1 up
	vip_servers 4 | jq -e "$JQ_SHARE"'(.fe1 | is_share(2)) and (.fe2 | is_share(2))'
	lab_spawn fe1-135 fe1 "$TOOLS/manyconns" serve fe1 135
	tmbridge_stop
}

@test "standby takes over while no active server is up, and waits again" {
	lab_ini 'ports = 5061' 'check = 444' 'check_interval = 500ms' 'check_timeout = 300ms' 'fall = 2' \
		'fe2.state = standby'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
	only_from fe1
	goes_out fe1 lab_kill fe1-444
	only_from fe2
	lab_spawn fe1-444 fe1 "$TOOLS/manyconns" serve fe1 444
	wait_until 5 health_is fe1 up
	only_from fe1
	tmbridge_stop
}

# bats test_tags=apart
@test "disabled: no connections and no probes; all disabled: refused" {
	# what began before may still end
	lab_spawn probes fe2 tcpdump -n -l --immediate-mode -i eth0 'tcp dst port 5061 and tcp[tcpflags] & tcp-syn != 0'
	wait_until 20 grep -q listening "$LAB_DIR/probes.err"
	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 500ms' 'check_timeout = 300ms' 'fe2.state = disabled'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 health_is fe1 up
	only_from fe1
	sleep 1
	lab_kill probes
	[[ ! -s $LAB_DIR/probes.out ]]
	tmbridge_stop
}

# bats test_tags=apart
@test "wrr shares 3 to 1 in turns, whatever is open" {
	lab_ini 'ports = 5061' 'scheduler = wrr' 'fe1.weight = 3'
	tmbridge_start "$LAB_DIR/lb.ini"
	vip_connect -n 40 | jq -e "$JQ_SHARE"'.servers | (.fe1 | is_share(30)) and .fe1 + .fe2 == 40'
	vip_servers 40 | jq -e "$JQ_SHARE"'(.fe1 | is_share(30)) and .fe1 + .fe2 == 40'
	tmbridge_stop
}

# bats test_tags=apart
@test "source: a client always gets the same server; the loss of one moves only its clients" {
	local before after

	lab_ini 'ports = 5061' 'scheduler = source'
	tmbridge_start "$LAB_DIR/lb.ini"
	before=$(by_client)
	[[ $before = "$(by_client)" ]]
	[[ $(cut -d' ' -f2 <<<"$before" | sort -u | wc -l) = 2 ]]
	sed -i '/server fe2/a weight = 0' "$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 5 log_says 'reloaded$'
	after=$(by_client)
	[[ $(grep fe1 <<<"$before") = "$(grep -Ff <(grep fe1 <<<"$before" | cut -d' ' -f1 | sed 's/$/ /') <<<"$after")" ]]
	[[ $(cut -d' ' -f2 <<<"$after" | sort -u) = fe1 ]]
	tmbridge_stop
}

# CLIENT-ADDRESS SERVER of a connect from each of the client's addresses.
by_client()
{
	local i

	for i in 0 1 2 3 4 5 6 7; do
		echo "10.0.0.$((100 + i)) $(in_ns client "$TOOLS/manyconns" connect -c -g -a "10.0.0.$((100 + i))" -A 1 \
			"$VIP" 5061 | sed -n 1p | cut -d' ' -f1)"
	done
}

# bats test_tags=apart
@test "persist: all ports of a client stick to one server" {
	local port servers

	lab_ini 'ports = 5060, 5061, 5065' 'persist = 5m'
	tmbridge_start "$LAB_DIR/lb.ini"
	servers=$(for port in 5060 5061 5065 5061 5060; do
		PORT=$port vip_connect -c -g | sed -n 1p | cut -d' ' -f1
	done | sort -u)
	[[ $servers = fe[12] ]]
	tmbridge_stop
}

# bats test_tags=apart
@test "max_connections of a server: the other one takes the rest; then refused" {
	needs_one_worker
	lab_ini 'ports = 5061' 'fe1.max_connections = 3' 'fe2.max_connections = 4'
	tmbridge_start "$LAB_DIR/lb.ini"
	# one at a time: a newcomer takes the place of who is still on his way
	vip_connect -n 10 -j 1 | jq -e '.servers == {"fe1": 3, "fe2": 4} and .refused == 3'
	tmbridge_stats | jq -e '.reasons.servers_full == 3'
	tmbridge_stop
}

@test "several SNAT addresses are used evenly, and each is answered for" {
	lab_ini 'ports = 5061' 'snat = 10.0.0.50-10.0.0.53'
	tmbridge_start "$LAB_DIR/lb.ini"
	vip_connect -n 80 -g | sed -nE 's/^fe[12] ([0-9.]+):.*/\1/p' | sort | uniq -c |
		awk -v workers="${WORKERS:-1}" '$1 <= 20 - workers || $1 >= 20 + workers { bad = 1 } END { exit bad || NR != 4 }'
	for i in 50 51 52 53; do
		in_ns fe1 ping -c 1 -W 10 "10.0.0.$i"
	done
	tmbridge_stop
}

@test "snat = off: the server sees the client, the client the VIP" {
	lab_ini 'ports = 5061' 'snat = off'
	tmbridge_start "$LAB_DIR/lb.ini"
	vip_connect -n 4 -j 1 -c -g | sed -n 1,4p | grep -cE '^fe[12] 10\.0\.0\.100:[0-9]+ 10\.0\.0\.4[12]:5061$' | seek -x 4
	vip_connect -n 50 | jq -e '.echoed == 50'
	# by another client: a port that this one has just had on the VIP would be that flow's at the server
	in_ns dc "$TOOLS/manyconns" connect -n 5 10.0.0.41 5061 | jq -e '.servers.fe1 == 5'
	tmbridge_stop
}

# bats test_tags=plain
@test "idle connections: both ends are reset; one that is used stays" {
	lab_ini 'ports = 5061' 'idle_timeout = 4s'
	tmbridge_start "$LAB_DIR/lb.ini"
	no_sockets_of_before
	hold idle
	wait_until 5 is_over idle
	grep -q 'Connection reset by peer' "$LAB_DIR/idle.err"
	wait_until 3 no_sockets fe1 'sport = :5061'
	wait_until 3 no_sockets fe2 'sport = :5061'
	# by one process, which waits for others in nothing
	mkfifo "$LAB_DIR/never"
	lab_spawn used client bash -c 'exec 3<>"/dev/tcp/$0/5061" 4<>"$1"
		for i in {1..20}; do echo "$i" >&3 && read -r line <&3 || exit 1; read -r -t 0.5 line <&4 || true; done' "$VIP" "$LAB_DIR/never"
	[[ $(lab_wait used 20) = 0 ]]
	tmbridge_stats | jq -e '.flows.idle_expired == 1'
	tmbridge_stop
}

@test "on_idle = drop: forgotten without a word" {
	lab_ini 'ports = 5061' 'idle_timeout = 1s' 'on_idle = drop'
	tmbridge_start "$LAB_DIR/lb.ini"
	hold idle
	wait_until 5 expired
	never is_over idle
	tmbridge_stats | jq -e '.flows.resets_sent == 0'
	lab_kill idle
	tmbridge_stop
}

expired()
{
	tmbridge_stats | jq -e '.flows.idle_expired == 1'
}
