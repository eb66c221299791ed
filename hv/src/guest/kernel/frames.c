/* Physical pages: first never-used ones in order, freed ones before that. */
#include "kernel.h"

struct free_frame {
	struct free_frame *next;
};

static uint64_t next_frame, frames_end;
static struct free_frame *free_list;

void frames_init(uint64_t start, uint64_t end)
{
	next_frame = start;
	frames_end = end;
}

uint64_t frame_alloc(void)
{
	uint64_t frame;

	if (free_list) {
		frame = (uint64_t)free_list;
		free_list = free_list->next;
	} else if (next_frame + PAGE_SIZE <= frames_end) {
		frame = next_frame;
		next_frame += PAGE_SIZE;
	} else {
		return 0;
	}
	memset((void *)frame, 0, PAGE_SIZE);
	return frame;
}

void frame_free(uint64_t frame)
{
	struct free_frame *f = (struct free_frame *)frame;

	assert(frame && frame % PAGE_SIZE == 0 && frame < frames_end);
	f->next = free_list;
	free_list = f;
}
