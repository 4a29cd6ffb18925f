# How long a start cuts the wire, as who uses it sees it, whatever the file.

# bats file_tags=plain,apart

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../big_files.sh"

setup_file()
{
	lab_up
	lab_knows client 10.0.0.41 fe1
	lab_knows fe1 10.0.0.100 client
}

teardown()
{
	cat "$LAB_DIR/tmbridge.err"
	lab_kill_all
}

# The sample's farm, and further ones.
ini() # FAST-PATH [COMMAND-THAT-SAYS-FARMS...]
{
	printf '[bridge]\nmax_connections = %s\nfast_path = %s\non_exit = cut\n' "$LAB_CONNECTIONS" "$1"
	printf '[farm pool]\nvip = %s\nports = 5061\n' "$VIP"
	printf '[server fe1]\nfarm = pool\naddress = 10.0.0.41\n'
	"${@:2}"
}

answered() # COUNT
{
	(($(grep -c 'time=' "$LAB_DIR/pings.out") >= $1))
}

# From the process's beginning to the first ping that is answered, less the time that others had the processor meanwhile, in ms.
cut_ms()
{
	local began answer waited

	began=$EPOCHREALTIME
	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini"
	wait_until 20 answered 1 || return
	read -r _ waited _ <"/proc/$(<"$LAB_DIR/tmbridge.pid")/schedstat"
	answer=$(sed -nE '/time=/{s/^\[([0-9.]+)\].*/\1/p;q}' "$LAB_DIR/pings.out")
	awk -v from="$began" -v to="$answer" -v waited="$waited" 'BEGIN { print int((to - from) * 1000 - waited / 1000000) }'
}

cut_is_at_most() # MS
{
	local ms

	lab_spawn pings client ping -D -i 0.005 10.0.0.41
	ms=$(cut_ms)
	lab_kill pings
	lab_kill tmbridge
	in_ns tmb "$TMBRIDGE" wire release eth0 eth1 2>/dev/null || true # else that carries the wire at once
	echo "cut for $ms ms"
	[[ $ms -gt 300 && $ms -le $(($1 * LAB_PATIENCE)) ]]
}

# By the best of some starts, as a busy machine can only make it longer: the figures are README's.
@test "half a second or so, with packet sockets and with the first of the kernel's fast path" {
	ini off >"$LAB_DIR/lb.ini"
	wait_until 20 cut_is_at_most 900
	ini kernel >"$LAB_DIR/lb.ini"
	wait_until 20 cut_is_at_most 1200
}

@test "the largest files: 4096 servers with 16 checks each, 1024 farms, 32,000 addresses: up to 2 s" {
	local farms

	for farms in 'servers_of_nobody 4095' 'farms_with_logs 1023' 'farms_of_250_addresses 128'; do
		ini off $farms >"$LAB_DIR/lb.ini"
		wait_until 20 cut_is_at_most 2000
	done
}
