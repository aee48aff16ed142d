// SPDX-License-Identifier: GPL-2.0
#include "container.h"

#include <errno.h>
#include <stdlib.h>

const char *class_name(enum container_class class)
{
	static const char *const names[] = {
		[CLASS_UNMANAGED] = "unmanaged", [CLASS_PROTECTED] = "protected",
		[CLASS_UNSURE] = "unsure",	 [CLASS_YOUNG] = "young",
		[CLASS_HIGH] = "high",		 [CLASS_LOW] = "low",
		[CLASS_SURPLUS] = "surplus",
	};

	return names[class];
}

const char *action_name(enum action action)
{
	static const char *const names[] = {
		[ACTION_KEEP] = "keep",
		[ACTION_REMOVE] = "remove",
		[ACTION_STOP] = "stop",
		[ACTION_PAUSE] = "pause",
	};

	return names[action];
}

const char *action_done(enum action action)
{
	static const char *const words[] = {
		[ACTION_KEEP] = "kept",
		[ACTION_REMOVE] = "removed",
		[ACTION_STOP] = "stopped",
		[ACTION_PAUSE] = "paused",
	};

	return words[action];
}

bool is_ranked(const struct container *container)
{
	return container->rank > 0;
}

void container_list_free(struct container_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		free(list->items[i].name);
		free(list->items[i].image);
		free(list->items[i].started_at);
		free(list->items[i].reason);
		free(list->items[i].outcome);
	}
	free(list->items);
	*list = (struct container_list){};
}

int container_set_outcome(struct container *container, char *outcome)
{
	if (!outcome)
		return -ENOMEM;
	free(container->outcome);
	container->outcome = outcome;
	return 0;
}
