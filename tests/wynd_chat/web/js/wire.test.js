import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PAGE } from "./page.js";

const wire = await import(new URL("wire.js", PAGE));

test("frames that the server's encoders made are read, every field of them", () => {
  // Written by test_modules.py with the server's own encoders: frame and what must come of it.
  const cases = JSON.parse(readFileSync(process.env.WIRE_FRAMES, "utf8"));
  assert.ok(cases.length >= 12);
  for (const { frame, expected } of cases) {
    const decoded = wire.decodeFrame(frame);
    const value = decoded[decoded.is];
    for (const [field, wanted] of Object.entries(expected)) assert.deepEqual(value[field], wanted, `${field} of ${frame}`);
  }
});

test("requests are those that the server's decoder takes", () => {
  const { request } = wire;
  const all = [
    request.auth("t"), request.name("Alice"), request.sync("e", new Map([["lobby", 3]])),
    request.send({ room: "dev", cid: "c", text: "hi", kind: "me", files: ["f_1"] }),
    request.read("dev", 4), request.command("dev", "/help"), request.commands(),
  ];
  process.stdout.write(`REQUESTS ${JSON.stringify(all)}\n`);
});

test("malformed input becomes nothing, never an exception", () => {
  for (const value of [null, 1, "x", [], {}, { type: "message" }, { type: "message", room: 1, seq: "2" }, { type: "presence" }, { room: "a", seq: 1, from: 7, files: [null], mentions: {} }]) {
    assert.doesNotThrow(() => wire.decodeFrame(JSON.stringify(value)));
    assert.doesNotThrow(() => [wire.decodePage(value), wire.decodeMyRooms(value), wire.decodeMembers(value), wire.decodeRoom(value), wire.decodeProblem(value, 500)]);
  }
  assert.equal(wire.decodeEvent({ room: "__proto__", seq: 1, from: { name: "constructor" } }).author.name, "constructor");
});

test("problem documents become errors that can be shown", () => {
  const error = wire.decodeProblem({ type: "/api/errors/rate_limited", title: "Slow down", status: 429, detail: "Try again in 1.5 s", code: "rate_limited", retry_after: 1.5 }, 429);
  assert.deepEqual([error.code, error.message, error.retryAfter, error.isTemporary], ["rate_limited", "Try again in 1.5 s", 1.5, true]);
  assert.equal(wire.decodeProblem(null, 502).message, "the server answered 502");
});
