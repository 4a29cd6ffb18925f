/*
 * Clocks, memory, and what machine this is, from /proc and the compiler.
 */
#include "measure.h"

#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

void measure_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

uint64_t measure_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Reading it is a system call, which a virtual machine may make slow. */
static uint64_t reading_ns(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 100; i++) {
		uint64_t start = measure_ns(), took = measure_ns() - start;

		least = took < least ? took : least;
	}
	return least;
}

uint64_t measure_since(uint64_t start)
{
	static _Thread_local uint64_t reading;
	uint64_t took = measure_ns() - start;

	if (!reading)
		reading = reading_ns();
	return took > reading ? took - reading : 0;
}

/* The rest of the first line of the file that begins with key, without blanks and colon before. */
static bool find_line(const char *path, const char *key, char ret[256])
{
	FILE *file = fopen(path, "r");
	bool found = false;
	char line[256];

	while (file && !found && fgets(line, sizeof(line), file)) {
		found = strncmp(line, key, strlen(key)) == 0;
		if (found)
			strcpy(ret, line + strlen(key) + strspn(line + strlen(key), " \t:"));
	}
	if (file)
		fclose(file);
	ret[found ? strcspn(ret, "\n") : 0] = 0;
	return found;
}

static size_t status_kib(const char *key)
{
	char value[256];

	return find_line("/proc/self/status", key, value) ? strtoul(value, NULL, 10) : 0;
}

size_t measure_memory(void)
{
	return (status_kib("VmRSS") + status_kib("HugetlbPages")) << 10;
}

void figure_add(struct figure *figure, double value)
{
	unsigned i = figure->n++;

	for (; i > 0 && figure->runs[i - 1] > value; i--)
		figure->runs[i] = figure->runs[i - 1];
	figure->runs[i] = value;
}

double figure_min(const struct figure *figure)
{
	return figure->runs[0];
}

double figure_median(const struct figure *figure)
{
	return (figure->runs[(figure->n - 1) / 2] + figure->runs[figure->n / 2]) / 2;
}

double figure_max(const struct figure *figure)
{
	return figure->runs[figure->n - 1];
}

void measure_print_machine(FILE *to)
{
	struct utsname name;
	char model[256], huge[256];

	if (!find_line("/proc/cpuinfo", "model name", model))
		strcpy(model, "unknown");
	find_line("/sys/kernel/mm/transparent_hugepage/enabled", "", huge);
	uname(&name);
	fprintf(to, "processor  %s, %ld cores, %s\n", model, sysconf(_SC_NPROCESSORS_ONLN),
	        name.machine);
	fprintf(to, "kernel     %s %s, huge pages: %s\n", name.sysname, name.release, huge);
	fprintf(to, "compiler   %s %s\n", BENCH_CC, BENCH_CFLAGS);
}

void measure_pin(unsigned processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
}
