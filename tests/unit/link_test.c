/*
 * Lists of what the kernel has, which may change while they are read: by the kernel's own list of
 * interfaces, and a reader who says that it has changed.
 */
#include "suites.h"

#include "../../bridge/cable/link.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

struct reading {
	unsigned changes; /* of the list, while it is read */
	unsigned begun;
	unsigned links;
};

static void clear(void *data)
{
	struct reading *reading = data;

	reading->begun++;
	reading->links = 0;
}

/* As libmnl says it when a message has NLM_F_DUMP_INTR. */
static int look(const struct nlmsghdr *message, void *data)
{
	struct reading *reading = data;

	(void)message;
	reading->links++;
	if (reading->begun > reading->changes)
		return MNL_CB_OK;
	errno = EINTR;
	return MNL_CB_ERROR;
}

static int read_list(struct reading *reading)
{
	char buffer[256];
	struct mnl_socket *socket;
	int err;

	ck_assert_int_eq(link_open(0, &socket), 0);
	err = link_list(socket,
	                link_begin(buffer, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg)),
	                clear, look, reading);
	mnl_socket_close(socket);
	return err;
}

START_TEST(a_list_that_has_changed_is_read_anew)
{
	struct reading once = {0}, twice = {.changes = 2};

	ck_assert_int_eq(read_list(&once), 0);
	ck_assert_uint_ge(once.links, 1);
	ck_assert_int_eq(read_list(&twice), 0);
	ck_assert_uint_ge(twice.begun, 3);
	ck_assert_uint_ge(twice.links, 1);
}
END_TEST

START_TEST(one_that_always_changes_is_given_up)
{
	struct reading reading = {.changes = UINT32_MAX};

	ck_assert_int_eq(read_list(&reading), -EINTR);
	ck_assert_uint_eq(reading.begun, LINK_LIST_TRIES);
}
END_TEST

Suite *link_suite(void)
{
	const TTest *const tests[] = {a_list_that_has_changed_is_read_anew,
	                              one_that_always_changes_is_given_up, NULL};

	return suite_of("link", tests);
}
