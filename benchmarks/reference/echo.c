/* The least that an echo can cost: epoll, recv, send. With the argument "discard" nothing is sent back. */

#include "server.h"

int main(int count, char **arguments) {
    int discards = count > 1 && !strcmp(arguments[1], "discard"), epoll = epoll_create1(0);
    int listening = listen_and_tell(epoll);
    static char buffer[256 * 1024];
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listening) {
                accept_all(epoll, listening, NULL);
                continue;
            }
            ssize_t got = recv(fd, buffer, sizeof buffer, 0);
            if (got > 0 && !discards && send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)
                got = 0; /* the client does not read */
            if (got == 0 || (got < 0 && errno != EAGAIN))
                close(fd);
        }
    }
}
