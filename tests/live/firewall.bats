# Filters, before anything else.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up
	server_tcp fe1 5061 22
	server_tcp fe2 5061
	lab_host vclient switch 50
	lab_host vserver segment 43
	lab_tag vclient 0x8100:7
	lab_tag vserver 0x8100:7
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
}

# The pool's file, with what stands on stdin behind it.
rules() # [FAST-PATH]
{
	lab_ini 'ports = 5061' 'check = 5061' "bridge.fast_path = ${1:-auto}"
	cat >>"$LAB_DIR/lb.ini"
}

# One connection of the client to ADDRESS and PORT: "connected", "refused" or "nothing".
try() # ADDRESS PORT
{
	local result

	result=$(in_ns client "$TOOLS/manyconns" connect -n 1 -j 1 -t 5 "$1" "$2")
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

@test "broken expressions are named with their lines, in libpcap's words, beside whatever else is wrong" {
	local check

	rules <<-'END'
		[filter bad]
		action = drop
		match = tcp prt 22
		[filter worse]
		wieght = 3
		match = host
		action = drop
	END
	for check in -t "config check"; do
		run "$TMBRIDGE" $check $([[ $check = config* ]] || echo -f) "$LAB_DIR/lb.ini"
		echo "$output"
		[[ $status = 2 && ${#lines[@]} = 3 ]]
		[[ $output = *"lb.ini:$(grep -n prt "$LAB_DIR/lb.ini" | cut -d: -f1): [filter bad] match: tcp prt 22: "*"syntax error"* ]]
		[[ $output = *"lb.ini:$(grep -n 'match = host' "$LAB_DIR/lb.ini" | cut -d: -f1): [filter worse] match: host: "*"syntax error"* ]]
		[[ $output = *"unknown key \`wieght\`"* ]]
	done
	sed -i '/wieght/d; s/match = host$/& 10.0.0.41/' "$LAB_DIR/lb.ini"
	for check in -t "config check"; do
		run "$TMBRIDGE" $check $([[ $check = config* ]] || echo -f) "$LAB_DIR/lb.ini"
		[[ $status = 2 && ${#lines[@]} = 1 && $output = *"[filter bad]"* ]]
	done
}

# In a copy of /etc, so that a file there can be replaced.
@test "names are looked up in this host's files, at a reload as at the start" {
	cp -a /etc "$LAB_DIR/etc"
	mount --bind "$LAB_DIR/etc" /etc
	echo '10.0.0.41 firstfe' >>/etc/hosts
	echo 'labssh 22/tcp' >>/etc/services
	rules <<-'END'
		[filter named]
		match = host firstfe and tcp dst port labssh
		action = reset
	END
	tmbridge_start "$LAB_DIR/lb.ini"
	[[ $(try 10.0.0.41 22) = refused ]]
	sed -i 's/^action = reset/action = count/' "$LAB_DIR/lb.ini"
	reload
	[[ $(try 10.0.0.41 22) = connected ]]
	filter named '.matched >= 2'

	sed 's/firstfe/otherfe/' /etc/hosts >/etc/hosts.new
	mv /etc/hosts.new /etc/hosts
	sed -i 's/host firstfe/host otherfe/' "$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 10 grep -q "lb.ini:[0-9]*: \[filter named\] .*: unknown host 'otherfe': /etc/hosts has been replaced, so its names take a restart (not reloaded" "$LAB_DIR/tmbridge.err"
	tmbridge_stop
	umount /etc
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
	tmbridge_stats | jq -e ".fast_path.active == $fast_path"
	[[ $(try 10.0.0.41 22) = connected ]]
	[[ $(try "$VIP" 5061) = connected ]]
	filter probe '.matched >= 3 and .dropped == 0 and .last != null'
	wait_until 5 grep -q 'filter probe: count ([0-9]*): 10.0.0.[0-9]* > 10.0.0.41 on ' "$LAB_DIR/tmbridge.err"

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

# A tag that the kernel has taken out of the frame is in its place for an expression. Without the fast path as with it.
@test "VLANs, rates, merged frames: the same in the kernel and in the process" {
	local path least

	for path in kernel off; do
		[[ $path = kernel || ${WORKERS:-1} = 1 ]] || continue # each worker has its part of a rate
		rules $path <<-'END'
			[filter tagged]
			match = vlan 7 and icmp and len = 102
			action = count
			[filter other]
			match = vlan 8 or not vlan and icmp
			action = count
			[filter few]
			match = vlan and icmp[icmptype] = icmp-echo
			side = outside
			action = pass
			rate = 5
			[filter none]
			match = tcp port 22 and greater 1600
			action = drop
		END
		tmbridge_start "$LAB_DIR/lb.ini"
		[[ $(tmbridge_stats | jq .fast_path.active) = $([[ $path = kernel ]] && echo true || echo false) ]]
		in_ns vclient ping -q -c 20 -i 0.002 -W 1 10.0.0.43 >"$LAB_DIR/pings" || true
		least=$((14 - $(sed -nE 's/.* time ([0-9]+)ms$/\1/p' "$LAB_DIR/pings") * 5 / 1000)) # of 20, of which 5 may pass at once, and 5 in a second
		filter tagged '.matched >= 25 and .dropped == 0' # 20 there, at least 5 back
		filter other '.matched == 0'
		filter few '.matched == 20 and .over >= '"$least"' and .over <= 15 and .dropped == .over'
		tmbridge_stats | jq -e ".reasons.filter_rate >= $least"
		# what is merged was no longer than the link takes
		head -c 2M /dev/zero | in_ns client timeout 10 bash -c 'exec 3<>/dev/tcp/10.0.0.41/22; timeout 2 cat >&3' || true
		filter none '.matched == 0'
		tmbridge_stats | stats_add_up
		tmbridge_stop
	done
}
