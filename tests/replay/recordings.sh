# Replaying the recordings of pcaps/: sourced by the tests.

UNDER= # a command to run tmbridge under

# Runs a function for each recording and says which ones failed.
for_recordings() # FUNCTION
{
	local d n=0 failed=0

	for d in "$LAB_ROOT"/pcaps/*/; do
		n=$((n + 1))
		"$1" "$d" || {
			echo "failed: $d"
			failed=$((failed + 1))
		}
	done
	[[ $n -ge 6 && $failed = 0 ]]
}

replay() # RECORDING TO
{
	local in="$1/outside-in.pcap" out="$2/outside-out.pcap"

	mkdir -p "$2"
	if [[ -e $1/inside-in.pcap ]]; then # else it is one-armed
		in+=",$1/inside-in.pcap"
		out+=",$2/inside-out.pcap"
	fi
	$UNDER "$TMBRIDGE" -r "$in" -w "$out" -f "$1/lb.ini" -s "$2/stats"
}

# Where the frames don't show it: each line of COUNTS is in the statistics.
has_counts() # RECORDING
{
	local stats line

	[[ -f $1/COUNTS ]] || return 0
	stats=$(cat)
	while read -r line; do
		[[ $stats = *"$line"* ]] || return 1
	done <"$1/COUNTS"
}

# What a replay has sent is what was recorded.
is_recorded() # RECORDING SENT
{
	stats_add_up <"$2/stats" || return 1
	"$TOOLS/pcapcmp" "$1/outside-out.pcap" "$2/outside-out.pcap" || return 1
	has_counts "$1" <"$2/stats" || return 1
	[[ ! -e $1/inside-in.pcap ]] || "$TOOLS/pcapcmp" "$1/inside-out.pcap" "$2/inside-out.pcap"
}

gives_the_same() # RECORDING
{
	replay "$1" once && is_recorded "$1" once
}
