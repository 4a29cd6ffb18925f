/*
 * lb.ini in a directory of its own, which findings begin with: the comparison cuts that off.
 */
#include "cfg_file.h"

#include "suites.h"

#include "../../cfg/cfg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char cfg_dir[] = "/tmp/tmbridge-cfg-XXXXXX";
char cfg_path[CFG_PATH_BYTES];

void cfg_file_setup(void)
{
	strcpy(cfg_dir + sizeof(cfg_dir) - sizeof("XXXXXX"), "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(cfg_dir));
	snprintf(cfg_path, sizeof(cfg_path), "%s/lb.ini", cfg_dir);
}

void cfg_file_teardown(void)
{
	unlink(cfg_path);
	rmdir(cfg_path);
	ck_assert_int_eq(rmdir(cfg_dir), 0);
}

void write_bytes(const char *bytes, size_t len)
{
	FILE *file = fopen(cfg_path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
}

void take_note(void *ctx, bool is_error, const char *text)
{
	struct outcome *outcome = ctx;
	size_t skip = strncmp(text, cfg_dir, strlen(cfg_dir)) ? 0 : strlen(cfg_dir) + 1;
	char *to = is_error ? outcome->error : outcome->warning;
	size_t used = strlen(to);

	ck_assert_ptr_null(strchr(text, '\n'));
	if (is_error)
		outcome->errors++;
	else
		outcome->warnings++;
	snprintf(to + used, TEXT_BYTES - used, "%s%s", used ? "\n" : "", text + skip);
	if (is_error)
		snprintf(outcome->last, TEXT_BYTES, "%s", text + skip);
}

/* Loads path; checks what the contract says of every call. */
struct outcome load_path(const char *from)
{
	struct outcome outcome = {0};

	outcome.ret = cfg_load(from, NULL, take_note, &outcome, &outcome.rules);
	ck_assert_int_eq(outcome.errors > 0, outcome.ret != 0);
	ck_assert_int_eq(outcome.ret == 0, outcome.rules != NULL);
	return outcome;
}

struct outcome load(const char *text)
{
	write_bytes(text, strlen(text));
	return load_path(cfg_path);
}

void expect_error(const char *text, const char *error)
{
	struct outcome outcome = load(text);

	ck_assert_msg(outcome.ret, "no error, but expected: %s\n%s", error, text);
	ck_assert_str_eq(outcome.error, error);
	ck_assert_int_eq(outcome.ret, -EINVAL);
}

void expect_first_error(const char *text, const char *error)
{
	struct outcome outcome = load(text);

	ck_assert_int_eq(outcome.ret, -EINVAL);
	ck_assert_msg(!strncmp(outcome.error, error, strlen(error)), "%s", outcome.error);
}

struct rules *expect_rules(const char *text)
{
	struct outcome outcome = load(text);

	ck_assert_msg(outcome.ret == 0, "%s\n%s", outcome.error, text);
	return outcome.rules;
}

void expect_warnings(const char *text, const char *warnings)
{
	struct outcome outcome = load(text);

	ck_assert_msg(outcome.ret == 0, "%s\n%s", outcome.error, text);
	ck_assert_str_eq(outcome.warning, warnings);
	rules_free(outcome.rules);
}

void expect_failure(const char *from, int ret, const char *error)
{
	struct outcome outcome = load_path(from);

	ck_assert_int_eq(outcome.ret, ret);
	ck_assert_str_eq(outcome.error, error);
}

char *compose(const char *file, const char *line)
{
	char *text;
	size_t len = strlen(file) + strlen(line) + 1;

	text = malloc(len);
	ck_assert_ptr_nonnull(text);
/* The formats are the macros above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, len, file, line);
#pragma GCC diagnostic pop
	return text;
}
