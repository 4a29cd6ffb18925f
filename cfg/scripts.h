/*
 * What checks say and want to hear, by the words that `check` has for them.
 */
#ifndef CFG_SCRIPTS_H
#define CFG_SCRIPTS_H

#include "value.h"

/* If word is one that has a meaning of its own, which a [check NAME] can't have then. */
bool scripts_is_preset(const char *word);

/* Adds an empty script for a [check NAME] to rules. Returns 0 or -ENOMEM. */
int scripts_add_section(struct rules *rules, const char *name);

/*
 * Finds or makes what text, such as "http /health" or a [check NAME]'s name, stands for:
 * *ret_script is its number among rules' scripts, which must have those of all sections by then.
 * Returns 0, -EINVAL with value->why filled in, or -ENOMEM.
 */
int scripts_find(struct value *value, struct rules *rules, const char *text, uint16_t *ret_script);

/* Sets what script sends, or the pattern that it expects, from text with escapes. As above. */
int scripts_set_send(struct value *value, const char *text, struct script *script);
int scripts_set_expect(struct value *value, const char *text, struct script *script);

/* "200" or "200-399". Returns 0, or -EINVAL with value->why filled in. */
int scripts_read_numbers(struct value *value, const char *text, uint16_t *ret_low,
                         uint16_t *ret_high);

#endif
