/*
 * The command line.
 */
#include "options.h"

#include "client/cli.h"

#include "process/files.h"
#include "process/log.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char usage[] =
        "Usage: tmbridge OUTSIDE INSIDE -f lb.ini\n"
        "         balance inline between two interfaces, until SIGINT or SIGTERM\n"
        "       tmbridge INTERFACE -f lb.ini\n"
        "         the same beside the others, with mode = one-armed\n"
        "       tmbridge -r OUT.pcap[,IN.pcap] -w OUT-sent.pcap[,IN-sent.pcap] -f lb.ini\n"
        "         the same offline: frames received on each side -> frames sent on each side\n"
        "       tmbridge -b BUNDLE -w OUT-sent.pcap[,IN-sent.pcap]\n"
        "         the same of what `tmbridge capture --bundle` has written\n"
        "       tmbridge -t -f lb.ini\n"
        "         check the configuration, say \"ok\" or what is wrong\n"
        "       tmbridge VERB ... [-i OUTSIDE-INSIDE] [-o text|wide|json|csv]\n"
        "         ask a running one, or tell it what to do: status, top, flows, who, server, "
        "farm,\n"
        "         flow, events, capture, metrics, reload, config, wire, version; see tmbridge(8)\n"
        "       tmbridge wire release OUTSIDE [INSIDE]\n"
        "         end what the kernel carries for a tmbridge that is no more\n"
        "\n"
        "  -f, --config FILE      the configuration\n"
        "  -r, --read OUT[,IN]    captures of what each side receives\n"
        "  -b, --bundle DIRECTORY what a capture of a running one began with, instead of -f and "
        "-r\n"
        "  -w, --write OUT[,IN]   captures to be written of what is sent on each side\n"
        "  -t, --test             check the configuration only\n"
        "  -s, --stats FILE       write counters as JSON at exit and on SIGUSR1 (- = stdout)\n"
        "  -k, --key HEX          32 hex digits for the hashes; default: random when live,\n"
        "                         zeros offline\n"
        "  -u, --user NAME        whom to become when started as root; default: tmbridge, or\n"
        "                         nobody, if that user can use the files\n"
        "  -v, --verbose          say more\n"
        "  -h, --help             this text\n"
        "  -V, --version          the version\n";

static const struct option long_options[] = {
        {"config", required_argument, NULL, 'f'}, {"read", required_argument, NULL, 'r'},
        {"bundle", required_argument, NULL, 'b'}, {"write", required_argument, NULL, 'w'},
        {"test", no_argument, NULL, 't'},         {"stats", required_argument, NULL, 's'},
        {"key", required_argument, NULL, 'k'},    {"user", required_argument, NULL, 'u'},
        {"verbose", no_argument, NULL, 'v'},      {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},      {0},
};

/* Splits "A,B" in place. False if there are more than two parts or an empty one. */
static bool split_sides(char *arg, const char *ret[NSIDES])
{
	char *comma = strchr(arg, ',');

	ret[OUTSIDE] = arg;
	ret[INSIDE] = NULL;
	if (comma) {
		*comma = '\0';
		ret[INSIDE] = comma + 1;
	}
	return *arg && (!comma || (comma[1] && !strchr(comma + 1, ',')));
}

static bool parse_key(const char *hex, struct hash_key *ret)
{
	char half[17] = "";

	if (strlen(hex) != 32 || strspn(hex, "0123456789abcdefABCDEF") != 32)
		return false;
	for (int i = 0; i < 2; i++) {
		memcpy(half, hex + 16 * i, 16);
		ret->k[i] = strtoull(half, NULL, 16);
	}
	return true;
}

/* Takes the files of a bundle by their names: see client/pack.c. */
static int take_bundle(const char *directory, struct options *ret)
{
	static char config[4096], read[NSIDES][4096];

	ret->bundle = directory;
	snprintf(config, sizeof(config), "%s/lb.ini", directory);
	snprintf(read[OUTSIDE], sizeof(read[OUTSIDE]), "%s/outside-in.pcap", directory);
	snprintf(read[INSIDE], sizeof(read[INSIDE]), "%s/inside-in.pcap", directory);
	ret->config = config;
	ret->read[OUTSIDE] = read[OUTSIDE];
	ret->read[INSIDE] = read[INSIDE];
	return 0;
}

static int parse_option(int option, char *arg, struct options *ret)
{
	switch (option) {
	case 'f':
		ret->config = arg;
		return 0;
	case 'r':
	case 'w':
		if (split_sides(arg, option == 'r' ? ret->read : ret->write))
			return 0;
		log_error("command line: -%c takes OUT[,IN], one or two file names", option);
		return -EINVAL;
	case 'b':
		return take_bundle(arg, ret);
	case 't':
		ret->mode = MODE_CHECK;
		return 0;
	case 's':
		ret->stats = arg;
		return 0;
	case 'k':
		ret->has_key = true;
		if (parse_key(arg, &ret->key))
			return 0;
		log_error("command line: -k %s: a key is 32 hex digits", arg);
		return -EINVAL;
	case 'u':
		ret->user = arg;
		if (getpwnam(arg))
			return 0;
		log_error("command line: --user %s: no such user", arg);
		return -EINVAL;
	case 'v':
		ret->verbose = true;
		return 0;
	case 'h':
		fputs(usage, stdout);
		ret->mode = MODE_DONE;
		return 0;
	case 'V':
		puts("tmbridge " TMBRIDGE_VERSION);
		ret->mode = MODE_DONE;
		return 0;
	default: /* getopt_long() has said why */
		return -EINVAL;
	}
}

/* A file that is named on the command line, and by which option; - is none. */
struct named {
	const char *option, *name;
};

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* If what is made at either path is the same file: by the same name, in the same directory. */
static bool is_same_place(const char *a, const char *b)
{
	char *directories[] = {file_directory(a), file_directory(b)};
	struct stat as, bs;
	const bool ret = directories[0] && directories[1] && !strcmp(last_of(a), last_of(b)) &&
	                 stat(directories[0], &as) == 0 && stat(directories[1], &bs) == 0 &&
	                 is_same(&as, &bs);

	free(directories[0]);
	free(directories[1]);
	return ret;
}

/* If both are the same file, by whatever names, or would be if there were any. */
static bool is_same_file(const struct named *a, const struct named *b)
{
	struct stat as, bs;
	bool is_there;

	if (!a->name || !b->name || !strcmp(a->name, "-"))
		return false;
	is_there = stat(a->name, &as) == 0;
	if (!is_there)
		return is_same_place(a->name, b->name);
	return S_ISREG(as.st_mode) && stat(b->name, &bs) == 0 && is_same(&as, &bs);
}

/* Nothing is written to a file that is read, or written to as well. */
static int check_files(const struct options *options)
{
	const struct named files[] = {
	        {"-f", options->config},        {"-r", options->read[OUTSIDE]},
	        {"-r", options->read[INSIDE]},  {"-w", options->write[OUTSIDE]},
	        {"-w", options->write[INSIDE]}, {"-s", options->stats},
	};
	enum { READ = 3, ALL = sizeof(files) / sizeof(files[0]) };

	for (unsigned i = READ; i < ALL; i++)
		for (unsigned j = 0; j < i; j++)
			if (is_same_file(&files[i], &files[j])) {
				log_error("command line: %s %s: would overwrite the file of %s %s",
				          files[i].option, files[i].name, files[j].option,
				          files[j].name);
				return -EINVAL;
			}
	return 0;
}

static int complain(const char *what)
{
	log_error("command line: %s (see tmbridge --help)", what);
	return -EINVAL;
}

/* One or two. */
static void set_names(struct options *ret, char **args, int n)
{
	ret->names[OUTSIDE] = args[0];
	ret->names[INSIDE] = n == NSIDES ? args[1] : NULL;
	snprintf(ret->interfaces, sizeof(ret->interfaces), n == NSIDES ? "%s, %s" : "%s", args[0],
	         args[n - 1]);
}

/* A word alone may be meant as a verb. */
static int complain_of_none(int n, char **args, struct options *ret)
{
	const char *nearest = n ? cli_nearest(args[0]) : NULL;
	char what[160];

	if (n && !strcmp(args[0], "help"))
		return parse_option('h', NULL, ret);
	if (!nearest && n != 1)
		return complain("-f lb.ini is missing");
	snprintf(what, sizeof(what), "%.40s: no such verb%s%s%s, and -f lb.ini is missing", args[0],
	         nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "");
	return complain(what);
}

/* What the options leave to say: interfaces or files. */
static int parse_rest(int n, char **args, struct options *ret)
{
	if (!ret->config)
		return complain_of_none(n, args, ret);
	if (ret->mode == MODE_CHECK)
		return n || ret->read[OUTSIDE] || ret->write[OUTSIDE]
		               ? complain("-t takes no interfaces and no captures")
		               : 0;
	if (ret->read[OUTSIDE] || ret->write[OUTSIDE]) {
		if (n)
			return complain("either two interfaces, or -r and -w");
		if (!ret->read[OUTSIDE] || !ret->write[OUTSIDE])
			return complain("-r and -w go together");
		ret->mode = MODE_OFFLINE;
		return 0;
	}
	if (n < 1 || n > NSIDES)
		return complain(
		        "two interfaces are needed, OUTSIDE and INSIDE, or one if one-armed");
	if (n == NSIDES && !strcmp(args[0], args[1]))
		return complain("OUTSIDE and INSIDE are the same interface");
	set_names(ret, args, n);
	return 0;
}

/* tmbridge wire release OUTSIDE [INSIDE]: has neither options nor a configuration. */
static int parse_release(int argc, char **argv, struct options *ret)
{
	enum { RELEASE_NAMES = 3 };
	const int n = argc - RELEASE_NAMES;

	if (n < 1 || n > NSIDES)
		return complain("wire release takes two interfaces, OUTSIDE and INSIDE, or one if "
		                "one-armed");
	ret->mode = MODE_RELEASE;
	set_names(ret, argv + RELEASE_NAMES, n);
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret)
{
	int option, err;

	*ret = (struct options){.mode = MODE_LIVE};
	if (cli_wants_help(argc, argv))
		return parse_option('h', NULL, ret);
	if (argc > 2 && !strcmp(argv[1], "wire") && !strcmp(argv[2], "release"))
		return parse_release(argc, argv, ret);
	argv[0] = "tmbridge"; /* as which getopt_long() complains */
	while ((option = getopt_long(argc, argv, "f:r:b:w:ts:k:u:vhV", long_options, NULL)) != -1) {
		err = parse_option(option, optarg, ret);

		if (err < 0 || ret->mode == MODE_DONE)
			return err;
	}
	err = parse_rest(argc - optind, argv + optind, ret);
	return err < 0 ? err : check_files(ret);
}
