/* The role's process: `plumb kubelet`. Returns the exit code. */
#ifndef PLUMB_KUBELET_MAIN_H
#define PLUMB_KUBELET_MAIN_H

int kubelet_main(int argc, char **argv);

#endif
