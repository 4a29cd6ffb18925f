/*
 * Our own files are in the program, as arrays that the Makefile makes of them; the library's are
 * read once, at the start. Without it there are figures, but no plots.
 */
#include "pages.h"

#include "../process/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES_LIBRARY "/usr/share/javascript/dygraphs/"

enum { PAGES_FILE_BYTES = 2 << 20 };

extern const unsigned char page_html[], page_css[], page_js[];
extern const size_t page_html_bytes, page_css_bytes, page_js_bytes;

enum { HTML, CSS, JS, PLOT_JS, PLOT_CSS };

static struct page pages[] = {
        [HTML] = {"/", "text/html; charset=utf-8", page_html, 0},
        [CSS] = {"/console.css", "text/css; charset=utf-8", page_css, 0},
        [JS] = {"/console.js", "text/javascript; charset=utf-8", page_js, 0},
        [PLOT_JS] = {"/dygraph.js", "text/javascript; charset=utf-8", NULL, 0},
        [PLOT_CSS] = {"/dygraph.css", "text/css; charset=utf-8", NULL, 0},
};

static void read_file(const char *path, struct page *ret)
{
	FILE *file = fopen(path, "re");
	unsigned char *data = file ? malloc(PAGES_FILE_BYTES) : NULL;

	if (data) {
		ret->len = fread(data, 1, PAGES_FILE_BYTES, file);
		ret->data = data;
	}
	if (!data)
		log_warning("console: %s: %m: no plots", path);
	if (file)
		fclose(file);
}

void pages_open(void)
{
	pages[HTML].len = page_html_bytes;
	pages[CSS].len = page_css_bytes;
	pages[JS].len = page_js_bytes;
	read_file(PAGES_LIBRARY "dygraph.min.js", &pages[PLOT_JS]);
	read_file(PAGES_LIBRARY "dygraph.min.css", &pages[PLOT_CSS]);
}

const struct page *pages_find(const char *path)
{
	for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (!strcmp(path, pages[i].path))
			return pages[i].data ? &pages[i] : NULL;
	return NULL;
}
