/* The role's process: `plumb reconciler`. Returns the exit code. */
#ifndef PLUMB_RECONCILER_MAIN_H
#define PLUMB_RECONCILER_MAIN_H

int reconciler_main(int argc, char **argv);

#endif
