# More frames at once than the process can take: they wait for it, and what finds no place is counted.

# A few besides are tmbridge's own: it looks for its servers.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up
}

teardown()
{
	lab_kill_all
}

frames_inside() # that have come there
{
	ip -n segment -s -j link show tmb | jq '.[0].stats64.rx.packets'
}

# While the process is kept from all processors, as by a host that is busy, frames come at once, and for the inside.
burst() # FRAMES
{
	local before

	before=$(frames_inside)
	lab_signal tmbridge STOP
	printf '0202020202aa0202020202bb88b5%092x\n' 1 | "$TOOLS/rawframe" -n "$1" switch/tmb
	lab_signal tmbridge CONT
	wait_until 10 have_come "$before" "$1"
	CAME=$(($(frames_inside) - before))
	MISSED=$(tmbridge_stats | jq .ports.outside.missed)
	echo "came $CAME, missed $MISSED"
}

# As many as were sent, or were missed, and no more come.
have_come() # BEFORE FRAMES
{
	local now

	now=$(frames_inside)
	((now - $1 + $(tmbridge_stats | jq .ports.outside.missed) >= $2)) || return 1
	sleep 0.3
	[[ $(frames_inside) = "$now" ]]
}

@test "50,000 frames while the process has no processor: none is lost" {
	needs_one_worker # with all places
	lab_ini 'ports = 80'
	tmbridge_start "$LAB_DIR/lb.ini"
	burst 50000
	[[ $CAME -ge 50000 && $CAME -lt 50010 && $MISSED = 0 ]]
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "with four workers, of whom one gets them all, 8192 at least" {
	lab_ini 'ports = 80' 'bridge.workers = 4'
	tmbridge_start "$LAB_DIR/lb.ini"
	burst 8000
	[[ $CAME -ge 8000 && $CAME -lt 8010 && $MISSED = 0 ]]
	tmbridge_stop
}

@test "what is too much is counted, to the frame" {
	needs_one_worker
	lab_ini 'ports = 80'
	tmbridge_start "$LAB_DIR/lb.ini"
	burst 100000
	((CAME >= 65000 && MISSED > 0 && CAME + MISSED >= 100000 && CAME + MISSED < 100010))
	tmbridge_stop
}
