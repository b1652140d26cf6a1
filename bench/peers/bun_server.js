// Bun (uWebSockets): PORT echo|fanout; COMPRESS, TLS_CERT and TLS_KEY in the environment.
const [port, mode] = process.argv.slice(2);
const { COMPRESS, TLS_CERT, TLS_KEY } = process.env;
const compresses = COMPRESS === "1";

Bun.serve({
  port: Number(port),
  hostname: "127.0.0.1",
  tls: TLS_CERT ? { cert: Bun.file(TLS_CERT), key: Bun.file(TLS_KEY) } : undefined,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("upgrade", { status: 426 });
  },
  websocket: {
    perMessageDeflate: compresses,
    open: (socket) => socket.subscribe("all"),
    message: (socket, message) =>
      mode === "echo" ? socket.send(message) : socket.publish("all", message, compresses),
  },
});
