/*
 * Finds zones in the folders where systems keep them. Must never open what a name from the network
 * makes of a path: only letters, digits, "_", "-", "+" and single slashes between them are a name.
 * What was read stays; what was not found is looked for again, the files may be installed later.
 */
#include "lib/os/zoneinfo.h"

#include "lib/base/map.h"
#include "lib/os/fs.h"

enum { NAME_MAX_LEN = 100, ZONES_MAX = 2000 };

static struct map known; /* name → struct timezone */
static struct arena memory;

static bool is_name(struct str s)
{
	char before = '/';

	if (!s.n || s.n > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < s.n; before = s.p[i++]) {
		char c = s.p[i];

		if (c == '/' ? before == '/'
			     : !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
				       !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '+')
			return false;
	}
	return before != '/';
}

static bool is_utc(struct str s)
{
	static const char *const names[] = {"UTC",     "Etc/UTC", "Etc/GMT", "GMT",
					    "Etc/UCT", "UCT",     "Zulu",    "Etc/Zulu"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_is(s, names[i]))
			return true;
	return false;
}

static const struct timezone *load(struct str name)
{
	static const char *const folders[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo",
					      "/usr/share/lib/zoneinfo"};
	AUTO(arena) struct arena a = {0};

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		AUTO(buf) struct buf file = {0};
		struct err err = {0};

		if (fs_read(arena_printf(&a, "%s/%.*s", folders[i], STR_ARG(name)),
			    TIMEZONE_FILE_MAX, &file, &err) == 0)
			return timezone_read(&memory, buf_view(&file), &err);
	}
	return NULL;
}

bool zoneinfo_find(struct str name, const struct timezone **ret)
{
	const struct timezone *tz;

	*ret = NULL;
	if (!is_name(name))
		return false;
	if (is_utc(name))
		return true;
	tz = map_get(&known, name);
	if (!tz && known.n < ZONES_MAX) {
		tz = load(name);
		if (tz)
			map_set(&known, name, (void *)(uintptr_t)tz);
	}
	*ret = tz;
	return tz != NULL;
}
