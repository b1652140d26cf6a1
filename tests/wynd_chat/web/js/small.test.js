import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE } from "./page.js";

const { EMOJI } = await import(new URL("emoji.js", PAGE));
const { badge, counted, duration, fileSize, initials, nameList, plainTime, tone } = await import(new URL("format.js", PAGE));
const { qrMatrix } = await import(new URL("qr.js", PAGE));
const { Memory } = await import(new URL("preferences.js", PAGE));
const { actionsFor } = await import(new URL("usercard.js", PAGE));

test("sizes, durations, names and counts", () => {
  assert.deepEqual([999, 120_400, 2_500_000, 26_214_400].map(fileSize), ["999 B", "120 kB", "2.5 MB", "26 MB"]);
  assert.deepEqual([0, 4, 200, 7200, 900_000].map(duration), ["1 s", "4 s", "3 min", "2 h", "10 days"]);
  assert.equal(nameList(["a", "b", "c", "d"]), "a, b and 2 others");
  assert.equal(counted(1, "message"), "1 message");
  assert.deepEqual([99, 100].map(badge), ["99", "99+"]);
  assert.deepEqual(["Alice", "alice_smith", "田中", "🎉x", "__proto__"].map(initials), ["A", "AS", "田", "🎉", "P"]);
  assert.match(plainTime(Date.now()), /^\d\d:\d\d$/u);
  assert.ok(tone("u_x") >= 0 && tone("u_x") < 12);
});

test("every name of an emoji has one", () => {
  assert.ok(EMOJI.size > 300);
  for (const [name, emoji] of EMOJI) assert.match(`${name} ${emoji}`, /^[a-z0-9_+-]+ [^\s]+$/u);
});

test("a QR code has its finders, its size, and refuses what does not fit", () => {
  const code = qrMatrix("http://localhost:3000/#/lobby");
  assert.equal(code.length, 29);
  for (const [y, x] of [[0, 0], [0, 22], [22, 0]]) {
    const ring = code[y].slice(x, x + 7);
    assert.deepEqual(ring, Array(7).fill(true));
    assert.deepEqual(code[y + 1].slice(x, x + 7), [true, false, false, false, false, false, true]);
  }
  assert.equal(qrMatrix("x".repeat(500)), null);
});

test("a QR code is the one that another encoder draws", () => {
  // "hi" at level M: made with a second implementation and read back by a camera's decoder.
  const drawn = qrMatrix("hi").map((row) => row.map((dark) => (dark ? "1" : "0")).join("")).join("\n");
  assert.equal(drawn, process.env.QR_HI);
});

test("storage that is closed or full is replaced by memory", () => {
  const full = { getItem: () => null, setItem: () => { throw new Error("full"); }, removeItem: () => undefined };
  for (const area of [null, full]) {
    const memory = new Memory(area, "p:");
    memory.set("a", "1");
    assert.equal(memory.get("a"), "1");
    memory.set("a", null);
    assert.equal(memory.get("a"), null);
  }
});

test("moderation is offered only to those above, by what is above what", () => {
  const member = (role, isAdmin = false) => ({ user: { id: "x", name: "X", kind: "human", isAdmin }, role, silencedUntil: null, state: "online", text: "" });
  const room = (role) => ({ title: "#dev", name: "dev", role: { value: role }, kind: { value: "public" } });
  const words = (mine, theirs) => actionsFor(theirs, { id: "me", name: "Me", kind: "human", isAdmin: false }, room(mine), false).map(({ word }) => word);
  assert.deepEqual(words("member", member("member")), []);
  assert.deepEqual(words("op", member("op")), []);
  assert.deepEqual(words("op", member("member")), ["timeout", "kick", "ban"]);
  assert.deepEqual(words("owner", member("op")), ["timeout", "kick", "ban", "op"]);
  assert.deepEqual(words("owner", member("member", true)), []);
  const [timeout, , ban] = actionsFor(member("member"), null, room("op"), false);
  assert.equal(timeout.line("@X", new Map([["duration", "2h"], ["reason", " too loud "]])), "/timeout @X 2h too loud");
  assert.equal(ban.line("@X", new Map([["duration", ""], ["reason", "spam"]])), "/ban @X spam");
});
