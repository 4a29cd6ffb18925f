/*
 * What the tests of fragments begin with: an engine, and datagrams cut into pieces.
 */
#ifndef UNIT_FRAG_FIXTURE_H
#define UNIT_FRAG_FIXTURE_H

#include "fixture.h"
#include "suites.h"

enum { ACK = 0x10, SYN = 0x02, S = 1000, PIECES_MAX = 16, PAYLOAD = 1200 };

static struct engine engine;
static struct talk talk;

static inline void begin(void)
{
	engine_start(&engine, fixture_rules(2));
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
}

static inline void build_whole(struct built *ret, enum end end, uint16_t id)
{
	struct spec spec = talk_spec(&talk, end, ACK, PAYLOAD);

	spec.id = id;
	frames_tcp(ret, &spec);
}

/* Puts what a fragment holds into its place in whole, and notes how much there is. */
static inline void put_together(struct built *whole, const struct frame *piece, uint32_t *len)
{
	const uint8_t *ip = piece->data + whole->l3;
	uint32_t offset = (frames_get16(ip + 6) & 0x1fffu) * 8, n = frames_get16(ip + 2) - 20u;

	ck_assert_uint_eq(frames_sum(ip, 20, 0), 0xffff);
	memcpy(whole->frame.data + whole->l4 + offset, ip + 20, n);
	memcpy(whole->frame.data + whole->l3 + 12, ip + 12, 8);
	*len += n;
}

/* That got is what rewriting the unfragmented packet gives. */
static inline void check_whole(struct built *got, enum end end)
{
	const be32 src = end == CLIENT ? talk.snat : fixture_vip();
	const be32 dst = end == CLIENT ? fixture_server(talk.server) : talk.client;
	const uint16_t sport = end == CLIENT ? talk.snat_port : talk.dport;
	const uint16_t dport = end == CLIENT ? talk.dport : talk.sport;
	const uint8_t *ip = got->frame.data + got->l3, *tcp = got->frame.data + got->l4;

	ck_assert_mem_eq(ip + 12, &src, 4);
	ck_assert_mem_eq(ip + 16, &dst, 4);
	ck_assert_uint_eq(frames_get16(tcp), sport);
	ck_assert_uint_eq(frames_get16(tcp + 2), dport);
	ck_assert_uint_eq(frames_tcp_error(got), 0);
}

static inline void check_way(const struct verdict *v, enum end end)
{
	ck_assert_uint_eq(v->act, LB_FORWARD);
	if (end == CLIENT) {
		ck_assert_uint_eq(v->way.server, talk.server);
		return;
	}
	const struct mac client = FIXTURE_CLIENT_MAC;
	ck_assert_uint_eq(v->way.server, SERVER_NONE);
	ck_assert_uint_eq(v->way.side, OUTSIDE);
	ck_assert(mac_eq(&v->way.hop.mac, &client));
}

/* Cuts whole into n pieces at multiples of 8. */
static inline unsigned cut(struct built pieces[PIECES_MAX], const struct built *whole, unsigned n)
{
	const uint32_t total = whole->frame.len - whole->l4, step = (total / n + 7) / 8 * 8;
	unsigned made = 0;

	for (uint32_t at = 0; at < total; at += step)
		frames_fragment(&pieces[made++], whole, at, total - at < step ? total - at : step);
	return made;
}

static inline void swap(struct built *a, struct built *b)
{
	static struct built between;

	frames_copy(&between, a);
	frames_copy(a, b);
	frames_copy(b, &between);
}

/* Takes what has been released into whole. */
static inline void take_released(struct built *whole, uint32_t *len, enum end end)
{
	struct verdict v;
	struct frame frame;

	while (lb_take_fragment(engine.lb, &frame, &v)) {
		ck_assert_uint_eq(v.why, WHY_FRAGMENT);
		check_way(&v, end);
		put_together(whole, &frame, len);
	}
}

/* Sends the pieces in the order given; all must come out, as one would have. */
static inline void send_pieces(struct built *pieces, unsigned n, const struct built *whole,
                               enum end end)
{
	static struct built got, before;
	uint32_t len = 0;

	frames_copy(&got, whole);
	memset(got.frame.data + got.l4, 0, got.frame.len - got.l4);
	for (unsigned i = 0; i < n; i++) {
		struct verdict v;

		frames_copy(&before, &pieces[i]);
		v = engine_input(&engine, &pieces[i]);
		if (v.why == WHY_FRAGMENT_HELD) {
			ck_assert_mem_eq(pieces[i].bytes, before.bytes, sizeof(before.bytes));
			continue;
		}
		ck_assert(v.why == WHY_FRAGMENT || v.why == WHY_FLOW_HIT);
		check_way(&v, end);
		put_together(&got, &pieces[i].frame, &len);
		take_released(&got, &len, end);
	}
	ck_assert_uint_eq(len, whole->frame.len - whole->l4);
	check_whole(&got, end);
}

#endif
