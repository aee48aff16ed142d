// SPDX-License-Identifier: GPL-2.0
/* judge LIST: judges its input as a whole reading. Prints "good", or "fault: ...". */
#include <unistd.h>

#include "reading.h"

int main(int argc, char **argv)
{
	struct reading *r = reading_new(argc == 2 ? argv[1] : "-");
	static char buffer[4096];
	int err = 0;
	ssize_t n;

	reading_begin(r, PART_WHOLE);
	while (!err && (n = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0)
		err = reading_feed(r, buffer, n);
	if (!err)
		err = reading_end(r);
	printf("%s%s\n", err ? "fault: " : "good", err ? r->fault : "");
	return err ? 1 : 0;
}
