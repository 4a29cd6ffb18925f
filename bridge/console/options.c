/*
 * What isn't safe is refused here, so that no combination of options is left open by mistake: other
 * machines only by TLS and with a token, changes only with a token.
 */
#include "options.h"

#include "address.h"
#include "../process/log.h"
#include "../process/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_PORT = 8642, OPTIONS_TOKEN_LEAST = 16 };

static const char usage[] =
        "Usage: tmbridge-console [OPTION...]\n"
        "         shows a running tmbridge in a browser: http://127.0.0.1:8642/\n"
        "\n"
        "  -i, --instance NAME      which one, if several run: eth0-eth1\n"
        "  -l, --listen ADDR:PORT   default: 127.0.0.1:8642; elsewhere than loopback only with a\n"
        "                           certificate and a token\n"
        "  -n, --name HOST          another name of this machine that browsers may use\n"
        "  -t, --token-file FILE    a word that whoever asks must know, of 16 characters or more\n"
        "  -c, --certificate FILE   PEM; with it HTTPS is spoken\n"
        "  -k, --key FILE           PEM, the certificate's\n"
        "  -a, --admin              with the token, servers and the rest may be changed\n"
        "  -h, --help               this text\n"
        "  -V, --version            the version\n";

static const struct option long_options[] = {
        {"instance", required_argument, NULL, 'i'},
        {"listen", required_argument, NULL, 'l'},
        {"name", required_argument, NULL, 'n'},
        {"token-file", required_argument, NULL, 't'},
        {"certificate", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},
        {"admin", no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
};

static int complain(const char *what)
{
	log_error("console: command line: %s (see tmbridge-console --help)", what);
	return -EINVAL;
}

/* 127.0.0.1:8642, [::1]:8642. Writes to text, which the result refers to. */
static int parse_listen(char *text, struct options *ret)
{
	char *colon = strrchr(text, ':');
	unsigned long port;
	struct in6_addr address;

	if (!colon)
		return complain("--listen takes ADDRESS:PORT");
	if (!text_number(colon + 1, UINT16_MAX, &port) || !port)
		return complain("--listen: the port is 1-65535");
	*colon = '\0';
	if (*text == '[' && colon > text && colon[-1] == ']') {
		colon[-1] = '\0';
		text++;
	}
	if (inet_pton(AF_INET, text, &address) != 1 && inet_pton(AF_INET6, text, &address) != 1)
		return complain("--listen: not an address");
	ret->address = text;
	ret->port = (uint16_t)port;
	return 0;
}

static int parse_option(int option, char *arg, struct options *ret)
{
	switch (option) {
	case 'i':
		ret->instance = arg;
		return 0;
	case 'l':
		return parse_listen(arg, ret);
	case 'n':
		if (ret->nhosts == OPTIONS_HOSTS)
			return complain("too many --name");
		ret->hosts[ret->nhosts++] = arg;
		return 0;
	case 't':
		ret->token_file = arg;
		return 0;
	case 'c':
		ret->certificate = arg;
		return 0;
	case 'k':
		ret->key = arg;
		return 0;
	case 'a':
		ret->admin = true;
		return 0;
	case 'h':
		fputs(usage, stdout);
		ret->done = true;
		return 0;
	case 'V':
		puts("tmbridge-console " TMBRIDGE_VERSION);
		ret->done = true;
		return 0;
	default: /* getopt_long() has said why */
		return -EINVAL;
	}
}

/* A word as a header can carry it: one that was cut, or has a blank at its end, would be known to
 * nobody. */
static bool is_token(const char *line)
{
	const size_t len = strlen(line);

	for (const char *c = line; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return len >= OPTIONS_TOKEN_LEAST && len < OPTIONS_TOKEN_BYTES;
}

/* The first line of the file. */
static int read_token(struct options *options)
{
	char line[OPTIONS_TOKEN_BYTES + 2]; /* one byte more than fits, and the line's end */
	FILE *file = fopen(options->token_file, "re");

	if (!file) {
		log_error("console: %s: %m", options->token_file);
		return -ENOENT;
	}
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	if (!is_token(line)) {
		log_error("console: %s: a token is a word of %d to %d characters of ASCII",
		          options->token_file, OPTIONS_TOKEN_LEAST, OPTIONS_TOKEN_BYTES - 1);
		return -EINVAL;
	}
	strcpy(options->token, line);
	return 0;
}

static int check(const struct options *options)
{
	if (!options->certificate != !options->key)
		return complain("--certificate and --key go together");
	if (options->admin && !options->token_file)
		return complain("--admin takes a --token-file");
	if (!address_is_loopback(options->address) &&
	    (!options->token_file || !options->certificate))
		return complain("elsewhere than on loopback it takes a --certificate, its --key, "
		                "and a --token-file");
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret)
{
	int option, err;

	*ret = (struct options){.address = "127.0.0.1", .port = OPTIONS_PORT};
	while ((option = getopt_long(argc, argv, "i:l:n:t:c:k:ahV", long_options, NULL)) != -1) {
		err = parse_option(option, optarg, ret);
		if (err < 0 || ret->done)
			return err;
	}
	if (optind < argc)
		return complain("only options");
	err = check(ret);
	return err || !ret->token_file ? err : read_token(ret);
}
