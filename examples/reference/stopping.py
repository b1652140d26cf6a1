"""Serving inside a program of your own, and stopping in order."""

import asyncio

from wynd import CloseCode, TextMessage, Wynd

wynd = Wynd()


@wynd.on_text
async def text(message: TextMessage) -> None:
    if message.data == "restart":
        asyncio.get_running_loop().create_task(restart())


async def restart() -> None:
    await wynd.stop(CloseCode.SERVICE_RESTART, retry_after=(2.0, 8.0), drain=10.0)


async def main() -> None:
    async with wynd.serving(8080):
        for address in wynd.addresses:
            print("serving at", address)
        await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main())
