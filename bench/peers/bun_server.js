// Bun (uWebSockets): PORT echo|fanout.
const [port, mode] = process.argv.slice(2);

Bun.serve({
  port: Number(port),
  hostname: "127.0.0.1",
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("upgrade", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    open: (socket) => socket.subscribe("all"),
    message: (socket, message) =>
      mode === "echo" ? socket.send(message) : socket.publish("all", message),
  },
});
