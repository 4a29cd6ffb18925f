/*
 * The kernel's programs and two IPv6 addresses that go by the same name: a segment of the one isn't
 * taken for the other's, whose flow has the same ports, and numbers that would do.
 */
#include "fastpath_fixture.h"
#include "kept_programs.h"
#include "same_name.h"

static struct ip6 twins[2]; /* the first one is the client */
static struct talk talk;

/* What that end says next; who is the client in it. */
static void build_as(struct built *ret, enum end end, uint8_t flags, const struct ip6 *client)
{
	const struct spec spec = talk_spec(&talk, end, flags, flags == TCP_ACK ? 40 : 0);
	uint8_t *ip;

	build(ret, &spec);
	ip = ret->frame.data + ret->l3;
	if (end == CLIENT)
		memcpy(ip + IPV6_SRC, client, sizeof(*client));
	else if (bare)
		memcpy(ip + IPV6_DST, client, sizeof(*client));
	frames6_fix(ret, IPPROTO_NUM_TCP);
}

static void open_flow(void)
{
	static const uint8_t flags[] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK};
	struct built built;
	struct verdict v;

	talk = (struct talk){.engine = &four,
	                     .client = fixture_client(1),
	                     .sport = 20000,
	                     .dport = 443,
	                     .next = {1000, 2000}};
	for (unsigned n = 0; n < 3; n++) {
		const enum end end = n == 1 ? SERVER : CLIENT;

		build_as(&built, end, flags[n], &twins[0]);
		v = engine_input(&shared, &built);
		ck_assert_int_eq(v.act, LB_FORWARD);
		talk.next[end] += n == 2 ? 40 : 1;
		if (n)
			continue;
		note_server(&talk, &built);
		talk.server = v.way.server;
	}
}

/* If the programs forward it, and don't leave it to the process. */
static bool crosses(enum end end, const struct ip6 *client)
{
	struct built built;

	build_as(&built, end, TCP_ACK, client);
	return forwarded(&built);
}

static bool begin_twins(bool without_snat)
{
	bool ret;

	bare = without_snat;
	ret = begin(true);
	if (ret) {
		same_name_find(&shared, twins);
		open_flow();
	}
	return ret;
}

START_TEST(a_source_of_the_same_name_is_told_apart)
{
	if (!begin_twins(false))
		return;
	ck_assert(crosses(CLIENT, &twins[0]));
	ck_assert(crosses(SERVER, &twins[0]));
	ck_assert(!crosses(CLIENT, &twins[1]));
	end();
}
END_TEST

START_TEST(a_destination_of_the_same_name_is_told_apart)
{
	if (!begin_twins(true))
		return;
	ck_assert(crosses(CLIENT, &twins[0]));
	ck_assert(crosses(SERVER, &twins[0]));
	ck_assert(!crosses(CLIENT, &twins[1]));
	ck_assert(!crosses(SERVER, &twins[1]));
	end();
}
END_TEST

Suite *fastpath_twins_suite(void)
{
	const TTest *const tests[] = {a_source_of_the_same_name_is_told_apart,
	                              a_destination_of_the_same_name_is_told_apart, NULL};

	return suite_of_programs("fastpath_twins", tests, true);
}
