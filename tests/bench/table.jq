# Tables of a summary that live.jq made, as lines of tab-separated cells.

# Three digits that count.
def cell: if . == null then "-" elif . >= 100 then round elif . >= 10 then (. * 10 | round) / 10
	elif . >= 1 then (. * 100 | round) / 100 else (. * 1000 | round) / 1000 end | tostring;

# Lines of cells; the first cell is said once for as long as it is the same.
def table($head): [$head] + [.[]] | . as $lines | range(length) |
	if . > 0 and $lines[.][0] == $lines[. - 1][0] then ["" , $lines[.][1:][]] else $lines[.] end | @tsv;

def live_machine: .live.machine | "\(.cpus) x \(.cpu), \(.memory), \(.kernel), \(.date)", .tools,
	"\(.runs) rounds, \(.seconds) s for each figure; other work took \(.others_percent) % of the processors before";

# Latency's CPU time is said once.
def live_values: [.live.figures[] | (.name | test("p99") | not) as $says_cpu | . as $f | .contenders[] |
	[$f.name, .contender, $f.unit, (.value.min, .value.median, .value.max | cell)] +
	if $says_cpu then [(.machine_cpu.median | cell), (.process_cpu.median | if . > 0 then cell else "-" end),
		$f.cpu_unit] else ["", "", ""] end] |
	table(["figure", "contender", "unit", "min", "median", "max", "CPU, machine", "process", "unit"]);

def live_ratios: [.live.figures[] | . as $f | .ratios[] | [$f.name, .of, .to,
		(.ratio.min, .ratio.median, .ratio.max | cell), .target // "-",
		if .reached == null then "" elif .reached then "reached" else "missed" end]] |
	table(["ratio", "of", "to", "min", "median", "max", "target", ""]);
