# On an idle wire tmbridge says nothing but its ARP.

# bats file_tags=plain
source "$BATS_TEST_DIRNAME/../lab.sh"

@test "twelve seconds of silence" {
	lab_up ipv6=off
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	for side in switch segment; do
		lab_spawn "$side" "$side" tcpdump -i tmb -Q in -n -e -l
		wait_until 20 grep -q listening "$LAB_DIR/$side.err"
	done
	in_ns dc ping -c 1 10.0.0.42 # it would be seen
	sleep 12
	for side in switch segment; do
		lab_signal "$side" TERM
		[[ $(lab_wait "$side" 5) = 0 ]]
		grep 'ICMP echo' "$LAB_DIR/$side.out"
	done
	cat "$LAB_DIR"/{switch,segment}.out >"$LAB_DIR/heard"
	cat "$LAB_DIR/heard"
	[[ -z $(grep -v -e 'ethertype ARP' -e 'ICMP echo' "$LAB_DIR/heard") ]]
	[[ $(grep -c 'ICMP echo' "$LAB_DIR/heard") = 2 ]]
	[[ $(wc -l <"$LAB_DIR/heard") -le 14 ]]
	tmbridge_stats | stats_add_up
	tmbridge_stop
}
