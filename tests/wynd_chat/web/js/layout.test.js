import assert from "node:assert/strict";
import { test } from "node:test";
import { message, PAGE } from "./page.js";

const { comings, layout } = await import(new URL("layout.js", PAGE));
const rowsOf = (events, more = {}) =>
  layout({ events, pending: [], notes: [], line: Infinity, me: "u_me", isStart: false, isEnd: true, ...more });
const shape = (rows) => rows.map((row) => (row.is === "message" || row.is === "pending" ? `${row.is}${row.isFirst ? "!" : ""}` : row.is));
const coming = (type, seq, name) => ({ type, room: "lobby", seq, at: Date.UTC(2026, 10, 23, 12), user: { id: name, name }, how: "leave", by: null, reason: "" });

test("one author within five minutes is one group", () => {
  const at = Date.UTC(2026, 10, 23, 12);
  const events = [message(1, { at }), message(2, { at: at + 299_000 }), message(3, { at: at + 700_000 }), message(4, { at: at + 701_000, author: "u_zoe" })];
  assert.deepEqual(shape(rowsOf(events)), ["day", "message!", "message", "message!", "message!"]);
});

test("an action, an announcement and a day end a group", () => {
  const at = new Date(2026, 10, 23, 23, 59).getTime();
  const events = [message(1, { at }), message(2, { at, kind: "me" }), message(3, { at }), message(4, { at: at + 120_000 }), message(5, { at: at + 121_000, kind: "system" }), message(6, { at: at + 122_000 })];
  assert.deepEqual(shape(rowsOf(events)), ["day", "message!", "message!", "message!", "day", "message!", "message!", "message!"]);
});

test("the unread line stands before the first message of others, and ends the group", () => {
  const events = [message(1), message(2), message(3, { author: "u_me" }), message(4), message(5)];
  const rows = rowsOf(events, { line: 2 });
  assert.deepEqual(shape(rows), ["day", "message!", "message", "message!", "line", "message!", "message"]);
  assert.equal(rows[4].count, 2, "my own are not new");
  assert.deepEqual(shape(rowsOf(events, { line: 9 })).includes("line"), false);
});

test("joins are one row, but never across the unread line", () => {
  const events = [coming("joined", 1, "a"), coming("joined", 2, "b"), message(3), coming("left", 4, "a"), coming("joined", 5, "c"), message(6)];
  assert.deepEqual(shape(rowsOf(events, { line: 2 })), ["day", "run", "line", "message!", "run", "message!"]);
  assert.deepEqual(comings([coming("joined", 1, "a"), coming("left", 2, "a"), coming("left", 3, "b"), coming("joined", 4, "b"), coming("joined", 5, "c")]), { joined: ["b", "c"], left: ["a"] });
});

test("somebody banned is no mere leaving", () => {
  const banned = { ...coming("left", 2, "a"), how: "ban" };
  assert.deepEqual(shape(rowsOf([coming("left", 1, "b"), banned])), ["day", "run", "event"]);
});

test("notes stand where they came, pending messages last", () => {
  const note = (id, afterSeq) => ({ id, at: 0, afterSeq, lines: ["x"], isError: false });
  const pending = { cid: "c1", room: "lobby", userId: "u_me", text: "x", kind: "text", files: [], at: Date.UTC(2026, 10, 23, 12, 1), state: "waiting", problem: "" };
  const rows = rowsOf([message(1), message(2)], { notes: [note(1, 1), note(2, 2)], pending: [pending] });
  assert.deepEqual(shape(rows), ["day", "message!", "note", "message!", "note", "pending!"]);
  assert.deepEqual(shape(rowsOf([message(5)], { notes: [note(1, 1)], pending: [pending], isEnd: false })), ["day", "message!"]);
});

test("hidden messages and unknown events are left out", () => {
  assert.deepEqual(shape(rowsOf([message(1, { isHidden: true }), { type: "other", room: "lobby", seq: 2, at: 0 }, message(3)])), ["day", "message!"]);
});

test("keys are unique and looks change only with what is drawn", () => {
  const events = Array.from({ length: 50 }, (_, index) => message(index + 1));
  const rows = rowsOf(events, { isStart: true });
  assert.equal(new Set(rows.map(({ key }) => key)).size, rows.length);
  assert.deepEqual(rows, rowsOf(events, { isStart: true }));
  const edited = rowsOf([...events.slice(0, -1), { ...events[49], isDeleted: true }], { isStart: true });
  const changed = rows.filter((row, index) => row.look !== edited[index].look);
  assert.deepEqual(changed.map(({ key }) => key), ["s:50"]);
});
