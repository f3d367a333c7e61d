/* The role's process: `plumb scheduler`. Returns the exit code. */
#ifndef PLUMB_SCHEDULER_MAIN_H
#define PLUMB_SCHEDULER_MAIN_H

int scheduler_main(int argc, char **argv);

#endif
