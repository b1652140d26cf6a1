import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE, settled, TestClock } from "./page.js";

const { Outbox, outboxStorage } = await import(new URL("outbox.js", PAGE));
const { signal } = await import(new URL("vendor/preact.js", PAGE));
const { ChatError } = await import(new URL("wire.js", PAGE));

const RATE = { burst: 10, perSecond: 2 };

async function stage(send = async () => ({ room: "lobby", seq: 1 })) {
  const clock = new TestClock();
  const pending = signal([]);
  const sent = [];
  const storage = outboxStorage(undefined);
  const outbox = new Outbox({
    pending, storage, clock,
    send: (message) => {
      sent.push(message.text);
      return send(message, sent.length);
    },
  });
  await outbox.load("u_me");
  const write = (text) => outbox.add({ cid: `c-${text}`, room: "lobby", text, kind: "text", files: [], at: clock.now() });
  return { clock, pending, sent, storage, outbox, write, states: () => pending.value.map(({ text, state }) => `${text} ${state}`) };
}

test("nothing is sent before it is opened, then in order, each once", async () => {
  const { outbox, write, sent, states, pending } = await stage();
  for (const text of ["one", "two", "three"]) write(text);
  await settled();
  assert.deepEqual(sent, []);
  outbox.open(RATE);
  await settled();
  assert.deepEqual(sent, ["one", "two", "three"]);
  assert.deepEqual(states(), ["one sent", "two sent", "three sent"]);
  for (const { cid } of pending.value) outbox.confirm(cid);
  assert.deepEqual(states(), []);
});

test("an echo before the acknowledgement confirms too", async () => {
  let acknowledge;
  const { outbox, write, states } = await stage(() => new Promise((resolve) => { acknowledge = resolve; }));
  outbox.open(RATE);
  write("one");
  await settled();
  outbox.confirm("c-one");
  acknowledge({ room: "lobby", seq: 5 });
  await settled();
  assert.deepEqual(states(), []);
});

test("the announced rate is kept", async () => {
  const { clock, outbox, write, sent } = await stage();
  outbox.open(RATE);
  for (let number = 0; number < 20; number += 1) write(String(number));
  await settled();
  assert.equal(sent.length, 5, "half of the burst at once, the rest is the server's");
  await clock.pass(5_100);
  assert.ok(sent.length >= 14 && sent.length <= 16, String(sent.length));
  await clock.pass(3_000);
  assert.deepEqual(sent, Array.from({ length: 20 }, (_, index) => String(index)));
});

test("a lost link makes it wait, and the same cid is sent again", async () => {
  const { outbox, write, states, sent } = await stage(async (_, attempt) => {
    if (attempt === 1) throw new ChatError("lost", "lost", { isTemporary: true });
    return { room: "lobby", seq: 1 };
  });
  outbox.open(RATE);
  write("one");
  await settled();
  assert.deepEqual(states(), ["one waiting"]);
  outbox.close();
  outbox.open(RATE);
  await settled();
  assert.deepEqual(sent, ["one", "one"]);
  assert.deepEqual(states(), ["one sent"]);
});

test("slow mode is waited out, a refusal for good fails and lets the next one pass", async () => {
  const { clock, outbox, write, states } = await stage(async ({ text }, attempt) => {
    if (text === "slow" && attempt === 1) throw new ChatError("rate_limited", "slow mode", { retryAfter: 3, isTemporary: true });
    if (text === "bad") throw new ChatError("forbidden", "only ops can write here");
    return { room: "lobby", seq: 1 };
  });
  outbox.open(RATE);
  for (const text of ["slow", "bad", "good"]) write(text);
  await settled();
  assert.deepEqual(states(), ["slow waiting", "bad waiting", "good waiting"]);
  await clock.pass(3_100);
  assert.deepEqual(states(), ["slow sent", "bad failed", "good sent"]);
});

test("no answer within ten seconds is a failure that can be tried again", async () => {
  const { clock, outbox, write, states } = await stage((_, attempt) => (attempt === 1 ? new Promise(() => undefined) : Promise.resolve({ room: "lobby", seq: 1 })));
  outbox.open(RATE);
  write("one");
  await clock.pass(9_900);
  assert.deepEqual(states(), ["one sending"]);
  await clock.pass(200);
  assert.deepEqual(states(), ["one failed"]);
  outbox.retry("c-one");
  await settled();
  assert.deepEqual(states(), ["one sent"]);
});

test("what was kept comes back in order, and only to who wrote it", async () => {
  const { storage, write } = await stage();
  write("one");
  write("two");
  await settled();
  const pending = signal([]);
  const again = new Outbox({ pending, storage, clock: new TestClock(), send: async () => ({ room: "lobby", seq: 1 }) });
  await again.load("u_other");
  assert.deepEqual(pending.value, []);
  await again.load("u_me");
  assert.deepEqual(pending.value.map(({ text }) => text), ["one", "two"]);
  again.drop("c-one");
  await settled();
  assert.deepEqual((await storage.load()).map(({ text }) => text), ["two"]);
});
