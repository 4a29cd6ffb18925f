# Filters, before anything else.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up
	server_tcp fe1 5061 22
	server_tcp fe2 5061
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
}

# The pool's file, with what stands on stdin behind it.
rules()
{
	lab_ini 'ports = 5061' 'check = 5061' 'bridge.fast_path = auto'
	cat >>"$LAB_DIR/lb.ini"
}

# One connection of the client to ADDRESS and PORT: "connected", "refused" or "nothing".
try() # ADDRESS PORT
{
	local result

	result=$(in_ns client "$TOOLS/manyconns" connect -n 1 -j 1 -t 2 "$1" "$2")
	jq -r 'if .connected == 1 then "connected" elif .refused == 1 then "refused" else "nothing" end' <<<"$result"
}

filter() # NAME EXPRESSION
{
	tmbridge_stats | jq -e --arg name "$1" '.filters[] | select(.name == $name) | '"$2"
}

reload()
{
	local before

	before=$(grep -c 'reloaded' "$LAB_DIR/tmbridge.err" || true)
	lab_signal tmbridge HUP
	wait_until 10 eval '[[ $(grep -c reloaded "$LAB_DIR/tmbridge.err") -gt '"$before"' ]]'
}

@test "a broken expression is named with its line, in libpcap's words" {
	rules <<-'END'
		[filter bad]
		action = drop
		match = tcp prt 22
	END
	run "$TMBRIDGE" -t -f "$LAB_DIR/lb.ini"
	echo "$output"
	[[ $status = 2 && $output = *"lb.ini:$(grep -n prt "$LAB_DIR/lb.ini" | cut -d: -f1): [filter bad] match: tcp prt 22: "*"syntax error"* ]]
}

@test "the rehearsal changes nothing, drop and reset do, and a reload swaps them" {
	local fast_path

	rules </dev/null
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
	fast_path=$(tmbridge_stats | jq .fast_path.active)
	rules <<-'END'
		[filter probe]
		match = tcp dst port 22
		side = outside
		action = count
		log = yes
	END
	reload
	tmbridge_stats | jq -e '.fast_path.active | not'
	[[ $fast_path = false ]] || grep -q "fast path off: filters are the process's" "$LAB_DIR/tmbridge.err"
	[[ $(try 10.0.0.41 22) = connected ]]
	[[ $(try "$VIP" 5061) = connected ]]
	filter probe '.matched >= 3 and .dropped == 0 and .last != null'
	grep -q 'filter probe: count (1): 10.0.0.[0-9]* > 10.0.0.41 on ' "$LAB_DIR/tmbridge.err"

	rules <<-'END'
		[filter probe]
		match = tcp dst port 22
		side = outside
		action = reset
		[filter all]
		match = tcp src port 5061 or tcp dst port 5061
		side = outside
		action = drop
	END
	reload
	[[ $(try 10.0.0.41 22) = refused ]]
	[[ $(try "$VIP" 5061) = nothing ]]
	filter probe '.matched >= 4 and .dropped >= 1'
	filter all '.dropped >= 1'
	tmbridge_stats | jq -e '.reasons.filter_reset >= 1 and .reasons.filtered >= 1'
	tmbridge_is_served 2 # probes are answered on the inside, and none of the filters'

	rules <<-'END'
		[filter bad]
		match = tcp prt 22
		action = drop
	END
	lab_signal tmbridge HUP
	wait_until 10 grep -q 'syntax error.*not reloaded' "$LAB_DIR/tmbridge.err"
	[[ $(try 10.0.0.41 22) = refused ]]

	rules </dev/null
	reload
	[[ $(try 10.0.0.41 22) = connected ]]
	[[ $(try "$VIP" 5061) = connected ]]
	tmbridge_stats | jq -e ".filters == [] and .fast_path.active == $fast_path"
	tmbridge_stats | stats_add_up
	tmbridge_stop
}
