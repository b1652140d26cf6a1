import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE, settled, TestClock } from "./page.js";

const { afterClose, Connection } = await import(new URL("connection.js", PAGE));

class TestSocket {
  sent = [];
  isClosed = false;
  onmessage = null;
  onclose = null;
  send(frame) { this.sent.push(JSON.parse(frame)); }
  close() { this.isClosed = true; }
  hears(value) { this.onmessage?.({ data: JSON.stringify(value) }); }
  ends(code, reason = "") { this.onclose?.({ code, reason }); }
}

function stage(random = () => 1) {
  const clock = new TestClock();
  const sockets = [];
  const told = { hellos: 0, events: [], states: [] };
  const connection = new Connection({
    url: "ws://x/ws",
    open: (url, subprotocol) => {
      assert.equal(subprotocol, "chat.v1.json");
      sockets.push(new TestSocket());
      return sockets.at(-1);
    },
    clock,
    random,
    listener: {
      hello: () => { told.hellos += 1; },
      event: (event) => told.events.push(event),
      ephemeral: () => undefined,
      state: ({ phase }) => told.states.push(phase),
    },
  });
  connection.start();
  return { clock, sockets, told, connection, hello: () => sockets.at(-1).hears({ type: "hello", v: 1, epoch: "e", ping: 25 }) };
}

const POLICY = [
  [1000, "", false, null], [1001, "", true, null], [1002, "", false, null], [1006, "", true, null], [1007, "", false, null],
  [1009, "", false, null], [1012, "restart retry_after=3", true, 3000], [1013, "retry_after=0.5", true, 500],
  [4000, "", true, null], [4008, "", true, null], [4010, "", false, null], [4029, "flooding retry_after=30", true, 30_000],
  [4499, "", true, null], [4500, "", false, null], [4501, "", false, null], [4503, "", false, null], [4509, "", false, null],
];
for (const [code, reason, retry, waitMs] of POLICY) {
  test(`close ${code} ${reason}`, () => assert.deepEqual(afterClose(code, reason), { retry, waitMs }));
}

test("delays double up to half a minute and begin anew after ten seconds of health", async () => {
  const { clock, sockets, hello, connection } = stage();
  const delays = [];
  for (let round = 0; round < 8; round += 1) {
    sockets.at(-1).ends(1006);
    delays.push(connection.state.retryAt - clock.now());
    await clock.pass(delays.at(-1));
  }
  assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  hello();
  await clock.pass(9_000);
  sockets.at(-1).ends(1006);
  assert.equal(connection.state.retryAt - clock.now(), 30_000, "not healthy for long enough");
  await clock.pass(30_000);
  hello();
  await clock.pass(10_000);
  sockets.at(-1).ends(1006);
  assert.equal(connection.state.retryAt - clock.now(), 500);
});

test("a silent link is dead after the ping interval and ten seconds", async () => {
  const { clock, sockets, hello, told } = stage();
  hello();
  await clock.pass(34_000);
  assert.equal(sockets[0].isClosed, false);
  sockets[0].hears({ type: "tick", at: "2026-11-23T00:00:00.000Z", heads: {} });
  await clock.pass(34_000);
  assert.equal(sockets[0].isClosed, false);
  await clock.pass(2_000);
  assert.equal(sockets[0].isClosed, true);
  assert.ok(told.states.includes("waiting"));
});

test("requests are answered once: by reply, refusal, end of the link or time", async () => {
  const { clock, sockets, hello, connection } = stage();
  await assert.rejects(connection.request({ type: "commands" }), { code: "lost" });
  hello();
  const answers = [1, 2, 3, 4].map(() => connection.request({ type: "commands" }));
  const [first, second] = sockets[0].sent;
  sockets[0].hears({ re: second.id, ok: false, error: { code: "rate_limited", message: "Slow down", retry_after: 1.5, temporary: true } });
  sockets[0].hears({ re: first.id, ok: true, commands: [] });
  assert.deepEqual((await answers[0]).commands, []);
  await assert.rejects(answers[1], { code: "rate_limited", retryAfter: 1.5, isTemporary: true });
  const late = assert.rejects(answers[2], { code: "timeout" });
  const alsoLate = assert.rejects(answers[3], { code: "timeout" });
  await clock.pass(15_000);
  await late;
  await alsoLate;
  const lost = assert.rejects(connection.request({ type: "commands" }), { code: "lost" });
  sockets[0].ends(1006);
  await lost;
});

test("frames of a socket that was given up change nothing", async () => {
  const { clock, sockets, hello, told, connection } = stage(() => 0);
  hello();
  const old = sockets[0];
  const listener = old.onmessage;
  connection.restart();
  listener({ data: JSON.stringify({ type: "message", room: "x", seq: 1, at: "", from: { name: "a" } }) });
  await settled();
  assert.deepEqual(told.events, []);
  assert.equal(sockets.length, 2);
  await clock.pass(0);
});

test("unknown frames are ignored", () => {
  const { sockets, hello, told } = stage();
  hello();
  sockets[0].hears({ type: "of-the-future", x: 1 });
  sockets[0].hears({ re: 99, ok: true });
  sockets[0].hears({ type: "reacted", room: "dev", seq: 7, at: "2026-11-23T00:00:00.000Z" });
  assert.deepEqual(told.events.map(({ type, seq }) => [type, seq]), [["other", 7]]);
});
