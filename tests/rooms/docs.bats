# Documents against what they describe: reasons, counters, options, signals, statuses, links. Keys and
# numbers are compared by units (tests/unit/page_test.c), which have the tables at hand.

source "$BATS_TEST_DIRNAME/../lab.sh"

OPERATING=bridge/OPERATING.md
PAGE=bridge/tmbridge.8

setup()
{
	cd "$LAB_ROOT"
}

# Says what only one of them has; fails if there is anything, or nothing at all was found.
same() # LINES LINES
{
	[[ -n $1 && -n $2 ]] || {
		echo "nothing found"
		return 1
	}
	diff <(sort <<<"$1") <(sort <<<"$2")
}

# The lines of a section, without its head.
section() # FILE HEAD
{
	awk -v head="$2" '$0 == head { inside = 1; next } /^(##|\.Sh) / { inside = 0 } inside' "$1"
}

# The table's rows whose first head is HEAD.
table() # FILE HEAD
{
	awk -v head="| $2 |" 'index($0, head) == 1 { inside = 1; next } !/^\|/ { inside = 0 } inside' "$1" | grep -v '^|-'
}

# ---- reasons ----

reasons() # as "ACT NAME"
{
	sed -nE 's/^\tX\([A-Z0-9_]+, LB_([A-Z_]+), "([a-z_]+)"\).*/\1 \2/p' lb/why.h | grep -v HAND_OVER
}

@test "the table of reasons has each once, under its act" {
	same "$(reasons)" "$(table $OPERATING reason | awk -F'|' '
		BEGIN { act["bridged"] = "BRIDGE"; act["forwarded"] = "FORWARD"; act["answered"] = "ANSWER"; act["dropped"] = "DROP" }
		$2 ~ /\*\*/ { gsub(/[* ]/, "", $2); now = act[$2]; next }
		{ n = split($2, part, "`"); for (i = 2; i <= n; i += 2) print now, part[i] }')"
}

@test "the man page has each reason for a reset" {
	same "$(awk '/answered with RST/ { rst = 1; next } /X\(/ { if (rst) print; rst = 0 }' lb/why.h | sed -E 's/.*"([a-z_]+)".*/\1/')" \
		"$(section $PAGE ".Sh DIAGNOSTICS" | awk '/^Reasons for a reset are/ { list = 1; next } !/^(\.Ql|and)/ { list = 0 } list' |
			sed -nE 's/^\.Ql ([a-z_]+).*/\1/p')"
}

@test "each reason is given somewhere" {
	local name missing=""

	for name in $(sed -nE 's/^\tX\(([A-Z0-9_]+), LB_.*/\1/p' lb/why.h); do
		grep -qE "\bWHY_$name\b" lb/*.c bridge/*/*.c || missing+=" $name"
	done
	echo "nobody gives:$missing"
	[[ -z $missing ]]
}

# Names of a list that no unit has in it.
without_unit() # PREFIX NAME...
{
	local name

	for name in "${@:2}"; do
		grep -qE "\b$1$name\b" -r tests/unit || echo "$name"
	done
}

@test "each reason, and each scheduler, has a unit that names it" {
	local reasons schedulers

	reasons=$(sed -nE 's/^\tX\(([A-Z0-9_]+), LB_.*/\1/p' lb/why.h)
	schedulers=$(sed -nE 's/^\tX\(SCHED_([A-Z0-9_]+), .*/\1/p' lb/rules.h)
	[[ $(wc -w <<<"$reasons") -ge 40 && $(wc -w <<<"$schedulers") -ge 5 ]]
	run without_unit WHY_ $reasons
	[[ -z $output ]]
	run without_unit SCHED_ $schedulers
	[[ -z $output ]]
}

# Whoever adds a reason teaches it to the model, or says here that it is left to others: fragments to frag_twin.c, and strangers in a flood,
# filters, a router's part and frames that find no room to units.
@test "the oracle knows each reason, but for those that are left to others" {
	local name unknown="" left=" FRAGMENT FRAGMENT_HELD FRAGMENT_OTHER FRAGMENT_OVERLAP FRAGMENT_TINY FRAGMENT_NO_ROOM
		FILTER_RESET STRANGER_CHALLENGED FILTERED FILTER_RATE STRANGER STRANGER_ANSWERED TTL_EXPIRED TOO_BIG ICMP_LIMITED OTHER_HOST CLIENT_NOWHERE NOT_HANDED_OVER "

	for name in $(sed -nE 's/^\tX\(([A-Z0-9_]+), LB_.*/\1/p' lb/why.h); do
		grep -qE "\bWHY_$name\b" tests/oracle/*.c || unknown+="$name "
	done
	same "$(tr -s ' ' '\n' <<<"${unknown% }")" "$(grep -oE '[A-Z_]+' <<<"$left")"
}

# Whoever adds a reason says by its place in the list whether it turns somebody away.
@test "reasons that turn somebody away are counted among the refusals, and no others" {
	local name from to refusals="" inside=

	while read -r name; do
		for ends in $(sed -nE 's/.*why >= WHY_([A-Z_]+) && why <= WHY_([A-Z_]+)\).*/\1:\2/p' lb/why.h); do
			from=${ends%:*} to=${ends#*:}
			[[ $name != "$from" ]] || inside=yes
			[[ $inside != yes ]] || [[ " $refusals " = *" $name "* ]] || refusals+=" $name"
			[[ $name != "$to" ]] || inside=
		done
	done < <(sed -nE 's/^\tX\(([A-Z0-9_]+), LB_.*/\1/p' lb/why.h)
	same "$(tr ' ' '\n' <<<"${refusals# }")" "$(awk '
		/\/\*/ { meant = /answered with RST: (a SYN|TCP that)|\/\* a SYN |\[filter NAME\]/ }
		/^\tX\(/ { if (meant && !/LB_FORWARD/) print; meant = 0 }' lb/why.h | sed -nE 's/^\tX\(([A-Z0-9_]+), .*/\1/p')"
}

# ---- counters ----

# Those of the lists, as "PATH<TAB>WHAT IT IS".
counters_described()
{
	tr -d '\\\n' <bridge/worker/counters.h | sed 's/\t/ /g; s/X(/\nX(/g; s/#define /\n#define /g' | awk -F'"' '
		/^#define COUNTERS/ { prefix = "" } /^#define PORT_COUNTERS/ { prefix = "ports.*." }
		/^#define SERVER_COUNTERS/ { prefix = "farms[].servers[]." }
		!/^X\([A-Z]/ || NF < 5 { next }
		{ printf "%s%s\t%s\n", prefix, prefix ? $2 : $2 "." $4, $(NF - 1) }'
}

counters_listed()
{
	counters_described | cut -f1
}

@test "the man page has each counter, and says the same of it" {
	[[ $(counters_listed | wc -l) -ge 40 ]]
	same "$(counters_described)" "$(section $PAGE ".Sh COUNTERS" |
		awk '/^\.It Va/ { name = $3; next } name { print name "\t" $0; name = "" }')"
}

# Members of the statistics, as paths: farms[].name, and ports.* for both.
shown_members() # STATISTICS
{
	jq -r '[paths(type != "object" and type != "array")] |
		map(map(if type == "number" then "[]" else . end) | join(".")) | unique[]' "$1" |
		sed -E 's/\.\[\]/[]/g; s/^ports\.(out|in)side\./ports.*./; /^(reasons|refusals)\./d' | sort -u
}

# Those of the table: `.name` is the sibling of the one before. With FILTER only rows that match it.
described_members() # [FILTER]
{
	table $OPERATING member | grep -E "${1:-.}" | awk -F'|' '{ n = split($2, part, "`")
		for (i = 2; i <= n; i += 2) {
			if (part[i] ~ /^\./) { sub(/[^.]*$/, "", last); last = last substr(part[i], 2) } else last = part[i]
			print last
		} }'
}

@test "the table of members has each that is written, and no other" {
	local live

	cd "$BATS_TEST_TMPDIR"
	{ cat "$LAB_ROOT/pcaps/http/lb.ini"; printf '[filter all]\nmatch = any\naction = count\n'; } >lb.ini
	"$TMBRIDGE" -r "$LAB_ROOT/pcaps/http/outside-in.pcap" -w sent.pcap -f lb.ini -s stats.json
	cd "$LAB_ROOT"
	live=$(described_members '\| live:')
	[[ $(wc -l <<<"$live") -le 3 ]] # what only a live one has: not a way around this test
	same "$(shown_members "$BATS_TEST_TMPDIR/stats.json")" "$(described_members | grep -vxF "${live:-none}")"
}

@test "each name that the statistics are made of is in the table" {
	local names

	names=$({ grep -ohE '\\"[a-z_]+\\":' bridge/operator/stats.c | tr -d '\\":'; counters_listed | tr -d '[]*' | tr . '\n' | grep .; } | grep -vxE 'outside|inside|reasons|refusals' | sort -u)
	# what is described, by each part of each path; what only `status` has, there
	run comm -23 <(echo "$names") <({ described_members; grep -oE '[`"][a-z_.*]+[`"]' bridge/operator/README.md | tr -d '`"'; } |
		sed 's/\[\]//g' | tr . '\n' | sort -u)
	echo "not described: $output"
	[[ $(wc -l <<<"$names") -ge 30 && -z $output ]]
}

@test "the sample of statistics has the members that are written" {
	local sample=$BATS_TEST_TMPDIR/sample.json

	section $OPERATING "## Statistics" | awk '/^```$/ { inside = 0 } inside; /^```json/ { inside = 1 }' >"$sample"
	same "$(shown_members "$sample")" "$(described_members)"
}

# Examples of lb.ini, each in a file of its own: what is fenced as ini, or indented and begins with a section.
examples() # DIRECTORY DOCUMENT...
{
	awk -v to="$1/" '
		function begin() { inside = 1; file = to (++n) ".ini"; printf "" >file }
		fenced && /^```/ { fenced = inside = 0; next }
		/^```ini$/ { begin(); fenced = 1; next }
		{ indented = match($0, /[^ ]/) > 4 }
		!fenced && !indented && !/^$/ { inside = 0 }
		!fenced && !inside && indented && /^ *\[(bridge|farm|server|check|filter)[] ]/ && before == "" { begin() }
		{ before = $0 }
		inside { sub(/^ +/, ""); print >file }' "${@:2}"
}

# As somebody copies them. Filters alone get a cable; of a part of a section nothing can be said.
@test "the examples of lb.ini are taken as they stand" {
	local file n=0

	examples "$BATS_TEST_TMPDIR" README.md $OPERATING
	for file in "$BATS_TEST_TMPDIR"/*.ini; do
		! grep -q '^\[filter' "$file" || sed -i '1i [bridge]\nmode = transparent' "$file"
		grep -qE '^(vip|mode) = ' "$file" || continue
		n=$((n + 1))
		run "$TMBRIDGE" -t -f "$file"
		echo "$output"
		[[ $status = 0 ]] || { cat "$file" && false; }
	done
	[[ $n -ge 8 ]]
}

# What is counted is shown: each member of a struct of counters is named in the lists.
counters() # FILE STRUCT
{
	awk -v head="struct $2 {" '$0 == head { inside = 1; next } /^};/ { inside = 0 } inside' "$1" |
		sed -E 's,/\*.*,,; s/\[[^]]*\]//g; s/^[[:space:]]*[a-z0-9_ ]+ ([a-z0-9_]+(, [a-z0-9_]+)*);.*/\1/' | tr ', ' '\n\n' | grep -E '^[a-z]'
}

@test "what is counted is shown, and what is shown is counted" {
	local file struct name missing="" uncounted="" n=0

	while read -r file struct; do
		for name in $(counters "$file" "$struct"); do
			n=$((n + 1))
			grep -qE "(->|\.)$name\b" bridge/worker/counters.h || missing+=" $struct.$name"
			grep -qE "counts?(->|\.)$name(\[[^]]*\])?(\+\+| \+?= )" lb/*.c bridge/*/*.c || uncounted+=" $struct.$name"
		done
	done <<-END
		lb/balance.h balance_counts
		bridge/port/port.h port_counts
		bridge/worker/neigh.h neigh_counts
		bridge/worker/connlog.h connlog_counts
		lb/segment.h segment_counts
	END
	echo "$n counters, not shown:$missing; never counted:$uncounted"
	[[ $n -ge 10 && -z $missing && -z $uncounted ]]
}

# A reload makes anew what hangs on the rules; so what is counted there begins at 0 again, unless it is taken over.
@test "nothing is counted in what hangs on the rules, but for what a reload takes over" {
	local name body

	grep -qE "\bw->[a-z]" bridge/worker/counters.h
	run grep -nE -- "->(setup|farms)\b" bridge/worker/counters.h
	echo "$output"
	[[ $status = 1 ]]
	grep -qx '	table->counts = old->counts;' <(sed -n '/^void neigh_inherit/,/^}/p' bridge/worker/neigh.c)
	body=$(sed -n '/^void sched_inherit/,/^}/p' lb/sched.c)
	for name in $(sed -n '/^#define SERVER_COUNTERS/,/^$/p' bridge/worker/counters.h | grep -oE '\bs->[a-z_]+' | sed 's/s->//'); do
		grep -qE "\]\.$name\b" <<<"$body" || lab_die "sched_inherit() loses $name"
	done
}

# ---- the command line ----

@test "options are the same in the usage, the man page and the table" {
	local options

	options=$("$TMBRIDGE" --help | sed -nE 's/^  (-.), (--[a-z]+).*/\1 \2/p')
	same "$options" "$(sed -nE 's/^\.It Fl (.) , Fl Fl ([a-z]+).*/-\1 --\2/p' $PAGE)"
	same "$options" "$(table $OPERATING option | sed -nE 's/^\| `(-.)`, `(--[a-z]+).*/\1 \2/p')"
}

@test "signals are those that are acted upon" {
	local signals

	signals=$(sed -nE 's/^static const int (waiting|ending)\[\] = \{(.*)\};/\2/p' bridge/process/signals.c | tr -d ' ' | tr , '\n')
	same "$signals" "$(section $PAGE ".Sh SIGNALS" | sed -nE 's/^\.It Dv (.*)/\1/p' | sed 's/ , /\n/g')"
	for signal in $signals; do
		section $OPERATING "## Command line" | grep -qw "$signal"
	done
}

@test "exit statuses are those of main" {
	local statuses

	statuses=$(echo 0; grep -ohE '(EXIT|ANSWER)_[A-Z_]+ = [1-9]\b' bridge/main.c bridge/operator/answer.h | sed 's/.* //' | sort -u)
	same "$statuses" "$(section $PAGE ".Sh EXIT STATUS" | sed -nE 's/^\.It ([0-9]+)$/\1/p')"
	same "$statuses" "$(section $OPERATING "## Command line" | tr '\n' ' ' | grep -oE 'Exit status: .*' |
		sed -E 's/\. .*//' | grep -oE '\b[0-9]+ ' | tr -d ' ')"
}

# Those of the command line, "server drain" one of them.
verbs()
{
	sed -nE 's/^        \{"([a-z]+)", (NULL|"([a-z]+)"),.*/\1 \3/p' bridge/client/cli.c | sed 's/ $//'
}

@test "each verb is tried with a real instance, has a golden text, and is in the manual and in --help" {
	local verb missing=""

	[[ $(verbs | wc -l) -ge 20 ]]
	while read -r verb; do
		grep -qE "(tmb|\"\\\$TMBRIDGE\") $verb\b" $(ls tests/live/*.bats | grep -v golden) || missing+=" $verb:live"
		# a capture is a file, and what is checked a file of lb.ini
		[[ $verb = @(capture|"config check") ]] ||
			grep -qE "is_golden [a-z-]+ $verb\b" tests/live/golden.bats || missing+=" $verb:golden"
		grep -qE "^\.It Cm (.* , (Cm )?)?$verb\b" $PAGE || missing+=" $verb:manual"
		sed -n '/"Usage: /,/";/p' bridge/options.c | grep -qE "[\" ,:]${verb%% *}[,;]" || missing+=" $verb:help"
	done < <(verbs)
	echo "missing:$missing"
	[[ -z $missing ]]
}

# ---- lb.ini ----

# Ports in a list, one a line, ranges written out.
ports() # LIST
{
	tr ', ' '\n\n' <<<"$1" | sed -nE 's/^([0-9]+)(-([0-9]+))?$/\1 \3/p' | while read -r first last; do
		seq "$first" "${last:-$first}"
	done
}

@test "the preset is described as it is" {
	local table page

	table=$(awk '/^static const char \*const ocs2007r2\[/ { inside = 1 } /^};/ { inside = 0 } inside' cfg/farm_keys.c |
		sed -nE 's/^ *\{"([a-z_]+)", "([^"]*)"\},/\1 = \2/p')
	section cfg/README.md "## lb.ini" | sed -nE '/^`preset = ocs2007r2`/,/^\|/ s/^    (.*)/\1/p' >"$BATS_TEST_TMPDIR/readme"
	page=$(sed -nE '/^\.Cm ocs2007r2 ,/,/^\.Cm ocs2007r2-tls/ p' cfg/lb.ini.5 | grep -oE '(ports|check|scheduler|idle_timeout) = [^;]*' | sed 's/\.$//')
	for text in "$(<"$BATS_TEST_TMPDIR/readme")" "$page"; do
		same "$(grep -v '^ports\|^check' <<<"$table")" "$(grep -v '^ports\|^check' <<<"$text")"
		for key in ports check; do
			same "$(ports "$(sed -n "s/^$key = //p" <<<"$table")")" "$(ports "$(sed -n "s/^$key = //p" <<<"$text")")"
		done
	done
}

@test "the table of schedulers has each" {
	same "$(sed -nE '/^Values: wlc/ { s/^Values: //; s/\.$//; s/, /\n/g; p }' cfg/lb.ini.5)" \
		"$(table cfg/README.md scheduler | sed -nE 's/^\| `([a-z]+)` .*/\1/p')"
}

@test "agents say to which schedulers a server's share means something" {
	same "$(sed -nE 's/^\tX\(SCHED_[A-Z_]+, "([a-z]+)", (true, .*|.*, true)\).*/\1/p' lb/rules.h)" \
		"$(section bridge/OPERATING.md '### Agents' | grep -E '^\| `75%` \|' | sed 's/; .*//' | grep -oE '`[a-z]+`' | tr -d '`')"
}

@test "the man page says of each scheduler what it does" {
	same "$(sed -nE '/^Values: wlc/ { s/^Values: //; s/\.$//; s/, /\n/g; p }' cfg/lb.ini.5)" \
		"$(sed -n '/^\.It Cm scheduler$/,/^Values:/p' cfg/lb.ini.5 | sed -nE 's/^\.Cm ([a-z]+) ,$/\1/p')"
}

# Keys that take one of some words, as "KEY WORD": the man page's are compared with the code by the units.
@test "words that a key takes are the same in the table and in the man page" {
	local page key words n=0

	page=$(awk '/^\.It Cm/ { key = $3 } /^Values: [a-z0-9_-]+(, [a-z0-9_-]+)+\.$/ { sub(/^Values: /, ""); sub(/\.$/, ""); print key ":" $0 }' cfg/lb.ini.5)
	while IFS=: read -r key words; do
		n=$((n + 1))
		echo "$key:" # in the column of values, or else with what each means
		same "$(sed 's/, /\n/g' <<<"$words")" "$(grep -E "^\| \`$key\` \|" cfg/README.md | grep -v 'an expression, ' |
			awk -F' [|] ' '{ print $(NF - 1) ~ /`/ ? $(NF - 1) : $2 }' | grep -oE '`[a-z0-9_-]+`' | tr -d '`')"
	done <<<"$page"
	[[ $n -ge 8 ]]
}

# ---- links and names of files ----

documents()
{
	git ls-files --cached --others --exclude-standard '*.md'
}

# Where a link to a head of that document leads.
anchors() # DOCUMENT
{
	grep -E '^#+ ' "$1" | sed -E 's/^#+ //' | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

# Whoever adds a key of [bridge] says what a reload does with it.
@test "the section on reloads has each key of [bridge], and those that need a restart are the same everywhere" {
	local says restart

	says=$(section bridge/OPERATING.md '## Reload' | sed -nE '/^- of `\[bridge\]`/,/^(- [^o]|$)/p')
	same "$(sed -n '/^static const struct key bridge_keys/,/^}/p' cfg/keys.c | sed -nE 's/^ +\{"([a-z_]+)".*/\1/p')" \
		"$(grep -oE '`[a-z_]+`' <<<"$says" | tr -d '`')"
	restart=$(sed -nE 's/.*\[bridge\] ([a-z_]+): (stays %[us]|is %s, and).*/\1/p' bridge/reload.c)
	same "$restart" "$(awk '/^\.It Cm/ { key = $3 } /^A change needs a restart\.$/ { print key }' cfg/lb.ini.5)"
	same "$restart" "$(sed '/count at once/,$d' <<<"$says" | grep -oE '`[a-z_]+`' | tr -d '`')"
}

@test "links lead somewhere" {
	local document link file broken="" n=0
	local -A heads=()

	for document in $(documents); do
		for link in $(grep -oE '\]\([^)]+\)' "$document" | sed 's/^](//; s/)$//' | grep -v '^https\?:'); do
			n=$((n + 1))
			file=${link%%#*}
			file=${file:+${document%"${document##*/}"}$file}
			file=${file:-$document}
			[[ -e $file ]] || broken+=" $document:$link"
			[[ $link = *#* ]] || continue
			heads[$file]=${heads[$file]-$'\n'$(anchors "$file")$'\n'}
			[[ ${heads[$file]} = *$'\n'"${link#*#}"$'\n'* ]] || broken+=" $document:$link"
		done
	done
	echo "$n links, broken:$broken"
	[[ $n -ge 20 && -z $broken ]]
}

# The modules of a room: its files without suffixes.
modules() # ROOM
{
	find "$1" -name '*.[ch]' | sed -E 's|.*/||; s/(\.bpf)?\.[ch]$//' | sort -u
}

# The modules that documents name, without suffix or with it.
named() # DOCUMENT...
{
	grep -ohE '`[A-Za-z0-9_]+(\.[a-z.]+)?`|\b[A-Za-z0-9_]+\.(c|h|bpf)\b' "$@" | tr -d '`' | sed 's/\..*//' | sort -u
}

@test "each room has its README, and the first one leads to it" {
	local room folder missing=""

	for room in lb cfg bridge tests pcaps; do
		grep -qE "\]\($room/README.md" README.md
	done
	for room in lb cfg bridge; do
		[[ $(modules $room | wc -l) -ge 20 ]]
		missing+=$(comm -23 <(modules $room) <(named $room/README.md bridge/{fastpath,operator}/README.md) | sed "s|^| $room: |" | tr -d '\n')
	done
	echo "not named by their room's README:$missing"
	[[ -z $missing ]]
	for folder in bridge/*/; do
		grep -qE "^- \*\*$(basename "$folder")/\*\*" bridge/README.md
	done
	for folder in tests/*/; do
		grep -qE "^\| \`$(basename "$folder")/\`" tests/README.md
	done
}

sources()
{
	git ls-files --cached --others --exclude-standard '*.[ch]' '*.sh' '*.bats' Makefile
}

# Names of files in comments, and in documents between backticks, as "FILE NAME"; NAME.c stands for any.
cited()
{
	awk 'function names(text, pattern) {
			while (match(text, pattern)) {
				name = substr(text, RSTART, RLENGTH)
				gsub(/`/, "", name)
				sub(/^(\.\.\/)+/, "", name)
				if (name !~ /NAME|^a\.b\./) print FILENAME, name
				text = substr(text, RSTART + RLENGTH)
			}
		}
		BEGIN { file = "[A-Za-z0-9_./-]*[A-Za-z0-9_]\\.(c|h|md|sh|bats|jq|ini|8|5)" }
		FILENAME ~ /\.md$/ { names($0, "`(\\.\\./)*[A-Za-z_]" file "`"); next }
		/^[[:space:]]*(\/?\*|\/\/|#([^a-z!]|$))/ { names($0 " ", "[A-Za-z_]" file "[^a-z_]"); next }
		/\/\*/ { sub(/.*\/\*/, ""); names($0 " ", "[A-Za-z_]" file "[^a-z_]") }' $(sources) $(documents) |
		sed -E 's/[^a-z0-9]$//'
}

@test "files that comments and documents name are there" {
	local missing

	git ls-files --cached --others --exclude-standard >"$BATS_TEST_TMPDIR/files"
	cited | sort -u >"$BATS_TEST_TMPDIR/cited"
	missing=$(awk 'NR == FNR { there[$0]; while (sub(/^[^\/]*\//, "")) there[$0]; next }
		!($2 in there)' "$BATS_TEST_TMPDIR/files" "$BATS_TEST_TMPDIR/cited" | grep -vE '[ /]lb\.ini$|^Makefile bpf\.c$' || true)
	echo "$missing"
	[[ $(wc -l <"$BATS_TEST_TMPDIR/cited") -ge 100 && -z $missing ]]
}

@test "functions and constants that documents name are there" {
	local name missing="" n=0

	cat $(sources) lb/table.h >"$BATS_TEST_TMPDIR/all"
	# but for the kernel's, and those of the example of a new key
	for name in $(grep -ohE '`([a-z_0-9]+\(\)|[A-Z]+_[A-Z_0-9]+)`' $(documents) | tr -d '`()' | sort -u |
		grep -vE '^bpf_|greeting'); do
		n=$((n + 1))
		grep -qwF "$name" "$BATS_TEST_TMPDIR/all" || missing+=" $name"
	done
	echo "$n names, missing:$missing"
	[[ $n -ge 20 && -z $missing ]]
}

# ---- words ----

@test "things have one name" {
	run grep -niwE 'back-?ends?|real servers?|upstream|downstream|virtual server|east side|west side|LAN side|WAN side' \
		$(documents) $PAGE cfg/lb.ini.5
	echo "$output"
	[[ $status = 1 ]]
}
