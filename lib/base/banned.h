/* Forced into every file by the Makefile: calls with a safe replacement here do not compile. */
#ifndef PLUMB_BANNED_H
#define PLUMB_BANNED_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef alloca
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol gmtime localtime ctime asctime  \
	alloca system popen gets tmpnam mktemp

#endif
