/*
 * Patterns in answers.
 *
 * A pattern is looked for at the beginning, or at each place. Where bytes are missing for it, or
 * behind it for the number that is to follow, more have to come.
 */
#include "answer.h"

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/*
 * The number at the beginning of n bytes: it ends where something else, or nothing more, follows.
 */
static enum answer judge_number(const struct script *script, const uint8_t *bytes, unsigned n,
                                bool whole)
{
	uint32_t number = 0;
	unsigned i = 0;

	for (; i < n && i <= SCRIPT_DIGITS_MAX && is_digit(bytes[i]); i++)
		number = number * 10 + (uint32_t)(bytes[i] - '0');
	if (i == n && !whole && i <= SCRIPT_DIGITS_MAX)
		return ANSWER_UNCLEAR;
	if (!i || i > SCRIPT_DIGITS_MAX)
		return ANSWER_WRONG;
	return number >= script->low && number <= script->high ? ANSWER_RIGHT : ANSWER_WRONG;
}

/* If the pattern, and what is to follow, are at the beginning of n bytes. */
static enum answer judge_here(const struct script *script, const uint8_t *bytes, unsigned n,
                              bool whole)
{
	const unsigned len = script->nexpect;

	for (unsigned i = 0; i < len; i++) {
		if (i == n)
			return whole ? ANSWER_WRONG : ANSWER_UNCLEAR;
		if ((bytes[i] ^ script->expect[i]) & script->mask[i])
			return ANSWER_WRONG;
	}
	return script->high ? judge_number(script, bytes + len, n - len, whole) : ANSWER_RIGHT;
}

static enum answer judge_anywhere(const struct script *script, const uint8_t *bytes, unsigned n,
                                  unsigned nbefore, bool whole)
{
	const unsigned reach = script->nexpect + SCRIPT_DIGITS_MAX + 1u;

	/* one that began sooner had all its bytes before */
	for (unsigned i = nbefore > reach ? nbefore - reach : 0; i < n; i++)
		if (judge_here(script, bytes + i, n - i, whole) == ANSWER_RIGHT)
			return ANSWER_RIGHT;
	return whole ? ANSWER_WRONG : ANSWER_UNCLEAR;
}

static enum answer judge_line(const uint8_t *bytes, unsigned n, unsigned nbefore, bool whole)
{
	for (unsigned i = nbefore; i < n; i++)
		if (bytes[i] == '\n' || bytes[i] == '\r')
			return ANSWER_RIGHT;
	if (!whole)
		return ANSWER_UNCLEAR;
	return n ? ANSWER_RIGHT : ANSWER_WRONG;
}

enum answer answer_judge(const struct script *script, const uint8_t *bytes, unsigned n,
                         unsigned nbefore, bool whole)
{
	switch ((enum script_where)script->where) {
	case SCRIPT_PREFIX:
		return judge_here(script, bytes, n, whole);
	case SCRIPT_ANYWHERE:
		return judge_anywhere(script, bytes, n, nbefore, whole);
	case SCRIPT_LINE:
		return judge_line(bytes, n, nbefore, whole);
	}
	return ANSWER_WRONG;
}
