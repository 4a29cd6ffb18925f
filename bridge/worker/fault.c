/*
 * Faults as text. What a server has said may be anything, and goes to terminals and logs: it is
 * escaped as lb.ini has it.
 */
#include "fault.h"

#include <stdio.h>

static const char *text_of(enum fault_kind kind)
{
#define FAULT_TEXT(enumerator, name, text) [enumerator] = (text),
	static const char *const texts[] = {FAULTS(FAULT_TEXT)};
#undef FAULT_TEXT

	return texts[kind];
}

const char *fault_name(enum fault_kind kind)
{
#define FAULT_NAME(enumerator, name, text) [enumerator] = (name),
	static const char *const names[] = {FAULTS(FAULT_NAME)};
#undef FAULT_NAME

	return names[kind];
}

void fault_set_heard(struct fault *fault, const uint8_t *heard, unsigned n)
{
	fault->nheard = (uint8_t)(n < FAULT_HEARD_MAX ? n : FAULT_HEARD_MAX);
	if (n)
		memcpy(fault->heard, heard, fault->nheard);
}

/* Writes one byte as lb.ini has it; returns how many characters that took. */
static int escape(uint8_t byte, char *ret)
{
	if (byte == '\r' || byte == '\n' || byte == '\t')
		return sprintf(ret, "\\%c", byte == '\r' ? 'r' : byte == '\n' ? 'n' : 't');
	if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\')
		return sprintf(ret, "\\x%02x", byte);
	return sprintf(ret, "%c", byte);
}

static void add_heard(const struct fault *fault, char *ret)
{
	*ret++ = ' ';
	*ret++ = '"';
	for (unsigned i = 0; i < fault->nheard; i++)
		ret += escape(fault->heard[i], ret);
	strcpy(ret, "\"");
}

/* RFC 792 and RFC 1812, 5.2.7.1; RFC 4443, 3.1. */
static const char *unreachable(const struct fault *fault)
{
	static const char *const v4[] = {"network", "host", "protocol", "port"};
	static const char *const v6[] = {"no route", "prohibited", "scope", "address", "port"};
	const unsigned code = fault->icmp_code;

	if (fault->ipv6)
		return code < sizeof(v6) / sizeof(v6[0]) ? v6[code] : "other";
	if (code == 9 || code == 10 || code == 13)
		return "prohibited";
	return code < sizeof(v4) / sizeof(v4[0]) ? v4[code] : "other";
}

const char *fault_why(const struct fault *fault, char ret[FAULT_TEXT_BYTES])
{
	const bool nd = fault->kind == FAULT_NO_ARP && fault->ipv6;
	int len =
	        sprintf(ret, "%s",
	                nd ? "no neighbour advertisement" : text_of((enum fault_kind)fault->kind));

	if (fault->kind == FAULT_UNREACHABLE)
		sprintf(ret + len, " (%s)", unreachable(fault));
	else if (fault->kind == FAULT_UNEXPECTED || fault->kind == FAULT_SAID)
		add_heard(fault, ret + len);
	return ret;
}

const char *fault_text(const struct fault *fault, char ret[FAULT_TEXT_BYTES])
{
	int len = sprintf(ret, "port %u%s%s: ", be16_get(fault->port), *fault->check ? " " : "",
	                  fault->check);

	fault_why(fault, ret + len);
	return ret;
}
