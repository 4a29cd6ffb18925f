#!/bin/bash
#
# A soak: connections of IPv4 and IPv6 all the time, for SOAK_S seconds, while rules are reloaded every five (weights,
# servers, SNAT addresses) and servers die and return, by turns killed and unplugged. Each connection that fails must be
# explained by a death; in the end there are no flows and no ports in use any more, and no more memory or descriptors
# than after the first minute.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
[[ -n ${LAB_HOST_NET:-} ]] || lab_enter "$0" "$@"

SOAK_S=${SOAK_S:-1200}
RELOAD_S=5    # between two reloads
DEATH_S=40    # between two deaths
DEAD_S=12     # for how long: on a busy machine, too, it is noticed
NOTICED_S=10  # after a server's return: what its death may still explain
SLACK_KB=1024 # of memory: what malloc() keeps of a reload varies

# The n-th rules.
write_ini() # N
{
	local snat=('' 'snat = 10.0.0.38, 10.0.0.39' 'snat = 10.0.0.39' 'snat = off' 'snat = 10.0.0.40, 10.0.0.37')
	local snat6=('' 'snat = fd00::38, fd00::39' 'snat = fd00::39' 'snat = fd00::37' 'snat = fd00::40, fd00::38')
	local farm server

	{
		printf '[bridge]\nmax_connections = 20000\nfast_path = %s\non_exit = cut\n' "$FAST_PATH"
		[[ -z $WORKERS ]] || printf 'workers = %s\n' "$WORKERS"
		for farm in 4 6; do
			printf '[farm v%s]\nports = 5061\ncheck = 5061\ncheck_interval = 2s\ncheck_timeout = 2s\nfall = 3\n' "$farm"
			if [[ $farm = 4 ]]; then
				printf 'vip = %s\n%s\n' "$VIP" "${snat[$1 % 5]}"
			else
				printf 'vip = %s\n%s\n' "$VIP6" "${snat6[$1 % 5]}"
			fi
			for server in 41 42 43; do # the last one is a second address of fe2
				[[ $server != 43 || $(($1 % 2)) = 0 ]] || continue
				printf '[server s%s-%s]\nfarm = v%s\nweight = %s\n' "$farm" "$server" "$farm" $((1 + RANDOM % 5))
				if [[ $farm = 4 ]]; then echo "address = 10.0.0.$server"; else echo "address = fd00::$server"; fi
			done
		done
	} >"$LAB_DIR/lb.ini.new"
	mv "$LAB_DIR/lb.ini.new" "$LAB_DIR/lb.ini"
}

serve() # NAMESPACE
{
	lab_spawn "$1" "$1" "$TOOLS/visits" serve "$1" 5061
	wait_until 5 server_listens "$1" 5061
}

die() # NAMESPACE HOW
{
	if [[ $2 = killed ]]; then lab_kill "$1"; else ip -n "$1" link set eth0 down; fi
}

come_back() # NAMESPACE HOW
{
	if [[ $2 = killed ]]; then
		serve "$1"
	else
		ip -n "$1" link set eth0 up
		[[ $1 = fe1 ]] || ip -n "$1" addr replace fd00::43/64 dev eth0 nodad
		ip -n "$1" addr replace "fd00::4${1#fe}/64" dev eth0 nodad # the kernel takes them with the link
	fi
}

visit() # NAME RATE ADDRESS
{
	lab_spawn "$1" client "$TOOLS/visits" connect -r "$2" -s "$SOAK_S" -l 20000 "$3" 5061
}

rss_kb()
{
	awk '/^VmRSS/ {print $2}' "/proc/$(<"$LAB_DIR/tmbridge.pid")/status"
}

descriptors()
{
	find "/proc/$(<"$LAB_DIR/tmbridge.pid")/fd" -mindepth 1 | wc -l
}

nothing_is_left()
{
	tmbridge_stats | jq -e '.flows.open == 0 and ([.farms[].snat[].ports_in_use] | add // 0) == 0 and
		([.farms[].snat[] | select(.removed)] | length) == 0'
}

# Failures that no death explains. Who has waited in vain may have done so since it began.
unexplained()
{
	jq -cs --slurpfile deaths "$LAB_DIR/deaths" --argjson noticed "$NOTICED_S" 'map(select(. as $f |
		(if .what == "no answer" or .what == "Connection timed out" then .at - .age_s else .at end) as $since | [$deaths[] |
		select((.server == $f.server or $f.server == "") and $f.at >= .from - 0.5 and $since <= .to + $noticed)] == []))' \
		"$LAB_DIR"/visits?.err
}

soak()
{
	local n=0 deaths=0 dead='' since=0 how memory=0 files=0 server

	while ((SECONDS < SOAK_S)); do
		if ((SECONDS / RELOAD_S > n)); then
			n=$((SECONDS / RELOAD_S))
			write_ini "$n"
			lab_signal tmbridge HUP
		fi
		if [[ -z $dead ]] && ((SECONDS / DEATH_S > deaths && SECONDS + 2 * DEAD_S < SOAK_S)); then
			deaths=$((SECONDS / DEATH_S))
			server=$((1 + deaths % 2)) how=killed
			((deaths / 2 % 2)) || how=unplugged
			dead=fe$server
			since=$(date +%s.%N)
			die "$dead" "$how"
		elif [[ -n $dead ]] && (($(date +%s) - ${since%.*} >= DEAD_S)); then
			come_back "$dead" "$how"
			echo "{\"server\":\"$dead\",\"how\":\"$how\",\"from\":$since,\"to\":$(date +%s.%N)}" >>"$LAB_DIR/deaths"
			dead=''
		fi
		((memory || SECONDS < 60)) || memory=$(rss_kb) files=$(descriptors)
		[[ ! -s $LAB_DIR/tmbridge.status ]] || tmbridge_fail "ended"
		sleep 0.25
	done
	MEMORY=$memory FILES=$files RELOADS=$n
}

finish()
{
	local left visits
	local memory files

	for visits in visits4 visits6; do
		[[ $(lab_wait $visits 120) = 0 ]]
		cat "$LAB_DIR/$visits.out"
	done
	wait_until 200 nothing_is_left
	memory=$(rss_kb) files=$(descriptors)
	unexplained >"$LAB_DIR/unexplained"
	left=$(jq length "$LAB_DIR/unexplained")
	tmbridge_stats | stats_add_up
	jq -n --argjson reloads "$RELOADS" --slurpfile deaths "$LAB_DIR/deaths" --argjson flows "$(tmbridge_stats | jq .flows)" \
		--slurpfile failed <(cat "$LAB_DIR"/visits?.err) --argjson left "$left" --argjson memory "[$MEMORY, $memory]" \
		--argjson files "[$FILES, $files]" '{seconds: $ENV.SOAK_S, reloads: $reloads, deaths: ($deaths | length), connections: $flows.created,
		failed: ($failed | length), whats: ($failed | group_by(.what) | map({(.[0].what): length}) | add),
		unexplained: $left, ended: ($flows | {closed, idle_expired, server_down, reload, evicted}), memory_kb: $memory, descriptors: $files}'
	[[ $left = 0 ]] || lab_die "no death explains $(jq -c '.[:3]' "$LAB_DIR/unexplained"), and $left in all"
	((MEMORY == 0 || memory <= MEMORY + SLACK_KB)) || lab_die "memory has grown from $MEMORY to $memory KB"
	((FILES == 0 || files <= FILES)) || lab_die "descriptors have grown from $FILES to $files"
	tmbridge_stop
}

export SOAK_S
lab_up
trap 'cp "$LAB_DIR"/tmbridge.err "$LAB_DIR"/visits?.err "$LAB_DIR"/deaths "${SOAK_KEEP:-/dev/null}" 2>/dev/null || true' EXIT
ip -n fe2 addr add 10.0.0.43/24 dev eth0
ip -n fe2 addr add fd00::43/64 dev eth0 nodad
serve fe1
serve fe2
: >"$LAB_DIR/deaths"
write_ini 0
tmbridge_start "$LAB_DIR/lb.ini"
wait_until 10 tmbridge_is_served 6
visit visits4 60 "$VIP"
visit visits6 20 "$VIP6"
SECONDS=0
soak
finish
echo "soak: all is well"
