/*
 * What the tests of odd TCP begin with: an engine and a conversation.
 */
#ifndef UNIT_EDGES_FIXTURE_H
#define UNIT_EDGES_FIXTURE_H

#include "fixture.h"
#include "suites.h"

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10, URG = 0x20 };

static struct engine engine;
static struct talk talk;
static struct built built;

static inline const struct balance *balance(void)
{
	return lb_balance(engine.lb);
}

static inline void begin(void)
{
	engine_start(&engine, fixture_rules(1));
}

static inline void open_one(void)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
}

static inline void send(enum end end, uint8_t flags, uint16_t payload)
{
	ck_assert_uint_eq(talk_send(&talk, end, flags, payload).why, WHY_FLOW_HIT);
}

static inline uint8_t *ip(void)
{
	return built.frame.data + built.l3;
}

static inline uint8_t *tcp(void)
{
	return built.frame.data + built.l4;
}

/* Builds what end sends next, without using up its numbers. */
static inline struct spec next(enum end end, uint8_t flags, uint16_t payload)
{
	return talk_spec(&talk, end, flags, payload);
}

#endif
