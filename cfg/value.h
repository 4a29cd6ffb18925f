/*
 * The values of lb.ini: from the text of one to numbers, durations, addresses and ports.
 */
#ifndef CFG_VALUE_H
#define CFG_VALUE_H

#include "../lb/rules.h"

enum {
	VALUE_BYTES = 1024, /* iniparser's longest, with its NUL */
	VALUE_WHY_BYTES = 256,
};

/* text is the caller's. why is filled in when a function here returns -EINVAL. */
struct value {
	const char *text;
	char why[VALUE_WHY_BYTES];
};

/* Sets value->why to "item fmt..." (shortening a long item) and returns -EINVAL. */
int value_wrong(struct value *value, const char *item, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* The same to "text: words", of the value itself and somebody else's words. */
int value_wrong_as(struct value *value, const char *words);

/*
 * Each of these returns 0 and sets what ret_ names, or returns -EINVAL, or -ENOMEM for the lists,
 * and leaves it untouched.
 */
int value_number(struct value *value, uint32_t min, uint32_t max, uint32_t *ret);
int value_vlan(struct value *value, uint16_t *ret); /* an ID, or off: 0 */
int value_duration(struct value *value, uint32_t min_ms, uint32_t max_ms, uint32_t *ret_ms);

/* The whole of text as a number of min to max; says if it is one. */
bool value_read_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret);

/* Whether the value is that word, in any case. */
bool value_is(const struct value *value, const char *word);

/* words ends with NULL; *ret_index is the place of the one that value is, in any case. */
int value_word(struct value *value, const char *const *words, unsigned *ret_index);

/*
 * An address that a host can have, which rules then name if it is an IPv6 address; a MAC address
 * that an interface can have.
 */
int value_address(struct value *value, struct rules *rules, be32 *ret);
int value_mac(struct value *value, struct mac *ret);

/*
 * Lists of items and ranges between commas. The lists that come back are the caller's to free, not
 * empty, and free of duplicates. Ports ascend, ranges of them are disjoint and don't touch, and
 * addresses keep the order that they were written in, RULES_SNAT_MAX at most. Services are ports,
 * of which some may go to another port of the servers ("80:8080, 7000-7009:17000-17009"); NULL:
 * none does.
 */
int value_services(struct value *value, be16 **ret_ports, be16 **ret_server_ports, unsigned *ret_n);
int value_port_ranges(struct value *value, struct port_range **ret_ranges, unsigned *ret_n);
int value_addresses(struct value *value, struct rules *rules, be32 **ret_addresses,
                    unsigned *ret_n);

/* If it is one item of a list, or a range with blanks about its hyphen, and not several. */
bool value_is_item(const char *item);

/* "80 443": says how the items of a list are told apart. Returns -EINVAL. */
int value_say_commas(struct value *value, const char *item);

/* One item of such a list, a port or a range of them; item is taken apart. */
int value_port_range(struct value *value, char *item, struct port_range *ret);

enum {
	VALUE_DURATION_BYTES = 16,
	VALUE_ADDRESS_BYTES = 46,
};

/* The text of a duration in its largest whole unit ("30m"), and of an address. Return text. */
const char *value_duration_text(uint32_t ms, char text[VALUE_DURATION_BYTES]);
const char *value_address_text(const struct rules *rules, be32 address,
                               char text[VALUE_ADDRESS_BYTES]);

#endif
