/*
 * Guesses what a misspelt name means, by Levenshtein's edit distance.
 *
 * A guess is offered only when it is likely: up to a third of the letters may be wrong, and two in
 * a short word, but never all of them. Words are compared up to WORD_MAX bytes, as names are short.
 */
#include "nearest.h"

#include <string.h>

enum {
	WORD_MAX = 64,
	ALWAYS_NEAR = 2, /* two letters swapped make a distance of two */
};

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[WORD_MAX + 1];
	size_t nb = strnlen(b, WORD_MAX);

	for (unsigned j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= strnlen(a, WORD_MAX); i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			unsigned above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[nb];
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
	unsigned distance = edit_distance(nearest->word, candidate);

	if (nearest->best && distance >= nearest->distance)
		return;
	nearest->best = candidate;
	nearest->distance = distance;
}

const char *nearest_best(const struct nearest *nearest)
{
	size_t len = strnlen(nearest->word, WORD_MAX);
	size_t near = len / 3 > ALWAYS_NEAR ? len / 3 : ALWAYS_NEAR;

	if (!nearest->best || nearest->distance > near || nearest->distance >= len)
		return NULL;
	return nearest->best;
}
