/*
 * The text of a line is made by the writer, later: a worker copies what it consists of.
 */
#include "logline.h"

#include "../process/text.h"
#include "../../lb/flows.h"

#include <inttypes.h>
#include <stdio.h>

/* The rules may be gone when the line is written: addresses are noted whole. */
static void note_addresses(struct logline *line, const struct rules *rules,
                           const struct ended *ended)
{
	const be32 names[LINE_ADDRESSES] = {
	        [LINE_CLIENT] = ended->arrive[CLIENT].src,
	        [LINE_VIP] = ended->arrive[CLIENT].dst,
	        [LINE_SNAT] = ended->arrive[SERVER].dst,
	        [LINE_SERVER] = ended->arrive[SERVER].src,
	};

	line->is_ipv6 = name_is_ipv6(names[LINE_VIP]);
	for (unsigned i = 0; line->is_ipv6 && i < LINE_ADDRESSES; i++)
		line->ip6[i] =
		        name_is_hashed(names[i]) ? ended->client6 : *rules_ip6(rules, names[i]);
}

void logline_make(struct logline *ret, const struct rules *rules, const struct ended *ended)
{
	const struct rules_server *server = &rules->servers[ended->server];

	ret->ended = *ended;
	note_addresses(ret, rules, ended);
	memcpy(ret->farm, rules->farms[server->farm].name, sizeof(ret->farm));
	memcpy(ret->server, server->name, sizeof(ret->server));
}

size_t logline_text(char ret[LOGLINE_BYTES], const struct logline *line, uint64_t offset)
{
	const struct ended *e = &line->ended;
	const struct tuple *to_vip = &e->arrive[CLIENT], *to_snat = &e->arrive[SERVER];
	const struct ip6 *ip6 = line->ip6;
	const bool v6 = line->is_ipv6;
	char start[TEXT_TIME_BYTES], end[TEXT_TIME_BYTES], client[TEXT_ENDPOINT_BYTES],
	        vip[TEXT_ENDPOINT_BYTES], snat[TEXT_ENDPOINT_BYTES], server[TEXT_ENDPOINT_BYTES];

	text_time(e->start, offset, start);
	text_time(e->end, offset, end);
	text_endpoint(to_vip->src, v6 ? &ip6[LINE_CLIENT] : NULL, to_vip->sport, client);
	text_endpoint(to_vip->dst, v6 ? &ip6[LINE_VIP] : NULL, to_vip->dport, vip);
	text_endpoint(to_snat->dst, v6 ? &ip6[LINE_SNAT] : NULL, to_snat->dport, snat);
	text_endpoint(to_snat->src, v6 ? &ip6[LINE_SERVER] : NULL, to_snat->sport, server);
	return (size_t)snprintf(
	        ret, LOGLINE_BYTES,
	        "{\"start\":\"%s\",\"end\":\"%s\",\"farm\":\"%s\",\"client\":\"%s\",\"vip\":\"%s\","
	        "\"snat\":\"%s\",\"server\":\"%s\",\"server_name\":\"%s\","
	        "\"client_bytes\":%" PRIu64 ",\"client_packets\":%" PRIu32
	        ",\"server_bytes\":%" PRIu64 ",\"server_packets\":%" PRIu32 ",\"why\":\"%s\"}\n",
	        start, end, line->farm, client, vip, snat, server, line->server, e->bytes[CLIENT],
	        e->packets[CLIENT], e->bytes[SERVER], e->packets[SERVER],
	        ended_name((enum ended_why)e->why));
}
