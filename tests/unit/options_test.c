/*
 * The command line.
 */
#include "suites.h"

#include "../../bridge/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARGS_MAX = 16 };

static struct options options;

/* Parses line, words between spaces. */
static int parse(const char *line)
{
	static char copy[512];
	static char *argv[ARGS_MAX + 1];
	int argc = 1;

	optind = 0; /* glibc: begin anew */
	memset(argv, 0, sizeof(argv));
	strncpy(copy, line, sizeof(copy) - 1);
	argv[0] = copy + sizeof(copy) - 1;
	for (char *word = strtok(copy, " "); word && argc < ARGS_MAX; word = strtok(NULL, " "))
		argv[argc++] = word;
	return options_parse(argc, argv, &options);
}

/* What parsing line says on fd (2: stderr), cut to fit; *ret_err is the result. */
static const char *said(const char *line, int fd, int *ret_err)
{
	static char text[2048];
	int saved = dup(fd);
	FILE *file = tmpfile();

	fflush(NULL);
	dup2(fileno(file), fd);
	*ret_err = parse(line);
	fflush(NULL);
	dup2(saved, fd);
	close(saved);
	rewind(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

/* A wrong line: one line on stderr says why. */
static void check_wrong(const char *line)
{
	int err;
	const char *text = said(line, STDERR_FILENO, &err);

	ck_assert_msg(err == -EINVAL, "'%s' is accepted", line);
	ck_assert_msg(!strncmp(text, "tmbridge: ", 10), "'%s': %s", line, text);
	ck_assert_msg(strchr(text, '\n') == text + strlen(text) - 1, "'%s': %s", line, text);
}

START_TEST(live)
{
	ck_assert_int_eq(parse("eth0 eth1 -f lb.ini"), 0);
	ck_assert_int_eq(options.mode, MODE_LIVE);
	ck_assert_str_eq(options.names[OUTSIDE], "eth0");
	ck_assert_str_eq(options.names[INSIDE], "eth1");
	ck_assert_str_eq(options.config, "lb.ini");
	ck_assert(!options.has_key && !options.verbose && !options.stats);
	ck_assert_ptr_null(options.user);
	ck_assert_int_eq(parse("-v --stats - -u root -f lb.ini -- eth0 eth1"), 0);
	ck_assert(options.verbose);
	ck_assert_str_eq(options.user, "root");
	ck_assert_str_eq(options.stats, "-");
}
END_TEST

START_TEST(offline)
{
	ck_assert_int_eq(parse("-r a.pcap -w b.pcap -f lb.ini"), 0);
	ck_assert_int_eq(options.mode, MODE_OFFLINE);
	ck_assert_str_eq(options.read[OUTSIDE], "a.pcap");
	ck_assert_ptr_null(options.read[INSIDE]);
	ck_assert_str_eq(options.write[OUTSIDE], "b.pcap");
	ck_assert_ptr_null(options.write[INSIDE]);
	ck_assert_int_eq(parse("--read=a,b --write c,d --config lb.ini"), 0);
	ck_assert_str_eq(options.read[OUTSIDE], "a");
	ck_assert_str_eq(options.read[INSIDE], "b");
	ck_assert_str_eq(options.write[INSIDE], "d");
}
END_TEST

START_TEST(check_only)
{
	ck_assert_int_eq(parse("-t -f lb.ini"), 0);
	ck_assert_int_eq(options.mode, MODE_CHECK);
	ck_assert_str_eq(options.config, "lb.ini");
}
END_TEST

START_TEST(help_and_version_need_nothing_else)
{
	int err;

	static const char *const asked[] = {"-h", "help", "help flows", "flows --sort age --help",
	                                    "wire release eth0 --help"};

	for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		ck_assert_ptr_nonnull(strstr(said(asked[i], STDOUT_FILENO, &err), "-f lb.ini"));
		ck_assert_int_eq(err, 0);
		ck_assert_int_eq(options.mode, MODE_DONE);
	}
	ck_assert_str_eq(said("--version --what", STDOUT_FILENO, &err),
	                 "tmbridge " TMBRIDGE_VERSION "\n");
	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(options.mode, MODE_DONE);
}
END_TEST

START_TEST(key)
{
	ck_assert_int_eq(parse("e0 e1 -f x -k 0123456789abcdefFEDCBA9876543210"), 0);
	ck_assert(options.has_key);
	ck_assert(options.key.k[0] == 0x0123456789abcdef);
	ck_assert(options.key.k[1] == 0xfedcba9876543210);
}
END_TEST

START_TEST(wrong_key)
{
	const char *const keys[] = {"0",
	                            "0123456789abcdef0123456789abcde",
	                            "0123456789abcdef0123456789abcdef0",
	                            "0123456789abcdeg0123456789abcdef",
	                            "-123456789abcdef0123456789abcdef",
	                            "0x23456789abcdef0123456789abcdef"};
	char line[128];

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(line, sizeof(line), "e0 e1 -f x -k %s", keys[i]);
		check_wrong(line);
	}
}
END_TEST

START_TEST(wrong_lines)
{
	const char *const lines[] = {
	        "",
	        "eth0 eth1",
	        "-f lb.ini",
	        "eth0 eth0 -f lb.ini",
	        "eth0 eth1 eth2 -f lb.ini",
	        "-f",
	        "-x -f lb.ini",
	        "--nonsense -f lb.ini eth0 eth1",
	        "-r a -f lb.ini",
	        "-w a -f lb.ini",
	        "-r a -w b",
	        "-r a -w b -f lb.ini eth0",
	        "-r a -w b -f lb.ini eth0 eth1",
	        "-r a,b,c -w d -f lb.ini",
	        "-r a, -w d -f lb.ini",
	        "-r ,a -w d -f lb.ini",
	        "-r , -w d -f lb.ini",
	        "-r a -w d,,e -f lb.ini",
	        "-t",
	        "-t -f lb.ini eth0 eth1",
	        "-t -f lb.ini -r a -w b",
	        "-t -f lb.ini -w b",
	        "eth0 eth1 -f lb.ini --user no-such-user",
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		check_wrong(lines[i]);
}
END_TEST

/* In a directory of its own: a file, another name of it, and another file. */
START_TEST(files_that_are_read_are_not_written)
{
	const char *const wrong[] = {
	        "-r a -w a -f ini",
	        "-r a -w ./a -f ini",
	        "-r a -w b -f ini",
	        "-r c,a -w new,b -f ini",
	        "-r c -w ini -f ini",
	        "-r c -w new,new -f ini",
	        "-r c -w a,b -f ini",
	        "-r c -w new -s c -f ini",
	        "-r c -w new -s new -f ini",
	        "eth0 eth1 -f a -s b",
	        "eth0 eth1 -f ini -s link",
	        "-r a -w link2 -f ini",
	        "-r c -w new,./new -f ini",
	        "-r c -w new -s sub/../new -f ini",
	        "-r c -w sub2/new,sub/new -f ini",
	};
	const char *const right[] = {
	        "-r a,a -w new -f ini",
	        "-r a -w c -f ini",
	        "-r a,c -w new,new2 -f ini",
	        "-r a -w /dev/null,/dev/null -f ini",
	        "-r a -w new -s - -f ini",
	        "-r a -w new -s stats -f ini",
	        "eth0 eth1 -f ini -s stats",
	        "-r a -w new,sub/new -f ini",
	        "-r a -w none/new,none2/new -f ini",
	};
	char dir[] = "/tmp/options_test.XXXXXX", before[4096];
	const char *const made[] = {"a", "b", "c", "ini", "link", "link2", "sub2"};

	ck_assert_ptr_nonnull(getcwd(before, sizeof(before)));
	ck_assert(mkdtemp(dir) && !chdir(dir));
	for (unsigned i = 0; i < 4; i++)
		if (i != 1)
			fclose(fopen(made[i], "w"));
	ck_assert(!mkdir("sub", 0700) && !symlink("sub", "sub2"));
	ck_assert(!link("a", "b") && !symlink("ini", "link") && !symlink("a", "link2"));
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		check_wrong(wrong[i]);
	for (unsigned i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		ck_assert_msg(parse(right[i]) == 0, "%s", right[i]);
	for (unsigned i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		unlink(made[i]);
	ck_assert(!rmdir("sub") && !chdir(before) && !rmdir(dir));
}
END_TEST

Suite *options_suite(void)
{
	const TTest *const tests[] = {
	        live, offline,   check_only,  help_and_version_need_nothing_else,
	        key,  wrong_key, wrong_lines, files_that_are_read_are_not_written,
	        NULL};

	return suite_of("options", tests);
}
