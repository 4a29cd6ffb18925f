/*
 * What the service manager and the journal are told, read at the other end.
 */
#include "suites.h"

#include "../../bridge/process/journal.h"
#include "../../bridge/process/log.h"
#include "../../bridge/process/manager.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

/* A socket of an abstract name, which is written to ret with an '@' before it. */
static int listener(char *ret, size_t bytes)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int n = snprintf(ret, bytes, "@tmbridge/unit/%d", (int)getpid());

	memcpy(name.sun_path + 1, ret + 1, (size_t)n - 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name,
	                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
	                 0);
	return fd;
}

/* "" if there is nothing. */
static const char *told(int fd)
{
	static char text[8192];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static lb_time at_ms(uint64_t ms)
{
	return (lb_time){ms * LB_NS_PER_MS};
}

static void set_watchdog(const char *us, long pid)
{
	char number[32];

	snprintf(number, sizeof(number), "%ld", pid);
	setenv("WATCHDOG_USEC", us, 1);
	setenv("WATCHDOG_PID", number, 1);
}

START_TEST(the_manager_hears_of_each_state)
{
	char path[64];
	int fd = listener(path, sizeof(path));

	setenv("NOTIFY_SOCKET", path, 1);
	manager_open();
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	ck_assert_uint_eq(manager_watched_ns(), 0);
	manager_feed(at_ms(5000));
	ck_assert_str_eq(told(fd), "");
	manager_ready("eth0, eth1: balancing");
	ck_assert_str_eq(told(fd), "READY=1\nSTATUS=eth0, eth1: balancing");
	manager_reloading(at_ms(1234));
	ck_assert_str_eq(told(fd), "RELOADING=1\nMONOTONIC_USEC=1234000");
	manager_stopping();
	ck_assert_str_eq(told(fd), "STOPPING=1");
	manager_close();
	close(fd);
}
END_TEST

START_TEST(a_watchdog_is_fed_a_few_times_in_its_time)
{
	char path[64];
	int fd = listener(path, sizeof(path));
	unsigned n = 0;

	setenv("NOTIFY_SOCKET", path, 1);
	set_watchdog("8000000", getpid());
	manager_open();
	ck_assert_uint_eq(manager_watched_ns(), 8 * LB_NS_PER_S);
	for (unsigned ms = 10000; ms < 18000; ms++) {
		manager_feed(at_ms(ms));
		n += !strcmp(told(fd), "WATCHDOG=1");
	}
	ck_assert_uint_eq(n, 4);
	manager_close();
	close(fd);
}
END_TEST

START_TEST(another_process_watchdog_is_not_ours)
{
	char path[64];
	int fd = listener(path, sizeof(path));

	setenv("NOTIFY_SOCKET", path, 1);
	set_watchdog("8000000", getpid() + 1L);
	manager_open();
	ck_assert_uint_eq(manager_watched_ns(), 0);
	manager_close();
	close(fd);
}
END_TEST

START_TEST(without_a_manager_nothing_is_said)
{
	unsetenv("NOTIFY_SOCKET");
	set_watchdog("8000000", getpid());
	manager_open();
	ck_assert_uint_eq(manager_watched_ns(), 0);
	manager_ready("");
	manager_close();
}
END_TEST

/* A field's value in the journal's own format, or NULL. */
static const char *field(const char *record, size_t bytes, const char *name)
{
	static char value[4096];
	uint64_t length;

	for (const char *at = record; at < record + bytes; at += length + 1) {
		const char *end = strchr(at, '\n');
		bool same = strlen(name) == (size_t)(end - at) && !memcmp(at, name, strlen(name));

		memcpy(&length, end + 1, sizeof(length));
		length = le64toh(length);
		at = end + 1 + sizeof(length);
		ck_assert(at + length < record + bytes && at[length] == '\n');
		memcpy(value, at, length);
		value[length] = '\0';
		if (same)
			return value;
	}
	return NULL;
}

static void journal_has(int fd, const char *name, const char *value)
{
	char record[8192];
	ssize_t n = recv(fd, record, sizeof(record), MSG_PEEK);
	const char *is = n > 0 ? field(record, (size_t)n, name) : NULL;

	if (value)
		ck_assert_str_eq(is ? is : "(none)", value);
	else
		ck_assert_ptr_null(is);
}

START_TEST(the_journal_gets_levels_and_what_it_is_about)
{
	char path[64];
	int fd = listener(path, sizeof(path));
	struct details details = {.n = 0};

	journal_open(path);
	log_warning("server %s: down: port %u: no answer", "web1", 80);
	journal_has(fd, "MESSAGE", "server web1: down: port 80: no answer");
	journal_has(fd, "PRIORITY", "4");
	journal_has(fd, "SYSLOG_IDENTIFIER", "tmbridge");
	journal_has(fd, "TMBRIDGE_WHERE", "server web1");
	journal_has(fd, "TMBRIDGE_SERVER", "web1");
	journal_has(fd, "TMBRIDGE_FARM", NULL);
	told(fd);
	journal_send(LOG_ERR, "farm web: down\nand more", NULL);
	journal_has(fd, "MESSAGE", "farm web: down\nand more");
	journal_has(fd, "PRIORITY", "3");
	journal_has(fd, "TMBRIDGE_FARM", "web");
	told(fd);
	log_info("nothing in particular");
	journal_has(fd, "TMBRIDGE_WHERE", NULL);
	told(fd);
	details_number(&details, "client_bytes", UINT64_MAX);
	details_text(&details, "reason", "a \"word\"\n");
	log_with(LOG_WARNING, &details, "farm web: refused");
	journal_has(fd, "MESSAGE", "farm web: refused");
	journal_has(fd, "PRIORITY", "4");
	journal_has(fd, "TMBRIDGE_CLIENT_BYTES", "18446744073709551615");
	journal_has(fd, "TMBRIDGE_REASON", "a \"word\"\n");
	told(fd);
	log_info("%05000d: long", 1);
	journal_has(fd, "PRIORITY", "6");
	journal_close();
	ck_assert(!journal_send(LOG_INFO, "too late", NULL));
	close(fd);
}
END_TEST

Suite *manager_suite(void)
{
	const TTest *const tests[] = {the_manager_hears_of_each_state,
	                              a_watchdog_is_fed_a_few_times_in_its_time,
	                              another_process_watchdog_is_not_ours,
	                              without_a_manager_nothing_is_said,
	                              the_journal_gets_levels_and_what_it_is_about,
	                              NULL};

	return suite_of("manager", tests);
}
