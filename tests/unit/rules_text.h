/*
 * Rules as one line of text, which tests compare.
 */
#ifndef UNIT_RULES_TEXT_H
#define UNIT_RULES_TEXT_H

#include "cfg_file.h"

struct line {
	char text[TEXT_BYTES];
	size_t used;
};

/* Each adds to the line. */
void say(struct line *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say_farm(struct line *line, const struct rules *rules, const struct rules_farm *farm);
void say_server(struct line *line, const struct rules *rules, const struct rules_server *server);
void say_check(struct line *line, const struct script *script);
void say_filter(struct line *line, const struct rules_filter *filter);
void say_bridge(struct line *line, const struct rules *rules);

#endif
