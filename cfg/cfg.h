/*
 * lb.ini: from a file to checked, immutable rules.
 */
#ifndef CFG_CFG_H
#define CFG_CFG_H

#include "../lb/rules.h"

/*
 * Receives one finding about the file: a warning, or an error that makes cfg_load() fail. text is
 * one line without a newline, "lb.ini:12: [farm ocspool] ports: 70000 is not a TCP port (1-65535)",
 * and lives only during the call.
 */
typedef void cfg_note(void *ctx, bool is_error, const char *text);

/* The bytes of a file. */
struct cfg_text {
	char *bytes;
	size_t len;
};

/*
 * Reads the file at path, which makes no rules of it yet. Returns 0 and sets *ret, whose bytes are
 * the caller's to free, or a negative errno, the mistake having been noted.
 */
int cfg_read(const char *path, cfg_note *note, void *ctx, struct cfg_text *ret);

/*
 * Whether what the filter matches is an expression: 0, or -EINVAL, with what is wrong in why, of
 * size bytes; or -ENOMEM.
 */
typedef int cfg_expression(const struct rules_filter *filter, char *why, size_t size);

/* What is known beside the file; NULL: it isn't. */
struct cfg_known {
	const struct rules_nets *host; /* the host's addresses, whatever is said of them there */
	cfg_expression *expression;
};

/* As cfg_load(), of what was read from path before. */
int cfg_load_text(const char *path, const struct cfg_text *text, const struct cfg_known *known,
                  cfg_note *note, void *ctx, struct rules **ret_rules);

/*
 * Reads and checks the file at path; known is what is known beside it, or NULL. On success returns
 * 0 and sets *ret_rules, which the caller releases with rules_free(). Else leaves *ret_rules
 * untouched and returns -EINVAL, or the negative errno of the file access; each mistake has then
 * been noted, the first fifty with words of its own. Warnings may come either way.
 */
int cfg_load(const char *path, const struct cfg_known *known, cfg_note *note, void *ctx,
             struct rules **ret_rules);

#endif
