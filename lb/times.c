#include "times.h"

#define US(n)  ((n)*1000ull)
#define S(n)   ((n)*LB_NS_PER_S)
#define MIN(n) S(60 * (n))

const struct times_bounds times_connect = {{US(50), US(100), US(250), US(500), US(1000), US(2500),
                                            US(5000), US(10000), US(25000), US(100000), US(250000),
                                            US(500000), S(1), S(3), S(10)}};

const struct times_bounds times_flow = {{US(10000), US(50000), US(250000), S(1), S(3), S(10), S(30),
                                         MIN(1), MIN(5), MIN(15), MIN(30), MIN(60), MIN(180),
                                         MIN(720), MIN(1440)}};

const struct times_bounds times_burst = {{US(1), US(2), US(5), US(10), US(20), US(50), US(100),
                                          US(200), US(500), US(1000), US(2000), US(5000), US(10000),
                                          US(50000), US(200000)}};

void times_note(struct times *times, const struct times_bounds *bounds, uint64_t ns)
{
	unsigned i = 0;

	while (i < TIMES_BOUNDS && ns > bounds->ns[i])
		i++;
	times->counts[i]++;
	times->sum_ns += ns;
}

void times_add(struct times *sum, const struct times *times)
{
	for (unsigned i = 0; i <= TIMES_BOUNDS; i++)
		sum->counts[i] += times->counts[i];
	sum->sum_ns += times->sum_ns;
}

uint64_t times_count(const struct times *times)
{
	uint64_t n = 0;

	for (unsigned i = 0; i <= TIMES_BOUNDS; i++)
		n += times->counts[i];
	return n;
}

uint64_t times_quantile(const struct times *times, const struct times_bounds *bounds, double share)
{
	double rest = share * (double)times_count(times);
	uint64_t low = 0;

	if (!times_count(times))
		return 0;
	for (unsigned i = 0; i < TIMES_BOUNDS; i++) {
		const double n = (double)times->counts[i];

		if (n > 0 && rest <= n)
			return low + (uint64_t)((double)(bounds->ns[i] - low) * rest / n);
		rest -= n;
		low = bounds->ns[i];
	}
	return low;
}
