# Offline, captures of all kinds, real and damaged, with a VIP that occurs in each, so that the engine has to work on
# what strangers' stacks have sent: what it forwards is whole, and its checksums are as right as they were.

source "$BATS_TEST_DIRNAME/../lab.sh"

CAPTURES=${CAPTURES:-$LAB_ROOT/../shared/captures/malformed}
ASAN_OPTIONS=detect_leaks=0 # to look for them takes half of such a short run; golden.bats does

setup()
{
	cd "$BATS_TEST_TMPDIR"
	if [[ ! -d $CAPTURES ]]; then
		[[ ${CI:-} != true ]] || lab_die "no captures in $CAPTURES"
		skip "no captures in $CAPTURES"
	fi
	printf '%s\n' "$CAPTURES"/*.pcap* | "$TOOLS/natcheck" pick >picked
}

# Writes NAME.ini for each VIP and capture in picked, and the jobs: the server and the SNAT address are for documentation
# (RFC 5737, RFC 3849), and in none of the captures. With SNAT a capture is as it is, all from outside. Without, the VIP's
# own packets are the server's, and come from inside, so that whole connections go through.
write_jobs() # on|off
{
	local vip capture name server snat from

	trap - DEBUG # by which bats follows each line: here it would take most of the time
	while read -r vip capture; do
		name=${capture##*/} server=203.0.113.41 snat=203.0.113.50 from="$capture -"
		[[ $vip != *:* ]] || server=2001:db8:113::41 snat=2001:db8:113::50
		if [[ $1 = off ]]; then
			snat=off from="$name.from-out $name.from-in"
			echo "$vip $server $capture $from" >>recast
		fi
		echo "$name $from" >>replay
		echo "$name $from $name.out $name.in" >>compare
		printf '%s\n' "[bridge]" "outside_mac = 02:00:00:00:00:01" "inside_mac = 02:00:00:00:00:02" \
			"max_connections = 1000" "[farm pool]" "vip = $vip" "ports = 1-60000" "check = none" \
			"snat = $snat" "[server fe1]" "farm = pool" "address = $server" "mac = 02:00:00:00:00:41" >"$name.ini"
	done <picked
}

replay() # <JOBS
{
	local name outside inside

	while read -r name outside inside; do
		[[ $inside = - ]] || outside=$outside,$inside
		"$TMBRIDGE" -r "$outside" -w "$name.out,$name.in" -f "$name.ini" -s "$name.stats" 2>"$name.err" ||
			echo "failed: $name: $(<"$name.err")"
	done
}

# What was found among what was sent is what the statistics say; held fragments need not have gone.
counts_agree()
{
	jq -n '[inputs | {name: (.name // (input_filename | ltrimstr("./") | rtrimstr(".stats"))), it: .}] | group_by(.name) |
		map({name: .[0].name, stats: map(.it | select(.frames))[0], found: map(.it | select(.own))[0]}) |
		map(select(.stats.frames as $f | (.stats.reasons.fragment_held // 0) as $held | .found |
			(.bridged == $f.bridged and .forwarded <= $f.forwarded and .forwarded >= $f.forwarded - $held and
				.own >= $f.answered) | not))' counts ./*.stats >differ
	head -c 2000 differ
	[[ $(<differ) = '[]' ]]
}

# A fifth of the captures hold any TCP, most of them its middle only. So much must be forwarded, and its checksums seen.
run_all() # on|off WITH-FLOWS FRAMES
{
	(write_jobs "$1")
	[[ $1 != off ]] || "$TOOLS/natcheck" recast <recast
	export -f replay
	(split -n l/2 replay part && printf '%s\n' part?? | xargs -P 2 -I PART bash -c 'replay <PART') | tee failed
	[[ ! -s failed ]]
	[[ -z $(grep -lE 'Sanitizer|runtime error' ./*.err) ]]
	cat ./*.stats | stats_add_up
	"$TOOLS/natcheck" compare <compare >counts || {
		grep failed counts
		return 1
	}
	counts_agree
	jq -s '{captures: length, forwarded: map(.forwarded) | add, summed: map(.summed) | add}' counts
	jq -s '{flows: map(.flows.created) | add, with_flows: map(select(.flows.created > 0)) | length,
		reasons: map(.reasons | to_entries) | add | group_by(.key) | map({(.[0].key): map(.value) | add}) | add}' ./*.stats
	jq -se "map(select(.flows.created > 0)) | length >= $2" ./*.stats
	jq -se "map(.forwarded) | add >= $3" counts
	jq -se "map(.summed) | add >= $3" counts
}

@test "with SNAT: what clients send" {
	run_all on 15 400
}

@test "without SNAT: both ways" {
	run_all off 45 800
}
