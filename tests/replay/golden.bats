# Recorded connections (tests/record.sh) give the recorded frames again, always the same.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/recordings.sh"

setup()
{
	cd "$BATS_TEST_TMPDIR"
}

is_complete()
{
	[[ $(wc -l <"$1/WHY") = 1 && $(<"$1/WHY") = *. ]]
}

is_repeatable()
{
	replay "$1" once && replay "$1" twice || return 1
	cmp once/outside-out.pcap twice/outside-out.pcap && cmp once/inside-out.pcap twice/inside-out.pcap
}

bad_checksums() # CAPTURE
{
	tshark -r "$1" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE \
		-Y 'tcp.checksum.status == "Bad" or ip.checksum.status == "Bad"' 2>/dev/null | wc -l
}

# As bad at the most as what came in: a capture of offloaded traffic holds partial TCP checksums.
checksums_are_good()
{
	replay "$1" once || return 1
	if [[ $(basename "$1") = *gso* ]]; then
		[[ $(bad_checksums "$1/inside-in.pcap") -gt 0 ]]
		return
	fi
	[[ $(bad_checksums once/outside-out.pcap) = 0 && $(bad_checksums once/inside-out.pcap) = 0 ]]
}

@test "each recording says in a sentence why it is there" {
	for_recordings is_complete
}

@test "a replay sends the frames that were recorded, byte for byte" {
	for_recordings gives_the_same
}

@test "a second replay is the same file" {
	for_recordings is_repeatable
}

@test "tshark finds no bad IP or TCP checksum in what a replay sends" {
	for_recordings checksums_are_good
}
