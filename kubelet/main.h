/* The role's process: `plumb kubelet`. And the image store's commands. Both return the exit code.
 */
#ifndef PLUMB_KUBELET_MAIN_H
#define PLUMB_KUBELET_MAIN_H

int kubelet_main(int argc, char **argv);
/* `plumb image load FILE | import NAME ROOTFS-DIR | ls | rm NAME` */
int kubelet_image_main(int argc, char **argv);
/* `plumb pull DIR`: an image into the store, as its input says: {image, auths}. */
int kubelet_pull_main(int argc, char **argv);
/* `plumb give GID DIR…`: gives volumes to a group. */
int kubelet_give_main(int argc, char **argv);
/* `plumb mount [DEVICE TYPE DIR]…`: mounts file systems, made first on devices that are empty. */
int kubelet_mount_main(int argc, char **argv);
/* `plumb pause FILE`: notes its number in FILE and lasts until it is killed. */
int kubelet_pause_main(int argc, char **argv);

#endif
