# What operators cost the wire: operators.py SLOTS TRIPS MARKS, files of operators.sh. SLOTS has the slot, mode and round of each
# that counts; TRIPS what trips has printed; MARKS counters: the mode that begins, when (us), ms of the process's time, ms of the askers',
# bytes on the wire, ns of the control thread, how often that and how often all other threads of the process got a processor. Of each mode p99 of all its round trips is printed; what that is of quiet's; between which values 95 % of 1000
# ratios lie, each of as many rounds drawn from all, as often as may be; likewise of quiet's and null's together, if there is null, which is twice as much to compare with; and the median and range of single rounds' ratios.
import collections, random, statistics, sys

PER_US, DRAWS = 4, 1000
slots = [line.split() for line in open(sys.argv[1])]
trips = {int(words[0]): {int(bin): int(count) for bin, count in (word.split(":") for word in words[1:])}
         for words in map(str.split, open(sys.argv[2]))}
marks = [(mode, *map(float, numbers)) for mode, *numbers in map(str.split, open(sys.argv[3]))]

by_mode = collections.defaultdict(dict)  # round -> its histogram
for slot, mode, round_ in slots:
    if int(slot) in trips:
        by_mode[mode][int(round_)] = trips[int(slot)]
rounds = sorted(set.intersection(*(set(histograms) for histograms in by_mode.values())))


def p99(histograms):
    sums = collections.Counter()
    for histogram in histograms:
        sums.update(histogram)
    left = sum(sums.values()) / 100
    for bin in sorted(sums, reverse=True):
        left -= sums[bin]
        if left < 0:
            return (bin + 0.5) / PER_US


# Per second, between a mark of the mode and the next one.
def rate(mode, column):
    pairs = [(a, b) for a, b in zip(marks, marks[1:]) if a[0] == mode]
    return sum(b[column] - a[column] for a, b in pairs) / (sum(b[1] - a[1] for a, b in pairs) / 1e6)


def ratio(of, to, draw):
    return p99(h for r in draw for h in of[r]) / p99(h for r in draw for h in to[r])


# Of one's rounds to another's, each with a list of histograms.
def compared(of, to):
    ratios = sorted(ratio(of, to, draw) for draw in draws)
    return f"{ratio(of, to, rounds):.3f} ({ratios[len(ratios) // 40]:.3f}-{ratios[-1 - len(ratios) // 40]:.3f})"


random.seed(1)
draws = [[random.choice(rounds) for _ in rounds] for _ in range(DRAWS if len(rounds) > 1 else 1)]
quiet = by_mode["quiet"]
alone = {r: [quiet[r]] for r in rounds}
both = {r: [quiet[r], by_mode["null"][r]] for r in rounds} if "null" in by_mode else None
for mode, histograms in by_mode.items():
    his = {r: [histograms[r]] for r in rounds}
    all_p99 = p99(histograms[r] for r in rounds)
    of_both = f", of it and null together {compared(his, both)}" if both and mode not in ("quiet", "null") else ""
    single = sorted(p99([histograms[r]]) / p99([quiet[r]]) for r in rounds)
    print(f"{mode}: p99 of {sum(sum(histograms[r].values()) for r in rounds)} round trips {all_p99:.1f} us, "
          f"of quiet {compared(his, alone)}{of_both}; single rounds {statistics.median(single):.3f} "
          f"({single[0]:.2f}-{single[-1]:.2f}); {rate(mode, 4) * 8 / 1e9:.1f} Gbit/s; ms a second: the process {rate(mode, 2):.0f}, "
          f"who asks {rate(mode, 3):.0f}, the control thread {rate(mode, 5) / 1e6:.1f} in {rate(mode, 6):.0f} turns; the others' turns {rate(mode, 7):.0f}")
