# The rooms of the code: who may include what, call what, keep what, and print.

source "$BATS_TEST_DIRNAME/../lab.sh"

# The release's objects also hold what the linker optimizes from, which nm would look at instead.
setup_file()
{
	cp "$LAB_ROOT/.build/release/lb.a" "$BATS_FILE_TMPDIR"
	objcopy -R '.gnu.lto_*' -R '.gnu.debuglto_*' "$BATS_FILE_TMPDIR/lb.a"
}

setup()
{
	cd "$LAB_ROOT"
}

# All files of bridge/ and its folders.
bridge_files() # [SUFFIXES]
{
	find bridge -name "*.[${1:-ch}]" | sort
}

# The includes of a room's files, as "FILE HEADER", less those that match the pattern.
includes_except() # ROOM PATTERN
{
	grep -oE '^#[[:space:]]*include[[:space:]]*[<"][^>"]+[>"]' "$1"/*.[ch] |
		sed -E 's/:#[[:space:]]*include[[:space:]]*/ /' | grep -vE " ($2)\$" || true
}

# The headers of C itself that a room may take, as a pattern.
PLAIN='<(assert|errno|stdbool|stddef|stdint|stdlib|string|limits|inttypes|stdalign)\.h>'

@test "lb includes only lb and plain C" {
	run includes_except lb "$PLAIN|\"[a-z0-9_]+\.h\""
	echo "$output"
	[[ -z $output ]]
}

@test "cfg includes only cfg, the rules, iniparser and libc" {
	local libc='<(ctype|fcntl|locale|stdarg|stdio|strings|unistd|sys/(mman|stat|types)|arpa/inet|netinet/in)\.h>'
	local cfg='"[a-z0-9_]+\.h"|"\.\./lb/(rules|way|bytes)\.h"|<(iniparser/)?(iniparser|dictionary)\.h>'

	run includes_except cfg "$PLAIN|$libc|$cfg"
	echo "$output"
	[[ -z $output ]]
}

@test "bridge includes nothing of the tests" {
	run grep -nE '^#[[:space:]]*include.*tests/' $(bridge_files) lb/*.[ch] cfg/*.[ch]
	echo "$output"
	[[ $status = 1 ]]
}

# The folders of bridge/, lowest first: a folder's files include those of its own and of folders
# before it.
BRIDGE_FLOORS="process cable port fastpath worker operator client console"

bridge_folders()
{
	local floor

	for floor in $BRIDGE_FLOORS; do
		[[ ! -d bridge/$floor ]] || echo "bridge/$floor"
	done
}

@test "the folders of bridge are those of the list" {
	run diff <(bridge_folders | sort) <(find bridge -mindepth 1 -maxdepth 1 -type d | sort)
	echo "$output"
	[[ $status = 0 && $(bridge_folders | wc -l) -ge 5 ]]
}

@test "the folders of bridge include downwards only" {
	local folder other above upward=""

	for folder in $(bridge_folders); do
		above=$(sed "s/.*\<${folder#bridge/}\>//" <<<"$BRIDGE_FLOORS")
		for other in $above; do
			upward+=$(grep -nE "^#[[:space:]]*include \"\.\./$other/" "$folder"/*.[ch] || true)
		done
		# what stands above the folders is nobody's in them, and the rules' reader only the operator's
		upward+=$(grep -nE '^#[[:space:]]*include "\.\./[a-z_]+\.h' "$folder"/*.[ch] || true)
		[[ $folder =~ /(operator|client)$ ]] ||
			upward+=$(grep -nE '^#[[:space:]]*include "\.\./\.\./cfg/' "$folder"/*.[ch] || true)
	done
	echo "$upward"
	[[ -z $upward ]]
}

# Which module includes which, as "FILE FILE", without suffixes, paths from the top. But for cfg.h, in which the room says what its modules do
# together.
module_arrows()
{
	grep -oE '^#[[:space:]]*include "[^"]+"' lb/*.[ch] cfg/*.[ch] $(bridge_files) | sed -E 's/:#[[:space:]]*include "/ /; s/"$//' | awk '{
		from = to = $1
		sub(/[^\/]*$/, "", to)
		to = to $2
		while (sub(/[^\/]+\/\.\.\//, "", to)) # a folder, and back
			;
		sub(/\.[^.\/]*$/, "", from)
		sub(/\.[^.\/]*$/, "", to)
		if (from != to && to != "cfg/cfg") print from, to
	}'
}

@test "no modules include each other, whatever the way round" {
	module_arrows >"$BATS_TEST_TMPDIR/arrows"
	[[ $(wc -l <"$BATS_TEST_TMPDIR/arrows") -gt 100 ]]
	run tsort "$BATS_TEST_TMPDIR/arrows"
	[[ $status = 0 ]] || { grep -A20 loop <<<"$output"; false; }
}

# Which module needs a function or table of which, as "FILE FILE". The console is a program of its own.
symbol_arrows()
{
	ls lb/*.c cfg/*.c $(bridge_files c) | grep -vE '\.bpf\.c$|^bridge/(main\.c|console/)' | sed 's|^|.build/release/|; s/c$/o/' | xargs nm -A | awk '
		{ split($0, at, ":"); file = at[1]; sub(/^.build\/release\//, "", file); sub(/\.o$/, "", file) }
		$(NF - 1) == "U" { needs[file " " $NF]; next }
		$(NF - 1) ~ /^[TDBRVC]$/ { home[$NF] = file }
		END { for (pair in needs) { split(pair, part, " "); to = home[part[2]]; if (to != "" && to != part[1]) print part[1], to } }' | sort -u
}

# Also by a table of functions: their files need nothing of the one that has the table.
@test "no modules need each other's functions, whatever the way round" {
	symbol_arrows >"$BATS_TEST_TMPDIR/arrows"
	[[ $(wc -l <"$BATS_TEST_TMPDIR/arrows") -gt 500 ]]
	run tsort "$BATS_TEST_TMPDIR/arrows"
	[[ $status = 0 ]] || { grep -A20 loop <<<"$output"; false; }
}

@test "quoted includes name files that are there" {
	for folder in lb cfg bridge $(bridge_folders); do
		(cd "$folder" && sed -nE 's/^#[[:space:]]*include "([^"]+)".*/\1/p' ./*.[ch] | sort -u | xargs ls >/dev/null)
	done
}

# Whoever asks which side is which decides which way something goes. As an index a side is but a name.
@test "the way out is asked of lb/way alone" {
	local elsewhere

	elsewhere=$(ls lb/*.[ch] cfg/*.[ch] $(bridge_files) | grep -vE '^lb/(way|frame)\.[ch]$')
	run grep -nE '\bside_other\b|\beverywhere\b|side == (OUTSIDE|INSIDE)|[(,&!|=?:] *INSIDE\b' $elsewhere
	output=$(grep -vE '/\*|^[^:]*:[0-9]+:[[:space:]]*\*' <<<"$output")
	echo "$output"
	# the name of a capture's side, the smaller of two MTUs, programs that are made twice, and keys
	[[ -z $(grep -vE '^(cfg/net_keys|bridge/port/capture|bridge/cable/cable|bridge/fastpath/(fastpath|bouncer)\.bpf)\.c:' <<<"$output") ]]
}

# Symbols that an archive needs from elsewhere, as "MEMBER SYMBOL".
foreign_symbols() # ARCHIVE
{
	nm --defined-only "$1" | awk 'NF == 3 { print $3 }' >"$BATS_TEST_TMPDIR/defined"
	nm -u -A "$1" | sed -nE 's/^[^:]*:([^:]+):.* U (.*)/\1 \2/p' | awk -v file="$BATS_TEST_TMPDIR/defined" '
		BEGIN { while ((getline line < file) > 0) defined[line] = 1 } !($2 in defined)' | sort -u
}

@test "lb calls nothing but memory functions" {
	run foreign_symbols "$BATS_FILE_TMPDIR/lb.a"
	echo "$output"
	[[ $output = *memset* || $output = *memcpy* ]] # it does find what there is
	# Rules are built outside the hot path, put together and freed in rules.c and takeover.c.
	[[ -z $(grep -vE -e ' (mem(cpy|set|cmp|move)|__mem(cpy|set|move)_chk)$' \
		-e ' (__stack_chk_fail|__assert_fail|_GLOBAL_OFFSET_TABLE_)$' \
		-e '^(rules|takeover).o (free|malloc|realloc|strcmp|strdup)$' <<<"$output") ]]
}

@test "lb keeps nothing between calls" {
	run nm -A --defined-only "$BATS_FILE_TMPDIR/lb.a"
	[[ $status = 0 && ${#lines[@]} -gt 20 ]]
	# Tables of pointers are constant but for their relocation: .data.rel.ro, which nm shows as d.
	cd "$BATS_TEST_TMPDIR"
	ar x "$BATS_FILE_TMPDIR/lb.a"
	[[ $(ls ./*.o | wc -l) = $(ar t "$BATS_FILE_TMPDIR/lb.a" | wc -l) ]]
	run bash -c "objdump -h ./*.o | awk '/file format/ { member = \$1 }
		\$2 ~ /^\.(data|bss|tdata|tbss)/ && \$2 !~ /^\.data\.rel\.ro/ && \$3 !~ /^0+\$/ { print member, \$2 }'"
	echo "$output"
	[[ $status = 0 && -z $output ]]
	run bash -c "nm -A ./*.o | awk '\$2 == \"C\"'"
	echo "$output"
	[[ $status = 0 && -z $output ]]
}

@test "what a program in the kernel needs of lb compiles for it from the headers" {
	clang -target bpf -mcpu=v3 -std=gnu11 -O2 -g -Wall -Wextra -Werror "-D__$(uname -m)__" \
		-I"/usr/include/$(gcc -print-multiarch)" -c -o "$BATS_TEST_TMPDIR/lane.o" tests/rooms/lane.bpf.c
	# all is inline: no function but the program's own, and nothing from elsewhere
	run bash -c "llvm-objdump -t '$BATS_TEST_TMPDIR/lane.o' | grep -E 'F .text|UND'"
	echo "$output"
	[[ $status = 1 ]]
	for name in $(sed -nE 's/^\tX\([A-Z0-9]+, ([a-z0-9]+),.*/\1/p' lb/table.h); do # each array is a map
		llvm-objdump -t "$BATS_TEST_TMPDIR/lane.o" | grep -qE "\.maps.* $name\$"
	done
}

@test "the top level holds what it should" {
	run bash -c "git ls-files --cached --others --exclude-standard | cut -d/ -f1 | sort -u | grep -v '^\.'"
	echo "$output"
	for name in $output; do
		[[ " bridge cfg lb tests pcaps Makefile README.md README LICENSE " = *" $name "* ]]
	done
}

# Calls of the functions in a room's files, as FILE:LINE:TEXT, less those in comments.
calls() # FUNCTIONS FILE...
{
	grep -nE "(^|[^a-z_A-Z0-9.>\"])($1)\(" "${@:2}" | grep -vE '^[^:]+:[0-9]+:[[:space:]]*(/?\*|//)' || true
}

@test "only main exits" {
	run calls 'exit|_exit|_Exit|abort|quick_exit|err|errx' $(bridge_files c) lb/*.c cfg/*.c
	echo "$output"
	[[ -z $(grep -v '^bridge/main.c:' <<<"$output") ]]
}

@test "only log.c prints to stderr" {
	run grep -nE '\bstderr\b|\bperror\(|\bwarnx?\(|STDERR_FILENO' $(bridge_files c) lb/*.c cfg/*.c
	echo "$output"
	[[ $status = 0 ]]
	[[ -z $(grep -v -e '^bridge/process/log.c:' -e '[<>=] STDERR_FILENO' <<<"$output" | grep -vE ':[[:space:]]*(/?\*|//)') ]]
}

@test "lb and cfg don't print at all" {
	run calls 'v?f?printf|f?puts|putchar|f?putc|fwrite|v?dprintf|syslog' lb/*.c cfg/*.c
	echo "$output"
	[[ -z $output ]]
}

# Other C libraries haven't these: musl 1.2.3 for one. What is called anyway stands under #ifdef __GLIBC__.
GLIBC_ONLY='sem_clockwait|pthread_(cond_clockwait|mutex_clocklock|rwlock_clock(rd|wr)lock|clockjoin_np|rwlockattr_[gs]etkind_np)|error|error_at_line|argp_[a-z]+|
	obstack_[a-z]+|backtrace[a-z_]*|canonicalize_file_name|rawmemchr|str(error(name|desc)|sig(abbrev|descr))_np|arc4random[a-z_]*|
	close_range|closefrom|pidfd_[a-z_]+|epoll_pwait2|renameat2|statx|tgkill|mall(oc_info|info2?|opt|oc_trim)|TEMP_FAILURE_RETRY|
	getaddrinfo_a|gnu_get_libc_[a-z]+|on_exit|strfry|putpwent_r|fcloseall|cfree|mtrace|parse_printf_format|register_printf_[a-z]+'

@test "no function is called that only glibc has" {
	run calls "$(tr -d '[:space:]' <<<"$GLIBC_ONLY")" $(bridge_files c) lb/*.c cfg/*.c
	echo "$output"
	[[ -z $output ]]
}

@test "functions are no longer than 60 lines" {
	run awk 'FNR == 1 { start = 0 } /^\{/ { start = FNR } /^\}/ { if (start && FNR - start + 2 > 60)
		print FILENAME ":" start ": " FNR - start + 2 " lines"; start = 0 }' $(bridge_files c) lb/*.c cfg/*.c tests/*/*.c
	echo "$output"
	[[ -z $output ]]
}

# Their lengths, in order.
function_lengths() # FILE...
{
	awk 'FNR == 1 { start = 0 } /^\{/ { start = FNR } /^\}/ { if (start) print FNR - start + 2; start = 0 }' "$@" | sort -n
}

@test "half of the functions have 11 lines at most, nine in ten 25" {
	function_lengths $(bridge_files c) lb/*.c cfg/*.c >"$BATS_TEST_TMPDIR/lengths"
	n=$(wc -l <"$BATS_TEST_TMPDIR/lengths")
	[[ $n -gt 2000 ]]
	echo "of $n: half $(sed -n "$((n / 2))p" "$BATS_TEST_TMPDIR/lengths"), nine in ten $(sed -n "$((n * 9 / 10))p" "$BATS_TEST_TMPDIR/lengths")"
	[[ $(sed -n "$((n / 2))p" "$BATS_TEST_TMPDIR/lengths") -le 11 ]]
	[[ $(sed -n "$((n * 9 / 10))p" "$BATS_TEST_TMPDIR/lengths") -le 25 ]]
}

@test "files are no longer than 500 lines" {
	local files

	mapfile -t files < <(find bridge cfg lb tests -name '*.[ch]')
	[[ ${#files[@]} -gt 400 ]]
	run awk 'FNR > 500 { print FILENAME; nextfile }' "${files[@]}"
	echo "$output"
	[[ -z $output ]]
}

# What clang-format makes of one that is a word too long for its lines: to be put otherwise, or given lines for its ends.
@test "no comment ends in a line of its own, unless it begins in one" {
	local files

	mapfile -t files < <(find bridge cfg lb tests -name '*.[ch]')
	run awk 'FNR == 1 { inside = 0 } !inside && /\/\*/ { inside = FNR; block = $0 ~ /^[ \t]*\/\*+$/ }
		inside && FNR > inside && (/^[ \t]*\* *\*\/[ \t]*\\?$/ || (!block && /^[ \t]*\*\/[ \t]*\\?$/)) { print FILENAME ":" FNR }
		/\*\// { inside = 0 }' "${files[@]}"
	echo "$output"
	[[ -z $output ]]
}

@test "each suite of the units is run" {
	run diff <(sed -nE 's/^Suite \*([a-z0-9_]+)_suite\(void\)$/\1/p' tests/unit/*.c tests/oracle/*.c | sort) \
		<(sed -nE 's/^\tX\(([a-z0-9_]+)\).*/\1/p' tests/unit/suites.h | sort)
	echo "$output"
	[[ $status = 0 && $(grep -c '_suite(void)$' tests/unit/lb_test.c) -ge 1 ]]
}

# Whether make would give -Werror to the compiler, CI being $1: yes or no.
has_werror() # CI GOAL...
{
	env -u MAKEFLAGS -u MAKELEVEL -u WERROR CI="$1" make -nB "${@:2}" 2>/dev/null >"$BATS_TEST_TMPDIR/commands"
	grep -q -e ' -Wconversion' "$BATS_TEST_TMPDIR/commands" || echo "no compiler"
	grep -q -e ' -Werror' "$BATS_TEST_TMPDIR/commands" && echo yes || echo no
}

@test "warnings are errors in CI and for developers, and for nobody else" {
	[[ $(has_werror '') = no ]]
	[[ $(has_werror '' install) = no ]]
	[[ $(has_werror '' demo) = no ]]
	[[ $(has_werror '' everything) = yes ]]
	[[ $(has_werror '' .build/release/unit) = yes ]]
	[[ $(has_werror true) = yes ]]
	[[ $(has_werror true install) = yes ]]
}

@test "man pages are well-formed" {
	for page in bridge/tmbridge.8 bridge/console/tmbridge-console.8 cfg/lb.ini.5; do
		mandoc -T lint -W warning "$page"
	done
}

# A shell that ends at a failure goes on behind "! COMMAND": that is what never() is for.
@test "no test asserts by a line that can't fail" {
	run grep -nE '^[[:space:]]*! [^|]*(\|[^|]+)*$' tests/*/*.bats
	echo "$output"
	[[ $status = 1 ]]
}

# A process in the background opens its files when its turn comes. Until then they are an earlier one's, but for those of lab_spawn(), which
# empties them first.
@test "no test waits for what a process in the background writes, unless by lab_spawn" {
	local file name waiting=""

	while IFS=: read -r file name; do
		waiting+=$(grep -nHF "$name" "$file" | grep wait_until || true)
	done < <(grep -HoE '>"\$LAB_DIR/[^"$]+".* &$' tests/*.sh tests/*/*.sh tests/*/*.bats | sed -E 's/:.*(\$LAB_DIR\/[^"]+).*/:\1/')
	echo "$waiting"
	[[ -z $waiting ]]
}

# Where a pipe fails if any of its commands does, whoever writes into one that ends early fails now and then, by SIGPIPE.
@test "no test reads only the beginning of what a command says" {
	run grep -nE '\| *(head|grep -[a-zA-Z]*q)' $(grep -l 'lab\.sh' tests/*.sh tests/*/*.sh tests/*/*.bats | grep -v '^tests/rooms/')
	echo "$output"
	[[ $status = 1 ]]
}
