import assert from "node:assert/strict";
import { test } from "node:test";
import { message, PAGE } from "./page.js";

const { History } = await import(new URL("history.js", PAGE));
const page = (from, to, { hasBefore = from > 1, hasAfter = false, head = to } = {}) => ({
  messages: Array.from({ length: to - from + 1 }, (_, index) => message(from + index)), hasBefore, hasAfter, head,
});
const seqs = (history) => history.events.map(({ seq }) => seq);

test("pages and live events join without hole or repetition", () => {
  const history = new History();
  history.add(message(101)); // came while the page was on its way, and is in it
  history.add(message(102));
  history.reset(page(52, 101));
  assert.equal(history.last, 102);
  history.add(message(102));
  history.add(message(103));
  history.prepend(page(2, 52));
  assert.deepEqual(seqs(history), Array.from({ length: 102 }, (_, index) => index + 2));
  assert.equal(history.hasBefore, true);
});

test("a stretch that does not reach the end takes no live events until it does", () => {
  const history = new History();
  history.reset(page(10, 20, { hasAfter: true, head: 50 }));
  history.add(message(51));
  assert.equal(history.last, 20);
  history.append(page(21, 50, { head: 50 }));
  assert.equal(history.last, 51);
  assert.equal(history.hasAfter, false);
});

test("so many live events while a page loads that some were forgotten: reading on fills the hole", () => {
  const history = new History();
  history.reset(page(1, 10, { hasAfter: true, head: 10 }));
  for (let seq = 11; seq <= 1600; seq += 1) history.add(message(seq));
  history.append(page(11, 20, { head: 20 }));
  assert.equal(history.hasAfter, true);
  assert.equal(history.last, 20);
});

test("far too many are dropped at the old end", () => {
  const history = new History();
  history.reset(page(1, 6000));
  history.dropOld();
  assert.equal(history.events.length, 3000);
  assert.equal(history.hasBefore, true);
  assert.equal(history.find(6000).seq, 6000);
  assert.equal(history.find(1), null);
  assert.equal(history.indexFrom(3500), 499);
});
