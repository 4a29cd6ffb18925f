/*
 * What a benchmark needs to know of the process and the machine.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Processor time of this thread in ns: other processes on the machine don't count. */
uint64_t measure_ns(void);

/* The same since start, less what reading the clock takes. */
uint64_t measure_since(uint64_t start);

/* Bytes of memory that the process holds, huge pages included. */
size_t measure_memory(void);

enum { MEASURE_RUNS_MAX = 100 };

/* A figure, measured several times. */
struct figure {
	double runs[MEASURE_RUNS_MAX];
	unsigned n;
};

void figure_add(struct figure *figure, double value);
double figure_min(const struct figure *figure);
double figure_median(const struct figure *figure);
double figure_max(const struct figure *figure);

/* Processor, cores, kernel, compiler and its flags, one to a line. */
void measure_print_machine(FILE *to);

/* Runs this thread on that processor only, if there is such a one. */
void measure_pin(unsigned processor);

/* Says why on stderr and exits. */
void measure_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
