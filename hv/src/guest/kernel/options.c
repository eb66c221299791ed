/*
 * The command line: words of the form name=value. Words nobody knows are
 * passed over, because loaders like to add their own (the file's name).
 */
#include "kernel.h"

struct options options = {
	.workload = "seqread",
	.scale = 1,
	.seed = 1,
	.repeat = 1,
	.tick = 50000,
	.peer = -1,
};

/* If the word at `p` is `name=...`, the value's first character. */
static const char *value_of(const char *p, const char *name)
{
	while (*name)
		if (*p++ != *name++)
			return NULL;
	return *p == '=' ? p + 1 : NULL;
}

static bool is_end(char c)
{
	return c == '\0' || c == ' ';
}

static uint64_t number(const char *p)
{
	uint64_t n = 0;

	for (; !is_end(*p); p++) {
		if (*p < '0' || *p > '9')
			panic("command line: a number has a character that is no digit");
		n = n * 10 + (uint64_t)(*p - '0');
	}
	return n;
}

static void word(char *out, size_t size, const char *p)
{
	size_t n = 0;

	for (; !is_end(*p) && n + 1 < size; p++)
		out[n++] = *p;
	out[n] = '\0';
}

void options_parse(const char *p)
{
	const char *v;

	while (*p) {
		if ((v = value_of(p, "workload")))
			word(options.workload, sizeof options.workload, v);
		else if ((v = value_of(p, "scale")))
			options.scale = number(v);
		else if ((v = value_of(p, "seed")))
			options.seed = number(v);
		else if ((v = value_of(p, "repeat")))
			options.repeat = number(v);
		else if ((v = value_of(p, "tick")))
			options.tick = number(v);
		else if ((v = value_of(p, "peer")))
			options.peer = (int64_t)number(v);
		else if ((v = value_of(p, "stats")))
			options.stats = number(v) != 0;
		while (!is_end(*p))
			p++;
		while (*p == ' ')
			p++;
	}
	if (options.scale == 0 || options.repeat == 0)
		panic("command line: scale and repeat start at 1");
}
