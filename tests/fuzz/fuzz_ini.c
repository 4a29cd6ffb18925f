/*
 * lb.ini of any bytes: rules or errors, and cfg/ and iniparser of one mind about what is in it.
 *
 * That both find the same sections and keys cfg/ looks at itself. Of each value the fuzzer has an
 * idea of its own, from the line that cfg/ says it stands in.
 */
#include "../../cfg/where.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(void *ctx, bool is_error, const char *text)
{
	unsigned *errors = ctx;

	*errors += is_error;
	if (strchr(text, '\n') || strstr(text, VALUES_DISAGREE))
		abort();
}

static void note_nothing(void *ctx, bool is_error, const char *text)
{
	(void)ctx, (void)is_error, (void)text;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* What stands behind the equals sign of the line, without blanks, comment and quotes. */
static void value_of_line(const char *bytes, const char *end, unsigned line, char *ret)
{
	const char *begin;

	while (--line)
		bytes = (const char *)memchr(bytes, '\n', (size_t)(end - bytes)) + 1;
	begin = (const char *)memchr(bytes, '=', (size_t)(end - bytes)) + 1;
	while (begin < end && is_blank(*begin))
		begin++;
	if (begin < end && (*begin == '"' || *begin == '\'')) {
		char quote = *begin++;

		for (bytes = begin; *bytes != quote; bytes++)
			;
	} else {
		for (bytes = begin; bytes < end && !strchr("\n;#", *bytes); bytes++)
			;
		while (bytes > begin && is_blank(bytes[-1]))
			bytes--;
	}
	memcpy(ret, begin, (size_t)(bytes - begin));
	ret[bytes - begin] = 0;
}

static void compare_section(const struct where_section *section, const struct values *values,
                            const struct file *file)
{
	const struct key *keys = section_keys(section->section);
	char ours[WHERE_LINE_BYTES_MAX + 1];

	for (unsigned i = 0; keys[i].name; i++) {
		const char *theirs = values_get(values, section->title, keys[i].name);

		if (!section->key_line[i] != !theirs)
			abort();
		if (!theirs || section->wrong[i])
			continue;
		value_of_line(file->bytes, file->bytes + file->len, section->key_line[i], ours);
		if (strcmp(ours, theirs))
			abort();
	}
}

static void compare_values(const char *path)
{
	struct notes notes = {.path = path, .note = note_nothing};
	struct values values = {0};
	struct where where = {0};
	struct file file = {0};

	if (file_read(&notes, &file) || values_begin(&values, file.len) ||
	    where_read(&notes, &file, &values, &where) || values_read(&values, &notes))
		abort();
	for (unsigned i = 0; i < where.n; i++)
		compare_section(&where.sections[i], &values, &file);
	where_free(&where);
	values_free(&values);
	free(file.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	struct rules *rules = NULL;
	unsigned errors = 0;
	FILE *file;
	int err;

	snprintf(path, sizeof(path), "/dev/shm/tmbridge-fuzz-%d.ini", (int)getpid());
	file = fopen(path, "w");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file))
		abort();
	err = cfg_load(path, NULL, note, &errors, &rules);
	compare_values(path);
	unlink(path);
	if ((err < 0) != (errors > 0) || (err == 0) != (rules != NULL))
		abort();
	rules_free(rules);
	return 0;
}
