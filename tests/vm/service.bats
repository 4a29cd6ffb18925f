# The systemd unit, under systemd itself: tmbridge between the machine's own eth0 and eth1. Not in a lab's
# namespaces, where systemd isn't process 1:
# vm: no lab

export LAB_HOST_NET=the-machine-has-no-other
source "$BATS_TEST_DIRNAME/../lab.sh"

# The lab's tmb is the machine.
ip()
{
	if [[ $* = "netns add tmb" ]]; then
		command ip netns attach tmb 1
	else
		command ip "$@"
	fi
}

setup_file()
{
	mkdir -p /run/netns "$LAB_DIR" /etc/tmbridge /etc/default
	lab_up
	server_tcp fe1 5061 5062
	server_tcp fe2 5061 5062
	printf 'OUTSIDE=eth0\nINSIDE=eth1\n' >/etc/default/tmbridge
}

setup()
{
	rules 5061
}

teardown()
{
	systemctl stop tmbridge || true
	systemctl reset-failed tmbridge || true
}

rules() # PORTS
{
	lab_ini "ports = $1" 'check = 5061' 'check_interval = 1s' 'check_timeout = 1s'
	cp "$LAB_DIR/lb.ini" /etc/tmbridge/lb.ini
}

# Its log since it was started last.
log()
{
	journalctl -q -o cat _SYSTEMD_INVOCATION_ID="$(systemctl show -P InvocationID tmbridge)"
}

says() # PATTERN
{
	log | grep -E "$1"
}

# A property of the unit.
shows() # PROPERTY VALUE
{
	local is

	is=$(systemctl show -P "$1" tmbridge)
	[[ $is = "$2" ]] || lab_die "$1 is $is, not $2"
}

serves() # PORT
{
	in_ns client "$TOOLS/manyconns" connect -n 4 -t 10 "$VIP" "$1" | jq -e '.echoed == 4'
}

start()
{
	systemctl start tmbridge
	wait_until 20 says 'balancing$'
	wait_until 20 serves 5061
}

@test "systemd finds nothing wrong with the unit" {
	run systemd-analyze verify --man=no /usr/lib/systemd/system/tmbridge.service
	echo "$output"
	[[ $status = 0 && $output != *tmbridge.service* ]]
}

@test "it starts, says so in its status, and is shut in" {
	start
	systemctl is-active tmbridge
	run systemctl status --no-pager tmbridge
	echo "$output"
	[[ $status = 0 && $output = *"active (running)"* && $output = *balancing* ]]
	pid=$(systemctl show -P MainPID tmbridge)
	[[ $(stat -c %u "/proc/$pid") != 0 ]]
	grep -qE '^NoNewPrivs:\s+1$' "/proc/$pid/status"
	grep -qE '^Seccomp:\s+2$' "/proc/$pid/status"
	in_ns dc ping -q -c 2 -W 5 10.0.0.41
}

@test "with fast_path = auto it serves, by the kernel or by packet sockets, and says by which" {
	sed -i 's/^fast_path = .*/fast_path = auto/' /etc/tmbridge/lb.ini
	start
	says 'fast path' | sed 's|^|# |' >&3
	systemctl is-active tmbridge
	in_ns dc ping -q -c 2 -W 5 10.0.0.41
}

@test "reload: a good file counts, and what is open stays" {
	start
	pid=$(systemctl show -P MainPID tmbridge)
	run serves 5062
	[[ $status != 0 ]]
	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 4 -t 20 -w "$VIP" 5061 3>&-; }
	read -r -t 30 line <&"${HELD[0]}"
	rules '5061, 5062'
	systemctl reload tmbridge
	wait_until 20 serves 5062
	echo >&"${HELD[1]}"
	read -r -t 30 line <&"${HELD[0]}"
	jq -e '.echoed == 4 and .lost == 0' <<<"$line"
	[[ $(systemctl show -P MainPID tmbridge) = "$pid" ]]
}

@test "reload: a bad file is refused with its line, and the old rules stay" {
	start
	echo 'shedule = wlc' >>/etc/tmbridge/lb.ini
	systemctl reload tmbridge || true
	wait_until 20 says "lb.ini:$(wc -l </etc/tmbridge/lb.ini):.*shedule"
	serves 5061
	systemctl is-active tmbridge
}

@test "stop: it ends well, with its statistics written, and the wire is cut" {
	start
	systemctl stop tmbridge
	shows ActiveState inactive
	shows Result success
	shows ExecMainStatus 0
	stats_add_up </var/lib/private/tmbridge/stats.json
	! in_ns dc ping -q -c 1 -W 1 10.0.0.41
}

@test "a bad file at start: it fails with status 2 and isn't tried again" {
	echo 'shedule = wlc' >>/etc/tmbridge/lb.ini
	systemctl start tmbridge || true
	wait_until 20 systemctl is-failed tmbridge
	sleep 3
	shows ActiveState failed
	shows ExecMainStatus 2
	shows NRestarts 0
}

@test "killed, it comes back by itself" {
	start
	systemctl kill -s KILL tmbridge
	wait_until 20 shows NRestarts 1
	wait_until 30 serves 5061
}
