# Who gets a connection under the schedulers that go by more than counts, and when nobody better is left.

# bats file_tags=plain
source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../failover.sh"

setup_file()
{
	lab_up
	ip -n fe2 addr add 10.0.0.43/24 dev eth0
	server_tcp fe1 5061
	server_tcp fe2 5061
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
	ip netns exec fe2 nft flush ruleset
}

@test "fastest: a server that answers late gets little" {
	local workers=${WORKERS:-1} # each has to learn it

	in_ns fe2 nft -f - <<-END
		table ip late {
			set asked {
				type ipv4_addr . inet_service
				flags dynamic,timeout
				timeout 20s
			}
			chain in {
				type filter hook input priority 0
				tcp dport 5061 tcp flags & (syn | ack) == syn ip saddr . tcp sport != @asked add @asked { ip saddr . tcp sport } drop
			}
		}
	END
	lab_ini 'ports = 5061' 'scheduler = fastest'
	tmbridge_start "$LAB_DIR/lb.ini"
	vip_connect -n $((20 * workers)) -j 1 -t 10 -c >"$LAB_DIR/said" # to fe2 it takes a second SYN, after 1 s
	cat "$LAB_DIR/said"
	jq -e --argjson n "$workers" '.connected == 20 * $n and .servers.fe2 >= 1 and .servers.fe1 >= 17 * $n' "$LAB_DIR/said"
	tmbridge_stats | jq -e '[.farms[0].servers[] | {(.name): .connect_p50_ms}] | add | .fe2 > 500 and .fe1 < 500'
	tmbridge_stop
}

# Who answers connections from these ports of the client's, one after the other; each is reset at once, so that its port may be had again.
servers_of_ports() # PORT...
{
	in_ns client /usr/bin/python3 - "$VIP" "$@" <<-END
		import socket, struct, sys
		names = []
		for port in sys.argv[2:]:
		    s = socket.socket()
		    s.settimeout(5)
		    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
		    s.bind(("", int(port)))
		    s.connect((sys.argv[1], 5061))
		    names.append(s.recv(100).decode().split()[0])
		    s.close()
		print(*names)
	END
}

@test "hash: an address and port has its server, also after the other one was away" {
	local before ports="20001 20002 20003 20004 20005 20006 20007 20008"

	lab_sysctl client net.ipv4.ip_local_reserved_ports=20001-20008 # nobody else gets one of these
	lab_ini 'ports = 5061' 'scheduler = hash' 'check = 5061' 'check_interval = 300ms' 'check_timeout = 300ms' 'fall = 2'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
	vip_connect -n 200 -c | jq -e '.servers.fe1 > 50 and .servers.fe2 > 50'
	before=$(servers_of_ports $ports)
	[[ $before = *fe1* && $before = *fe2* ]]
	[[ $(servers_of_ports $ports) = "$before" ]]
	lab_kill fe2-tcp
	wait_until 5 health_is fe2 down
	[[ $(servers_of_ports $ports | tr ' ' '\n' | sort -u) = fe1 ]]
	server_tcp fe2 5061
	wait_until 5 health_is fe2 up
	[[ $(servers_of_ports $ports) = "$before" ]]
	tmbridge_stop
}

# The address of the server that the next ones get.
next_are() # ADDRESS
{
	[[ $(in_ns client "$TOOLS/manyconns" connect -g -n 4 -j 1 -c -t 20 "$VIP" 5061 | sed -nE 's/^fe. [^ ]+ (.*):5061$/\1/p' | sort -u) = "$1" ]]
}

refuse() # ADDRESS
{
	in_ns "fe$((${1: -1} > 1 ? 2 : 1))" nft "add table ip r; add chain ip r in { type filter hook input priority 0; }; add rule ip r in ip daddr $1 tcp dport 5061 reject with tcp reset"
}

@test "last_resort takes over below standby, and gives back" {
	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 300ms' 'check_timeout = 300ms' 'fall = 2' 'fe2.state = standby'
	printf '[server last]\nfarm = pool\naddress = 10.0.0.43\nstate = last_resort\n' >>"$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 3
	next_are 10.0.0.41
	refuse 10.0.0.41
	wait_until 5 health_is fe1 down
	next_are 10.0.0.42
	refuse 10.0.0.42
	wait_until 5 health_is fe2 down
	next_are 10.0.0.43
	in_ns fe2 nft flush ruleset
	wait_until 5 health_is fe2 up
	next_are 10.0.0.42
	in_ns fe1 nft flush ruleset
	wait_until 5 health_is fe1 up
	next_are 10.0.0.41
	tmbridge_stop
}
