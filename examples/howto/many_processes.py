"""One port, several processes. Rooms and broadcasts stay within each process."""

import multiprocessing
import os
import signal

from wynd import ConnectionHandle, TextMessage, Wynd

PROCESSES = 4


def serve() -> None:
    wynd = Wynd()

    @wynd.on_text
    async def text(message: TextMessage, handle: ConnectionHandle) -> None:
        await handle.send_text(f"{os.getpid()}: {message.data}")

    wynd.run(8080, reuse_port=True)


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")  # the native engine refuses to run after a fork
    workers = [context.Process(target=serve) for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the workers; wait for them
    for worker in workers:
        worker.join()
