/*
 * Values as text, as they would be written in lb.ini: the other way round than value.h.
 */
#ifndef CFG_SHOW_H
#define CFG_SHOW_H

#include "value.h"

/* Room for the longest value there is: RULES_SNAT_MAX addresses. */
enum { SHOWN_BYTES = RULES_SNAT_MAX * (VALUE_ADDRESS_BYTES + 2) };

/* Begins as zeros; what would be too long for it loses its end. */
struct shown {
	char text[SHOWN_BYTES];
	size_t used;
};

/* Each adds to what is there. */
void show_text(struct shown *shown, const char *text);
void show_number(struct shown *shown, uint32_t number);
void show_duration(struct shown *shown, uint32_t ms);
void show_mac(struct shown *shown, const struct mac *mac);

/* 0 is "off". */
void show_vlan(struct shown *shown, uint16_t vlan);

/* Lists, with ranges where items follow each other: "443, 5071-5074". */
void show_ports(struct shown *shown, const be16 *ports, unsigned n);
void show_services(struct shown *shown, const be16 *ports, const be16 *server_ports, unsigned n);
void show_port_ranges(struct shown *shown, const struct port_range *ranges, unsigned n);
void show_addresses(struct shown *shown, const struct rules *rules, const be32 *addresses,
                    unsigned n);

#endif
