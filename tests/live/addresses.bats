# Our addresses as a host has them: checked, announced, defended.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../failover.sh"
source "$BATS_TEST_DIRNAME/../big_files.sh"

setup_file()
{
	lab_up
	server_tcp fe1 5061
	server_tcp fe2 5061
}

setup()
{
	lab_ini 'ports = 5061'
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.err ]] || cat "$LAB_DIR/tmbridge.err"
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
	[[ ! -e $LAB_DIR/ear.pid ]] || lab_kill ear
	[[ ! -e $LAB_DIR/cut.pid ]] || lab_kill cut
	plug
	ip -n switch link set br0 type bridge stp_state 0
	ip -n dc addr del "$VIP/32" dev eth0 2>/dev/null || true
	ip -n dc addr del fd00::40/128 dev eth0 2>/dev/null || true
	ip -n dc addr del 10.2.127.251/32 dev eth0 2>/dev/null || true
}

# The far ends of both cables, so that eth0 and eth1 have no carrier.
unplug()
{
	ip -n switch link set tmb down
	ip -n segment link set tmb down
}

plug()
{
	ip -n switch link set tmb up
	ip -n segment link set tmb up
}

# Hosts of both sides, without which our addresses aren't used there.
hosts_speak()
{
	wait_until 5 in_ns client arping -q -c 1 -w 1 -I eth0 10.0.0.41
}

# Without looking whether something crosses.
start_unplugged()
{
	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 5 log_says 'balancing$'
}

log_says_times() # PATTERN TIMES
{
	[[ $(grep -cE "$1" "$LAB_DIR/tmbridge.err") = "$2" ]]
}

serves()
{
	in_ns client ip neigh flush dev eth0
	vip_connect -n 4 -j 1 -c -t 2 | jq -e '.connected == 4'
}

@test "a reload doesn't take an address from a host that has it, and says whose it is" {
	tmbridge_start "$LAB_DIR/lb.ini"
	sed -i "s/^vip = .*/&\nsnat = $VIP, 10.0.0.10/" "$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 3 log_says 'not reloaded: nothing has changed'
	log_says 'eth0: 10.0.0.10 belongs to 02:00:00:00:00:10 already'
	serves
	sed -i "s/^snat = .*/snat = $VIP, 10.0.0.11/" "$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 3 log_says 'lb.ini: reloaded'
	serves
	in_ns client arping -c 1 -w 2 -I eth0 10.0.0.11
	tmbridge_stop
}

@test "links come after the start: checked then, used then, and not before" {
	unplug
	start_unplugged
	log_says 'eth0: has no carrier: whether our addresses are free'
	log_says 'eth1: has no carrier: whether our addresses are free'
	plug
	wait_until 3 log_says 'eth1: nobody has been heard there yet'
	hosts_speak
	wait_until 3 log_says 'eth0: our addresses are checked, and in use'
	wait_until 3 log_says 'eth1: our addresses are checked, and in use'
	wait_until 3 serves

	# what a reload adds where nobody can be asked isn't taken; what is in use stays so
	ip -n switch link set tmb down
	wait_until 2 log_says 'eth0: link down'
	sed -i "s/^vip = .*/&\nsnat = $VIP, 10.0.0.10/" "$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 3 log_says 'eth0: has no carrier: whether the new addresses are free there can.t be checked'
	log_says 'not reloaded: nothing has changed'
	sed -i "s/^snat = .*/snat = $VIP\nscheduler = lc/" "$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 3 log_says 'lb.ini: reloaded'
	ip -n switch link set tmb up
	wait_until 3 serves
	tmbridge_stop
}

# bats test_tags=plain
@test "links come after the start, and somebody has the VIP: it stays his until he leaves" {
	unplug
	start_unplugged
	ip -n dc addr add "$VIP/32" dev eth0
	plug
	wait_until 3 log_says "eth0: $VIP belongs to 02:00:00:00:00:10 already"
	in_ns client ip neigh flush dev eth0
	[[ $(in_ns client arping -c 2 -w 2 -I eth0 "$VIP" | grep -oE '\[.*\]' | sort -u) = '[02:00:00:00:00:10]' ]]
	in_ns fe1 ip neigh flush dev eth0
	wait_until 5 in_ns fe1 ping -c 1 -W 1 "$VIP" # across the wire, as on a cable
	ip -n dc addr del "$VIP/32" dev eth0
	wait_until 13 log_says 'eth0: our addresses are checked, and in use'
	serves
	tmbridge_stop
}

switch_forwards()
{
	[[ $(in_ns switch bridge -j link show dev tmb | jq -r '.[0].state') = forwarding ]]
}

# For 8 s it forwards nothing that it gets there, or has for there: nobody can say that he has the VIP.
# bats test_tags=plain
@test "a switch that forwards nothing at first: our addresses are checked when it does" {
	ip -n switch link set br0 type bridge forward_delay 400 stp_state 1
	unplug
	start_unplugged
	ip -n dc addr add "$VIP/32" dev eth0
	plug
	wait_until 3 log_says 'eth0: nobody has been heard there yet'
	never switch_forwards
	wait_until 20 switch_forwards
	never log_says 'eth0: our addresses are checked, and in use'
	wait_until 5 in_ns client arping -q -c 1 -w 1 -I eth0 10.0.0.10 # who is on the same side
	wait_until 3 log_says "eth0: $VIP belongs to 02:00:00:00:00:10 already"
	in_ns client ip neigh flush dev eth0
	[[ $(in_ns client arping -c 2 -w 2 -I eth0 "$VIP" | grep -oE '\[.*\]' | sort -u) = '[02:00:00:00:00:10]' ]]
	ip -n dc addr del "$VIP/32" dev eth0
	wait_until 13 log_says 'eth0: our addresses are checked, and in use'
	wait_until 40 log_says 'eth1: our addresses are checked, and in use'
	serves
	ip -n switch link set br0 type bridge stp_state 0
	tmbridge_stop
}

# The very last one of them is 10.2.127.251.
many_addresses()
{
	lab_ini 'ports = 5061'
	farms_of_250_addresses 128 >>"$LAB_DIR/lb.ini"
}

# How long its worker begins after the process, less the time that others had the processor meanwhile, in ms. (What is left of a busy
# machine in that is the kernel's locks.)
cut_ms()
{
	local pid

	pid=$(<"$LAB_DIR/tmbridge.pid")
	awk -v pid="$pid" -v hz="$(getconf CLK_TCK)" '
		FILENAME ~ /schedstat/ { waited = $2 / 1000000; next }
		$1 == pid { from = $22 }
		$22 > to { to = $22 }
		END { print int((to - from) * 1000 / hz - waited) }' "/proc/$pid/task/$pid/schedstat" "/proc/$pid/task/"*/stat
}

cuts_for() # MS
{
	local ms

	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini"
	wait_until 40 tmbridge_is_up || return
	ms=$(cut_ms)
	lab_kill tmbridge
	echo "cut for $ms ms"
	[[ $ms -le $(($1 * LAB_PATIENCE)) ]]
}

# By the best of some starts, as a busy machine can only make it longer.
# bats test_tags=plain,apart
@test "a start cuts the wire for half a second, and for hardly more with 32,000 addresses" {
	FAST_PATH=off lab_ini 'ports = 5061'
	wait_until 10 cuts_for 750
	FAST_PATH=off many_addresses
	wait_until 20 cuts_for 1000
}

@test "32,000 addresses: a cable while they are checked, and no more than that if somebody has one" {
	ip -n dc addr add 10.2.127.251/32 dev eth0
	many_addresses
	lab_spawn pings client ping -i 0.1 10.0.0.41
	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini"
	[[ $(lab_wait tmbridge 30) = 1 ]]
	lab_signal pings INT
	lab_wait pings 5
	[[ $(grep -c 'time=' "$LAB_DIR/pings.out") -ge 3 ]]
	never log_says 'balancing$'
	log_says '10.2.127.251 belongs to 02:00:00:00:00:10 already'
	ip -n dc addr del 10.2.127.251/32 dev eth0
}

# The outer cable is cut as soon as the first address is asked for there, which for so many takes a second and more.
cut_while_checked() # COMMAND...
{
	lab_spawn cut switch sh -c 'tcpdump -i tmb -Q in -n -c 1 --immediate-mode -w /dev/null "arp[14:4] == 0" && ip link set tmb down'
	wait_until 10 grep -q listening "$LAB_DIR/cut.err"
	"$@"
	[[ $(lab_wait cut 20) = 0 ]]
}

@test "a link that goes down while addresses are checked: they are used once they are" {
	many_addresses
	cut_while_checked lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini"
	ip -n dc addr add "$VIP/32" dev eth0
	wait_until 15 log_says 'balancing$'
	log_says "a program that keeps it away can't be used: too many addresses"
	wait_until 3 log_says 'eth0: has no carrier: whether our addresses are free'
	plug
	wait_until 5 log_says "eth0: $VIP belongs to 02:00:00:00:00:10 already"
	in_ns client ip neigh flush dev eth0
	[[ $(in_ns client arping -c 2 -w 2 -I eth0 "$VIP" | grep -oE '\[.*\]' | sort -u) = '[02:00:00:00:00:10]' ]]
	ip -n dc addr del "$VIP/32" dev eth0
	wait_until 15 log_says 'eth0: our addresses are checked, and in use'
	serves

	lab_ini 'ports = 5061'
	lab_signal tmbridge HUP
	wait_until 5 log_says_times 'lb.ini: reloaded' 1
	many_addresses
	cut_while_checked lab_signal tmbridge HUP
	wait_until 10 log_says 'eth0: has no carrier: whether the new addresses are free there can.t be checked'
	log_says_times 'lb.ini: reloaded' 1
	plug
	wait_until 5 serves
	lab_kill tmbridge
}

# What eth0 says of the VIP by itself, one line each.
listen()
{
	lab_spawn ear switch tcpdump -i tmb -Q in -n -tt -l -s 100 arp
	wait_until 20 grep -q listening "$LAB_DIR/ear.err"
}

has_announced() # TIMES
{
	[[ $(grep -c "Request who-has $VIP.* tell $VIP" "$LAB_DIR/ear.out") = "$1" ]]
}

announced_apart() # S, at least
{
	awk -v least="$1" '/Request who-has '"$VIP"'.* tell '"$VIP"'/ { apart = $1 - before; before = $1 } END { print apart " s apart"; exit apart < least }' "$LAB_DIR/ear.out"
}

@test "announced twice at start and after a reload, and when the link comes back" {
	listen
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 4 has_announced 2
	lab_signal tmbridge HUP
	wait_until 4 has_announced 4
	lab_kill ear
	plug
	ip -n switch link set tmb down
	wait_until 2 log_says 'eth0: link down'
	ip -n switch link set tmb up
	listen
	wait_until 5 grep -q "Request who-has $VIP.* tell $VIP" "$LAB_DIR/ear.out"
	serves

	# also after a moment that nobody has seen
	lab_signal tmbridge STOP
	ip -n switch link set tmb down
	ip -n switch link set tmb up
	lab_signal tmbridge CONT
	wait_until 2 log_says 'eth0: link up again: it was down for a moment'
	tmbridge_stop
}

# Each is believed by the client until it is put right.
claim() # [HOW-OFTEN [ADDRESS]]
{
	local address=${2:-$VIP}

	ip -n dc addr add "$address/32" dev eth0
	in_ns dc arping -q -U -c "${1:-1}" -I eth0 -s "$address" "$address" || true
	ip -n dc addr del "$address/32" dev eth0
}

# bats test_tags=plain
@test "whoever says that a VIP is his is put right at once, but no more than once in 10 s, and then if he has said it again" {
	tmbridge_start "$LAB_DIR/lb.ini"
	serves
	in_ns client sysctl -qw net.ipv4.conf.eth0.arp_accept=1 net.ipv4.neigh.eth0.locktime=0
	sleep 2.5 # the second announcement
	listen
	claim
	wait_until 2 has_announced 1
	wait_until 2 knows_us
	vip_connect -n 4 -j 1 -c -t 10 | jq -e '.connected == 4'
	log_says "eth0: $VIP is claimed by 02:00:00:00:00:10"
	claim 2
	! knows_us || has_announced 2
	wait_until 12 has_announced 2
	announced_apart 9.9
	wait_until 2 knows_us
	vip_connect -n 4 -j 1 -c -t 10 | jq -e '.connected == 4'
	tmbridge_stop
}

@test "each address that is claimed is said, however soon after another one" {
	local i

	sed -i "s/^vip = .*/&\nsnat = $VIP, 10.0.0.11-10.0.0.12/" "$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	for i in 40 11 12; do
		claim 1 10.0.0.$i
		wait_until 1 log_says "eth0: 10.0.0.$i is claimed by 02:00:00:00:00:10"
	done
	tmbridge_stop
}

# One announcement (RFC 5227, 3) of each of these addresses, all in a row.
claims_of() # LAST-BYTE...
{
	local last

	for last; do
		printf 'ffffffffffff02000000001008060001080006040001020000000010%08x000000000000%08x\n' $((0x0a000000 + last)) $((0x0a000000 + last))
	done | "$TOOLS/rawframe" -n 1 switch/tmb
}

@test "of as many as are claimed at once eight are said" {
	local n

	sed -i "s/^vip = .*/&\nsnat = $VIP, 10.0.0.11-10.0.0.18/" "$LAB_DIR/lb.ini"
	for n in 1 8 9; do
		tmbridge_start "$LAB_DIR/lb.ini"
		claims_of $(seq 11 $((10 + (n < 9 ? n : 8)))) $([[ $n != 9 ]] || echo 40)
		wait_until 3 eval 'tmbridge_stats | jq -e ".arp.conflicts >= '$n'"'
		log_says_times 'is claimed by 02:00:00:00:00:10$' $((n < 9 ? n : 8))
		tmbridge_stop
	done
}

knows_us()
{
	in_ns client ip neigh show "$VIP" dev eth0 | grep 02:00:00:00:00:01
}

@test "IPv6: a snooping switch knows where solicitations for the VIP go, on both sides" {
	local bridge

	for bridge in switch segment; do
		ip -n $bridge link set br0 type bridge mcast_snooping 1
	done
	VIP=fd00::40 lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	for bridge in switch segment; do
		wait_until 3 snoops $bridge
		ip -n $bridge link set br0 type bridge mcast_snooping 0
	done
	tmbridge_stop
}

snoops() # BRIDGE
{
	in_ns "$1" bridge mdb show dev br0 | grep 'port tmb grp ff02::1:ff00:40 '
}

# The bridges forget within 2 s who doesn't answer their queries; without one we say it twice, 2 s apart, and every 60 s.
@test "IPv6: queries of MLD are answered: a VIP stays in snooping switches" {
	local bridge

	for bridge in switch segment; do
		lab_sysctl $bridge net.ipv6.conf.br0.accept_dad=0 net.ipv6.conf.br0.disable_ipv6=0 # who asks has an address
		ip -n $bridge link set br0 type bridge mcast_snooping 1 mcast_mld_version 2 mcast_query_interval 100 \
			mcast_query_response_interval 50 mcast_startup_query_interval 100 mcast_membership_interval 200 mcast_querier 1
	done
	VIP=fd00::40 lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	for bridge in switch segment; do
		wait_until 3 snoops $bridge
	done
	sleep 5
	for bridge in switch segment; do
		wait_until 2 snoops $bridge
	done
	in_ns client ip -6 neigh flush dev eth0
	wait_until 2 in_ns client ping -c 1 -W 1 fd00::40
	for bridge in switch segment; do
		ip -n $bridge link set br0 type bridge mcast_querier 0 mcast_snooping 0
		lab_sysctl $bridge net.ipv6.conf.br0.disable_ipv6=1
	done
	tmbridge_counts .mld.missed 0
	tmbridge_stop
}

@test "IPv6: a reload doesn't take an address from a host that has it" {
	VIP=fd00::40 lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	sed -i "s/^vip = .*/&\nsnat = fd00::40, fd00::10/" "$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 3 log_says 'not reloaded: nothing has changed'
	log_says 'eth0: fd00::10 belongs to 02:00:00:00:00:10 already'
	tmbridge_stop
}
