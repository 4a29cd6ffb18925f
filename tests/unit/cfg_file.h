/*
 * An lb.ini, and what comes of it: for the tests of cfg/.
 *
 * Each case is a whole lb.ini, or a few lines put into one that is right otherwise.
 */
#ifndef UNIT_CFG_FILE_H
#define UNIT_CFG_FILE_H

#include "../../lb/rules.h"

enum {
	TEXT_BYTES = 2048,
	CFG_PATH_BYTES = 64,
};

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

/* Files of one section with one line more. %s: that line. */
#define SERVER_A    "[server a]\nfarm = x\naddress = 10.0.0.41\n"
#define FARM_X      "[farm x]\nvip = 10.0.0.40\nports = 80\n"
#define FARM_Y      "[farm y]\nvip = 10.0.0.50\nports = 80\n"
#define WITH_BRIDGE "[bridge]\n%s\n" FARM_X SERVER_A
#define WITH_FARM   FARM_X "%s\n" SERVER_A
#define WITH_SERVER FARM_X SERVER_A "%s\n"
#define WITH_CHECK  FARM_X "check = 80 c\n" SERVER_A "[check c]\n%s\n"
#define WITH_FILTER FARM_X SERVER_A "[filter f]\n%s\n"
#define WITH_VIP    "[farm x]\n%s\nports = 80\n" SERVER_A
#define WITH_PORTS  "[farm x]\nvip = 10.0.0.40\n%s\n" SERVER_A

/* The same of IPv6. */
#define SERVER_A6  "[server a]\nfarm = x\naddress = 2001:db8::41\n"
#define FARM_X6    "[farm x]\nvip = 2001:db8::40\nports = 80\n"
#define WITH_FARM6 FARM_X6 "%s\n" SERVER_A6

#define FARM_X6_NAMED "[farm x6]\nvip = 2001:db8::40\nports = 80\n"
#define SERVER_B6     "[server b]\nfarm = x6\naddress = 2001:db8::41\n"

#define WITH_PRESET "[farm x]\nvip = 10.0.0.40\n%s\npreset = ocs2007r2\n" SERVER_A
#define WITH_OTHER  "[farm x]\nvip = 10.0.0.40\n%s\n" SERVER_A

/* A line put into a file, and what comes of it. */
struct right {
	const char *file, *line, *rules;
};

struct wrong {
	const char *file, *line, *error;
};

struct outcome {
	int ret;
	struct rules *rules;
	unsigned errors, warnings;
	char error[TEXT_BYTES];   /* without the directory; all of them, a line each */
	char last[TEXT_BYTES];    /* the last one again */
	char warning[TEXT_BYTES]; /* all of them, a line each */
};

/* Where it is, in a directory that the fixture makes and removes. */
extern char cfg_path[CFG_PATH_BYTES];

void cfg_file_setup(void);
void cfg_file_teardown(void);
void write_bytes(const char *bytes, size_t len);
void take_note(void *ctx, bool is_error, const char *text);
struct outcome load_path(const char *from);
struct outcome load(const char *text);
void expect_error(const char *text, const char *error);
void expect_first_error(const char *text, const char *error);
struct rules *expect_rules(const char *text);
void expect_warnings(const char *text, const char *warnings);
void expect_failure(const char *from, int ret, const char *error);
char *compose(const char *file, const char *line);

#endif
