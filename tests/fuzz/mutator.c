// SPDX-License-Identifier: GPL-2.0
/* Half of the fuzzer's mutations end in an "end" that counts what is there, so that more is accepted. */
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz_sysinfo.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static size_t count_lines(const uint8_t *data, size_t size, const char *name)
{
	size_t length = strlen(name), count = 0, i;

	for (i = 1; i + length < size; i++)
		if (data[i - 1] == '\n' && !memcmp(data + i, name, length))
			count++;
	return count;
}

/* The text's last line begins here. */
static size_t last_line(const uint8_t *data, size_t size)
{
	size_t start = size ? size - 1 : 0;

	while (start && data[start - 1] != '\n')
		start--;
	return start;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	uint8_t *end;
	size_t text, start, length;
	char line[64];

	size = LLVMFuzzerMutate(data, size, max_size);
	end = size ? memchr(data, FUZZ_TEXT_END, size) : NULL;
	text = end ? (size_t)(end - data) : size;
	start = last_line(data, text);
	length = (size_t)snprintf(line, sizeof(line), "end %zu %zu\n",
				  count_lines(data, start, "cgroup "),
				  count_lines(data, start, "process "));
	if (seed % 2 || size - (text - start) + length > max_size)
		return size;
	memmove(data + start + length, data + text, size - text);
	memcpy(data + start, line, length);
	return size - (text - start) + length;
}
