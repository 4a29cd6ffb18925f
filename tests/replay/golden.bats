# Recorded connections (tests/record.sh) give the recorded frames again, always the same.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/recordings.sh"

# All are replayed twice: for whoever looks at what they have sent.
setup_file()
{
	cd "$BATS_FILE_TMPDIR"
	for_recordings replay_twice
}

setup()
{
	cd "$BATS_FILE_TMPDIR"
}

# The second time a sanitized one needn't look for leaks again, which is most of what such a short run takes.
replay_twice() # RECORDING
{
	replay "$1" "once/$(basename "$1")" && ASAN_OPTIONS=detect_leaks=0 replay "$1" "twice/$(basename "$1")"
}

is_complete()
{
	[[ $(wc -l <"$1/WHY") = 1 && $(<"$1/WHY") = *. ]]
}

is_as_recorded() # RECORDING
{
	is_recorded "$1" "once/$(basename "$1")"
}

is_repeatable() # RECORDING
{
	local once twice

	once=once/$(basename "$1") twice=twice/$(basename "$1")
	cmp "$once/outside-out.pcap" "$twice/outside-out.pcap" && { [[ ! -e $1/inside-in.pcap ]] || cmp "$once/inside-out.pcap" "$twice/inside-out.pcap"; }
}

# What tshark finds bad, in all of them at once, as it takes long to start.
bad_checksums() # CAPTURE...
{
	mergecap -a -w merged "$@"
	tshark -r merged -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE \
		-Y 'tcp.checksum.status == "Bad" or ip.checksum.status == "Bad"' 2>/dev/null
}

# bats test_tags=plain
@test "each recording says in a sentence why it is there" {
	for_recordings is_complete
}

@test "a replay sends the frames that were recorded, byte for byte" {
	for_recordings is_as_recorded
}

@test "a second replay is the same file" {
	for_recordings is_repeatable
}

# As bad at the most as what came in: a capture of offloaded traffic holds partial TCP checksums, and one is about
# a frame that is damaged. Once is enough: the sanitized build sends the same bytes, as the test before says.
# bats test_tags=plain
@test "tshark finds no bad IP or TCP checksum in what a replay sends" {
	local name sent=() offloaded=() damaged=()

	cd once
	for name in */; do
		if [[ $name = *gso* ]]; then
			offloaded+=("$LAB_ROOT/pcaps/$name/inside-in.pcap")
		elif [[ $name = *-checksum/ ]]; then
			damaged+=("$name/inside-out.pcap")
		else
			sent+=("$name"/*-out.pcap)
		fi
	done
	bad_checksums "${offloaded[@]}" >bad
	[[ -s bad ]]
	bad_checksums "${damaged[@]}" >bad
	[[ $(wc -l <bad) = "${#damaged[@]}" ]]
	bad_checksums "${sent[@]}" | tee bad
	[[ ! -s bad ]]
}

@test "nobody opens a connection in the name of a server that hasn't been found" {
	local from=$LAB_ROOT/pcaps/stranger-answers-a-syn

	sed '/^mac = /d' "$from/lb.ini" >alone.ini
	tcpdump -r "$from/outside-in.pcap" -w alone.pcap ether src 02:00:00:00:66:66 2>/dev/null
	"$TMBRIDGE" -r alone.pcap -w alone-out.pcap -f alone.ini -s - | jq -e '.flows | .created == 2 and .half_open == 2 and .wrong_side == 2'
}
