/*
 * In it are lb.ini, the rules in force; state, what else a replay begins with; and what came and
 * left on either side as captures of their own. `tmbridge -b DIRECTORY -w OUT,IN` reads all but
 * what left.
 */
#include "pack.h"

#include "../process/log.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PACK_CAPTURES = 4, PACK_MODE = 0700, PACK_MASK = 077 };

static const char *const names[PACK_CAPTURES] = {"outside-in", "outside-out", "inside-in",
                                                 "inside-out"};

struct pack {
	FILE *rules, *state;
	pcap_t *pcap;
	pcap_dumper_t *captures[PACK_CAPTURES];
	int err; /* the first that writing met with: a negative errno */
};

static void note(struct pack *pack, bool is_written)
{
	if (!is_written && !pack->err)
		pack->err = -errno;
}

static FILE *open_in(const char *directory, const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	if (!file)
		log_error("%s: %m", path);
	return file;
}

static bool open_capture(struct pack *pack, const char *directory, unsigned i)
{
	char name[32];
	FILE *file;

	snprintf(name, sizeof(name), "%s.pcap", names[i]);
	file = open_in(directory, name);
	pack->captures[i] = file ? pcap_dump_fopen(pack->pcap, file) : NULL;
	/* its header, so that a capture without a frame can be read */
	return pack->captures[i] && pcap_dump_flush(pack->captures[i]) == 0;
}

struct pack *pack_open(const char *directory, int snap)
{
	struct pack *pack = calloc(1, sizeof(*pack));
	bool good = pack;

	umask(PACK_MASK);
	if (!pack || mkdir(directory, PACK_MODE) < 0) {
		log_error("%s: %m", directory);
		free(pack);
		return NULL;
	}
	pack->pcap =
	        pcap_open_dead_with_tstamp_precision(DLT_EN10MB, snap, PCAP_TSTAMP_PRECISION_NANO);
	good = pack->pcap && (pack->rules = open_in(directory, "lb.ini")) &&
	       (pack->state = open_in(directory, "state"));
	for (unsigned i = 0; good && i < PACK_CAPTURES; i++)
		good = open_capture(pack, directory, i);
	if (good)
		return pack;
	pack_close(pack);
	return NULL;
}

void pack_line(struct pack *pack, const char *line)
{
	static const char rules[] = "rules ";

	if (!pack)
		return;
	if (strncmp(line, rules, strlen(rules)) != 0) {
		fprintf(pack->state, "%s\n", line);
		return;
	}
	/* the rules come last */
	fprintf(pack->rules, "%s\n", line + strlen(rules));
	note(pack, fflush(pack->rules) == 0 && fflush(pack->state) == 0);
}

void pack_frame(struct pack *pack, const json_t *record, const uint8_t *bytes, uint32_t n)
{
	const json_int_t ns = json_integer_value(json_object_get(record, "time_ns"));
	const char *side = json_string_value(json_object_get(record, "side"));
	const bool inside = side && !strcmp(side, "inside");
	const bool left = json_is_true(json_object_get(record, "out"));
	const struct pcap_pkthdr header = {
	        /* of a file of nanoseconds */
	        .ts = {.tv_sec = (time_t)(ns / 1000000000),
	               .tv_usec = (suseconds_t)(ns % 1000000000)},
	        .caplen = n,
	        .len = (bpf_u_int32)json_integer_value(json_object_get(record, "len")),
	};

	pcap_dump((uint8_t *)pack->captures[2 * inside + left], &header, bytes);
	/* at once: this process is ended by a signal */
	note(pack, pcap_dump_flush(pack->captures[2 * inside + left]) == 0);
}

int pack_error(const struct pack *pack)
{
	return pack ? pack->err : 0;
}

static bool close_file(FILE *file)
{
	return !file || fclose(file) == 0;
}

bool pack_close(struct pack *pack)
{
	bool good = true;

	if (!pack)
		return true;
	for (unsigned i = 0; i < PACK_CAPTURES; i++) {
		if (!pack->captures[i])
			continue;
		good &= pcap_dump_flush(pack->captures[i]) == 0;
		pcap_dump_close(pack->captures[i]);
	}
	good &= close_file(pack->rules);
	good &= close_file(pack->state);
	if (pack->pcap)
		pcap_close(pack->pcap);
	if (!good)
		log_error("the bundle: %m");
	free(pack);
	return good;
}
